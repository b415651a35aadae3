#include "http/trace_context.h"

#include <stdio.h>
#include <string.h>

#include "../test.h"

#define ID   "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"

static void parents(void **state)
{
        static const struct {
                const char *why;
                struct str text;
                enum err err;
                bool is_sampled;
        } cases[] = {
                { "ordinary", STR_INIT("00-" ID "-" SPAN "-01"), ERR_OK, true },
                { "not sampled", STR_INIT("00-" ID "-" SPAN "-00"), ERR_OK, false },
                { "other flags say nothing of it", STR_INIT("00-" ID "-" SPAN "-fe"), ERR_OK, false },
                { "all flags", STR_INIT("00-" ID "-" SPAN "-ff"), ERR_OK, true },
                { "a later version", STR_INIT("01-" ID "-" SPAN "-01"), ERR_OK, true },
                { "a later version with more to it", STR_INIT("fe-" ID "-" SPAN "-01-what-else"), ERR_OK,
                  true },
                { "a later version with more, unseparated", STR_INIT("fe-" ID "-" SPAN "-01x"),
                  ERR_MALFORMED },
                { "version 00 is no longer", STR_INIT("00-" ID "-" SPAN "-01-"), ERR_MALFORMED },
                { "version ff is none", STR_INIT("ff-" ID "-" SPAN "-01"), ERR_MALFORMED },
                { "capitals", STR_INIT("00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01"), ERR_MALFORMED },
                { "capital in the version", STR_INIT("0A-" ID "-" SPAN "-01"), ERR_MALFORMED },
                { "no digit", STR_INIT("00-" ID "-" SPAN "-0g"), ERR_MALFORMED },
                { "trace of zeros", STR_INIT("00-00000000000000000000000000000000-" SPAN "-01"),
                  ERR_MALFORMED },
                { "span of zeros", STR_INIT("00-" ID "-0000000000000000-01"), ERR_MALFORMED },
                { "cut short", STR_INIT("00-" ID "-" SPAN "-0"), ERR_MALFORMED },
                { "empty", STR_INIT(""), ERR_MALFORMED },
                { "another separator", STR_INIT("00_" ID "_" SPAN "_01"), ERR_MALFORMED },
                { "a NUL",
                  STR_INIT("00-" ID "-" SPAN "\0"
                           "01"),
                  ERR_MALFORMED },
                { "a blank in front", STR_INIT(" 00-" ID "-" SPAN "-01"), ERR_MALFORMED },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct trace_parent p;
                char text[TRACE_PARENT_LEN + 1];

                enum err e = trace_parent_parse(cases[i].text, &p);
                if (e != cases[i].err)
                        fail_msg("%s: %s", cases[i].why, err_text(e));
                if (e != ERR_OK)
                        continue;
                assert_int_equal(p.is_sampled, cases[i].is_sampled);
                assert_str(trace_parent_format(&p, text),
                           p.is_sampled ? STR("00-" ID "-" SPAN "-01") : STR("00-" ID "-" SPAN "-00"));
                assert_int_equal(strlen(text), TRACE_PARENT_LEN);
        }
}

static void states(void **state)
{
        static char longest[TRACE_STATE_BYTES_MAX + 2], many[TRACE_STATE_MEMBERS_MAX * 6 + 10];
        static const struct {
                const char *why;
                struct str text;
                enum err err;
        } cases[] = {
                { "one", STR_INIT("rojo=00f067aa0ba902b7"), ERR_OK },
                { "two, blanks around", STR_INIT("rojo=1 ,\tcongo=t61rcWkgMzE"), ERR_OK },
                { "a tenant", STR_INIT("0ab@vendor=x"), ERR_OK },
                { "empty members", STR_INIT(",a=1,,"), ERR_OK },
                { "nothing", STR_INIT(""), ERR_OK },
                { "blanks inside a value", STR_INIT("a=b c"), ERR_OK },
                { "all of a key's bytes", STR_INIT("a0_-*/=~"), ERR_OK },
                { "the same key twice", STR_INIT("a=1,b=2,a=3"), ERR_MALFORMED },
                { "no value", STR_INIT("a="), ERR_MALFORMED },
                { "no key", STR_INIT("=1"), ERR_MALFORMED },
                { "no equals sign", STR_INIT("a"), ERR_MALFORMED },
                { "an equals sign in the value", STR_INIT("a=b=c"), ERR_MALFORMED },
                { "a capital", STR_INIT("A=1"), ERR_MALFORMED },
                { "a digit first", STR_INIT("1a=1"), ERR_MALFORMED },
                { "a system with a digit first", STR_INIT("a@1b=1"), ERR_MALFORMED },
                { "a system too long", STR_INIT("a@abcdefghijklmno=1"), ERR_MALFORMED },
                { "two at signs", STR_INIT("a@b@c=1"), ERR_MALFORMED },
                { "blank before the equals sign", STR_INIT("a =1"), ERR_MALFORMED },
                { "a control", STR_INIT("a=\x01"), ERR_MALFORMED },
                { "above ASCII", STR_INIT("a=\xc3\xa9"), ERR_MALFORMED },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                enum err e = trace_state_check(cases[i].text);

                if (e != cases[i].err)
                        fail_msg("%s: %s", cases[i].why, err_text(e));
        }
        memset(longest, ',', sizeof(longest));
        assert_err(trace_state_check((struct str){ longest, TRACE_STATE_BYTES_MAX }), ERR_OK);
        assert_err(trace_state_check((struct str){ longest, TRACE_STATE_BYTES_MAX + 1 }), ERR_TOO_LARGE);
        size_t len = 0;
        for (int i = 0; i <= TRACE_STATE_MEMBERS_MAX; i++) {
                assert_err(trace_state_check((struct str){ many, len }), ERR_OK);
                len += (size_t)snprintf(many + len, sizeof(many) - len, "%sk%d=1", i ? "," : "", i);
        }
        assert_err(trace_state_check((struct str){ many, len }), ERR_TOO_LARGE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(parents),
                cmocka_unit_test(states),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
