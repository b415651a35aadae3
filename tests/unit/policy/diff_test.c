/* What a change of the policy gives and takes (policy/diff.h): within networks behind routes above all. */
#include "kit.h"

#include "policy/diff.h"

static const char facts[] =
        "{\"users\": [{\"id\": \"1\", \"email\": \"ann@example.com\"}],"
        " \"nodes\": [{\"id\": \"1\", \"name\": \"laptop\", \"user\": \"1\", \"addresses\": [\"100.64.0.1\"]},"
        "  {\"id\": \"2\", \"name\": \"gate\", \"tags\": [\"tag:gate\"], \"addresses\": [\"100.64.0.2\", \"10.33.0.0\"],"
        "   \"approvedRoutes\": [\"10.33.0.0/16\", \"10.33.7.0/24\", \"10.44.0.0/24\"],"
        "   \"advertisedRoutes\": [\"10.33.0.0/16\", \"10.33.7.0/24\", \"10.44.0.0/24\"]},"
        "  {\"id\": \"3\", \"name\": \"out\", \"tags\": [\"tag:out\"], \"addresses\": [\"100.64.0.3\"],"
        "   \"approvedRoutes\": [\"0.0.0.0/0\"], \"advertisedRoutes\": [\"0.0.0.0/0\"]}]}";

#define POLICY(grants)      "{\"tagOwners\": {\"tag:gate\": [], \"tag:out\": []}, \"grants\": [" grants "]}"
#define GRANT(src, dst, ip) "{\"src\": [\"" src "\"], \"dst\": [\"" dst "\"], \"ip\": [\"" ip "\"]}"
#define ANN                 "ann@example.com"

static const struct {
        const char *why, *before, *after, *wanted;
} cases[] = {
        { "nothing", POLICY(GRANT(ANN, "10.33.0.0/16", "22")), POLICY(GRANT(ANN, "10.33.0.0/16", "22")),
          "no difference for anybody\n" },
        { "the same in other words", POLICY(GRANT(ANN, "10.44.0.0/24", "22")),
          POLICY(GRANT(ANN, "10.44.0.0/25", "22") "," GRANT(ANN, "10.44.0.128/25", "22")),
          "no difference for anybody\n" },
        { "a whole network", POLICY(""), POLICY(GRANT(ANN, "10.44.0.0/24", "tcp:22")),
          "+ ann@example.com: 10.44.0.0/24 tcp:22\n" },
        { "one address in the middle of it", POLICY(""), POLICY(GRANT(ANN, "10.44.0.9", "tcp:22")),
          "+ ann@example.com: 10.44.0.9 tcp:22\n" },
        { "its last address", POLICY(GRANT(ANN, "10.44.0.255", "tcp:22")), POLICY(""),
          "- ann@example.com: 10.44.0.255 tcp:22\n" },
        { "a part of a rule's is what differs", POLICY(GRANT(ANN, "10.44.0.0/24", "tcp:22")),
          POLICY(GRANT(ANN, "10.44.0.0/25", "tcp:22")), "- ann@example.com: 10.44.0.128/25 tcp:22\n" },
        { "parts with the same are told at once", POLICY(""),
          POLICY(GRANT(ANN, "10.44.0.3\", \"10.44.0.8/30", "tcp:22")),
          "+ ann@example.com: 10.44.0.3, 10.44.0.8/30 tcp:22\n" },
        { "five of them", POLICY(""),
          POLICY(GRANT(ANN, "10.44.0.3\", \"10.44.0.5\", \"10.44.0.7\", \"10.44.0.9\", \"10.44.0.11",
                       "tcp:1")),
          "+ ann@example.com: 10.44.0.3, 10.44.0.5, 10.44.0.7, 10.44.0.9 and 1 more tcp:1\n" },
        { "parts of different rules by themselves", POLICY(""),
          POLICY(GRANT(ANN, "10.44.0.3", "tcp:22") "," GRANT(ANN, "10.44.0.8/30", "tcp:22")),
          "+ ann@example.com: 10.44.0.3 tcp:22\n+ ann@example.com: 10.44.0.8/30 tcp:22\n" },
        { "a network within another", POLICY(""), POLICY(GRANT(ANN, "10.33.7.0/24", "tcp:22")),
          "+ ann@example.com: 10.33.7.0/24 tcp:22\n" },
        { "both of them: what is nested is told by itself, and the machine that has an address in it",
          POLICY(""), POLICY(GRANT(ANN, "10.33.0.0/16", "tcp:22")),
          "+ ann@example.com: 10.33.0.0/16 tcp:22\n+ ann@example.com: 10.33.7.0/24 tcp:22\n"
          "+ ann@example.com: gate (tag:gate) tcp:22\n" },
        { "from a part of a network", POLICY(""), POLICY(GRANT("10.44.0.128/25", "tag:out", "tcp:22")),
          "+ 10.44.0.128/25: out (tag:out) tcp:22\n" },
        { "from a part to a part", POLICY(""), POLICY(GRANT("10.44.0.7", "10.33.1.0/24", "tcp:22")),
          "+ 10.44.0.7: 10.33.1.0/24 tcp:22\n" },
        { "ports within a part", POLICY(GRANT(ANN, "10.44.0.0/24", "tcp:20-30")),
          POLICY(GRANT(ANN, "10.44.0.0/24", "tcp:20-30") "," GRANT(ANN, "10.44.0.77", "tcp:25-35")),
          "+ ann@example.com: 10.44.0.77 tcp:31-35\n" },
        { "the internet, by an exit node", POLICY(GRANT(ANN, "autogroup:internet", "tcp:443")), POLICY(""),
          "- ann@example.com: autogroup:internet tcp:443\n" },
};

static void what_is_told(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct policy_tables *before = kit_tables_must(cases[i].before, facts),
                                     *after = kit_tables_must(cases[i].after, facts);
                struct policy_diff d;
                struct buf out;

                policy_diff(before, after, &d);
                assert_false(d.no_memory || d.is_partial);
                buf_init(&out, 1 << 16);
                policy_diff_print(&d, &out);
                if (!str_eq(buf_str(&out), str_of(cases[i].wanted)))
                        fail_msg("%s: got\n%.*swanted\n%s", cases[i].why, STR_FMT(buf_str(&out)),
                                 cases[i].wanted);
                buf_fini(&out);
                policy_diff_fini(&d);
                policy_tables_put(before);
                policy_tables_put(after);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(what_is_told) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
