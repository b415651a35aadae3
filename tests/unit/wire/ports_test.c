#include "wire/ports.h"

#include "../test.h"

static const struct {
        const char *why, *text, *before;
        enum err err;
        unsigned first, count;
} cases[] = {
        { "one", "0.0.0.0:22", "0.0.0.0", ERR_OK, 22, 1 },
        { "of IPv6", "[::1]:53", "[::1]", ERR_OK, 53, 1 },
        { "every address", ":53", "", ERR_OK, 53, 1 },
        { "a range", "0.0.0.0:7000-7010", "0.0.0.0", ERR_OK, 7000, 11 },
        { "of a target", "tcp://game:7000-7001", "tcp://game", ERR_OK, 7000, 2 },
        { "up to the last", "x:65534-65535", "x", ERR_OK, 65534, 2 },
        { "as many as there may be", "x:1-128", "x", ERR_OK, 1, 128 },
        { "one more", "x:1-129", NULL, ERR_TOO_LARGE, 0, 0 },
        { "all there are", "x:1-65535", NULL, ERR_TOO_LARGE, 0, 0 },
        { "no port", "0.0.0.0", NULL, ERR_MALFORMED, 0, 0 },
        { "an empty one", "0.0.0.0:", NULL, ERR_MALFORMED, 0, 0 },
        { "port 0", "x:0", NULL, ERR_MALFORMED, 0, 0 },
        { "from 0", "x:0-5", NULL, ERR_MALFORMED, 0, 0 },
        { "too high", "x:65536", NULL, ERR_MALFORMED, 0, 0 },
        { "past the end", "x:65530-65536", NULL, ERR_MALFORMED, 0, 0 },
        { "reversed", "x:10-9", NULL, ERR_MALFORMED, 0, 0 },
        { "of one port, written long", "x:9-9", NULL, ERR_MALFORMED, 0, 0 },
        { "open", "x:9-", NULL, ERR_MALFORMED, 0, 0 },
        { "two dashes", "x:1-2-3", NULL, ERR_MALFORMED, 0, 0 },
        { "a sign", "x:+1", NULL, ERR_MALFORMED, 0, 0 },
        { "a blank", "x:1 -2", NULL, ERR_MALFORMED, 0, 0 },
        { "nothing", "", NULL, ERR_MALFORMED, 0, 0 },
};

static void reads_ports(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct wire_ports p = { 0 };
                enum err e = wire_ports_parse(str_of(cases[i].text), &p);

                if (e != cases[i].err || p.first != cases[i].first || p.count != cases[i].count ||
                    (e == ERR_OK && !str_eq(p.before, str_of(cases[i].before))))
                        fail_msg("%s: %s %u+%u", cases[i].why, err_name(e), p.first, p.count);
        }
}

static void finds_what_two_have_in_common(void **state)
{
        static const struct {
                const char *a, *b;
                bool overlap;
        } pairs[] = { { "x:1", "x:1", true },      { "x:1", "x:2", false },
                      { "x:1-10", "x:10", true },  { "x:1-10", "x:11", false },
                      { "x:5-6", "x:1-10", true }, { "x:1-5", "x:5-9", true },
                      { "x:1-5", "x:6-9", false }, { "x:65535", "x:65530-65535", true } };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
                struct wire_ports a, b;

                assert_err(wire_ports_parse(str_of(pairs[i].a), &a), ERR_OK);
                assert_err(wire_ports_parse(str_of(pairs[i].b), &b), ERR_OK);
                if (wire_ports_overlap(&a, &b) != pairs[i].overlap ||
                    wire_ports_overlap(&b, &a) != pairs[i].overlap)
                        fail_msg("%s and %s", pairs[i].a, pairs[i].b);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(reads_ports),
                                            cmocka_unit_test(finds_what_two_have_in_common) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
