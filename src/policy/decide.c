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
        if (u->posture != POLICY_BIT_NONE) /* what is no machine has no posture */
                return false;
        return (u->flags & UNIT_SRC_ALL) ||
               ((u->flags & UNIT_SRC_ANY) && policy_tables_is_any_source(t, src)) ||
               policy_ranges_contain(&u->src, src);
}

/* Whether a machine routes that address and carries the unit for it. */
static bool is_routed(const struct policy_tables *t, uint32_t n, struct ip dst)
{
        const struct policy_unit *u = &t->units->items[n];
        bool is_internet = (u->flags & UNIT_INTERNET) && policy_ranges_contain(policy_ranges_internet(), dst);
        bool is_named = (u->flags & UNIT_DST_ANY) || policy_ranges_contain(&u->dst, dst);

        if (!is_internet && !is_named)
                return false;
        for (size_t i = 0; i < t->facts->nodes_count; i++) {
                const struct policy_node_entry *e = &t->nodes[i];

                if (!e->node->approved_count)
                        continue;
                if (!policy_set_has(e->routes, n) && !((u->flags & UNIT_DST_ANY) && !(u->flags & UNIT_VIA)))
                        continue;
                if (is_internet && e->is_exit)
                        return true;
                for (size_t j = 0; is_named && j < e->node->approved_count; j++)
                        if (!policy_prefix_is_exit(&e->node->approved[j]) &&
                            ip_prefix_contains(&e->node->approved[j], dst))
                                return true;
        }
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

/* One end at least is no machine: ask each unit with ports. */
static struct policy_answer decide_slowly(const struct policy_tables *t, const struct policy_question *q)
{
        for (uint32_t n = 0; n < t->units->count; n++)
                if (policy_unit_takes_port(&t->units->items[n], q->proto, q->port) &&
                    policy_unit_takes_src(t, n, q->src) && policy_unit_takes_dst(t, n, q->src, q->dst))
                        return (struct policy_answer){ true, n };
        return (struct policy_answer){ false, POLICY_BIT_NONE };
}

struct policy_answer policy_decide(const struct policy_tables *t, const struct policy_question *q)
{
        const struct policy_address *src = policy_tables_find_address(t, q->src);
        const struct policy_address *dst = policy_tables_find_address(t, q->dst);
        uint32_t n;

        if (!src || !dst)
                return decide_slowly(t, q);
        struct policy_meet both = policy_sets_meet(src->src, dst->dst);
        while ((n = policy_meet_next(&both)) != POLICY_BIT_NONE) {
                const struct policy_unit *u = &t->units->items[n];

                if (!policy_unit_takes_port(u, q->proto, q->port))
                        continue;
                if ((u->flags & UNIT_SELF) && !is_self(src, dst) && !is_other(t, u, dst))
                        continue;
                return (struct policy_answer){ true, n };
        }
        return (struct policy_answer){ false, POLICY_BIT_NONE };
}
