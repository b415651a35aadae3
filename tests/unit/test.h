/*
 * tests/unit/test.h - what every unit test includes: cmocka with its required headers, and str comparison.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"

#define assert_str(actual, expected)                                                           \
        do {                                                                                   \
                struct str test_a = (actual), test_b = (expected);                             \
                if (!str_eq(test_a, test_b))                                                   \
                        fail_msg("got \"%.*s\", wanted \"%.*s\"", (int)test_a.len, test_a.ptr, \
                                 (int)test_b.len, test_b.ptr);                                 \
        } while (0)

#define assert_err(actual, expected)                                                               \
        do {                                                                                       \
                enum err test_a = (actual), test_b = (expected);                                   \
                if (test_a != test_b)                                                              \
                        fail_msg("got ERR_%s, wanted ERR_%s", err_name(test_a), err_name(test_b)); \
        } while (0)
