#include "policy/decide.h"

bool policy_unit_takes_port(const struct policy_unit *u, int16_t proto, uint16_t port)
{
        for (size_t i = 0; i < u->ports_count; i++)
                if (policy_ports_proto_allows(&u->ports[i], proto) &&
                    (!policy_proto_has_ports(proto) || policy_ports_allow(&u->ports[i], port)))
                        return true;
        return false;
}

/* autogroup:self is one destination among others: the same person's machines, neither with tags. */
static bool is_self(const struct policy_address *src, const struct policy_address *dst)
{
        return src && dst && src->user && src->user == dst->user;
}

/* A machine's address that a unit with autogroup:self opens, other than as somebody's own. */
static bool is_other(const struct policy_tables *t, const struct policy_unit *u,
                     const struct policy_address *dst)
{
        const struct policy_node_entry *entry;

        if ((u->flags & UNIT_DST_ANY) || policy_ranges_contain(&u->dst, dst->ip))
                return true;
        if (policy_unit_dst_count(u) == 1 || !(entry = policy_tables_find_node(t, dst->node)))
                return false;
        for (size_t i = 0; i < policy_unit_dst_count(u); i++) {
                const struct policy_alias *a = policy_unit_dst(u, i);

                if (policy_alias_is_identity(a) &&
                    policy_subjects_contain(&entry->class->subjects, policy_subject_of(t->units->file, a)))
                        return true;
        }
        return false;
}

bool policy_unit_takes_src(const struct policy_tables *t, uint32_t n, struct ip src)
{
        const struct policy_address *a = policy_tables_find_address(t, src);
        const struct policy_unit *u = &t->units->items[n];

        if (a)
                return policy_set_has(a->src, n);
        if (u->posture != POLICY_BIT_NONE && policy_posture_is_asked(NULL, src))
                return false;
        return (u->flags & UNIT_SRC_ALL) ||
               ((u->flags & UNIT_SRC_ANY) && policy_tables_is_any_source(t, src)) ||
               policy_ranges_contain(&u->src, src);
}

/* ---- behind a machine ---- */

bool policy_node_routes(const struct policy_node *node, struct policy_range range)
{
        for (size_t i = 0; i < node->approved_count; i++)
                if (!policy_prefix_is_exit(&node->approved[i]) &&
                    policy_range_overlaps(policy_range_of(node->approved[i]), range))
                        return true;
        return false;
}

bool policy_node_carries(const struct policy_node *node, const struct policy_unit *u,
                         struct policy_range range)
{
        if (policy_node_routes(node, range))
                return true;
        for (size_t i = 0; i < node->addresses_count && !(u->flags & UNIT_VIA); i++)
                if (ip_cmp(node->addresses[i], range.first) >= 0 &&
                    ip_cmp(node->addresses[i], range.last) <= 0)
                        return true;
        return false;
}

struct policy_ranges policy_unit_dst_ranges(const struct policy_tables *t, const struct policy_unit *u,
                                            const struct policy_alias *a, struct policy_range *room)
{
        /* A service's addresses are its own; every other name's are in the file. */
        return a->kind == ALIAS_SVC ? u->dst : policy_alias_ranges(t->units->file, t->facts, a, room);
}

/* Whether the machine has the part of the unit's destination that the address is in. */
static bool carries(const struct policy_tables *t, const struct policy_node_entry *e,
                    const struct policy_unit *u, struct ip dst)
{
        struct policy_range room;

        for (size_t i = 0; i < policy_unit_dst_count(u); i++) {
                struct policy_ranges ranges = policy_unit_dst_ranges(t, u, policy_unit_dst(u, i), &room);
                size_t low = 0, high = ranges.count;

                while (low < high) { /* the last that begins at or before the address */
                        size_t middle = low + (high - low) / 2;

                        if (ip_cmp(ranges.items[middle].first, dst) <= 0)
                                low = middle + 1;
                        else
                                high = middle;
                }
                if (low && ip_cmp(dst, ranges.items[low - 1].last) <= 0 &&
                    policy_node_carries(e->node, u, ranges.items[low - 1]))
                        return true;
        }
        return false;
}

/*
 * Whether one of the route's machines lets a unit of it through to an address behind it. What an exit route leads to is
 * "*" and autogroup:internet, and a prefix only where the same machine has to do with it in another way.
 */
static bool lets_through(const struct policy_tables *t, const struct policy_route *r, uint32_t n,
                         struct ip dst)
{
        unsigned flags = t->units->briefs[n].flags;
        bool is_via = flags & UNIT_VIA;

        if ((flags & UNIT_DST_ANY) && !is_via)
                return true;
        const struct policy_unit *u = &t->units->items[n];
        bool is_named = policy_ranges_contain(&u->dst, dst);
        if (is_named && !policy_prefix_is_exit(&r->prefix))
                return true;
        bool is_internet = (flags & UNIT_INTERNET) && policy_ranges_contain(policy_ranges_internet(), dst);
        for (uint32_t i = 0; (is_named || is_internet) && i < r->routers_count; i++) {
                const struct policy_node_entry *e = &t->nodes[t->routers[r->routers + i]];

                if (is_via && !policy_set_has(e->routes, n))
                        continue;
                if ((is_internet && e->is_exit) || (is_named && carries(t, e, u, dst)))
                        return true;
        }
        return false;
}

static bool is_routed(const struct policy_tables *t, uint32_t n, struct ip dst)
{
        unsigned from = POLICY_ROUTES_BEGIN;

        for (const struct policy_route *r; (r = policy_tables_next_route(t, dst, &from));)
                if (policy_set_has(r->units, n) && lets_through(t, r, n, dst))
                        return true;
        return false;
}

bool policy_unit_takes_dst(const struct policy_tables *t, uint32_t n, struct ip src, struct ip dst)
{
        const struct policy_address *d = policy_tables_find_address(t, dst);
        const struct policy_unit *u = &t->units->items[n];

        if (!d)
                return is_routed(t, n, dst);
        if (!policy_set_has(d->dst, n))
                return false;
        return !(u->flags & UNIT_SELF) || is_self(policy_tables_find_address(t, src), d) || is_other(t, u, d);
}

/* As policy_unit_takes_port, on what lies close together. */
static bool brief_takes_port(const struct policy_units *u, const struct policy_unit_brief *brief,
                             int16_t proto, bool is_usual, uint16_t first, uint16_t last)
{
        for (uint32_t i = brief->lines; i < brief->lines_end; i++) {
                const struct policy_port_line *line = &u->lines[i];

                if ((line->proto == POLICY_PROTO_ANY ? is_usual : line->proto == proto) &&
                    line->first <= first && line->last >= last)
                        return true;
        }
        return false;
}

/* What a decision knows of both ends before it looks at units. */
struct ends {
        const struct policy_question *q;
        const struct policy_address *src, *dst; /* NULL: no machine */
        const struct policy_set *src_units;
        int16_t proto;
        bool is_usual; /* a protocol that rules without one mean */
        uint16_t port_first, port_last;
};

/* The brief before the unit: it is near, and mostly says enough. */
static bool takes_src(const struct policy_tables *t, const struct ends *e, uint32_t n)
{
        const struct policy_unit_brief *brief = &t->units->briefs[n];

        if (e->src)
                return true;
        if (brief->posture != POLICY_BIT_NONE && policy_posture_is_asked(NULL, e->q->src))
                return false;
        return (brief->flags & UNIT_SRC_ALL) ||
               ((brief->flags & UNIT_SRC_ANY) && policy_tables_is_any_source(t, e->q->src)) ||
               policy_ranges_contain(&t->units->items[n].src, e->q->src);
}

static bool takes_dst(const struct policy_tables *t, const struct ends *e, const struct policy_route *r,
                      uint32_t n, unsigned flags)
{
        if (r)
                return lets_through(t, r, n, e->q->dst);
        return !(flags & UNIT_SELF) || is_self(e->src, e->dst) || is_other(t, &t->units->items[n], e->dst);
}

/* The first unit before `limit` that both ends have. */
static uint32_t first_unit(const struct policy_tables *t, const struct ends *e, const struct policy_route *r,
                           uint32_t limit)
{
        struct policy_meet both = policy_sets_meet(e->src_units, r ? r->units : e->dst->dst);
        uint32_t n;

        while ((n = policy_meet_next(&both)) < limit) {
                const struct policy_unit_brief *brief = &t->units->briefs[n];

                if (brief_takes_port(t->units, brief, e->proto, e->is_usual, e->port_first, e->port_last) &&
                    takes_src(t, e, n) && takes_dst(t, e, r, n, brief->flags))
                        return n;
        }
        return limit;
}

struct policy_answer policy_decide(const struct policy_tables *t, const struct policy_question *q)
{
        static const struct policy_ports usual = { .proto = POLICY_PROTO_ANY };
        bool has_ports = policy_proto_has_ports(q->proto);
        /* Without ports, any range will do: 65535 is at or above the first, 0 at or below the last. */
        struct ends e = { .q = q,
                          .proto = q->proto,
                          .is_usual = policy_ports_proto_allows(&usual, q->proto),
                          .port_first = has_ports ? q->port : POLICY_PORT_MAX,
                          .port_last = has_ports ? q->port : 0 };
        uint32_t n = POLICY_BIT_NONE;
        unsigned from = POLICY_ROUTES_BEGIN;

        policy_tables_find_ends(t, q->src, q->dst, &e.src, &e.dst);
        e.src_units = e.src ? e.src->src : t->outsider;
        policy_set_fetch(e.src_units);
        if (e.dst)
                policy_set_fetch(e.dst->dst);
        if (e.dst)
                n = first_unit(t, &e, NULL, n);
        else
                for (const struct policy_route *r; (r = policy_tables_next_route(t, q->dst, &from));)
                        n = first_unit(t, &e, r, n);
        return (struct policy_answer){ n != POLICY_BIT_NONE, n };
}
