#include <stdlib.h>
#include <unistd.h>

#include "../test.h"
#include "cli/join_file.h"

static void takes_the_first_line(void **state)
{
        static const struct {
                const char *why, *text, *wanted;
                bool ok;
        } cases[] = {
                { "as a program writes it", "skauth-a@https://c\n", "skauth-a@https://c", true },
                { "as an editor leaves it", "  skauth-a@https://c \t\n\n", "skauth-a@https://c", true },
                { "without an end", "skauth-a@https://c", "skauth-a@https://c", true },
                { "what follows is no token", "skauth-a@https://c\nskauth-b@https://d\n",
                  "skauth-a@https://c", true },
                { "empty: nothing is joined", "", "", true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char path[] = "/tmp/sekisho-join-XXXXXX";
                int fd = mkstemp(path);
                size_t len = strlen(cases[i].text);
                struct buf out;

                print_message("%s\n", cases[i].why);
                assert_true(fd >= 0);
                assert_true(write(fd, cases[i].text, len) == (ssize_t)len);
                close(fd);
                buf_init(&out, 256);
                assert_int_equal(join_file_read(str_of(path), &out), cases[i].ok);
                assert_true(str_eq(buf_str(&out), str_of(cases[i].wanted)));
                buf_wipe(&out);
                unlink(path);
        }
}

static void what_is_not_there_is_none_and_what_cannot_be_is_wrong(void **state)
{
        struct buf out;

        buf_init(&out, 8);
        assert_true(join_file_read(STR("/nonexistent/join"), &out));
        assert_int_equal(buf_str(&out).len, 0);
        assert_false(join_file_read(STR("/"), &out)); /* a folder */
        buf_wipe(&out);

        char path[] = "/tmp/sekisho-join-XXXXXX";
        int fd = mkstemp(path);
        assert_true(fd >= 0 && write(fd, "longer than eight", 17) == 17);
        close(fd);
        buf_init(&out, 8);
        assert_false(join_file_read(str_of(path), &out));
        buf_wipe(&out);
        unlink(path);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(takes_the_first_line),
                cmocka_unit_test(what_is_not_there_is_none_and_what_cannot_be_is_wrong),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
