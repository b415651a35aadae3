#include "kit.h"

#include <stdio.h>

#include "policy/wire.h"
#include "json/reader.h"

char kit_report[8192];

static void report_keep(struct report *r)
{
        struct buf text;

        buf_init(&text, 1 << 20);
        report_format(r, &text);
        snprintf(kit_report, sizeof(kit_report), "%.*s", (int)MIN(text.len, sizeof(kit_report) - 1),
                 text.ptr ? text.ptr : "");
        buf_fini(&text);
        report_fini(r);
}

struct policy_file *kit_file(const char *policy)
{
        struct policy_file *f = NULL;
        struct report r;

        report_init(&r, STR("policy"));
        enum err e = policy_file_new(str_of(policy), &r, &f);
        assert_int_equal(e == ERR_OK, f != NULL);
        assert_int_equal(e == ERR_OK, r.errors_count == 0);
        report_keep(&r);
        return f;
}

struct policy_facts *kit_facts(const char *facts)
{
        struct policy_facts *f = NULL;
        struct report r;

        report_init(&r, STR("facts"));
        enum err e = policy_facts_new(str_of(facts), &r, &f);
        assert_int_equal(e == ERR_OK, f != NULL);
        assert_int_equal(e == ERR_OK, r.errors_count == 0);
        report_keep(&r);
        return f;
}

struct policy_tables *kit_tables(const char *policy, const char *facts)
{
        struct policy_file *file = kit_file(policy);
        struct policy_facts *f = file ? kit_facts(facts) : NULL;
        struct policy_tables *t = NULL;
        struct report r;

        if (f) {
                report_init(&r, STR("policy"));
                enum err e = policy_compile(file, f, &r, &t);
                assert_int_equal(e == ERR_OK, t != NULL);
                report_keep(&r);
        }
        policy_file_put(file);
        policy_facts_put(f);
        return t;
}

struct policy_tables *kit_tables_must(const char *policy, const char *facts)
{
        struct policy_tables *t = kit_tables(policy, facts);

        if (!t)
                fail_msg("refused: %s\n%s", kit_report, policy);
        return t;
}

int kit_ask(const struct policy_tables *t, const char *from, const char *to, const char *given)
{
        const struct json_value *context = NULL;
        struct policy_explanation e;
        struct arena arena;
        struct str why;

        arena_init(&arena, NULL, 0, 1 << 20);
        if (given)
                assert_err(json_read_strict(&arena, str_of(given), NULL, &context), ERR_OK);
        enum err result = policy_explain(t, str_of(from), str_of(to), context, &e, &why);
        int answer = result == ERR_OK ? e.is_allowed : -1;
        if (answer == -1)
                snprintf(kit_report, sizeof(kit_report), "%.*s", STR_FMT(why));
        /* What decides holds in every point; of what is refused every rule fails in some. */
        for (size_t i = 0; answer >= 0 && i < e.rules_count; i++)
                assert_int_equal(e.rules[i].distance == 0, answer);
        if (answer == 1)
                assert_int_equal(e.rules_count, 1);
        policy_explanation_fini(&e);
        arena_fini(&arena);
        return answer;
}

struct str kit_told(const struct policy_tables *t, struct arena *arena, struct str node)
{
        const struct policy_node_entry *e =
                policy_tables_find_node(t, policy_facts_find_node(t->facts, node));
        struct policy_writer *writer = policy_writer_new(t);
        struct json_writer w;
        struct buf out;

        assert_non_null(writer);
        assert_non_null(e);
        buf_init(&out, 1 << 24);
        json_writer_init(&w, &out, JSON_COMPACT);
        policy_write_node(writer, (size_t)(e - t->nodes), &w);
        json_writer_finish(&w);
        assert_false(policy_writer_failed(writer));
        struct str told = arena_copy(arena, buf_str(&out));
        buf_fini(&out);
        policy_writer_free(writer);
        return told;
}
