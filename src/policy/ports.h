/*
 * policy/ports.h - "22,80-90", "tcp:443", "icmp": what a rule says about protocol and port.
 *
 * Source: Tailscale policy syntax; IANA protocol numbers. Refusals carry the hosted service's own words.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

enum { POLICY_PORT_MAX = 65535, POLICY_PROTO_ANY = -1, POLICY_PORT_RANGES_MAX = 1024 };

enum policy_proto { PROTO_ICMP = 1, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_ICMP6 = 58, PROTO_SCTP = 132 };

struct policy_port_range {
        uint16_t first, last; /* 0 to 65535 is "*" */
};

/* One line of a grant's `ip`, or the ports of an acl's destination with the acl's protocol. */
struct policy_ports {
        int16_t proto; /* 0 to 255, or POLICY_PROTO_ANY: TCP, UDP and ICMP, which the wire form leaves out */
        uint16_t count;
        const struct policy_port_range *ranges;
};

bool policy_ports_is_any(const struct policy_ports *p);    /* "*" */
bool policy_ports_is_single(const struct policy_ports *p); /* exactly one port */
bool policy_ports_allow(const struct policy_ports *p, uint16_t port);

/* Whether a packet of that protocol is meant; an absent protocol means what the clients take it for. */
bool policy_ports_proto_allows(const struct policy_ports *p, int16_t proto);

/*
 * Reads "*", "22", "22,80-90". On ERR_MALFORMED *why is a static sentence ("invalid first integer"), for
 * `port range "TEXT": WHY`. ERR_NO_MEMORY.
 */
MUST_USE enum err policy_ports_parse(struct arena *arena, struct str text, struct policy_ports *out,
                                     const char **why);

/* "tcp", "ICMP", "6": the number; ERR_MALFORMED with *why for `proto name "TEXT" WHY`. */
MUST_USE enum err policy_proto_parse(struct str text, int16_t *out, const char **why);

/* The usual name of a number, or NULL. */
const char *policy_proto_name(int16_t proto);

/* Whether packets of that protocol carry ports. */
bool policy_proto_has_ports(int16_t proto);
