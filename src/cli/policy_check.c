/* `sekisho policy check`, `compile` and `test`. */
#include "cli/out.h"
#include "cli/policy_priv.h"
#include "policy/lint.h"
#include "policy/lockout.h"
#include "policy/test.h"
#include "policy/wire.h"

/* ---- check ---- */

static enum exit_code checked_print(const struct policy_options *o, struct str path,
                                    const struct policy_file *f, const struct report *report)
{
        struct json_writer w;
        struct buf out;

        if (!o->json) {
                out_report(report);
                out_print("%.*s: good: %zu grants, %zu acls, %zu ssh rules, %zu tests, %zu warnings\n",
                          STR_FMT(path), f->grants_count, f->rules_count - f->grants_count, f->ssh_count,
                          f->tests_count + f->ssh_tests_count, report->warnings_count);
                return EXIT_OK;
        }
        buf_init(&out, POLICY_OUTPUT_BYTES_MAX);
        json_writer_init(&w, &out, JSON_COMPACT);
        json_write_object_begin(&w);
        json_write_member_bool(&w, STR("ok"), true);
        policy_write_report(&w, report);
        json_write_object_end(&w);
        json_writer_finish(&w);
        return policy_print(&out, EXIT_OK);
}

/* Where the facts name roles, they tell who could still change this policy. */
static void lockout_warn(const struct policy_tables *t, struct report *report)
{
        if (!t || !t->facts->has_roles)
                return;
        struct policy_lockout l = policy_lockout_check(NULL, t, NULL);
        if (!l.somebody_can)
                report_warning(
                        report, 0, 0,
                        "with this policy nobody can administer: none of %zu administrators keeps a way in",
                        l.administrators_count);
}

enum exit_code policy_check_run(const struct command_call *call)
{
        const struct policy_options *o = call->options;
        struct str path = policy_argument(call, 0);
        struct policy_tables *tables = NULL;
        struct policy_facts *facts = NULL;
        struct policy_file *file = NULL;
        struct report report;

        if (!policy_has_arguments(call, 1))
                return EXIT_WRONG;
        report_init(&report, STR_NULL);
        enum exit_code code = o->facts.len ? policy_load_facts(o, &report, &facts) : EXIT_OK;
        if (code == EXIT_OK)
                code = policy_load(o, path, &report, &file);
        if (code == EXIT_OK && facts && policy_put_together(file, facts, &report, &tables) != ERR_OK) {
                policy_say(o, &report);
                code = EXIT_FAILED;
        }
        if (code == EXIT_OK) {
                policy_lint(file, facts, &report);
                lockout_warn(tables, &report);
                code = checked_print(o, path, file, &report);
        }
        policy_tables_put(tables);
        policy_file_put(file);
        policy_facts_put(facts);
        report_fini(&report);
        return code;
}

/* ---- test ---- */

static void failure_write(struct json_writer *w, const struct policy_failure *f)
{
        json_write_object_begin(w);
        json_write_member_str(w, STR("user"), f->src);
        json_write_key(w, STR("errors"));
        json_write_array_begin(w);
        json_write_str(w, f->text);
        json_write_array_end(w);
        json_write_member_str(w, STR("section"), f->is_ssh ? STR("sshTests") : STR("tests"));
        json_write_member_uint(w, STR("index"), f->index);
        json_write_member_uint(w, STR("line"), f->at.line);
        json_write_member_uint(w, STR("column"), f->at.column);
        json_write_object_end(w);
}

/* {"message": "test(s) failed", "data": [{"user": SRC, "errors": [...]}]}, as the management API answers. */
static enum exit_code run_json_print(const struct policy_test_run *run, enum exit_code code)
{
        struct json_writer w;
        struct buf out;

        buf_init(&out, POLICY_OUTPUT_BYTES_MAX);
        json_writer_init(&w, &out, JSON_COMPACT);
        json_write_object_begin(&w);
        if (run->failures_count) {
                json_write_member_str(&w, STR("message"), STR("test(s) failed"));
                json_write_key(&w, STR("data"));
                json_write_array_begin(&w);
                for (size_t i = 0; i < MIN(run->failures_count, (size_t)POLICY_FAILURES_MAX); i++)
                        failure_write(&w, &run->failures[i]);
                json_write_array_end(&w);
        }
        json_write_member_uint(&w, STR("tests"), run->tests_count);
        json_write_member_uint(&w, STR("assertions"), run->asked_count);
        json_write_member_uint(&w, STR("failed"), run->failures_count);
        json_write_object_end(&w);
        json_writer_finish(&w);
        return policy_print(&out, code);
}

/* The policy that the argument names, with the run of its own tests. EXIT_OK: both are the caller's to end. */
static enum exit_code tested_load(const struct command_call *call, struct policy_tables **t,
                                  struct policy_test_run *run)
{
        enum exit_code code = EXIT_WRONG;

        *t = NULL;
        if (policy_has_arguments(call, 1))
                code = policy_load_tables(call->options, policy_argument(call, 0), t);
        if (code == EXIT_OK)
                policy_test(*t, run);
        return code;
}

enum exit_code policy_test_run(const struct command_call *call)
{
        const struct policy_options *o = call->options;
        struct policy_tables *t;
        struct policy_test_run run;
        struct report report;
        enum exit_code code = tested_load(call, &t, &run);

        if (code != EXIT_OK)
                return code;
        code = run.failures_count || run.no_memory ? EXIT_FAILED : EXIT_OK;
        report_init(&report, policy_argument(call, 0));
        policy_test_report(&run, &report);
        out_report(&report);
        report_fini(&report);
        if (o->json)
                code = run_json_print(&run, code);
        else
                out_print("%zu tests, %zu assertions, %zu failed\n", run.tests_count, run.asked_count,
                          run.failures_count);
        policy_test_run_fini(&run);
        policy_tables_put(t);
        return code;
}

/* ---- compile ---- */

enum { OUT_PIECE = 1 << 20 };

/* Piece by piece: what ten thousand machines are told can be gigabytes. */
static enum exit_code nodes_print(const struct policy_options *o, const struct policy_tables *t)
{
        struct policy_writer *writer = policy_writer_new(t);
        struct json_writer w;
        struct buf out;

        buf_init(&out, POLICY_OUTPUT_BYTES_MAX);
        json_writer_init(&w, &out, o->json ? JSON_COMPACT : 2);
        json_write_object_begin(&w);
        json_write_key(&w, STR("nodes"));
        json_write_object_begin(&w);
        for (size_t i = 0; writer && i < t->facts->nodes_count; i++) {
                json_write_key(&w, t->nodes[i].node->id);
                policy_write_node(writer, i, &w);
                if (out.len > OUT_PIECE && !out.full) {
                        out_str(buf_str(&out));
                        buf_clear(&out);
                }
        }
        json_write_object_end(&w);
        json_write_object_end(&w);
        json_writer_finish(&w);
        bool failed = !writer || policy_writer_failed(writer);
        policy_writer_free(writer);
        if (!failed)
                return policy_print(&out, EXIT_OK);
        buf_fini(&out);
        out_problem("out of memory");
        return EXIT_WRONG;
}

/* As a write to the management API: a policy whose own tests fail is refused. */
enum exit_code policy_compile_run(const struct command_call *call)
{
        const struct policy_options *o = call->options;
        struct policy_tables *t;
        struct policy_test_run run;
        struct report report;
        enum exit_code code = tested_load(call, &t, &run);

        if (code != EXIT_OK)
                return code;
        if (run.failures_count || run.no_memory) {
                report_init(&report, policy_argument(call, 0));
                policy_test_report(&run, &report);
                policy_say(o, &report);
                report_fini(&report);
                code = EXIT_FAILED;
        } else {
                code = nodes_print(o, t);
        }
        policy_test_run_fini(&run);
        policy_tables_put(t);
        return code;
}
