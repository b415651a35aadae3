/*
 * policy/decide.h - may this packet begin a flow from here to there? One look-up for each end.
 *
 * Enforcement is at the destination's side, and replies belong to the flow (docs/policy.md). Allocates nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/ip.h"
#include "policy/tables.h"

struct policy_question {
        struct ip src, dst;
        int16_t proto; /* IANA number */
        uint16_t port; /* 0 for a protocol without ports */
};

struct policy_answer {
        bool is_allowed;
        uint32_t unit; /* the first that allows it; POLICY_BIT_NONE when none does */
};

/*
 * Either end may be a machine's address, an address behind an approved route, or any other. What lies behind no machine
 * and no route is reached by nobody.
 */
struct policy_answer policy_decide(const struct policy_tables *t, const struct policy_question *q);

/* The parts of the answer, for policy/explain.h: whether the unit takes that source, that destination, that port. */
bool policy_unit_takes_src(const struct policy_tables *t, uint32_t unit, struct ip src);
bool policy_unit_takes_dst(const struct policy_tables *t, uint32_t unit, struct ip src, struct ip dst);
bool policy_unit_takes_port(const struct policy_unit *u, int16_t proto, uint16_t port);

/* Whether an approved route of the machine, exit routes aside, has something of the range. */
bool policy_node_routes(const struct policy_node *node, struct policy_range range);

/*
 * Whether the machine's packet filter has the unit's destination `range`, whole: it routes a part of it, or, unless the unit
 * goes via routers, has an address in it.
 */
bool policy_node_carries(const struct policy_node *node, const struct policy_unit *u,
                         struct policy_range range);

/* The addresses that one destination of the unit names; `room` may be used for one range. */
struct policy_ranges policy_unit_dst_ranges(const struct policy_tables *t, const struct policy_unit *u,
                                            const struct policy_alias *a, struct policy_range *room);
