/* `sekisho policy explain`, `preview` and `diff`: questions to tables. */
#include "cli/out.h"
#include "cli/policy_priv.h"
#include "policy/diff.h"
#include "policy/explain.h"
#include "policy/lockout.h"
#include "policy/preview.h"
#include "json/reader.h"

enum { GIVEN_BYTES_MAX = 64 * 1024, GIVEN_ARENA_MAX = 1 << 20 };

static unsigned indent(const struct policy_options *o)
{
        return o->json ? JSON_COMPACT : 2;
}

/* ---- explain ---- */

static enum exit_code explanation_print(const struct policy_options *o, const struct policy_explanation *e)
{
        struct json_writer w;
        struct buf out;

        buf_init(&out, POLICY_OUTPUT_BYTES_MAX);
        if (!o->json) {
                policy_explanation_print(e, &out);
                out_foreign(buf_str(&out));
                buf_fini(&out);
                return EXIT_OK;
        }
        json_writer_init(&w, &out, JSON_COMPACT);
        policy_explanation_write(e, &w);
        json_writer_finish(&w);
        return policy_print(&out, EXIT_OK);
}

static enum exit_code question_explain(const struct policy_options *o, const struct policy_tables *t,
                                       const struct json_value *given)
{
        struct policy_explanation e;
        struct str why = STR("out of memory");
        enum exit_code code = EXIT_WRONG;
        enum err result = o->login.len ? policy_explain_login(t, o->from, o->to, o->login, &e, &why)
                                       : policy_explain(t, o->from, o->to, given, &e, &why);

        if (result == ERR_OK)
                code = explanation_print(o, &e);
        else
                out_problem("%.*s", STR_FMT(why));
        policy_explanation_fini(&e);
        return code;
}

/* An answered question is a success, whichever the answer is. */
enum exit_code policy_explain_run(const struct command_call *call)
{
        const struct policy_options *o = call->options;
        const struct json_value *given = NULL;
        struct json_options limits = { .bytes_max = GIVEN_BYTES_MAX, .mode = JSON_HUJSON };
        struct policy_tables *t = NULL;
        struct report report;
        struct arena arena;
        enum exit_code code = EXIT_OK;

        if (!policy_has_arguments(call, 1))
                return EXIT_WRONG;
        if (!o->from.len || !o->to.len) {
                out_problem("name both ends: --from laptop --to db:5432");
                return EXIT_WRONG;
        }
        arena_init(&arena, NULL, 0, GIVEN_ARENA_MAX);
        report_init(&report, STR("--given"));
        if (o->given.len && json_read(&arena, o->given, &limits, &report, &given) != ERR_OK) {
                out_report(&report);
                code = EXIT_WRONG;
        }
        if (code == EXIT_OK)
                code = policy_load_tables(o, policy_argument(call, 0), &t);
        if (code == EXIT_OK)
                code = question_explain(o, t, given);
        policy_tables_put(t);
        report_fini(&report);
        arena_fini(&arena);
        return code;
}

/* ---- preview ---- */

enum exit_code policy_preview_run(const struct command_call *call)
{
        const struct policy_options *o = call->options;
        bool by_user = str_eq(o->type, STR("user"));
        struct policy_tables *t = NULL;
        struct json_writer w;
        struct buf out;

        if (!policy_has_arguments(call, 1))
                return EXIT_WRONG;
        if ((!by_user && !str_eq(o->type, STR("ipport"))) || !o->preview_for.len) {
                out_problem(
                        "say whose rules: --type user --for alice@example.com, or --type ipport --for 100.64.0.9:22");
                return EXIT_WRONG;
        }
        enum exit_code code = policy_load_tables(o, policy_argument(call, 0), &t);
        if (code != EXIT_OK)
                return code;
        buf_init(&out, POLICY_OUTPUT_BYTES_MAX);
        json_writer_init(&w, &out, indent(o));
        enum err e = policy_preview(t, by_user ? PREVIEW_USER : PREVIEW_IPPORT, o->preview_for, &w);
        policy_tables_put(t);
        if (e == ERR_OK) {
                json_writer_finish(&w);
                return policy_print(&out, EXIT_OK);
        }
        buf_fini(&out);
        out_problem(by_user ? "no user \"%.*s\" in the facts" : "\"%.*s\" is no address with a port",
                    STR_FMT(o->preview_for));
        return by_user ? EXIT_NOT_FOUND : EXIT_WRONG;
}

/* ---- diff ---- */

static void lockout_write(const struct policy_lockout *l, struct json_writer *w)
{
        json_write_object_begin(w);
        json_write_member_bool(w, STR("somebodyCan"), l->somebody_can);
        json_write_member_bool(w, STR("callerCan"), l->caller_can);
        json_write_member_bool(w, STR("callerCould"), l->caller_could);
        json_write_member_uint(w, STR("administrators"), l->administrators_count);
        json_write_member_uint(w, STR("able"), l->able_count);
        json_write_object_end(w);
}

static enum exit_code lockout_say(const struct policy_options *o, const struct policy_lockout *l)
{
        if (!l->somebody_can) {
                out_problem(
                        "with the new policy nobody can administer: none of %zu administrators keeps a way in",
                        l->administrators_count);
                return EXIT_FAILED;
        }
        if (!l->caller_can && l->caller_could) {
                out_problem("with the new policy %.*s can no longer administer, nor undo it",
                            STR_FMT(o->caller));
                return EXIT_FAILED;
        }
        return EXIT_OK;
}

static enum exit_code diff_print(const struct policy_options *o, const struct policy_tables *before,
                                 const struct policy_tables *after, const struct policy_user *caller)
{
        struct policy_lockout l = policy_lockout_check(before, after, caller);
        enum exit_code code = EXIT_OK;
        struct policy_diff d;
        struct json_writer w;
        struct buf out;

        policy_diff(before, after, &d);
        buf_init(&out, POLICY_OUTPUT_BYTES_MAX);
        if (d.no_memory) {
                out_problem("out of memory");
                code = EXIT_WRONG;
        } else if (o->json) {
                json_writer_init(&w, &out, JSON_COMPACT);
                json_write_object_begin(&w);
                policy_diff_write_members(&d, &w);
                if (after->facts->has_roles) {
                        json_write_key(&w, STR("lockout"));
                        lockout_write(&l, &w);
                }
                json_write_object_end(&w);
                json_writer_finish(&w);
                buf_add_char(&out, '\n');
                out_str(buf_str(&out));
        } else {
                policy_diff_print(&d, &out);
                out_foreign(buf_str(&out));
        }
        /* Without roles the facts do not say who administers. */
        if (code == EXIT_OK && after->facts->has_roles)
                code = lockout_say(o, &l);
        buf_fini(&out);
        policy_diff_fini(&d);
        return code;
}

enum exit_code policy_diff_run(const struct command_call *call)
{
        const struct policy_options *o = call->options;
        struct policy_tables *before = NULL, *after = NULL;
        const struct policy_user *caller = NULL;

        if (!policy_has_arguments(call, 2))
                return EXIT_WRONG;
        enum exit_code code = policy_load_tables(o, policy_argument(call, 0), &before);
        if (code == EXIT_OK)
                code = policy_load_tables(o, policy_argument(call, 1), &after);
        if (code == EXIT_OK && o->caller.len && !(caller = policy_facts_find_user(after->facts, o->caller))) {
                out_problem("no user \"%.*s\" in the facts", STR_FMT(o->caller));
                code = EXIT_NOT_FOUND;
        }
        if (code == EXIT_OK)
                code = diff_print(o, before, after, caller);
        policy_tables_put(before);
        policy_tables_put(after);
        return code;
}
