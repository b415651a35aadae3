/* Any text as a policy: it is refused with a reason, or compiles for a small network and can be asked everything. */
#include "policy_lab.h"

#include "json/format.h"

static const char facts_text[] =
        "{\"users\": [{\"id\": \"1\", \"email\": \"alice@example.com\", \"role\": \"owner\"},"
        " {\"id\": \"2\", \"email\": \"bob@example.com\", \"role\": \"member\"},"
        " {\"id\": \"3\", \"email\": \"carol@other.org\", \"type\": \"shared\"}],"
        "\"nodes\": [{\"id\": \"1\", \"name\": \"laptop\", \"user\": \"1\", \"addresses\": [\"100.64.0.1\", \"fd7a:115c:a1e0::1\"],"
        "  \"attributes\": {\"node:os\": \"macos\", \"custom:score\": 80}},"
        " {\"id\": \"2\", \"name\": \"phone\", \"user\": \"2\", \"addresses\": [\"100.64.0.2\"]},"
        " {\"id\": \"3\", \"name\": \"db\", \"tags\": [\"tag:db\"], \"addresses\": [\"100.64.0.3\", \"fd7a:115c:a1e0::3\"]},"
        " {\"id\": \"4\", \"name\": \"router\", \"tags\": [\"tag:router\"], \"addresses\": [\"100.64.0.4\"],"
        "  \"approvedRoutes\": [\"10.1.0.0/16\"]},"
        " {\"id\": \"5\", \"name\": \"exit\", \"tags\": [\"tag:exit\"], \"addresses\": [\"100.64.0.5\"],"
        "  \"approvedRoutes\": [\"0.0.0.0/0\", \"::/0\"]}],"
        "\"services\": [{\"name\": \"wiki\", \"admin\": true}, {\"name\": \"svc:web\", \"addresses\": [\"100.100.0.1\"]}],"
        "\"models\": [{\"name\": \"gpt-4o\", \"provider\": \"openai\"}], \"tools\": [\"github.issues\"],"
        "\"time\": \"2027-01-31T09:00:00Z\"}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The same policy laid out is the same policy. */
static void layout_check(struct str text)
{
        struct policy_file *again = NULL;
        struct report report;
        struct buf out;

        report_init(&report, STR_NULL);
        buf_init(&out, LAB_TEXT_MAX);
        if (json_format(text, JSON_INDENT_TAB, &out, &report) == ERR_OK) {
                enum err e = policy_file_new(buf_str(&out), &report, &again);
                assert(e == ERR_OK || e == ERR_TOO_LARGE || e == ERR_NO_MEMORY);
        }
        policy_file_put(again);
        buf_fini(&out);
        report_fini(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str text = { (const char *)data, size };
        struct policy_file *file = NULL;
        struct policy_facts *facts = NULL;
        struct policy_tables *tables = NULL;
        struct report report;

        report_init(&report, STR("policy"));
        enum err e = policy_facts_new(STR(facts_text), &report, &facts);
        assert(e == ERR_OK);
        e = policy_file_new(text, &report, &file);
        assert((e == ERR_OK) == (report.errors_count == 0) || e == ERR_NO_MEMORY);
        if (e == ERR_OK) {
                layout_check(text);
                policy_names_check(file, facts, &report);
                if (report.errors_count == 0 && policy_compile(file, facts, &report, &tables) == ERR_OK)
                        lab_play(tables, &report);
        }
        policy_tables_put(tables);
        policy_file_put(file);
        policy_facts_put(facts);
        report_fini(&report);
        return 0;
}
