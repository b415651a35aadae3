/*
 * Random policies and facts against an evaluator that shares nothing with the engine (world.h), and what must hold of any
 * policy: more grants never take access away, what a node is told decides as the whole policy does, a change of one
 * machine makes the tables that a whole compile makes, an explanation agrees with the answer.
 *
 * $SEKISHO_POLICY_CASES is how many questions are asked in all; 10^6 take about a minute with sanitizers.
 */
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>

#include "policy/decide.h"
#include "policy/diff.h"
#include "policy/gate.h"
#include "policy/wire.h"
#include "world.h"
#include "json/reader.h"

enum { CASES_DEFAULT = 100000, QUESTIONS = 400 };

static unsigned cases_wanted(void)
{
        const char *text = getenv("SEKISHO_POLICY_CASES");
        uint64_t n;

        return text && units_parse_u64(str_of(text), 1000000000, &n) == ERR_OK ? (unsigned)n : CASES_DEFAULT;
}

static char *text_of(const struct world *w, void (*write)(const struct world *w, struct buf *out),
                     struct buf *b)
{
        buf_init(b, 1 << 20);
        write(w, b);
        buf_add_char(b, '\0');
        assert_false(b->full);
        return b->ptr;
}

static struct policy_tables *tables_of(const struct world *w)
{
        struct buf policy, facts;
        struct policy_tables *t =
                kit_tables_must(text_of(w, world_policy, &policy), text_of(w, world_facts, &facts));

        buf_fini(&policy);
        buf_fini(&facts);
        return t;
}

static void world_show(const struct world *w, const struct policy_question *q)
{
        char a[IP_TEXT_MAX], b[IP_TEXT_MAX];
        struct buf policy, facts;

        fprintf(stderr, "%s\n%s\n%.*s to %.*s proto %d port %u\n", text_of(w, world_policy, &policy),
                text_of(w, world_facts, &facts), STR_FMT(ip_format(q->src, a)), STR_FMT(ip_format(q->dst, b)),
                q->proto, q->port);
        buf_fini(&policy);
        buf_fini(&facts);
}

static struct policy_question question_make(const struct world *w, struct chance *c)
{
        static const int16_t protos[] = { 6, 6, 6, 17, 1, 58, 132, 47 };
        static const uint16_t ports[] = { 22, 80, 443, 500, 1000, 1001, 65535, 1 };

        return (struct policy_question){ world_address(w, c), world_address(w, c), protos[chance_below(c, 8)],
                                         ports[chance_below(c, 8)] };
}

static bool world_says(const struct world *w, const struct policy_question *q)
{
        return world_allows(w, q->src, q->dst, q->proto, q->port);
}

static void test_against_the_slow_one(void **state)
{
        unsigned allowed = 0, asked = 0;

        for (uint64_t seed = 1; asked < cases_wanted(); seed++) {
                struct chance c = { seed * 0x9e3779b97f4a7c15 };
                struct world w;

                world_make(&w, &c);
                struct policy_tables *t = tables_of(&w);
                for (int i = 0; i < QUESTIONS; i++, asked++) {
                        struct policy_question q = question_make(&w, &c);
                        bool wanted = world_says(&w, &q);

                        allowed += wanted;
                        if (policy_decide(t, &q).is_allowed != wanted) {
                                world_show(&w, &q);
                                fail_msg("seed %u: wanted %d", (unsigned)seed, wanted);
                        }
                }
                policy_tables_put(t);
        }
        /* Neither answer may be so rare that nothing was tried. */
        assert_in_range(allowed, asked / 20, asked - asked / 20);
}

static void test_uses_against_the_slow_one(void **state)
{
        unsigned allowed = 0, asked = 0;

        for (uint64_t seed = 1; asked < cases_wanted() / 10; seed++) {
                struct chance c = { seed * 0x9e3779b97f4a7c15 };
                struct world w;
                char target[64];

                world_make(&w, &c);
                struct policy_tables *t = tables_of(&w);
                for (int i = 0; i < QUESTIONS / 4; i++, asked++) {
                        enum name_kind kind = (enum name_kind)(NAME_SERVICE + chance_below(&c, 3));
                        unsigned which = chance_below(&c, 6);
                        int user = -1, node = -1, auth = (int)chance_below(&c, 2);

                        if (chance_below(&c, 2))
                                user = (int)chance_below(&c, WORLD_USERS);
                        else if (chance_below(&c, 5))
                                node = (int)chance_below(&c, WORLD_NODES);
                        char from[32] = "anonymous";
                        if (user >= 0)
                                snprintf(from, sizeof(from), "u%d@example.com", user);
                        else if (node >= 0)
                                snprintf(from, sizeof(from), "n%d", node);
                        world_target(kind, which, target);
                        bool wanted = world_lets_use(&w, user, node, kind, which, auth);
                        int got = kit_ask(t, from, target,
                                          auth ? "{\"auth\": \"mfa\"}" : "{\"auth\": \"sso\"}");
                        allowed += wanted;
                        if (got != wanted) {
                                struct policy_question q = { 0 };

                                world_show(&w, &q);
                                fail_msg("seed %u: %s to %s with auth %d: got %d, wanted %d", (unsigned)seed,
                                         from, target, auth, got, wanted);
                        }
                }
                policy_tables_put(t);
        }
        assert_in_range(allowed, asked / 50, asked - asked / 50);
}

/* ---- more grants ---- */

static void test_a_grant_takes_nothing_away(void **state)
{
        for (uint64_t seed = 1; seed < 1 + cases_wanted() / QUESTIONS / 4; seed++) {
                struct chance c = { seed * 0xbf58476d1ce4e5b9 };
                struct policy_diff d;
                bool gained = false;
                struct world w;

                world_make(&w, &c);
                struct policy_tables *before = tables_of(&w);
                world_rule_make(&w.rules[w.rules_count++], &c);
                struct policy_tables *after = tables_of(&w);
                for (int i = 0; i < QUESTIONS; i++) {
                        struct policy_question q = question_make(&w, &c);

                        bool was = policy_decide(before, &q).is_allowed,
                             is = policy_decide(after, &q).is_allowed;

                        /* What is neither a machine's nor behind one is nobody to tell it of. */
                        gained |= is && !was &&
                                  (policy_tables_find_address(before, q.src) ||
                                   policy_tables_has_route(before, q.src));
                        if (was && !is) {
                                world_show(&w, &q);
                                fail_msg("seed %u: lost", (unsigned)seed);
                        }
                }
                policy_diff(before, after, &d);
                assert_false(d.no_memory);
                if (gained)
                        assert_int_not_equal(d.changes_count, 0);
                for (size_t i = 0; i < d.changes_count; i++)
                        assert_int_not_equal(d.changes[i].kind, CHANGE_LOST);
                policy_diff_fini(&d);
                policy_diff(after, after, &d);
                assert_int_equal(d.changes_count, 0);
                policy_diff_fini(&d);
                policy_tables_put(before);
                policy_tables_put(after);
        }
}

/* ---- what nodes are told ---- */

static bool text_has(struct str text, struct ip ip)
{
        size_t dash = str_find_char(text, '-');
        struct ip_prefix p;
        struct ip first, last;

        if (str_eq(text, STR("*")))
                return true;
        if (dash != STR_NONE) {
                assert_err(ip_parse(str_sub(text, 0, dash), &first), ERR_OK);
                assert_err(ip_parse(str_from(text, dash + 1), &last), ERR_OK);
                return first.family == ip.family && ip_cmp(first, ip) <= 0 && ip_cmp(ip, last) <= 0;
        }
        assert_err(ip_prefix_parse(text, &p), ERR_OK);
        return ip_prefix_contains(&p, ip);
}

/* A client's packet filter, as its own rules say. */
static bool filter_allows(const struct json_value *rules, const struct policy_question *q)
{
        for (size_t i = 0; i < rules->count; i++) {
                const struct json_value *src = json_find(&rules->items[i], STR("SrcIPs")),
                                        *dst = json_find(&rules->items[i], STR("DstPorts")),
                                        *protos = json_find(&rules->items[i], STR("IPProto"));
                bool from = false,
                     by = !protos && (q->proto == 6 || q->proto == 17 || q->proto == 1 || q->proto == 58);
                uint64_t number;

                for (size_t j = 0; src && j < src->count; j++)
                        from |= text_has(json_str(&src->items[j]), q->src);
                for (size_t j = 0; protos && j < protos->count; j++)
                        by |= json_get_uint64(&protos->items[j], &number) == ERR_OK &&
                              (int)number == q->proto;
                for (size_t j = 0; from && by && dst && j < dst->count; j++) {
                        const struct json_value *ports = json_find(&dst->items[j], STR("Ports"));
                        uint64_t first, last;

                        assert_err(json_get_uint64(json_find(ports, STR("First")), &first), ERR_OK);
                        assert_err(json_get_uint64(json_find(ports, STR("Last")), &last), ERR_OK);
                        bool has_ports = q->proto == 6 || q->proto == 17 || q->proto == 132;
                        if (text_has(json_str(json_find(&dst->items[j], STR("IP"))), q->dst) &&
                            (!has_ports || (q->port >= first && q->port <= last)))
                                return true;
                }
        }
        return false;
}

struct told {
        const struct json_value *filter;
        const struct policy_node_entry *entry;
};

static void told_make(const struct policy_tables *t, struct arena *arena, struct told told[])
{
        for (size_t i = 0; i < t->facts->nodes_count; i++) {
                const struct json_value *root;
                struct str text = kit_told(t, arena, t->facts->nodes[i]->id);

                assert_err(json_read_strict(arena, text, NULL, &root), ERR_OK);
                told[i] = (struct told){ json_find(root, STR("packet_filter_rules")), &t->nodes[i] };
        }
}

/* The filters of the machines that would see the packet: the one with the address, else those it is routed through. */
static bool filters_allow(const struct policy_tables *t, const struct told told[],
                          const struct policy_question *q)
{
        const struct policy_address *a = policy_tables_find_address(t, q->dst);

        for (size_t i = 0; i < t->facts->nodes_count; i++) {
                const struct policy_node *n = told[i].entry->node;
                bool sees = a && a->node == n;

                for (size_t j = 0; !a && j < n->approved_count; j++)
                        sees |= ip_prefix_contains(&n->approved[j], q->dst);
                if (sees && filter_allows(told[i].filter, q))
                        return true;
        }
        return false;
}

static void test_filters_decide_as_the_policy(void **state)
{
        for (uint64_t seed = 1; seed < 1 + cases_wanted() / QUESTIONS / 2; seed++) {
                struct chance c = { seed * 0x94d049bb133111eb };
                struct told told[WORLD_NODES];
                struct arena arena;
                struct world w;

                world_make(&w, &c);
                struct policy_tables *t = tables_of(&w);
                arena_init(&arena, NULL, 0, 1 << 26);
                told_make(t, &arena, told);
                for (int i = 0; i < QUESTIONS; i++) {
                        struct policy_question q = question_make(&w, &c);

                        if (filters_allow(t, told, &q) != policy_decide(t, &q).is_allowed) {
                                world_show(&w, &q);
                                fail_msg("seed %u: the filters say %d", (unsigned)seed,
                                         filters_allow(t, told, &q));
                        }
                }
                arena_fini(&arena);
                policy_tables_put(t);
        }
}

/* ---- one change ---- */

static struct policy_tables *updated(const struct policy_tables *t, const struct world *before,
                                     const struct world *after)
{
        struct policy_tables *next = NULL;
        struct policy_facts *facts = NULL;
        struct report report;
        struct buf patch;

        buf_init(&patch, 1 << 20);
        world_patch(before, after, &patch);
        report_init(&report, STR("patch"));
        assert_err(policy_facts_patch(t->facts, buf_str(&patch), &report, &facts), ERR_OK);
        assert_err(policy_tables_update(t, facts, &report, &next), ERR_OK);
        report_fini(&report);
        buf_fini(&patch);
        policy_facts_put(facts);
        return next;
}

static void same_tables(const struct policy_tables *a, const struct policy_tables *b, const struct world *w,
                        struct chance *c)
{
        struct arena arena;

        assert_int_equal(a->facts->nodes_count, b->facts->nodes_count);
        assert_int_equal(a->facts->users_count, b->facts->users_count);
        for (int i = 0; i < QUESTIONS; i++) {
                struct policy_question q = question_make(w, c);
                struct policy_answer x = policy_decide(a, &q), y = policy_decide(b, &q);

                assert_int_equal(x.is_allowed, y.is_allowed);
                assert_int_equal(x.unit, y.unit);
        }
        arena_init(&arena, NULL, 0, 1 << 26);
        for (size_t i = 0; i < a->facts->nodes_count; i++)
                assert_str(kit_told(a, &arena, a->facts->nodes[i]->id),
                           kit_told(b, &arena, b->facts->nodes[i]->id));
        arena_fini(&arena);
}

static void test_a_change_is_a_whole_compile(void **state)
{
        for (uint64_t seed = 1; seed < 1 + cases_wanted() / QUESTIONS / 8; seed++) {
                struct chance c = { seed * 0xd6e8feb86659fd93 };
                struct world w, next;

                world_make(&w, &c);
                struct policy_tables *t = tables_of(&w);
                for (int step = 0; step < 6; step++) {
                        next = w;
                        world_change(&next, &c);
                        /* The policy names groups of people: it stays as it was. */
                        for (int i = 0; i < WORLD_USERS; i++)
                                next.users[i].groups = w.users[i].groups;
                        struct policy_tables *changed = updated(t, &w, &next), *whole = tables_of(&next);
                        same_tables(changed, whole, &next, &c);
                        policy_tables_put(whole);
                        policy_tables_put(t);
                        t = changed;
                        w = next;
                }
                policy_tables_put(t);
        }
}

/* ---- explanations ---- */

static void test_explanations_agree(void **state)
{
        for (uint64_t seed = 1; seed < 1 + cases_wanted() / QUESTIONS / 4; seed++) {
                struct chance c = { seed * 0xa0761d6478bd642f };
                struct world w;

                world_make(&w, &c);
                struct policy_tables *t = tables_of(&w);
                for (int i = 0; i < QUESTIONS / 4; i++) {
                        struct policy_question q = question_make(&w, &c);
                        struct policy_explanation e;

                        policy_explanation_init(&e);
                        policy_explain_flow(t, &q, &e);
                        assert_false(e.no_memory);
                        bool allowed = policy_decide(t, &q).is_allowed;
                        bool agrees = e.is_allowed == allowed && (!allowed || e.rules_count == 1);
                        for (size_t j = 0; j < e.rules_count; j++)
                                agrees &= (e.rules[j].distance == 0) == allowed;
                        if (!agrees) {
                                struct buf text;

                                buf_init(&text, 1 << 20);
                                policy_explanation_print(&e, &text);
                                world_show(&w, &q);
                                fail_msg("seed %u: decided %d, explained\n%.*s", (unsigned)seed, allowed,
                                         STR_FMT(buf_str(&text)));
                        }
                        policy_explanation_fini(&e);
                }
                policy_tables_put(t);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_against_the_slow_one),
                cmocka_unit_test(test_uses_against_the_slow_one),
                cmocka_unit_test(test_a_grant_takes_nothing_away),
                cmocka_unit_test(test_filters_decide_as_the_policy),
                cmocka_unit_test(test_a_change_is_a_whole_compile),
                cmocka_unit_test(test_explanations_agree),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
