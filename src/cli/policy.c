#include "cli/out.h"
#include "cli/policy_priv.h"
#include "io/file.h"
#include "policy/names.h"

enum { FILE_BYTES_MAX = 256 << 20 };

/* ---- files ---- */

bool policy_file_load(struct str path, struct buf *out)
{
        struct str place = str_eq(path, STR("-")) ? STR("/dev/stdin") : path;
        struct buf name;
        enum err e = ERR_NO_MEMORY;

        buf_init(&name, 4096);
        buf_add(&name, place);
        buf_add_char(&name, '\0');
        buf_init(out, FILE_BYTES_MAX);
        if (!name.full)
                e = file_read(name.ptr, out);
        buf_fini(&name);
        if (e == ERR_OK)
                return true;
        out_problem("%.*s cannot be read: %s", STR_FMT(path), err_text(e));
        buf_fini(out);
        return false;
}

enum exit_code policy_print(struct buf *out, enum exit_code code)
{
        buf_add_char(out, '\n');
        if (out->full) {
                out_problem("the output is longer than 1 GiB");
                code = EXIT_WRONG;
        } else {
                out_str(buf_str(out));
        }
        buf_fini(out);
        return code;
}

/* ---- reports ---- */

static void entries_write(struct json_writer *w, const struct report *report, enum report_severity severity)
{
        json_write_key(w, severity == REPORT_ERROR ? STR("errors") : STR("warnings"));
        json_write_array_begin(w);
        for (size_t i = 0; i < report->entries_count; i++) {
                const struct report_entry *e = &report->entries[i];

                if (e->severity != severity)
                        continue;
                json_write_object_begin(w);
                json_write_member_str(w, STR("file"), e->file);
                json_write_member_uint(w, STR("line"), e->line);
                json_write_member_uint(w, STR("column"), e->column);
                json_write_member_str(w, STR("text"), e->text);
                json_write_object_end(w);
        }
        json_write_array_end(w);
}

void policy_write_report(struct json_writer *w, const struct report *report)
{
        entries_write(w, report, REPORT_ERROR);
        entries_write(w, report, REPORT_WARNING);
}

/* "line 3, column 7: text", a line each: the form that tools of the management API look for. */
static void message_add(struct buf *out, const struct report *report)
{
        for (size_t i = 0; i < report->entries_count; i++) {
                const struct report_entry *e = &report->entries[i];

                if (e->severity != REPORT_ERROR)
                        continue;
                if (out->len)
                        buf_add_char(out, '\n');
                if (e->line)
                        buf_addf(out, "line %u, column %u: ", e->line, e->column);
                buf_add(out, e->text);
        }
}

void policy_say(const struct policy_options *o, const struct report *report)
{
        struct json_writer w;
        struct buf message, out;

        out_report(report);
        if (!o->json)
                return;
        buf_init(&message, POLICY_OUTPUT_BYTES_MAX);
        message_add(&message, report);
        buf_init(&out, POLICY_OUTPUT_BYTES_MAX);
        json_writer_init(&w, &out, JSON_COMPACT);
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("message"), buf_str(&message));
        policy_write_report(&w, report);
        json_write_object_end(&w);
        json_writer_finish(&w);
        buf_fini(&message);
        policy_print(&out, EXIT_FAILED);
}

/* ---- what commands load ---- */

static enum exit_code refusal(enum err e)
{
        return e == ERR_NO_MEMORY ? EXIT_WRONG : EXIT_FAILED;
}

enum exit_code policy_load(const struct policy_options *o, struct str path, struct report *report,
                           struct policy_file **out)
{
        struct buf text;

        if (!policy_file_load(path, &text))
                return EXIT_WRONG;
        report->file = path;
        enum err e = policy_file_new(buf_str(&text), report, out);
        buf_fini(&text);
        if (e == ERR_OK)
                return EXIT_OK;
        policy_say(o, report);
        return refusal(e);
}

enum exit_code policy_load_facts(const struct policy_options *o, struct report *report,
                                 struct policy_facts **out)
{
        struct buf text;

        if (!o->facts.len) {
                out_problem("name the facts: --facts FACTS.json");
                return EXIT_WRONG;
        }
        if (!policy_file_load(o->facts, &text))
                return EXIT_WRONG;
        report->file = o->facts;
        enum err e = policy_facts_new(buf_str(&text), report, out);
        buf_fini(&text);
        if (e == ERR_OK)
                return EXIT_OK;
        policy_say(o, report);
        return EXIT_WRONG;
}

enum err policy_put_together(struct policy_file *file, struct policy_facts *facts, struct report *report,
                             struct policy_tables **out)
{
        size_t errors_before = report->errors_count;

        policy_names_check(file, facts, report);
        return report->errors_count > errors_before ? ERR_CONFIG : policy_compile(file, facts, report, out);
}

enum exit_code policy_load_tables(const struct policy_options *o, struct str path, struct policy_tables **out)
{
        struct policy_facts *facts = NULL;
        struct policy_file *file = NULL;
        struct report report;

        report_init(&report, STR_NULL);
        enum exit_code code = policy_load_facts(o, &report, &facts);
        if (code == EXIT_OK)
                code = policy_load(o, path, &report, &file);
        if (code == EXIT_OK) {
                enum err e = policy_put_together(file, facts, &report, out);

                if (e != ERR_OK) {
                        policy_say(o, &report);
                        code = refusal(e);
                }
        }
        policy_file_put(file);
        policy_facts_put(facts);
        report_fini(&report);
        return code;
}

struct str policy_argument(const struct command_call *call, size_t i)
{
        return i < call->arguments->count ? call->arguments->items[i] : STR("");
}

bool policy_has_arguments(const struct command_call *call, size_t count)
{
        if (call->arguments->count >= count)
                return true;
        out_problem("name the file: sekisho policy %s %s", call->command->name, call->command->usage);
        return false;
}

/* ---- the commands ---- */

#define OPTION(kind, name, member, value, doc)                                     \
        {                                                                          \
                name, 0, kind, offsetof(struct policy_options, member), value, doc \
        }
#define FACTS                                        \
        OPTION(OPTION_TEXT, "facts", facts, "FACTS", \
               "people, machines, services: docs/policy-facts.schema.json")
#define JSON OPTION(OPTION_FLAG, "json", json, NULL, "the answer as JSON")

static const struct option facts_options[] = { FACTS, JSON, { NULL } };
static const struct option explain_options[] = {
        FACTS,
        OPTION(OPTION_TEXT, "from", from, "WHO", "machine, user, address; \"anonymous\" for a stranger"),
        OPTION(OPTION_TEXT, "to", to, "WHERE", "db:5432, db:53/udp, db:icmp, service:wiki, model:gpt-4o"),
        OPTION(OPTION_TEXT, "login", login, "NAME", "ask for an SSH login on the machine --to instead"),
        OPTION(OPTION_TEXT, "given", given, "JSON", "what is so: address, country, time, auth, method, path"),
        JSON,
        { NULL }
};
static const struct option preview_options[] = { FACTS,
                                                 OPTION(OPTION_TEXT, "type", type, "TYPE", "user or ipport"),
                                                 OPTION(OPTION_TEXT, "for", preview_for, "WHO",
                                                        "an e-mail address, or ADDRESS:PORT"),
                                                 JSON,
                                                 { NULL } };
static const struct option diff_options[] = { FACTS,
                                              OPTION(OPTION_TEXT, "as", caller, "USER",
                                                     "who makes the change: may they undo it?"),
                                              JSON,
                                              { NULL } };
static const struct option format_options[] = {
        OPTION(OPTION_FLAG, "write", write, NULL, "put it in the file's place"),
        OPTION(OPTION_FLAG, "check", check, NULL, "print nothing; exit 1 when the layout differs"),
        { NULL }
};
static const struct option patch_options[] = {
        OPTION(OPTION_TEXT, "patch", patch, "PATCH", "a JSON patch (RFC 6902): a file, or [...] itself"),
        OPTION(OPTION_FLAG, "write", write, NULL, "put it in the file's place"),
        FACTS,
        OPTION(OPTION_FLAG, "json", json, NULL, "refusals as JSON"),
        { NULL }
};

#define EXAMPLES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static const struct command subcommands[] = {
        { .name = "check",
          .summary = "errors and warnings, with line, column and what would be right",
          .usage = "POLICY [--facts FACTS] [--json]",
          .examples = EXAMPLES("sekisho policy check policy.hujson"),
          .options = facts_options,
          .options_bytes = sizeof(struct policy_options),
          .arguments_max = 1,
          .run = policy_check_run },
        { .name = "compile",
          .summary = "what every node is told: packet filter, SSH rules, capabilities",
          .usage = "POLICY --facts FACTS [--json]",
          .text = "The wire form of a control server. A policy whose own tests fail is refused.",
          .examples = EXAMPLES("sekisho policy compile policy.hujson --facts facts.json --json"),
          .options = facts_options,
          .options_bytes = sizeof(struct policy_options),
          .arguments_max = 1,
          .run = policy_compile_run },
        { .name = "explain",
          .summary = "may they, and which rule says so; for a refusal the nearest rules",
          .usage = "POLICY --facts FACTS --from WHO --to WHERE [--login NAME] [--given JSON] [--json]",
          .text = "Ends with 0 when the question was answered, whichever the answer is.",
          .examples = EXAMPLES(
                  "sekisho policy explain policy.hujson --facts facts.json --from laptop --to db:5432/tcp",
                  "sekisho policy explain policy.hujson --facts facts.json --from laptop --to db --login root",
                  "sekisho policy explain policy.hujson --facts facts.json --from alice@example.com "
                  "--to model:gpt-4o --given '{\"country\":\"DE\"}'"),
          .options = explain_options,
          .options_bytes = sizeof(struct policy_options),
          .arguments_max = 1,
          .run = policy_explain_run },
        { .name = "test",
          .summary = "the file's own tests and sshTests",
          .usage = "POLICY --facts FACTS [--json]",
          .examples = EXAMPLES("sekisho policy test policy.hujson --facts facts.json"),
          .options = facts_options,
          .options_bytes = sizeof(struct policy_options),
          .arguments_max = 1,
          .run = policy_test_run },
        { .name = "preview",
          .summary = "the rules that concern one user, or one address and port",
          .usage = "POLICY --facts FACTS --type user|ipport --for WHO [--json]",
          .examples = EXAMPLES(
                  "sekisho policy preview policy.hujson --facts facts.json --type user --for alice@example.com"),
          .options = preview_options,
          .options_bytes = sizeof(struct policy_options),
          .arguments_max = 1,
          .run = policy_preview_run },
        { .name = "diff",
          .summary = "what everybody gains and loses, and whether somebody can still administer",
          .usage = "OLD NEW --facts FACTS [--as USER] [--json]",
          .text = "Ends with 1 when the new policy would lock out every administrator, or the USER.",
          .examples = EXAMPLES(
                  "sekisho policy diff policy.hujson new.hujson --facts facts.json --as alice@example.com"),
          .options = diff_options,
          .options_bytes = sizeof(struct policy_options),
          .arguments_max = 2,
          .run = policy_diff_run },
        { .name = "format",
          .summary = "the one layout, every comment kept",
          .usage = "POLICY [--write|--check]",
          .examples = EXAMPLES("sekisho policy format policy.hujson --write"),
          .options = format_options,
          .options_bytes = sizeof(struct policy_options),
          .arguments_max = 1,
          .run = policy_format_run },
        { .name = "patch",
          .summary = "a few places changed, every comment elsewhere kept; what breaks the policy is refused",
          .usage = "POLICY --patch PATCH [--facts FACTS] [--write] [--json]",
          .examples = EXAMPLES(
                  "sekisho policy patch policy.hujson --patch "
                  "'[{\"op\":\"add\",\"path\":\"/groups/group:eng/-\",\"value\":\"bob@example.com\"}]'"),
          .options = patch_options,
          .options_bytes = sizeof(struct policy_options),
          .arguments_max = 1,
          .run = policy_patch_run },
        { NULL },
};

const struct command command_policy = {
        .name = "policy",
        .summary = "check, compile, explain, test and change a policy file, with no server",
        .usage = "check|compile|explain|test|preview|diff|format|patch",
        .text = "A policy is a file in the Tailscale format (docs/policy.md). FACTS are the people and machines it is\n"
                "about (docs/policy-facts.schema.json). A file \"-\" is standard input.\n"
                "Exit code 1: refused, or a test failed.",
        .examples = EXAMPLES(
                "sekisho policy check policy.hujson", "sekisho policy test policy.hujson --facts facts.json",
                "sekisho policy explain policy.hujson --facts facts.json --from laptop --to db:5432/tcp",
                "sekisho policy diff policy.hujson new.hujson --facts facts.json --as alice@example.com"),
        .subcommands = subcommands,
};
