/* Tables updated for a change of what lies above the network decide as tables made anew, and what they can share they share. */
#include "kit.h"

#define NETWORK                                                                                                 \
        "\"users\": [{\"id\": \"1\", \"email\": \"ann@example.com\", \"role\": \"owner\"},"                     \
        "  {\"id\": \"2\", \"email\": \"bob@example.com\", \"role\": \"admin\"}],"                              \
        " \"nodes\": [{\"id\": \"1\", \"name\": \"laptop\", \"user\": \"1\", \"addresses\": [\"100.64.0.1\"]}," \
        "  {\"id\": \"2\", \"name\": \"host\", \"tags\": [\"tag:host\"], \"addresses\": [\"100.64.0.2\"]}]"
#define BEFORE                                                                                              \
        "{" NETWORK                                                                                         \
        ", \"services\": [\"wiki\", {\"name\": \"db\", \"node\": \"2\", \"addresses\": [\"100.64.9.1\"]}]," \
        " \"models\": [{\"name\": \"gpt-1\", \"provider\": \"openai\"}], \"providers\": [\"openai\"],"      \
        " \"tools\": [\"search\"]}"

static const char policy[] =
        "{\"tagOwners\": {\"tag:host\": []}, \"grants\": ["
        "{\"src\": [\"ann@example.com\"], \"dst\": [\"service:wiki*\", \"model:gpt-*\", \"tool:search\"], \"app\": {\"x.y/z\": []}},"
        "{\"src\": [\"bob@example.com\"], \"dst\": [\"provider:openai\", \"service:*\"], \"app\": {\"x.y/z\": []}},"
        "{\"src\": [\"ann@example.com\"], \"dst\": [\"svc:db\"], \"ip\": [\"5432\"]}]}";

static const struct {
        const char *why, *patch;
        bool shares; /* the units: no whole compile */
} cases[] = {
        { "one more service",
          "{\"services\": [\"wiki\", \"wiki2\", {\"name\": \"db\", \"node\": \"2\", \"addresses\": [\"100.64.9.1\"]}]}",
          true },
        { "a service less",
          "{\"services\": [{\"name\": \"db\", \"node\": \"2\", \"addresses\": [\"100.64.9.1\"]}]}", true },
        { "another address of one",
          "{\"services\": [\"wiki\", {\"name\": \"db\", \"node\": \"2\", \"addresses\": [\"100.64.9.2\"]}]}",
          false },
        { "an address more",
          "{\"services\": [\"wiki\", {\"name\": \"db\", \"node\": \"2\", \"addresses\": [\"100.64.9.1\", \"100.64.9.2\"]}]}",
          false },
        { "the one with addresses goes", "{\"services\": [\"wiki\"]}", false },
        { "one more model", "{\"models\": [\"gpt-2\", {\"name\": \"gpt-1\", \"provider\": \"openai\"}]}",
          true },
        { "a model changes its provider", "{\"models\": [{\"name\": \"gpt-1\", \"provider\": \"other\"}]}",
          true },
        { "other providers", "{\"providers\": [\"other\", \"third\"]}", true },
        { "no tools", "{\"tools\": []}", true },
        { "other tools, and a machine with them",
          "{\"tools\": [\"search\", \"find\"], \"nodes\": [{\"id\": \"3\", \"name\": \"new\","
          " \"user\": \"2\", \"addresses\": [\"100.64.0.3\"]}]}",
          true },
        { "another owner",
          "{\"users\": [{\"id\": \"1\", \"email\": \"ann@example.com\", \"role\": \"member\"},"
          " {\"id\": \"2\", \"email\": \"bob@example.com\", \"role\": \"owner\"}]}",
          false },
};

static const char *const askers[] = { "ann@example.com", "bob@example.com", "laptop", "host" },
                         *const asked[] = { "service:wiki",    "service:wiki2",   "service:db",
                                            "model:gpt-1",     "model:gpt-2",     "provider:openai",
                                            "provider:other",  "tool:search",     "tool:find",
                                            "100.64.9.1:5432", "100.64.9.2:5432", "host:22" };

static unsigned allowed;

static void same_answers(const char *why, const struct policy_tables *a, const struct policy_tables *b)
{
        for (size_t i = 0; i < ARRAY_SIZE(askers); i++)
                for (size_t j = 0; j < ARRAY_SIZE(asked); j++) {
                        int x = kit_ask(a, askers[i], asked[j], NULL),
                            y = kit_ask(b, askers[i], asked[j], NULL);

                        allowed += x == 1;
                        if (x != y)
                                fail_msg("%s: %s to %s: %d updated, %d anew", why, askers[i], asked[j], x, y);
                }
}

static void an_update_is_a_whole_compile(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct policy_tables *t = kit_tables_must(policy, BEFORE), *updated = NULL, *whole = NULL;
                struct policy_facts *facts = NULL;
                struct report r;

                report_init(&r, STR("patch"));
                assert_err(policy_facts_patch(t->facts, str_of(cases[i].patch), &r, &facts), ERR_OK);
                assert_err(policy_tables_update(t, facts, &r, &updated), ERR_OK);
                assert_err(policy_compile(t->units->file, facts, &r, &whole), ERR_OK);
                same_answers(cases[i].why, updated, whole);
                if ((updated->units == t->units) != cases[i].shares)
                        fail_msg("%s: %s", cases[i].why,
                                 cases[i].shares ? "compiled as a whole" : "not compiled");
                report_fini(&r);
                policy_facts_put(facts);
                policy_tables_put(whole);
                policy_tables_put(t); /* what is shared outlives it */
                same_answers(cases[i].why, updated, updated);
                policy_tables_put(updated);
        }
        assert_in_range(allowed, ARRAY_SIZE(cases), ARRAY_SIZE(cases) * 30);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(an_update_is_a_whole_compile) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
