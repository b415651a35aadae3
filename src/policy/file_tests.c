/* The sections tests and sshTests. What is wrong inside one fails that test, not the file (policy/test.h). */
#include <stdio.h>

#include "policy/read_priv.h"

static void src_text_read(struct policy_reader *r, struct policy_alias *src, const struct json_value *v)
{
        if (policy_read_is(r, v, JSON_STRING, "src"))
                *src = policy_alias_parse(json_str(v), v->line, v->column);
}

/* ---- tests ---- */

static void test_src_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        src_text_read(r, &((struct policy_test *)into)->src, v);
}

static void test_proto_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_read_text(r, v, "proto", &((struct policy_test *)into)->proto_text);
}

static void places_read(struct policy_reader *r, const struct json_value *v, struct policy_place **out)
{
        if (!json_is(v, JSON_ARRAY) || !(*out = READ_ARRAY(r, struct policy_place, v->count)))
                return;
        for (size_t i = 0; i < v->count; i++)
                (*out)[i] = policy_place_of(&v->items[i]);
}

static void test_accept_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_test *t = into;

        policy_read_texts(r, v, "accept", &t->accept, &t->accept_count);
        places_read(r, v, &t->accept_at);
}

static void test_deny_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_test *t = into;

        policy_read_texts(r, v, "deny", &t->deny, &t->deny_count);
        places_read(r, v, &t->deny_at);
}

static void test_attrs_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        if (policy_read_is(r, v, JSON_OBJECT, "srcPostureAttrs"))
                ((struct policy_test *)into)->posture_attrs = v;
}

static void test_given_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        if (policy_read_is(r, v, JSON_OBJECT, "given"))
                ((struct policy_test *)into)->given = v;
        r->file->is_upward = true;
}

static const struct policy_member test_members[] = {
        { STR_INIT("src"), test_src_read },      { STR_INIT("user"), test_src_read }, /* legacy */
        { STR_INIT("proto"), test_proto_read },  { STR_INIT("accept"), test_accept_read },
        { STR_INIT("allow"), test_accept_read }, /* legacy */
        { STR_INIT("deny"), test_deny_read },    { STR_INIT("srcPostureAttrs"), test_attrs_read },
        { STR_INIT("given"), test_given_read },
};

void policy_read_tests(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_file *f = r->file;

        if (!policy_read_is(r, v, JSON_ARRAY, "tests"))
                return;
        if (v->count > POLICY_RULES_MAX) {
                policy_fault(r, v, "tests has %zu entries; the limit is %d", v->count, POLICY_RULES_MAX);
                return;
        }
        if (!(f->tests = READ_ARRAY(r, struct policy_test, v->count)))
                return;
        for (size_t i = 0; i < v->count; i++) {
                struct policy_test *t = &f->tests[f->tests_count++];
                char what[32];

                snprintf(what, sizeof(what), "tests[%zu]", i);
                t->at = policy_place_of(&v->items[i]);
                t->src.kind = ALIAS_INVALID;
                policy_read_object(r, &v->items[i], what, test_members, ARRAY_SIZE(test_members), t);
        }
}

/* ---- sshTests ---- */

static void ssh_src_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        src_text_read(r, &((struct policy_ssh_test *)into)->src, v);
}

static void ssh_dst_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_read_aliases(r, v, "dst", &((struct policy_ssh_test *)into)->dst);
}

static void logins_read(struct policy_reader *r, const struct json_value *v, const char *what,
                        struct str **out, size_t *count)
{
        policy_read_texts(r, v, what, out, count);
        for (size_t i = 0; i < *count; i++)
                (*out)[i] = policy_text_trim((*out)[i]);
}

static void ssh_accept_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_ssh_test *t = into;

        logins_read(r, v, "accept", &t->accept, &t->accept_count);
}

static void ssh_deny_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_ssh_test *t = into;

        logins_read(r, v, "deny", &t->deny, &t->deny_count);
}

static void ssh_check_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_ssh_test *t = into;

        logins_read(r, v, "check", &t->check, &t->check_count);
}

static const struct policy_member ssh_test_members[] = {
        { STR_INIT("src"), ssh_src_read },       { STR_INIT("dst"), ssh_dst_read },
        { STR_INIT("accept"), ssh_accept_read }, { STR_INIT("deny"), ssh_deny_read },
        { STR_INIT("check"), ssh_check_read },   { STR_INIT("srcPostureAttrs"), NULL },
};

void policy_read_ssh_tests(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_file *f = r->file;

        if (!policy_read_is(r, v, JSON_ARRAY, "sshTests"))
                return;
        if (v->count > POLICY_RULES_MAX) {
                policy_fault(r, v, "sshTests has %zu entries; the limit is %d", v->count, POLICY_RULES_MAX);
                return;
        }
        if (!(f->ssh_tests = READ_ARRAY(r, struct policy_ssh_test, v->count)))
                return;
        for (size_t i = 0; i < v->count; i++) {
                struct policy_ssh_test *t = &f->ssh_tests[f->ssh_tests_count++];
                char what[32];

                snprintf(what, sizeof(what), "sshTests[%zu]", i);
                t->at = policy_place_of(&v->items[i]);
                t->src.kind = ALIAS_INVALID;
                policy_read_object(r, &v->items[i], what, ssh_test_members, ARRAY_SIZE(ssh_test_members), t);
        }
}
