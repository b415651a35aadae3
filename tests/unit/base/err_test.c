#include "base/err.h"

#include <errno.h>

#include "../test.h"

static void test_every_error_has_a_name_and_a_text(void **state)
{
        for (int i = 0; i < ERR_COUNT; i++) {
                assert_true(strlen(err_name((enum err)i)) > 0);
                assert_true(strlen(err_text((enum err)i)) > 0);
                for (int j = 0; j < i; j++)
                        assert_string_not_equal(err_name((enum err)i), err_name((enum err)j));
        }
        assert_string_equal(err_name(ERR_TOO_LARGE), "TOO_LARGE");
        assert_int_equal(ERR_OK, 0); /* callers write if (e) */
}

static void test_errno(void **state)
{
        static const struct {
                const char *why;
                int number;
                enum err err;
        } cases[] = {
                { "no error", 0, ERR_OK },
                { "would block", EAGAIN, ERR_AGAIN },
                { "the other name of would block", EWOULDBLOCK, ERR_AGAIN },
                { "connect is under way", EINPROGRESS, ERR_AGAIN },
                { "interrupted", EINTR, ERR_AGAIN },
                { "reset", ECONNRESET, ERR_CLOSED },
                { "broken pipe", EPIPE, ERR_CLOSED },
                { "out of descriptors", EMFILE, ERR_NO_MEMORY },
                { "out of descriptors, all of the system", ENFILE, ERR_NO_MEMORY },
                { "no memory", ENOMEM, ERR_NO_MEMORY },
                { "nobody listens", ECONNREFUSED, ERR_REFUSED },
                { "no answer", ETIMEDOUT, ERR_TIMED_OUT },
                { "no route", EHOSTUNREACH, ERR_UNREACHABLE },
                { "no network", ENETUNREACH, ERR_UNREACHABLE },
                { "no such file", ENOENT, ERR_NOT_FOUND },
                { "port is taken", EADDRINUSE, ERR_EXISTS },
                { "not allowed", EACCES, ERR_DENIED },
                { "disk is full", ENOSPC, ERR_TOO_LARGE },
                { "anything else", EDOM, ERR_IO },
                { "a number that is none", 99999, ERR_IO },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (err_from_errno(cases[i].number) != cases[i].err)
                        fail_msg("%s: got %s", cases[i].why, err_name(err_from_errno(cases[i].number)));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_error_has_a_name_and_a_text),
                cmocka_unit_test(test_errno),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
