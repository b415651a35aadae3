/*
 * policy/tables.h - a policy file and a set of facts, compiled: immutable, shared by counting, asked without allocating.
 *
 * Does:   for each address the sets of units that begin and that end there; for each machine what its routes open; for
 *         each user what it may reach above the network. One machine's or user's change makes new tables that share the
 *         rest (policy_tables_update).
 * Not:    asking (policy/decide.h, policy/gate.h) and writing what nodes are told (policy/wire.h).
 * Thread: compile, update, get and put belong to one thread; reading to any number.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/report.h"
#include "policy/facts.h"
#include "policy/file.h"
#include "policy/set.h"
#include "policy/subject.h"
#include "policy/unit.h"

enum { POLICY_ROUTES_BEGIN = 1000 };

/* What machines and users with the same identities have in common; counted. */
struct policy_class {
        struct policy_subjects subjects;
        const struct policy_set *src, *dst; /* units by identity alone */
        const struct policy_set *asker;     /* units of whoever has an identity: src, and those from "*" */
        /* private */
        unsigned references;
        struct policy_class *next;
        uint32_t hash;
};

struct policy_node_entry {
        const struct policy_node *node;
        const struct policy_user *user; /* NULL when tagged */
        struct policy_class *class;
        const struct policy_set *routes;  /* units that its approved routes open on it */
        const struct policy_set *failing; /* units whose postures it does not meet; NULL: none */
        bool is_exit;                     /* an exit route is approved */
};

struct policy_user_entry {
        const struct policy_user *user;
        struct policy_class *class;
};

/* One address of one machine; the table is a hash of them, open addressing. */
struct policy_address {
        _Alignas(64) struct ip ip; /* family 0: free; an entry is one cache line */
        const struct policy_node *node;
        const struct policy_user *user; /* NULL when tagged */
        const struct policy_set *src, *dst;
};

/* An approved route, the machines that have it, and the units that one of them lets through on its routes. */
struct policy_route {
        struct ip_prefix prefix;
        uint32_t routers, routers_count; /* of policy_tables.routers */
        const struct policy_set *units;
};

struct policy_tables {
        struct policy_units *units;
        struct policy_facts *facts;

        struct policy_node_entry *nodes; /* in the order of facts->nodes */
        struct policy_user_entry *users; /* in the order of facts->users */
        struct policy_address *addresses;
        size_t addresses_cap, addresses_count; /* cap is a power of two */
        struct policy_route *routes;           /* but for exit routes; sorted, each once */
        size_t routes_count;
        struct policy_route exits[2]; /* IPv4, IPv6; without routers: there is none */
        uint32_t *routers;            /* entries of nodes, route by route */

        /* upward: for each known target the units that name it; in the order of the facts' lists */
        const struct policy_set **services, **models, **providers, **tools;
        const struct policy_set *stranger; /* units of whoever has no identity: from autogroup:danger-all */
        const struct policy_set *outsider; /* units that an address of no machine may meet */
        /* private */
        uint64_t route_lengths[2][3]; /* bits: the lengths that IPv4 and IPv6 routes have */
        uint32_t *route_slots;        /* a hash of routes: index + 1, 0: free */
        size_t route_slots_cap;
        struct policy_classes *classes; /* shared by tables of the same units */
        unsigned references;
};

/*
 * Compiles. Keeps a reference on both until the last put. Gives one reference.
 * ERR_CONFIG: the facts contradict the file or themselves (a domain that is not the network's, an address twice);
 * ERR_TOO_LARGE, ERR_NO_MEMORY. The report tells.
 */
MUST_USE enum err policy_compile(struct policy_file *file, struct policy_facts *facts, struct report *report,
                                 struct policy_tables **out);

/*
 * The same tables for facts that policy_facts_patch made from t->facts: only what changed is made anew. Decides exactly
 * as policy_compile(file, facts) would. A change of the services' addresses (svc:), of the domains or of the network's owner
 * costs a whole compile.
 */
MUST_USE enum err policy_tables_update(const struct policy_tables *t, struct policy_facts *facts,
                                       struct report *report, struct policy_tables **out);

struct policy_tables *policy_tables_get(struct policy_tables *t);
void policy_tables_put(struct policy_tables *t); /* NULL is fine */

/* The machine's address, or NULL. The second form looks for both ends of a flow, in the time of one. */
const struct policy_address *policy_tables_find_address(const struct policy_tables *t, struct ip ip);
void policy_tables_find_ends(const struct policy_tables *t, struct ip src, struct ip dst,
                             const struct policy_address **src_out, const struct policy_address **dst_out);

/* The entries by record of t->facts, or NULL. O(log n). */
const struct policy_node_entry *policy_tables_find_node(const struct policy_tables *t,
                                                        const struct policy_node *node);
const struct policy_user_entry *policy_tables_find_user(const struct policy_tables *t,
                                                        const struct policy_user *user);

/* Whether a machine is one that the name means, as a source, target or destination of ssh and nodeAttrs. */
bool policy_entry_matches(const struct policy_tables *t, const struct policy_node_entry *entry,
                          const struct policy_alias *a);

/*
 * Whether postures are asked of this source: of the network's own machines. Machines that were shared in and what lies
 * behind routers have none, and meet every rule's (device posture, as documented by the hosted service). `entry` is NULL
 * for an address of no machine; in the network's own blocks such an address meets no posture.
 */
bool policy_posture_is_asked(const struct policy_node_entry *entry, struct ip ip);

/* Whether an address from outside the machines may be a source of "*": the network's blocks and approved routes. */
bool policy_tables_is_any_source(const struct policy_tables *t, struct ip ip);

/* The routes that an address lies behind, the longest first, the exit route last: begin with POLICY_ROUTES_BEGIN; NULL at the end. */
const struct policy_route *policy_tables_next_route(const struct policy_tables *t, struct ip ip,
                                                    unsigned *from);

/* Whether there is one that is no exit route. */
bool policy_tables_has_route(const struct policy_tables *t, struct ip ip);

static inline bool policy_prefix_is_exit(const struct ip_prefix *p)
{
        return p->bits == 0;
}
