/*
 * Flows that a change opens or closes. Theory of operation: sources that have the same units before and after are one
 * group, destinations likewise; only pairs of groups are compared, and of a pair only the ports that differ are told.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/decide.h"
#include "policy/diff_priv.h"

/* One address of those that behave alike, and whom it stands for. */
struct group {
        struct ip ip;
        const struct policy_node_entry *entry; /* NULL: a part of a network behind a route */
        const struct policy_set *was, *is;     /* units at that end */
        const struct policy_user *user;        /* autogroup:self tells people apart */
        struct str label;
};

struct groups {
        struct group *items;
        size_t count;
        struct policy_network *networks; /* whose sets the groups behind the machines have */
        size_t networks_count;
};

/* ---- groups ---- */

static int group_order(const void *a, const void *b)
{
        const struct group *x = a, *y = b;

        if (x->ip.family != y->ip.family) /* flows stay within one: a machine with both is in two groups */
                return (int)x->ip.family - (int)y->ip.family;
        if (x->was != y->was)
                return x->was < y->was ? -1 : 1;
        if (x->is != y->is)
                return x->is < y->is ? -1 : 1;
        if (x->user != y->user)
                return x->user < y->user ? -1 : 1;
        return str_cmp(x->label, y->label);
}

static bool groups_alike(const struct group *a, const struct group *b)
{
        return a->ip.family == b->ip.family && a->was == b->was && a->is == b->is && a->user == b->user &&
               !a->entry == !b->entry;
}

/* Sources are told by person or tags, destinations by machine; of many alike the first names them. */
static struct str label_of(struct policy_comparison *c, const struct policy_node_entry *e, bool is_src)
{
        if (!is_src)
                return policy_node_label(&c->out->arena, e);
        if (e->node->tags_count)
                return policy_tags_text(&c->out->arena, e->node);
        return e->user && e->user->email.len ? e->user->email : e->node->user;
}

static struct groups groups_make(struct policy_comparison *c, bool is_src)
{
        const struct policy_tables *t = c->before;
        size_t kept = 0, n;
        struct groups g = { 0 };

        g.networks = policy_diff_networks(c, is_src, &g.networks_count);
        g.items = calloc(t->addresses_count + g.networks_count + 1, sizeof(*g.items));
        for (size_t i = 0; g.items && i < t->addresses_cap; i++) {
                const struct policy_address *a = &t->addresses[i];
                const struct policy_address *b =
                        a->ip.family ? policy_tables_find_address(c->after, a->ip) : NULL;

                if (!b)
                        continue;
                const struct policy_node_entry *e = policy_tables_find_node(t, a->node);
                g.items[g.count++] = (struct group){ .ip = a->ip,
                                                     .entry = e,
                                                     .was = is_src ? a->src : a->dst,
                                                     .is = is_src ? b->src : b->dst,
                                                     .user = a->user,
                                                     .label = label_of(c, e, is_src) };
        }
        if (!g.items)
                return g;
        qsort(g.items, g.count, sizeof(*g.items), group_order);
        for (size_t i = 0; i < g.count; i += n) {
                struct group first = g.items[i];
                size_t machines = 1;

                for (n = 1; i + n < g.count && groups_alike(&first, &g.items[i + n]); n++)
                        machines += g.items[i + n].entry != g.items[i + n - 1].entry;
                if (!is_src && machines > 1)
                        first.label = arena_format(&c->out->arena, "%.*s and %zu alike", STR_FMT(first.label),
                                                   machines - 1);
                g.items[kept++] = first;
        }
        g.count = kept;
        for (size_t i = 0; i < g.networks_count; i++) {
                const struct policy_network *network = &g.networks[i];

                g.items[g.count++] = (struct group){
                        .ip = network->ip, .was = network->was, .is = network->is, .label = network->label
                };
        }
        return g;
}

static void groups_fini(struct policy_comparison *c, struct groups *g)
{
        policy_diff_networks_fini(c, g->networks, g->networks_count);
        free(g->items);
}

/* ---- ports ---- */

struct span {
        int16_t proto;
        uint16_t first, last;
};

struct spans {
        struct span *items;
        size_t count, cap;
};

static void span_add(struct policy_comparison *c, struct spans *s, struct span span)
{
        if (s->count == s->cap) {
                size_t cap = s->cap ? s->cap * 2 : 8;
                struct span *items = ARENA_ARRAY(&c->scratch, struct span, cap);

                if (!items) {
                        c->out->no_memory = true;
                        return;
                }
                if (s->count)
                        memcpy(items, s->items, s->count * sizeof(*items));
                s->items = items;
                s->cap = cap;
        }
        s->items[s->count++] = span;
}

static int span_order(const void *a, const void *b)
{
        const struct span *x = a, *y = b;

        if (x->proto != y->proto)
                return x->proto < y->proto ? -1 : 1;
        return x->first != y->first ? (x->first < y->first ? -1 : 1) : (int)x->last - (int)y->last;
}

static void spans_seal(struct spans *s)
{
        size_t kept = 0;

        if (s->count < 2)
                return;
        qsort(s->items, s->count, sizeof(*s->items), span_order);
        for (size_t i = 1; i < s->count; i++) {
                struct span *last = &s->items[kept];

                if (s->items[i].proto == last->proto && s->items[i].first <= (unsigned)last->last + 1)
                        last->last = MAX(last->last, s->items[i].last);
                else
                        s->items[++kept] = s->items[i];
        }
        s->count = kept + 1;
}

static void unit_spans(struct policy_comparison *c, struct spans *s, const struct policy_unit *u)
{
        static const int16_t defaults[] = { PROTO_TCP, PROTO_UDP, PROTO_ICMP, PROTO_ICMP6 };

        for (size_t i = 0; i < u->ports_count; i++) {
                const struct policy_ports *p = &u->ports[i];
                size_t protos = p->proto == POLICY_PROTO_ANY ? ARRAY_SIZE(defaults) : 1;

                for (size_t j = 0; j < protos; j++) {
                        int16_t proto = p->proto == POLICY_PROTO_ANY ? defaults[j] : p->proto;

                        if (!policy_proto_has_ports(proto)) {
                                span_add(c, s, (struct span){ proto, 0, POLICY_PORT_MAX });
                                continue;
                        }
                        for (size_t k = 0; k < p->count; k++)
                                span_add(c, s, (struct span){ proto, p->ranges[k].first, p->ranges[k].last });
                }
        }
}

/* What that pair may do, as spans of ports. */
static struct spans pair_spans(struct policy_comparison *c, const struct policy_tables *t,
                               const struct group *src, const struct group *dst)
{
        bool is_after = t == c->after;
        struct policy_meet meet =
                policy_sets_meet(is_after ? src->is : src->was, is_after ? dst->is : dst->was);
        struct spans s = { 0 };

        for (uint32_t n; (n = policy_meet_next(&meet)) != POLICY_BIT_NONE;)
                if (!dst->entry || policy_unit_takes_dst(t, n, src->ip, dst->ip))
                        unit_spans(c, &s, &t->units->items[n]);
        spans_seal(&s);
        return s;
}

static struct str span_text(struct arena *arena, const struct span *s)
{
        const char *name = policy_proto_name(s->proto);
        struct str proto = name ? str_of(name) : arena_format(arena, "%d", s->proto);

        if (s->first == 0 && s->last == POLICY_PORT_MAX)
                return arena_format(arena, "%.*s:*", STR_FMT(proto));
        if (s->first == s->last)
                return arena_format(arena, "%.*s:%u", STR_FMT(proto), s->first);
        return arena_format(arena, "%.*s:%u-%u", STR_FMT(proto), s->first, s->last);
}

/* The parts of `whole` that `less` does not hold, as one text. */
static struct str spans_less(struct policy_comparison *c, const struct spans *whole, const struct spans *less)
{
        struct str text = STR("");
        size_t parts = 0;

        for (size_t i = 0; i < whole->count; i++) {
                struct span rest = whole->items[i];
                bool is_left = true;

                for (size_t j = 0; j < less->count && is_left; j++) {
                        const struct span *cut = &less->items[j];

                        if (cut->proto != rest.proto || cut->last < rest.first || cut->first > rest.last)
                                continue;
                        if (cut->first > rest.first) {
                                struct span before = { rest.proto, rest.first, (uint16_t)(cut->first - 1) };

                                text = arena_format(&c->scratch, "%.*s%s%.*s", STR_FMT(text),
                                                    parts++ ? "," : "",
                                                    STR_FMT(span_text(&c->scratch, &before)));
                        }
                        is_left = cut->last < rest.last;
                        rest.first = is_left ? (uint16_t)(cut->last + 1) : rest.first;
                }
                if (is_left)
                        text = arena_format(&c->scratch, "%.*s%s%.*s", STR_FMT(text), parts++ ? "," : "",
                                            STR_FMT(span_text(&c->scratch, &rest)));
        }
        return text;
}

struct difference {
        struct str gained, lost; /* in c->scratch */
};

static struct difference pair_compare(struct policy_comparison *c, const struct group *src,
                                      const struct group *dst)
{
        struct spans was = pair_spans(c, c->before, src, dst), is = pair_spans(c, c->after, src, dst);

        return (struct difference){ spans_less(c, &is, &was), spans_less(c, &was, &is) };
}

/* Parts of networks with the same units are neighbours: what holds of one holds of the next. */
static void source_compare(struct policy_comparison *c, const struct group *src, const struct groups *to)
{
        struct difference d = { 0 };

        for (size_t i = 0; i < to->count; i++) {
                const struct group *dst = &to->items[i];

                if (src->ip.family != dst->ip.family)
                        continue;
                if (i == 0 || dst->entry || !groups_alike(dst, dst - 1)) {
                        arena_reset(&c->scratch);
                        d = pair_compare(c, src, dst);
                }
                if (d.gained.len)
                        policy_diff_add(c, CHANGE_GAINED, src->label, dst->label, d.gained);
                if (d.lost.len)
                        policy_diff_add(c, CHANGE_LOST, src->label, dst->label, d.lost);
        }
}

void policy_diff_flows(struct policy_comparison *c)
{
        struct groups sources = groups_make(c, true), destinations = groups_make(c, false);

        c->out->no_memory |= !sources.items || !destinations.items;
        for (size_t i = 0; sources.items && destinations.items && i < sources.count; i++)
                source_compare(c, &sources.items[i], &destinations);
        groups_fini(c, &sources);
        groups_fini(c, &destinations);
}
