/*
 * Any text as facts, and as a change of facts: it is refused with a reason, or compiles with a policy of every kind of
 * name; tables that are changed tell every machine what tables made anew would.
 */
#include "policy_lab.h"

static const char policy_text[] =
        "{\"groups\": {\"group:eng\": [\"alice@example.com\"]}, \"hosts\": {\"lan\": \"10.1.0.0/16\"},"
        "\"tagOwners\": {\"tag:db\": [], \"tag:router\": [\"group:eng\"]},"
        "\"postures\": {\"posture:p\": [\"node:os == 'macos'\", \"custom:score > 40\"]},"
        "\"autoApprovers\": {\"routes\": {\"10.0.0.0/8\": [\"tag:router\"]}, \"exitNode\": [\"tag:router\"]},"
        "\"grants\": [{\"src\": [\"autogroup:member\"], \"dst\": [\"autogroup:self\", \"lan\"], \"ip\": [\"*\"]},"
        " {\"src\": [\"group:eng\"], \"dst\": [\"tag:db\"], \"ip\": [\"tcp:22-443\"], \"srcPosture\": [\"posture:p\"]},"
        " {\"src\": [\"*\"], \"dst\": [\"10.1.2.0/24\"], \"ip\": [\"icmp:*\"], \"via\": [\"tag:router\"]},"
        " {\"src\": [\"autogroup:admin\", \"autogroup:shared\"], \"dst\": [\"autogroup:internet\"], \"ip\": [\"*\"]},"
        " {\"src\": [\"autogroup:tagged\"], \"dst\": [\"*\"], \"app\": {\"tailscale.com/cap/drive\": [{}]}},"
        " {\"src\": [\"autogroup:member\"], \"dst\": [\"service:wiki\", \"model:gpt-*\", \"tool:*\"]}],"
        "\"ssh\": [{\"action\": \"check\", \"src\": [\"autogroup:member\"], \"dst\": [\"autogroup:self\", \"tag:db\"],"
        " \"users\": [\"root\", \"autogroup:nonroot\", \"localpart:*@example.com\"]}],"
        "\"nodeAttrs\": [{\"target\": [\"*\"], \"attr\": [\"funnel\"]}],"
        "\"tests\": [{\"src\": \"alice@example.com\", \"accept\": [\"tag:db:22\"]}]}";

static const char base_text[] =
        "{\"users\": [{\"id\": \"1\", \"email\": \"alice@example.com\", \"role\": \"owner\"}],"
        "\"nodes\": [{\"id\": \"1\", \"user\": \"1\", \"addresses\": [\"100.64.0.1\"]},"
        " {\"id\": \"2\", \"tags\": [\"tag:db\"], \"addresses\": [\"100.64.0.2\"]}],"
        "\"services\": [\"wiki\"]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct policy_file *file_make(void)
{
        struct policy_file *file = NULL;
        struct report report;

        report_init(&report, STR("policy"));
        enum err e = policy_file_new(STR(policy_text), &report, &file);
        assert(e == ERR_OK);
        report_fini(&report);
        return file;
}

static void whole(struct policy_file *file, struct str text)
{
        struct policy_facts *facts = NULL;
        struct policy_tables *tables = NULL;
        struct report report;

        report_init(&report, STR("facts"));
        enum err e = policy_facts_new(text, &report, &facts);
        assert((e == ERR_OK) == (report.errors_count == 0) || e == ERR_NO_MEMORY);
        if (e == ERR_OK && policy_compile(file, facts, &report, &tables) == ERR_OK)
                lab_play(tables, &report);
        policy_tables_put(tables);
        policy_facts_put(facts);
        report_fini(&report);
}

static void tell_all(const struct policy_tables *t, struct buf *out)
{
        struct policy_writer *writer = policy_writer_new(t);
        struct json_writer w;

        buf_init(out, LAB_TEXT_MAX);
        json_writer_init(&w, out, JSON_COMPACT);
        json_write_array_begin(&w);
        for (size_t i = 0; writer && i < t->facts->nodes_count; i++)
                policy_write_node(writer, i, &w);
        json_write_array_end(&w);
        json_writer_finish(&w);
        policy_writer_free(writer);
}

static void same(const struct policy_tables *a, const struct policy_tables *b)
{
        struct buf x, y;

        tell_all(a, &x);
        tell_all(b, &y);
        assert(x.full || y.full || str_eq(buf_str(&x), buf_str(&y)));
        buf_fini(&x);
        buf_fini(&y);
}

static void change(struct policy_file *file, struct str text)
{
        struct policy_facts *base = NULL, *facts = NULL;
        struct policy_tables *before = NULL, *after = NULL, *anew = NULL;
        struct report report;

        report_init(&report, STR("facts"));
        enum err e = policy_facts_new(STR(base_text), &report, &base);
        assert(e == ERR_OK);
        e = policy_compile(file, base, &report, &before);
        assert(e == ERR_OK);
        e = policy_facts_patch(base, text, &report, &facts);
        assert((e == ERR_OK) == (report.errors_count == 0) || e == ERR_NO_MEMORY);
        if (e == ERR_OK) {
                e = policy_tables_update(before, facts, &report, &after);
                assert((e == ERR_OK) == (policy_compile(file, facts, &report, &anew) == ERR_OK));
                if (e == ERR_OK)
                        same(after, anew);
        }
        policy_tables_put(anew);
        policy_tables_put(after);
        policy_tables_put(before);
        policy_facts_put(facts);
        policy_facts_put(base);
        report_fini(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str text = { (const char *)data, size };
        struct policy_file *file = file_make();

        whole(file, text);
        change(file, text);
        policy_file_put(file);
        return 0;
}
