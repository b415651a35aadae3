/*
 * The packet filter of one node. Theory of operation: the units that begin, end or pass on it are a union of sets; each
 * writes rules in the order of the file, and rules with equal sources and protocol are joined, as the hosted service
 * does. Capabilities are never joined, and their destinations are the node's own addresses.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/decide.h"
#include "policy/wire_priv.h"

struct dst {
        struct str ip;
        struct policy_port_range ports;
};

struct grant {
        struct ip_prefix *dsts;
        size_t dsts_count, dsts_cap;
        const struct json_value *app; /* NULL: `companion`, with the value null */
        const char *companion;
};

struct rule {
        const struct policy_sources *src;
        int16_t proto;
        struct dst *dsts;
        size_t dsts_count, dsts_cap;
        struct grant *grants;
        size_t grants_count, grants_cap;
};

struct filter {
        struct policy_writer *w;
        const struct policy_node_entry *entry;
        struct arena arena; /* of this node's rules */
        struct rule *rules;
        size_t rules_count, rules_cap;
};

/* Room for one more item in a list of the filter's arena, or NULL. */
static void *list_more(struct filter *f, void **items, size_t *count, size_t *cap, size_t size)
{
        if (*count == *cap) {
                size_t more = *cap ? *cap * 2 : 4;
                void *grown = arena_calloc(&f->arena, more, size, _Alignof(max_align_t));

                if (!grown) {
                        f->w->no_memory = true;
                        return NULL;
                }
                if (*count)
                        memcpy(grown, *items, *count * size);
                *items = grown;
                *cap = more;
        }
        return (char *)*items + (*count)++ * size;
}

#define LIST_MORE(f, items, count, cap) list_more((f), (void **)&(items), &(count), &(cap), sizeof(*(items)))

/* ---- rules ---- */

/* The rule that opens ports for these sources and protocol: an earlier one, or a new one. */
static struct rule *rule_for(struct filter *f, const struct policy_sources *src, int16_t proto)
{
        for (size_t i = 0; i < f->rules_count; i++)
                if (f->rules[i].dsts_count && f->rules[i].proto == proto && f->rules[i].src == src)
                        return &f->rules[i];
        struct rule *r = LIST_MORE(f, f->rules, f->rules_count, f->rules_cap);
        if (r)
                *r = (struct rule){ .src = src, .proto = proto };
        return r;
}

static void dst_add(struct filter *f, const struct policy_sources *src, const struct policy_ports *ports,
                    struct str ip)
{
        struct rule *r = rule_for(f, src, ports->proto);
        struct str copy = arena_copy(&f->arena, ip);

        f->w->no_memory |= copy.ptr == NULL;
        for (size_t i = 0; r && i < ports->count; i++) {
                struct dst *d = LIST_MORE(f, r->dsts, r->dsts_count, r->dsts_cap);

                if (d)
                        *d = (struct dst){ copy, ports->ranges[i] };
        }
}

/* ---- what of a destination is this node's ---- */

static void ranges_add(struct filter *f, const struct policy_unit *u, const struct policy_sources *src,
                       const struct policy_ports *ports, const struct policy_alias *a)
{
        char text[POLICY_RANGE_TEXT_MAX];
        struct policy_range room;
        struct policy_ranges ranges = policy_unit_dst_ranges(f->w->t, u, a, &room);

        for (size_t i = 0; i < ranges.count; i++)
                if (policy_node_carries(f->entry->node, u, ranges.items[i]))
                        dst_add(f, src, ports, policy_range_format(ranges.items[i], text));
}

static void dst_name_add(struct filter *f, const struct policy_unit *u, const struct policy_sources *src,
                         const struct policy_ports *ports, const struct policy_alias *a)
{
        const struct policy_ranges *internet = policy_ranges_internet();
        char text[POLICY_RANGE_TEXT_MAX];

        if (a->kind == ALIAS_ANY && !(u->flags & UNIT_VIA)) {
                dst_add(f, src, ports, STR("*"));
        } else if (policy_alias_is_identity(a)) {
                if ((u->flags & UNIT_VIA) || !policy_entry_matches(f->w->t, f->entry, a))
                        return;
                for (size_t i = 0; i < f->entry->node->addresses_count; i++)
                        dst_add(f, src, ports, ip_format(f->entry->node->addresses[i], text));
        } else if (a->kind == ALIAS_AUTOGROUP) {
                for (size_t i = 0;
                     a->autogroup == AUTOGROUP_INTERNET && f->entry->is_exit && i < internet->count; i++)
                        dst_add(f, src, ports, policy_range_format_ends(internet->items[i], text));
        } else if (!policy_alias_is_upward(a)) {
                ranges_add(f, u, src, ports, a);
        }
}

/* ---- capabilities ---- */

static void prefix_add(struct filter *f, struct grant *g, struct ip_prefix prefix)
{
        struct ip_prefix *p = LIST_MORE(f, g->dsts, g->dsts_count, g->dsts_cap);

        if (p)
                *p = prefix;
}

static struct ip_prefix single(struct ip ip)
{
        return (struct ip_prefix){ ip, ip.family == 4 ? 32 : 128 };
}

/* Own addresses in the range; a range behind an approved route as it is. */
static void grant_range_add(struct filter *f, struct grant *g, struct policy_range range)
{
        const struct policy_node *node = f->entry->node;
        struct ip_prefix prefix;
        bool more = policy_node_routes(node, range);

        for (size_t i = 0; i < node->addresses_count; i++)
                if (ip_cmp(node->addresses[i], range.first) >= 0 &&
                    ip_cmp(node->addresses[i], range.last) <= 0)
                        prefix_add(f, g, single(node->addresses[i]));
        while (more) {
                more = policy_range_take_prefix(range, &prefix, &range);
                prefix_add(f, g, prefix);
        }
}

static void grant_name_add(struct filter *f, const struct policy_unit *u, struct grant *g,
                           const struct policy_alias *a)
{
        struct policy_range room;

        if (a->kind == ALIAS_ANY) {
                for (size_t i = 0; i < policy_ranges_tailnet()->count; i++)
                        grant_range_add(f, g, policy_ranges_tailnet()->items[i]);
        } else if (policy_alias_is_identity(a)) {
                if (policy_entry_matches(f->w->t, f->entry, a))
                        for (size_t i = 0; i < f->entry->node->addresses_count; i++)
                                prefix_add(f, g, single(f->entry->node->addresses[i]));
        } else if (a->kind != ALIAS_AUTOGROUP && !policy_alias_is_upward(a)) {
                struct policy_ranges ranges = policy_unit_dst_ranges(f->w->t, u, a, &room);

                for (size_t i = 0; i < ranges.count; i++)
                        grant_range_add(f, g, ranges.items[i]);
        }
}

static struct rule *grant_rule(struct filter *f, const struct policy_sources *src)
{
        struct rule *r = LIST_MORE(f, f->rules, f->rules_count, f->rules_cap);

        if (r)
                *r = (struct rule){ .src = src, .proto = POLICY_PROTO_ANY };
        return r;
}

static void grant_keep(struct filter *f, struct rule **rule, const struct policy_sources *src,
                       const struct grant *g)
{
        if (!g->dsts_count)
                return;
        if (!*rule && !(*rule = grant_rule(f, src)))
                return;
        struct grant *kept = LIST_MORE(f, (*rule)->grants, (*rule)->grants_count, (*rule)->grants_cap);
        if (kept)
                *kept = *g;
}

static void app_add(struct filter *f, const struct policy_unit *u, const struct policy_sources *src)
{
        struct rule *rule = NULL;

        for (size_t i = 0; i < policy_unit_dst_count(u); i++) {
                struct grant g = { .app = u->rule->app };

                grant_name_add(f, u, &g, policy_unit_dst(u, i));
                grant_keep(f, &rule, src, &g);
        }
}

/* Sharing and relaying need the sources to know of it: a rule in the other direction, on their side. */
static void companions_add(struct filter *f, const struct policy_unit *u, const struct policy_sources *peers,
                           uint32_t n)
{
        static const struct {
                unsigned flag;
                const char *name;
        } companions[] = { { UNIT_DRIVE, "tailscale.com/cap/drive-sharer" },
                           { UNIT_RELAY, "tailscale.com/cap/relay-target" } };
        const struct policy_node *node = f->entry->node;

        for (size_t c = 0; c < ARRAY_SIZE(companions); c++) {
                struct grant g = { .companion = companions[c].name };
                struct rule *rule = NULL;

                if (!(u->flags & companions[c].flag) || !peers || !peers->count)
                        continue;
                for (size_t i = 0; i < node->addresses_count; i++) {
                        const struct policy_address *a =
                                policy_tables_find_address(f->w->t, node->addresses[i]);

                        if (a && policy_set_has(a->src, n))
                                prefix_add(f, &g, single(a->ip));
                }
                grant_keep(f, &rule, peers, &g);
        }
}

/* ---- autogroup:self ---- */

/* The person's machines that the unit takes as sources, or with `all` every one, as texts of this filter. */
static const struct policy_sources *own_texts(struct filter *f, uint32_t n, bool all)
{
        size_t count;
        const uint32_t *nodes = policy_writer_own_nodes(f->w, f->entry->user, &count);
        struct policy_texts texts = { .arena = &f->arena };
        struct policy_ranges own = { 0 };
        char text[POLICY_RANGE_TEXT_MAX];

        for (size_t i = 0; i < count; i++) {
                const struct policy_node *node = f->w->t->nodes[nodes[i]].node;
                bool is_source = all;

                for (size_t j = 0; j < node->addresses_count && !is_source; j++) {
                        const struct policy_address *a =
                                policy_tables_find_address(f->w->t, node->addresses[j]);

                        is_source = a && policy_set_has(a->src, n);
                }
                for (size_t j = 0; j < node->addresses_count && is_source; j++)
                        f->w->no_memory |= !policy_ranges_add(
                                &f->arena, &own,
                                (struct policy_range){ node->addresses[j], node->addresses[j] });
        }
        policy_ranges_seal(&own);
        for (size_t i = 0; i < own.count; i++)
                policy_texts_add(f->w, &texts, policy_range_format(own.items[i], text));
        return policy_texts_seal(f->w, &texts);
}

static void self_add(struct filter *f, const struct policy_unit *u, uint32_t n)
{
        const struct policy_node *node = f->entry->node;
        char text[IP_TEXT_MAX];

        if (!f->entry->user)
                return;
        const struct policy_sources *src = own_texts(f, n, false);
        if (!src || !src->count)
                return;
        for (size_t i = 0; i < u->ports_count; i++)
                for (size_t j = 0; j < node->addresses_count; j++)
                        dst_add(f, src, &u->ports[i], ip_format(node->addresses[j], text));
        if (u->flags & UNIT_APP) {
                struct grant g = { .app = u->rule->app };
                struct rule *rule = NULL;

                for (size_t j = 0; j < node->addresses_count; j++)
                        prefix_add(f, &g, single(node->addresses[j]));
                grant_keep(f, &rule, src, &g);
                if (u->flags & (UNIT_DRIVE | UNIT_RELAY))
                        companions_add(f, u, own_texts(f, n, true), n);
        }
}

/* ---- the filter ---- */

static void unit_add(struct filter *f, uint32_t n)
{
        const struct policy_unit *u = &f->w->t->units->items[n];
        const struct policy_sources *src = policy_writer_sources(f->w, n);
        bool is_via = u->flags & UNIT_VIA;

        if (!src || !u->rule->src.count)
                return;
        for (size_t i = 0; i < u->ports_count && src->count; i++)
                for (size_t j = 0; j < policy_unit_dst_count(u); j++)
                        dst_name_add(f, u, src, &u->ports[i], policy_unit_dst(u, j));
        if ((u->flags & UNIT_APP) && !is_via)
                app_add(f, u, src);
        if ((u->flags & (UNIT_DRIVE | UNIT_RELAY)) && !is_via)
                companions_add(f, u, policy_writer_destinations(f->w, n), n);
        if (u->flags & UNIT_SELF)
                self_add(f, u, n);
}

/* The units that concern this node, as words. */
static bool units_of(struct filter *f, uint64_t *words)
{
        const struct policy_tables *t = f->w->t;
        size_t count = t->units->words_count;

        memcpy(words, policy_set_words(f->entry->routes), count * sizeof(*words));
        for (size_t i = 0; i < f->entry->node->addresses_count; i++) {
                const struct policy_address *a = policy_tables_find_address(t, f->entry->node->addresses[i]);

                for (size_t k = 0; a && k < count; k++)
                        words[k] |= policy_set_words(a->dst)[k] |
                                    (policy_set_words(a->src)[k] & t->units->companions[k]);
        }
        return true;
}

static void rule_write(const struct rule *r, struct json_writer *out)
{
        char text[IP_PREFIX_TEXT_MAX];

        json_write_object_begin(out);
        json_write_key(out, STR("SrcIPs"));
        json_write_raw(out, r->src->json);
        if (r->dsts_count) {
                json_write_key(out, STR("DstPorts"));
                json_write_array_begin(out);
                for (size_t i = 0; i < r->dsts_count; i++) {
                        json_write_object_begin(out);
                        json_write_member_str(out, STR("IP"), r->dsts[i].ip);
                        json_write_key(out, STR("Ports"));
                        json_write_object_begin(out);
                        json_write_member_uint(out, STR("First"), r->dsts[i].ports.first);
                        json_write_member_uint(out, STR("Last"), r->dsts[i].ports.last);
                        json_write_object_end(out);
                        json_write_object_end(out);
                }
                json_write_array_end(out);
        }
        if (r->proto != POLICY_PROTO_ANY) {
                json_write_key(out, STR("IPProto"));
                json_write_array_begin(out);
                json_write_int(out, r->proto);
                json_write_array_end(out);
        }
        if (r->grants_count) {
                json_write_key(out, STR("CapGrant"));
                json_write_array_begin(out);
                for (size_t i = 0; i < r->grants_count; i++) {
                        const struct grant *g = &r->grants[i];

                        json_write_object_begin(out);
                        json_write_key(out, STR("Dsts"));
                        json_write_array_begin(out);
                        for (size_t j = 0; j < g->dsts_count; j++)
                                json_write_str(out, ip_prefix_format(&g->dsts[j], text));
                        json_write_array_end(out);
                        json_write_key(out, STR("CapMap"));
                        if (g->app) {
                                json_write_value(out, g->app);
                        } else {
                                json_write_object_begin(out);
                                json_write_member_null(out, str_of(g->companion));
                                json_write_object_end(out);
                        }
                        json_write_object_end(out);
                }
                json_write_array_end(out);
        }
        json_write_object_end(out);
}

void policy_write_filter(struct policy_writer *w, size_t index, struct json_writer *out)
{
        const struct policy_units *u = w->t->units;
        struct filter f = { .w = w, .entry = &w->t->nodes[index] };
        uint64_t *words = calloc(u->words_count, sizeof(*words));

        arena_init(&f.arena, NULL, 0, SIZE_MAX / 2);
        if (words && units_of(&f, words))
                for (uint32_t i = 0; i < u->count; i++)
                        if (policy_words_have(words, i))
                                unit_add(&f, i);
        w->no_memory |= words == NULL;
        json_write_array_begin(out);
        for (size_t i = 0; i < f.rules_count; i++)
                rule_write(&f.rules[i], out);
        json_write_array_end(out);
        arena_fini(&f.arena);
        free(words);
}

void policy_write_node(struct policy_writer *w, size_t index, struct json_writer *out)
{
        json_write_object_begin(out);
        json_write_key(out, STR("packet_filter_rules"));
        policy_write_filter(w, index, out);
        json_write_key(out, STR("ssh_rules"));
        policy_write_ssh(w, index, out);
        json_write_key(out, STR("cap_map"));
        policy_write_caps(w, index, out);
        json_write_object_end(out);
}
