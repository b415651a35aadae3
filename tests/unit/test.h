/*
 * tests/unit/test.h - what every unit test includes: cmocka with its required headers, and str comparison.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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

/*
 * What this machine cannot be asked is said aloud, a line that begins with "left out: " or "left out in part: ", which
 * tools/test counts. SEKISHO_NO_SKIP=1 makes each a failure, for a machine that should have everything.
 */
#define leave_out(...)                                                    \
        do {                                                              \
                printf("left out: " __VA_ARGS__);                         \
                printf("\n");                                             \
                fflush(stdout);                                           \
                if (getenv("SEKISHO_NO_SKIP"))                            \
                        fail_msg("left out, and SEKISHO_NO_SKIP is set"); \
                skip();                                                   \
        } while (0)

/* The rest of the test goes on. */
#define leave_part_out(...)                                               \
        do {                                                              \
                printf("left out in part: " __VA_ARGS__);                 \
                printf("\n");                                             \
                fflush(stdout);                                           \
                if (getenv("SEKISHO_NO_SKIP"))                            \
                        fail_msg("left out, and SEKISHO_NO_SKIP is set"); \
        } while (0)
