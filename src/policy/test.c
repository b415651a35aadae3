#include "policy/test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/gate.h"
#include "policy/read_priv.h"
#include "policy/test_priv.h"

enum { ARENA_BYTES_MAX = 512 * 1024 * 1024 };

void policy_fail(struct policy_test_run *run, bool is_ssh, size_t index, struct policy_place at,
                 struct str src, const char *format, ...)
{
        char text[512];
        va_list args;

        if (!run->failures)
                run->failures = ARENA_ARRAY(&run->arena, struct policy_failure, POLICY_FAILURES_MAX);
        run->no_memory |= run->failures == NULL;
        if (run->failures_count++ >= POLICY_FAILURES_MAX || !run->failures)
                return;
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        run->failures[run->failures_count - 1] = (struct policy_failure){
                at, is_ssh, (uint32_t)index, src, arena_copy(&run->arena, str_of(text)),
        };
}

/* One question, and what all of its assertions share. */
struct asking {
        const struct policy_tables *t;
        struct policy_test_run *run;
        const struct policy_test *test;
        size_t index;
        struct policy_end src;
        struct policy_attrs attrs; /* srcPostureAttrs */
        struct policy_asker given;
        struct arena arena; /* of this test */
};

/* ---- network ---- */

static bool posture_holds(const struct asking *q, const struct policy_unit *u, const struct policy_spot *s)
{
        const struct policy_units *units = q->t->units;

        if (u->posture == POLICY_BIT_NONE || !policy_posture_is_asked(s->entry, s->range.first))
                return true;
        for (size_t i = 0; i < units->postures[u->posture].count; i++)
                if (policy_posture_holds(&units->file->postures[units->postures[u->posture].postures[i]],
                                         &q->attrs))
                        return true;
        return false;
}

static bool takes_src(const struct asking *q, uint32_t n, const struct policy_spot *s)
{
        const struct policy_unit *u = &q->t->units->items[n];

        if (!posture_holds(q, u, s))
                return false;
        if (s->entry && policy_set_has(s->entry->class->src, n))
                return true;
        if ((u->flags & UNIT_SRC_ALL) || policy_ranges_contain_range(&u->src, s->range))
                return true;
        if (!(u->flags & UNIT_SRC_ANY))
                return false;
        for (size_t i = 0; i < q->t->routes_count; i++)
                if (ip_prefix_contains(&q->t->routes[i].prefix, s->range.first) &&
                    ip_prefix_contains(&q->t->routes[i].prefix, s->range.last))
                        return true;
        return policy_ranges_contain_range(policy_ranges_tailnet(), s->range);
}

static bool is_via_open(const struct policy_tables *t, uint32_t n)
{
        for (size_t i = 0; i < t->facts->nodes_count; i++)
                if (policy_set_has(t->nodes[i].routes, n))
                        return true;
        return false;
}

static bool takes_dst(const struct asking *q, uint32_t n, const struct policy_spot *s,
                      const struct policy_spot *d)
{
        const struct policy_unit *u = &q->t->units->items[n];

        if (u->flags & UNIT_VIA)
                return policy_ranges_contain_range(&u->dst, d->range) && is_via_open(q->t, n);
        if ((u->flags & UNIT_DST_ANY) || policy_ranges_contain_range(&u->dst, d->range))
                return true;
        if (d->entry && policy_set_has(d->entry->class->dst, n))
                return true;
        if ((u->flags & UNIT_INTERNET) && policy_ranges_contain_range(policy_ranges_internet(), d->range))
                return true;
        return (u->flags & UNIT_SELF) && s->entry && d->entry && s->entry->user &&
               s->entry->user == d->entry->user;
}

/* Without a protocol, any of those that a rule without one opens. */
static bool takes_port(const struct policy_unit *u, int16_t proto, uint16_t port)
{
        static const int16_t defaults[] = { PROTO_TCP, PROTO_UDP, PROTO_ICMP, PROTO_ICMP6 };

        if (proto != POLICY_PROTO_ANY)
                return policy_unit_takes_port(u, proto, port);
        for (size_t i = 0; i < ARRAY_SIZE(defaults); i++)
                if (policy_unit_takes_port(u, defaults[i], port))
                        return true;
        return false;
}

static bool spot_reaches(const struct asking *q, const struct policy_spot *s, const struct policy_end *dst,
                         int16_t proto, uint16_t port)
{
        for (uint32_t n = 0; n < q->t->units->count; n++) {
                if (!takes_port(&q->t->units->items[n], proto, port) || !takes_src(q, n, s))
                        continue;
                for (size_t i = 0; i < dst->count; i++)
                        if (takes_dst(q, n, s, &dst->spots[i]))
                                return true;
        }
        return false;
}

static bool all_reach(const struct asking *q, const struct policy_end *dst, int16_t proto, uint16_t port)
{
        for (size_t i = 0; i < q->src.count; i++)
                if (!spot_reaches(q, &q->src.spots[i], dst, proto, port))
                        return false;
        return true;
}

/* autogroup:self as a destination: the machines of the one person who asks. */
static const char *self_find(struct asking *q, struct policy_end *dst)
{
        if (!q->src.user)
                return "autogroup:self needs a user as src";
        *dst = q->src;
        return NULL;
}

static const char *network_ask(struct asking *q, struct str text, bool *is_open)
{
        int16_t proto = POLICY_PROTO_ANY;
        struct str host, ports_text;
        struct policy_ports ports;
        struct policy_end dst;
        const char *why;

        if (q->test->proto_text.len && policy_proto_parse(q->test->proto_text, &proto, &why) != ERR_OK)
                return why;
        if ((why = policy_destination_split(policy_text_trim(text), &host, &ports_text)))
                return why;
        if (policy_ports_parse(&q->arena, ports_text, &ports, &why) != ERR_OK)
                return why;
        if ((why = policy_end_find(q->t, &q->arena, policy_alias_parse(host, 0, 0), &dst)))
                return why;
        if (dst.is_self && (why = self_find(q, &dst)))
                return why;
        *is_open = all_reach(q, &dst, proto, ports.ranges[0].first);
        return NULL;
}

/* ---- upward ---- */

static bool principal_reaches(const struct asking *q, const struct policy_class *class,
                              const struct policy_resource *what)
{
        struct policy_gate gate;
        struct policy_way way;

        policy_gate_open(&gate, q->t, (struct policy_principal){ class, &q->attrs }, &q->given, *what);
        return policy_gate_next(&gate, &way);
}

/* Whoever the source means, people and machines with tags, must all have a way in. */
static const char *upward_ask(struct asking *q, const struct policy_alias *a, bool *is_open)
{
        struct policy_resource what = { .kind = a->kind, .name = a->name };
        const struct policy_alias *src = &q->test->src;
        const struct policy_tables *t = q->t;

        *is_open = true;
        if (q->src.user) {
                *is_open = principal_reaches(q, policy_tables_find_user(t, q->src.user)->class, &what);
                return NULL;
        }
        struct policy_alias group = *src;
        size_t asked = 0;
        if (group.kind == ALIAS_GROUP)
                group.ref = (uint32_t)(policy_file_find_group(t->units->file, group.text) -
                                       t->units->file->groups);
        for (size_t i = 0;
             i < t->facts->users_count && (group.kind == ALIAS_GROUP || group.kind == ALIAS_AUTOGROUP); i++)
                if (policy_subjects_contain(&t->users[i].class->subjects,
                                            policy_subject_of(t->units->file, &group))) {
                        asked++;
                        *is_open &= principal_reaches(q, t->users[i].class, &what);
                }
        for (size_t i = 0; i < q->src.count; i++)
                if (q->src.spots[i].entry && !q->src.spots[i].entry->user) {
                        asked++;
                        *is_open &= principal_reaches(q, q->src.spots[i].entry->class, &what);
                }
        return asked ? NULL : "src stands for nobody who could ask for it";
}

/* ---- one test ---- */

static int attr_order(const void *a, const void *b)
{
        return str_cmp(((const struct policy_attr *)a)->name, ((const struct policy_attr *)b)->name);
}

static void attrs_read(struct asking *q)
{
        const struct json_value *v = q->test->posture_attrs;
        struct policy_attr *items = ARENA_ARRAY(&q->arena, struct policy_attr, v ? v->count + 1 : 1);

        for (size_t i = 0; v && items && i < v->count; i++) {
                const struct json_value *value = &v->members[i].value;
                struct policy_attr *a = &items[q->attrs.count++];

                a->name = v->members[i].key;
                a->value.type = json_is(value, JSON_NUMBER) ? VALUE_NUMBER
                                : json_is(value, JSON_BOOL) ? VALUE_BOOL
                                                            : VALUE_STRING;
                a->value.boolean = json_bool(value, false);
                if (json_is(value, JSON_NUMBER) || json_is(value, JSON_STRING))
                        a->value.text = value->text;
        }
        if (items)
                qsort(items, q->attrs.count, sizeof(*items), attr_order);
        q->attrs.items = items;
}

/* {"address": "203.0.113.7", "country": "JP", "time": "...", "auth": "mfa", "method": "GET", "path": "/"} */
static const char *given_read(struct asking *q)
{
        const struct json_value *v = q->test->given;
        struct str address = json_str(json_find(v, STR("address"))),
                   time = json_str(json_find(v, STR("time"))), auth = json_str(json_find(v, STR("auth")));

        q->given = (struct policy_asker){ .now = q->t->facts->now, .auth = AUTH_SSO };
        q->given.country = json_str(json_find(v, STR("country")));
        q->given.method = json_str(json_find(v, STR("method")));
        q->given.path = json_str(json_find(v, STR("path")));
        if (address.len && ip_parse(address, &q->given.address) != ERR_OK)
                return "given.address is no address";
        if (time.len && units_parse_time(time, &q->given.now) != ERR_OK)
                return "given.time is no time";
        if (auth.len && !policy_auth_find(auth, &q->given.auth))
                return "given.auth is none of none, token, password, sso, mfa, hardware";
        return NULL;
}

static void assertion_ask(struct asking *q, struct str text, struct policy_place at, bool wants_open)
{
        struct policy_alias a = policy_alias_parse(text, 0, 0);
        bool is_open = false;
        const char *why =
                policy_alias_is_upward(&a) ? upward_ask(q, &a, &is_open) : network_ask(q, text, &is_open);

        q->run->asked_count++;
        if (why)
                policy_fail(q->run, false, q->index, at, q->test->src.text, "address \"%.*s\": %s",
                            (int)MIN(text.len, (size_t)128), text.ptr, why);
        else if (is_open != wants_open)
                policy_fail(q->run, false, q->index, at, q->test->src.text,
                            "address \"%.*s\": want: %s, got: %s", (int)MIN(text.len, (size_t)128), text.ptr,
                            wants_open ? "Accept" : "Drop", is_open ? "Accept" : "Drop");
}

static void test_run(const struct policy_tables *t, struct policy_test_run *run, size_t index)
{
        struct asking q = { .t = t, .run = run, .test = &t->units->file->tests[index], .index = index };
        const char *why;

        run->tests_count++;
        arena_init(&q.arena, NULL, 0, ARENA_BYTES_MAX);
        attrs_read(&q);
        why = policy_end_find(t, &q.arena, q.test->src, &q.src);
        if (!why)
                why = given_read(&q);
        if (why)
                policy_fail(run, false, index, q.test->at, q.test->src.text, "src \"%.*s\": %s",
                            (int)MIN(q.test->src.text.len, (size_t)128),
                            q.test->src.text.ptr ? q.test->src.text.ptr : "", why);
        for (size_t i = 0; !why && i < q.test->accept_count; i++)
                assertion_ask(&q, q.test->accept[i], q.test->accept_at[i], true);
        for (size_t i = 0; !why && i < q.test->deny_count; i++)
                assertion_ask(&q, q.test->deny[i], q.test->deny_at[i], false);
        run->no_memory |= q.arena.full;
        arena_fini(&q.arena);
}

void policy_test(const struct policy_tables *t, struct policy_test_run *run)
{
        *run = (struct policy_test_run){ 0 };
        arena_init(&run->arena, NULL, 0, ARENA_BYTES_MAX);
        for (size_t i = 0; i < t->units->file->tests_count; i++)
                test_run(t, run, i);
        policy_test_ssh(t, run);
        run->no_memory |= run->arena.full;
}

void policy_test_run_fini(struct policy_test_run *run)
{
        arena_fini(&run->arena);
        *run = (struct policy_test_run){ 0 };
}

void policy_test_report(const struct policy_test_run *run, struct report *report)
{
        size_t kept = MIN(run->failures_count, (size_t)POLICY_FAILURES_MAX);

        for (size_t i = 0; run->failures && i < kept; i++) {
                const struct policy_failure *f = &run->failures[i];

                report_error(report, f->at.line, f->at.column, "test(s) failed: %s[%u]: %.*s: %.*s",
                             f->is_ssh ? "sshTests" : "tests", f->index, (int)MIN(f->src.len, (size_t)128),
                             f->src.ptr ? f->src.ptr : "", STR_FMT(f->text));
        }
        if (run->no_memory)
                report_error(report, 0, 0, "test(s) failed: out of memory");
}
