/*
 * tests/unit/crypto/hex.h - expected bytes written as hex text.
 */
#pragma once

#include "../test.h"
#include "crypto/text.h"

/* Decodes into `out`, which holds `out_max` bytes; fails the test when the text is wrong. Returns the length. */
static inline size_t unhex(const char *text, uint8_t *out, size_t out_max)
{
        struct str s = str_of(text);

        assert_true(s.len / 2 <= out_max);
        assert_err(crypto_hex_parse(s, out, s.len / 2), ERR_OK);
        return s.len / 2;
}

#define assert_hex(actual, expected_text)                                                 \
        do {                                                                              \
                uint8_t test_bytes[256];                                                  \
                size_t test_len = unhex((expected_text), test_bytes, sizeof(test_bytes)); \
                assert_memory_equal((actual), test_bytes, test_len);                      \
        } while (0)
