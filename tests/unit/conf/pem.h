/*
 * tests/unit/conf/pem.h - two self-signed certificates with their keys, good from 2020 to 2081, for tests only: they
 * guard nothing.
 */
#pragma once

static const char pem_a_cert[] = "-----BEGIN CERTIFICATE-----\n"
                                 "MIIBdTCCARqgAwIBAgIUZS+zHvlPuSiupjQKbDoSb7Rt9OgwCgYIKoZIzj0EAwIw\n"
                                 "FDESMBAGA1UEAwwJYS5leGFtcGxlMCAXDTIwMDEwMTAwMDAwMFoYDzIwODEwMTAx\n"
                                 "MDAwMDAwWjAUMRIwEAYDVQQDDAlhLmV4YW1wbGUwWTATBgcqhkjOPQIBBggqhkjO\n"
                                 "PQMBBwNCAASnt7LHWsfTkdvh+Y7qNdMy0BA7+0WnQNrV90B85TsOCXNXjB9/3PTI\n"
                                 "m1+ytzWG/kP3jcTlmrK+FM/m2pB8A0Kpo0gwRjAPBgNVHRMBAf8EBTADAQH/MBQG\n"
                                 "A1UdEQQNMAuCCWEuZXhhbXBsZTAdBgNVHQ4EFgQUosL1pzhR2lKTKGcwbehzbG4T\n"
                                 "1xwwCgYIKoZIzj0EAwIDSQAwRgIhALqg3WNELMoWdUYN41B0gyj8OarUOBQnwZjh\n"
                                 "Tfa9JsBBAiEA+NvPmVwkWeMFp+8e3xbGdiFCFFYHk60Znekl3bjOtyk=\n"
                                 "-----END CERTIFICATE-----\n";

static const char pem_a_key[] = "-----BEGIN PRIVATE KEY-----\n"
                                "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgOwnXY2RPUFecaPp1\n"
                                "ljGs20fr63z4adJJMWtQN8lcHn6hRANCAASnt7LHWsfTkdvh+Y7qNdMy0BA7+0Wn\n"
                                "QNrV90B85TsOCXNXjB9/3PTIm1+ytzWG/kP3jcTlmrK+FM/m2pB8A0Kp\n"
                                "-----END PRIVATE KEY-----\n";

static const char pem_b_cert[] = "-----BEGIN CERTIFICATE-----\n"
                                 "MIIBdTCCARqgAwIBAgIUbGi2izCvhQAjKCJfd/i6hwmW02AwCgYIKoZIzj0EAwIw\n"
                                 "FDESMBAGA1UEAwwJYi5leGFtcGxlMCAXDTIwMDEwMTAwMDAwMFoYDzIwODEwMTAx\n"
                                 "MDAwMDAwWjAUMRIwEAYDVQQDDAliLmV4YW1wbGUwWTATBgcqhkjOPQIBBggqhkjO\n"
                                 "PQMBBwNCAATH4KemehKk3UjY5xIxr7BE1LSPYz5jItaaNGLibVEcicn6ZbFBiHES\n"
                                 "T5Ws1O7kvt6XK2CYUFVT1tCwlPTGdATIo0gwRjAPBgNVHRMBAf8EBTADAQH/MBQG\n"
                                 "A1UdEQQNMAuCCWIuZXhhbXBsZTAdBgNVHQ4EFgQUyGHI3GftzEWicQhhtdtDCQ38\n"
                                 "VDIwCgYIKoZIzj0EAwIDSQAwRgIhANzifQ4pIdY6T5Cr9YueqqUtu5mMXwIcPaYd\n"
                                 "gyNiGfy7AiEA562fTuJBssnnmr/flUZJVvE58s4Zh8Qh19Sve3t88KU=\n"
                                 "-----END CERTIFICATE-----\n";

static const char pem_b_key[] = "-----BEGIN PRIVATE KEY-----\n"
                                "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXesVsAV64jdQgvLU\n"
                                "yD/lMuvyXc/DLaQmL1cJfNUnarmhRANCAATH4KemehKk3UjY5xIxr7BE1LSPYz5j\n"
                                "ItaaNGLibVEcicn6ZbFBiHEST5Ws1O7kvt6XK2CYUFVT1tCwlPTGdATI\n"
                                "-----END PRIVATE KEY-----\n";
