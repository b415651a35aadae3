/* `sekisho policy format` and `patch`: new texts, with every comment kept. */
#include "cli/out.h"
#include "cli/policy_priv.h"
#include "io/file.h"
#include "policy/test.h"
#include "json/format.h"
#include "json/patch.h"

enum { PATCH_BYTES_MAX = 4 << 20, MODE_DEFAULT = 0640 };

/* In place of the old text, or to standard output. */
static enum exit_code text_put(const struct policy_options *o, struct str path, struct str text)
{
        struct buf name;
        unsigned mode = MODE_DEFAULT;
        bool ours;

        if (!o->write) {
                out_str(text);
                return EXIT_OK;
        }
        if (str_eq(path, STR("-"))) {
                out_problem("standard input cannot be written back; leave --write away");
                return EXIT_WRONG;
        }
        buf_init(&name, 4096);
        buf_add(&name, path);
        buf_add_char(&name, '\0');
        enum err e = name.full ? ERR_TOO_LARGE : file_mode(name.ptr, &mode, &ours);
        if (e == ERR_OK)
                e = file_write_atomic(name.ptr, text, mode & 0777, false);
        buf_fini(&name);
        if (e == ERR_OK)
                return EXIT_OK;
        out_problem("%.*s cannot be written: %s", STR_FMT(path), err_text(e));
        return EXIT_WRONG;
}

/* ---- format ---- */

enum exit_code policy_format_run(const struct command_call *call)
{
        const struct policy_options *o = call->options;
        struct str path = policy_argument(call, 0);
        struct buf text, out;
        struct report report;
        enum exit_code code = EXIT_OK;

        if (!policy_has_arguments(call, 1) || !policy_file_load(path, &text))
                return EXIT_WRONG;
        report_init(&report, path);
        buf_init(&out, JSON_FORMAT_BYTES_MAX + 1);
        if (json_format(buf_str(&text), JSON_INDENT_TAB, &out, &report) != ERR_OK) {
                policy_say(o, &report);
                code = EXIT_FAILED;
        } else if (o->check && !str_eq(buf_str(&text), buf_str(&out))) {
                out_problem("%.*s is not laid out: sekisho policy format --write %.*s", STR_FMT(path),
                            STR_FMT(path));
                code = EXIT_FAILED;
        } else if (!o->check && !(o->write && str_eq(buf_str(&text), buf_str(&out)))) {
                code = text_put(o, path, buf_str(&out));
        }
        report_fini(&report);
        buf_fini(&text);
        buf_fini(&out);
        return code;
}

/* ---- patch ---- */

/* A policy as any other: it is checked, and with facts its own tests must hold. */
static enum exit_code changed_check(const struct policy_options *o, struct str text, struct report *report)
{
        struct policy_tables *tables = NULL;
        struct policy_facts *facts = NULL;
        struct policy_file *file = NULL;
        struct policy_test_run run;
        struct str path = report->file;
        enum exit_code code = o->facts.len ? policy_load_facts(o, report, &facts) : EXIT_OK;

        report->file = path;
        if (code == EXIT_OK && (policy_file_new(text, report, &file) != ERR_OK ||
                                (facts && policy_put_together(file, facts, report, &tables) != ERR_OK))) {
                policy_say(o, report);
                code = EXIT_FAILED;
        }
        if (code == EXIT_OK && tables) {
                policy_test(tables, &run);
                if (run.failures_count || run.no_memory) {
                        policy_test_report(&run, report);
                        policy_say(o, report);
                        code = EXIT_FAILED;
                }
                policy_test_run_fini(&run);
        }
        policy_tables_put(tables);
        policy_file_put(file);
        policy_facts_put(facts);
        return code;
}

static enum exit_code patch_run(const struct policy_options *o, struct str path, struct str text,
                                struct str patch)
{
        const struct json_options limits = { .mode = JSON_HUJSON,
                                             .bytes_max = POLICY_TEXT_BYTES_MAX,
                                             .values_max = POLICY_VALUES_MAX,
                                             .keys_max = POLICY_VALUES_MAX };
        enum exit_code code;
        struct report report;
        struct buf out;

        report_init(&report, path);
        buf_init(&out, POLICY_TEXT_BYTES_MAX + 1);
        if (json_patch_apply(text, &limits, patch, &out, &report) != ERR_OK) {
                policy_say(o, &report);
                code = EXIT_FAILED;
        } else {
                code = changed_check(o, buf_str(&out), &report);
        }
        if (code == EXIT_OK)
                code = text_put(o, path, buf_str(&out));
        buf_fini(&out);
        report_fini(&report);
        return code;
}

enum exit_code policy_patch_run(const struct command_call *call)
{
        const struct policy_options *o = call->options;
        struct str path = policy_argument(call, 0);
        struct str patch = policy_text_trim(o->patch);
        struct buf text, patch_text;

        if (!policy_has_arguments(call, 1))
                return EXIT_WRONG;
        if (!patch.len) {
                out_problem("say what to change: --patch PATCH.json, or the operations themselves, "
                            "--patch '[{\"op\":\"remove\",\"path\":\"/acls/0\"}]'");
                return EXIT_WRONG;
        }
        if (str_eq(path, STR("-")) && str_eq(patch, STR("-"))) {
                out_problem("the policy and the patch cannot both be standard input");
                return EXIT_WRONG;
        }
        if (!policy_file_load(path, &text))
                return EXIT_WRONG;
        if (patch.ptr[0] == '[') {
                buf_init(&patch_text, PATCH_BYTES_MAX);
                buf_add(&patch_text, patch);
        } else if (!policy_file_load(patch, &patch_text)) {
                buf_fini(&text);
                return EXIT_WRONG;
        }
        enum exit_code code = patch_run(o, path, buf_str(&text), buf_str(&patch_text));
        buf_fini(&patch_text);
        buf_fini(&text);
        return code;
}
