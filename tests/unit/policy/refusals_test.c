/* What is refused, where, and with which words: policies, facts, and texts made to be slow. */
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct refusal {
        const char *text, *place, *words; /* place: "2:5" or NULL where it stands for the whole */
};

#define ACL(src, dst)                                                                                                         \
        "{\"tagOwners\": {\"tag:a\": []}, \"groups\": {\"group:g\": []},\n\"acls\": [{\"action\": \"accept\", \"src\": [" src \
        "], \"dst\": [" dst "]}]}"
#define GRANT(members)                                                                                        \
        "{\"tagOwners\": {\"tag:a\": []}, \"hosts\": {\"h\": \"10.0.0.0/8\"}, \"postures\": {\"posture:p\": " \
        "[\"node:os == 'x'\"]},\n\"grants\": [{\"src\": [\"*\"], " members "}]}"
#define POSTURE(text) "{\"postures\": {\"posture:p\":\n[" text "]}}"
#define WHEN(text)    GRANT("\"dst\": [\"service:x\"], \"when\": {" text "}")
#define LIMITS(text)  GRANT("\"dst\": [\"service:x\"], \"app\": {\"sekisho.dev/cap/limits\": [{" text "}]}")

static const struct refusal policies[] = {
        /* the text itself */
        { "", "1:1", "" },
        { "{", "1:2", "" },
        { "[]", "1:1", "object" },
        { "{\"acls\": [,]}", "1:11", "" },
        { "{\"acls\": [] // no end", NULL, "" },
        { "{\"acls\": [] /* no end", NULL, "" },
        { "{\"acls\": [], \"acls\": []}", "1:14", "acls" },
        { "{'acls': []}", "1:2", "" },
        { "{\"acsl\": []}", "1:2", "did you mean \"acls\"" },
        { "{\"acls\": {}}", "1:10", "" },
        { "{\"acls\": [\n  {\"action\": \"accept\", \"sre\": [], \"dst\": []}]}", "2:24",
          "did you mean \"src\"" },
        { "{\"acls\": [\n  {\"action\": \"deny\", \"src\": [\"*\"], \"dst\": [\"*:*\"]}]}", "2:", "action" },
        { "{\"acls\": [\n  {\"action\": \"accept\", \"src\": [7], \"dst\": [\"*:*\"]}]}", "2:32", "" },

        /* names */
        { ACL("\"group:x\"", "\"*:*\""), "2:39",
          "src=group not found: \"group:x\" (did you mean \"group:g\"?)" },
        { ACL("\"tag:x\"", "\"*:*\""), "2:39", "src=tag not found: \"tag:x\"" },
        { ACL("\"*\"", "\"tag:x:*\""), "2:53", "tag not found: \"tag:x\"" },
        { ACL("\"host\"", "\"*:*\""), "2:39", "" },
        { ACL("\"10.0.0.0/33\"", "\"*:*\""), "2:39", "" },
        { ACL("\"autogroup:members2\"", "\"*:*\""), "2:39", "autogroup" },
        { ACL("\"autogroup:self\"", "\"*:*\""), "2:39", "not valid on the src side" },
        { ACL("\"*\"", "\"autogroup:danger-all:*\""), "2:53", "cannot use autogroup:danger-all as a dst" },
        { ACL("\"tag:a\"", "\"autogroup:self:*\""), "2:39", "autogroup:self can only be used with" },
        { ACL("\"ipset:x\"", "\"*:*\""), "2:39", "ipset not found" },
        { ACL("\"service:x\"", "\"*:*\""), "2:39", "not valid on the src side" },
        { ACL("\"*\"", "\"service:x:443\""), "2:53", "only be a dst of a grant" },
        { "{\"groups\": {\"group:a\": [\"group:b\"], \"group:b\": [\"group:a\"]}}", "1:25", "" },
        { "{\"groups\": {\"eng\": []}}", "1:13", "" },
        { "{\"tagOwners\": {\"tag:a\": [\"tag:b\"], \"tag:b\": [\"tag:a\"]}}", "1:", "circular" },
        { "{\"hosts\": {\"h\": \"nowhere\"}}", "1:17", "" },
        { "{\"ipsets\": {\"ipset:a\": [\"ipset:b\"], \"ipset:b\": [\"add ipset:a\"]}}", "1:", "circular" },
        { "{\"ipsets\": {\"ipset:a\": [\"tag:x\"]}}", "1:25", "invalid address" },

        /* ports and protocols */
        { ACL("\"*\"", "\"*:0\""), "2:53", "" },
        { ACL("\"*\"", "\"*:65536\""), "2:53", "" },
        { ACL("\"*\"", "\"*:90-80\""), "2:53", "" },
        { ACL("\"*\"", "\"*:80,\""), "2:53", "" },
        { ACL("\"*\"", "\"*\""), "2:53", "" },
        { GRANT("\"dst\": [\"*\"], \"ip\": [\"tpc:80\"]"), "2:48", "" },
        { GRANT("\"dst\": [\"*\"], \"ip\": [\"256:*\"]"), "2:48", "" },
        { GRANT("\"dst\": [\"*\"]"), "2:12", "ip and app can not both be empty" },
        { GRANT("\"dst\": [\"0.0.0.0/0\"], \"ip\": [\"*\"]"), "2:35", "autogroup:internet" },
        { GRANT("\"dst\": [\"h\"], \"ip\": [\"*\"], \"via\": [\"group:x\"]"), "2:62",
          "via can only be a tag" },
        { GRANT("\"dst\": [\"h\"], \"ip\": [\"*\"], \"via\": [\"tag:x\"]"), "2:62", "not found" },
        { GRANT("\"dst\": [\"h\"], \"app\": {\"cap\": [{}]}"), "2:49", "{domain}/{path}" },
        { GRANT("\"dst\": [\"h\"], \"app\": {\"tailscale.com/cap/x\": [{}]}"), "2:49",
          "tailscale.com domain" },
        { GRANT("\"dst\": [\"autogroup:internet\"], \"app\": {\"example.com/x\": [{}]}"), "2:35",
          "app grants" },

        /* postures */
        { POSTURE("\"node:os = 'x'\""), "2:2", "" },
        { POSTURE("\"node:os == x\""), "2:2", "" },
        { POSTURE("\"node:os IN 'x'\""), "2:2", "square brackets" },
        { POSTURE("\"node:os == 'x\""), "2:2", "does not end" },
        { POSTURE("\"os == 'x'\""), "2:2", "" },
        { GRANT("\"dst\": [\"h\"], \"ip\": [\"*\"], \"srcPosture\": [\"posture:q\"]"), "2:68", "posture:q" },

        /* ssh */
        { "{\"ssh\": [\n{\"action\": \"accept\", \"src\": [\"*\"], \"dst\": [\"autogroup:self\"], \"users\": [\"root\"]}]}",
          "2:30", "" },
        { "{\"ssh\": [\n{\"action\": \"accept\", \"src\": [\"autogroup:member\"], \"dst\": [\"10.0.0.1\"], \"users\": [\"root\"]}]}",
          "2:59", "" },
        { "{\"ssh\": [\n{\"action\": \"check\", \"src\": [\"autogroup:member\"], \"dst\": [\"autogroup:self\"], \"users\": [\"root\"], "
          "\"checkPeriod\": \"200h\"}]}",
          "2:", "" },

        /* pools */
        { "{\"nodeAttrs\": [{\"target\": [\"*\"],\n\"ipPool\": [\"10.0.0.0/8\"]}]}", "2:", "" },

        /* above the network */
        { WHEN("\"country\": [\"Japan\"]"), "2:", "two letters" },
        { WHEN("\"auth\": \"strong\""), "2:", "auth must be" },
        { WHEN("\"hours\": [{\"from\": \"25:00\"}]"), "2:", "time of day" },
        { WHEN("\"address\": []"), "2:", "lists no address" },
        { WHEN("\"before\": \"tomorrow\""), "2:", "before must be a time" },
        { WHEN("\"weather\": 1"), "2:", "weather" },
        { LIMITS("\"rate\": \"often\""), "2:", "60/min" },
        { LIMITS("\"budget\": {}"), "2:", "money, tokens or both" },
        { LIMITS("\"budget\": {\"tokens\": -1}"), "2:", "tokens" },
        { LIMITS("\"methods\": [\"get\"]"), "2:", "capitals" },
        { LIMITS("\"paths\": [\"docs\"]"), "2:", "begins with" },
        { GRANT("\"dst\": [\"h\"], \"ip\": [\"*\"], \"when\": {\"auth\": \"mfa\"}"),
          "2:", "when is only for" },
        { GRANT("\"dst\": [\"service:x\"], \"ip\": [\"*\"]"), "2:", "leave it out" },
        { GRANT("\"dst\": [\"service:x\"], \"app\": {\"sekisho.dev/cap/other\": [{}]}"),
          "2:", "unknown capability" },
        { GRANT("\"dst\": [\"service:\"]"), "2:", "" },
};

/* A key that stands twice in other capitals is read once: the second list has no room. */
#define TWICE(first, second) "{" first ",\n" second "}"
static const struct refusal twice[] = {
        { TWICE("\"acls\": []", "\"ACLs\": [{}]"), "2:1", "stands twice" },
        { TWICE("\"groups\": {}", "\"Groups\": {\"group:a\": []}"), "2:1", "stands twice" },
        { TWICE("\"grants\": []", "\"GRANTS\": [{}, {}]"), "2:1", "stands twice" },
        { TWICE("\"hosts\": {}", "\"Hosts\": {\"a\": \"1.2.3.4\"}"), "2:1", "stands twice" },
        { TWICE("\"tagOwners\": {}", "\"tagowners\": {\"tag:a\": []}"), "2:1", "stands twice" },
        { TWICE("\"ssh\": []", "\"SSH\": [{}]"), "2:1", "stands twice" },
        { TWICE("\"tests\": []", "\"Tests\": [{}]"), "2:1", "stands twice" },
        { TWICE("\"sshTests\": []", "\"SSHTests\": [{}]"), "2:1", "stands twice" },
        { TWICE("\"nodeAttrs\": []", "\"NodeAttrs\": [{}]"), "2:1", "stands twice" },
        { TWICE("\"postures\": {}", "\"Postures\": {\"posture:a\": []}"), "2:1", "stands twice" },
        { TWICE("\"ipsets\": {}", "\"IPSets\": {\"ipset:a\": []}"), "2:1", "stands twice" },
        { "{\"autoApprovers\": {\"routes\": {\"10.0.0.0/8\": [\"a@b.c\"]},\n"
          "\"ROUTES\": {\"10.0.0.0/8\": [\"a@b.c\"], \"10.1.0.0/16\": [\"a@b.c\"]}}}",
          "2:1", "stands twice" },
        { "{\"autoApprovers\": {\"services\": {},\n\"Services\": {\"svc:a\": [\"a@b.c\"]}}}", "2:1",
          "stands twice" },
};

static const struct refusal facts[] = {
        { "", "1:1", "" },
        { "[]", "1:1", "" },
        { "{\"nodes\": [{\"id\": \"1\", \"user\": \"u\"}], \"users\": [{\"id\": \"u\", \"roll\": \"x\"}]}",
          "1:", "did you mean \"role\"" },
        { "{\"users\": [\n{\"id\": \"u\", \"role\": \"king\"}]}", "2:", "none of owner" },
        { "{\"users\": [\n{}]}", "2:1", "no id" },
        { "{\"nodes\": [\n{\"id\": \"1\"}]}", "2:1", "belongs to nobody" },
        { "{\"nodes\": [\n{\"id\": \"1\", \"tags\": [\"web\"]}]}", "2:", "tag:" },
        { "{\"nodes\": [\n{\"id\": \"1\", \"tags\": [\"tag:a\"], \"addresses\": [\"1.2.3\"]}]}",
          "2:", "invalid address" },
        { "{\"nodes\": [\n{\"id\": \"1\", \"tags\": [\"tag:a\"], \"addresses\": [\"10.0.0.0/8\"]}]}",
          "2:", "single addresses" },
        { "{\"nodes\": [\n{\"id\": \"1\", \"tags\": [\"tag:a\"], \"approvedRoutes\": [\"10.0.0.0/40\"]}]}",
          "2:", "" },
        { "{\"nodes\": [{\"id\": \"1\", \"tags\": [\"tag:a\"]},\n{\"id\": \"1\", \"tags\": [\"tag:a\"]}]}",
          NULL, "1" },
        { "{\"users\": [{\"id\": \"1\"},\n{\"id\": \"1\"}]}", NULL, "1" },
        { "{\"time\": \"noon\"}", "1:10", "time must be" },
        { "{\"services\": [\"a\", \"a\"]}", "1:", "stands twice" },
        { "{\"remove\": {\"nodes\": []}}", "1:", "patch" },
        { "{\"nodes\": [{\"id\": \"1\", \"tags\": [\"tag:a\"], \"attributes\": {\"x\": []}}]}",
          "1:", "attribute" },
};

static int refusals_run(const struct refusal *cases, size_t count, bool is_facts)
{
        char place[64];
        int wrong = 0;

        for (size_t i = 0; i < count; i++) {
                struct policy_file *f = is_facts ? NULL : kit_file(cases[i].text);
                struct policy_facts *g = is_facts ? kit_facts(cases[i].text) : NULL;

                snprintf(place, sizeof(place), "%s:%s", is_facts ? "facts" : "policy",
                         cases[i].place ? cases[i].place : "");
                bool good = !f && !g && kit_report[0] && strstr(kit_report, cases[i].words) &&
                            (!cases[i].place || strstr(kit_report, place));
                if (!good) {
                        print_error("%s\n  wanted %s \"%s\", got %s\n", cases[i].text, place, cases[i].words,
                                    f || g ? "no refusal" : kit_report);
                        wrong++;
                }
                policy_file_put(f);
                policy_facts_put(g);
        }
        return wrong;
}

static void test_policies(void **state)
{
        assert_int_equal(refusals_run(policies, ARRAY_SIZE(policies), false), 0);
        assert_int_equal(refusals_run(twice, ARRAY_SIZE(twice), false), 0);
}

static void test_facts(void **state)
{
        assert_int_equal(refusals_run(facts, ARRAY_SIZE(facts), true), 0);
}

/* The facts are forgiving where nothing is unclear. */
static void test_facts_taken(void **state)
{
        static const char *const good[] = {
                "{}",
                "{\"$schema\": \"x\", \"users\": [], \"nodes\": [], \"services\": [\"a\", {\"name\": \"svc:b\"}], \"models\": [\"m\"]}",
                "{\"nodes\": [{\"id\": 7, \"user\": 1, \"addresses\": [\"100.64.0.1/32\", \"fd7a:115c:a1e0::1/128\"], \"tags\": []}], "
                "\"users\": [{\"id\": 1, \"email\": \"a@b.c\", \"groups\": null}]}",
                "{\"nodes\": [{\"name\": \"n\", \"tags\": [\"tag:a\"], \"approvedRoutes\": null, \"advertisedRoutes\": [\"10.0.0.7/8\"]}]}",
                "// a comment\n{\"users\": [{\"email\": \"a@b.c\"},],}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
                struct policy_facts *f = kit_facts(good[i]);

                if (!f)
                        fail_msg("%s: %s", good[i], kit_report);
                policy_facts_put(f);
        }
}

/* ---- texts made to be slow ---- */

static void repeat(struct buf *b, const char *text, size_t times)
{
        for (size_t i = 0; i < times; i++)
                buf_add(b, str_of(text));
}

static void deep(struct buf *b)
{
        repeat(b, "[", 1 << 20);
}

static void deep_whole(struct buf *b)
{
        buf_add(b, STR("{\"grants\": [{\"src\": [\"*\"], \"dst\": [\"*\"], \"app\": {\"example.com/x\": "));
        repeat(b, "[", 500000);
        repeat(b, "]", 500000);
        buf_add(b, STR("}}]}"));
}

static void comments(struct buf *b)
{
        repeat(b, "/**/", 1 << 18);
        buf_add(b, STR("{"));
}

static void many_rules(struct buf *b)
{
        buf_add(b, STR("{\"acls\": [{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"*:*\"]}"));
        for (int i = 0; i < 65000; i++)
                buf_addf(b, ",{\"action\":\"accept\",\"src\":[\"10.%d.%d.%d\"],\"dst\":[\"*:%d\"]}",
                         i >> 12 & 255, i >> 6 & 63, i & 63, i % 60000 + 1);
        buf_add(b, STR("]}"));
}

/* A chain of groups is no chain: a group in a group is refused, at once. */
static void group_rings(struct buf *b)
{
        buf_add(b, STR("{\"groups\": {\"group:z\": []"));
        for (int i = 0; i < 20000; i++)
                buf_addf(b, ",\"group:g%d\": [\"group:g%d\"]", i, (i + 1) % 20000);
        buf_add(b, STR("}}"));
}

static void tag_rings(struct buf *b)
{
        buf_add(b, STR("{\"tagOwners\": {\"tag:z\": []"));
        for (int i = 0; i < 20000; i++)
                buf_addf(b, ",\"tag:g%d\": [\"tag:g%d\"]", i, (i + 1) % 20000);
        buf_add(b, STR("}}"));
}

/* Sixteen levels, each the one below a thousand times, with a hole each time: without care the work is 1000^16. */
static void ipsets_exploding(struct buf *b)
{
        buf_add(b, STR("{\"ipsets\": {\"ipset:a0\": [\"10.0.0.0/8\", \"remove 10.3.0.0/16\"]"));
        for (int i = 1; i < 16; i++) {
                buf_addf(b, ",\"ipset:a%d\": [\"ipset:a%d\"", i, i - 1);
                for (int j = 0; j < 1000; j++)
                        buf_addf(b, ",\"remove 10.%d.%d.1\",\"ipset:a%d\"", i, j % 250, i - 1);
                buf_add(b, STR("]"));
        }
        buf_add(b, STR("}}"));
}

static void ipsets_holes(struct buf *b)
{
        buf_add(b, STR("{\"ipsets\": {\"ipset:a\": [\"10.0.0.0/8\""));
        for (int i = 0; i < 30000; i++)
                buf_addf(b, ",\"remove 10.%d.%d.%d\"", i >> 14, i >> 6 & 255, (i & 63) * 2);
        buf_add(b, STR("]}}"));
}

/* The sets of many rules, each many ranges: refused when compiled, at POLICY_UNIT_RANGES_MAX. */
static void ranges_exploding(struct buf *b)
{
        buf_add(b, STR("{\"ipsets\": {\"ipset:a\": [\"10.0.0.1\""));
        for (int i = 0; i < 20000; i++)
                buf_addf(b, ",\"10.%d.%d.%d\"", i >> 14, i >> 6 & 255, (i & 63) * 2 + 1);
        buf_add(b, STR("]}, \"acls\": [{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"*:*\"]}"));
        repeat(b,
               ",{\"action\":\"accept\",\"src\":[\"ipset:a\"],\"dst\":[\"ipset:a:1\",\"ipset:a:2\",\"ipset:a:3\"]}",
               6000);
        buf_add(b, STR("]}"));
}

static void ports_many(struct buf *b)
{
        buf_add(b, STR("{\"acls\": [{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"*:1"));
        for (int i = 1; i < 60000; i++)
                buf_addf(b, ",%d", i);
        buf_add(b, STR("\"]}]}"));
}

static void faults_many(struct buf *b)
{
        buf_add(b, STR("{\"groups\": {\"group:z\": []"));
        for (int i = 0; i < 5000; i++)
                buf_addf(b, ",\"group:name-of-some-length-%d\": []", i);
        buf_add(b, STR("}, \"acls\": [{\"action\":\"accept\",\"src\":[\"*\""));
        for (int i = 0; i < 40000; i++)
                buf_addf(b, ",\"group:nome-of-some-length-%d\"", i);
        buf_add(b, STR("],\"dst\":[\"*:*\"]}]}"));
}

static void text_long(struct buf *b)
{
        buf_add(b, STR("{\"acls\": [{\"action\":\"accept\",\"src\":[\""));
        repeat(b, "abcdefgh", 1 << 17);
        buf_add(b, STR("\"],\"dst\":[\"*:*\"]}]}"));
}

static void conditions_long(struct buf *b)
{
        buf_add(b, STR("{\"postures\": {\"posture:p\": [\"node:os IN ["));
        repeat(b, "'a',", 1 << 18);
        buf_add(b, STR("]\"]}}"));
}

/* Processor time: what else the machine does is not counted. */
static int64_t cpu_ms(void)
{
        return (int64_t)clock() * 1000 / CLOCKS_PER_SEC;
}

static void test_slow_texts(void **state)
{
        static const struct {
                const char *what;
                void (*make)(struct buf *b);
                bool is_good; /* a policy like any other, but large */
        } cases[] = {
                { "a million open brackets", deep, false },
                { "half a million levels", deep_whole, false },
                { "comments only", comments, false },
                { "65,000 rules", many_rules, true },
                { "a ring of groups", group_rings, false },
                { "a ring of tag owners", tag_rings, false },
                { "sets of sets of sets", ipsets_exploding, true },
                { "a set full of holes", ipsets_holes, false },
                { "sets in many rules", ranges_exploding, false },
                { "many ports", ports_many, false },
                { "40,000 names that are not there", faults_many, false },
                { "a name of a megabyte", text_long, false },
                { "a list of a megabyte", conditions_long, false },
        };
        struct buf text;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                buf_init(&text, 16 << 20);
                cases[i].make(&text);
                buf_add_char(&text, '\0');
                assert_false(text.full);
                int64_t before = cpu_ms();
                struct policy_tables *t = kit_tables(text.ptr, "{}");
                int64_t ms = cpu_ms() - before;
                buf_fini(&text);
                if (!!t != cases[i].is_good)
                        fail_msg("%s: %s", cases[i].what, t ? "taken" : kit_report);
                policy_tables_put(t);
                /* A second, and what sanitizers and a busy machine add. */
                print_message("%s: %lld ms\n", cases[i].what, (long long)ms);
                if (ms > 5000)
                        fail_msg("%s took %lld ms", cases[i].what, (long long)ms);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_policies),
                cmocka_unit_test(test_facts),
                cmocka_unit_test(test_facts_taken),
                cmocka_unit_test(test_slow_texts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
