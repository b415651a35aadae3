/*
 * io/netif.h - network interfaces of this host: up, MTU, addresses, routes, rules, through rtnetlink.
 *
 * Each call is one question to the kernel and waits for its answer (microseconds): for setting up, not for the data path.
 * Needs CAP_NET_ADMIN but where it only asks. ERR_DENIED without. Source: rtnetlink(7).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"

/* The kernel's number of an interface, 0 when there is none of that name (NUL-terminated). */
uint32_t netif_index(const char *name);

/* ERR_NOT_FOUND. */
MUST_USE enum err netif_mtu(uint32_t index, uint32_t *mtu);
MUST_USE enum err netif_set_mtu(uint32_t index, uint32_t mtu);
MUST_USE enum err netif_set_up(uint32_t index, bool is_up);
MUST_USE enum err netif_delete(uint32_t index);

/* Packets the host gives to the interface are joined up to this many bytes at the most (gso_max_size, both families). */
MUST_USE enum err netif_set_gso_bytes(uint32_t index, uint32_t bytes_max);

/* How many packets of the host wait for the interface before the next is dropped (txqueuelen). */
MUST_USE enum err netif_set_queue(uint32_t index, uint32_t packets_max);

/* Where this host can be reached: the addresses of all its interfaces but link-local ones; those of loopback only when there
 * are no others. Returns how many; more than `max` are left out. */
size_t netif_addresses(struct ip *out, size_t max);

/* The address is ours and in use, and a way leads out from it (none is asked for from loopback). Sends nothing. */
bool netif_can_send_from(struct ip ip);

/* With the length of its network. ERR_EXISTS. */
MUST_USE enum err netif_add_address(uint32_t index, const struct ip_prefix *address);

enum { NETIF_TABLE_MAIN = 254 };

/* Host bits are cleared. ERR_EXISTS. */
MUST_USE enum err netif_add_route(uint32_t index, const struct ip_prefix *to, uint32_t table);

/* The interface packets to that address leave by, and the smallest MTU known on the way. ERR_UNREACHABLE. */
MUST_USE enum err netif_route_to(struct ip to, uint32_t *index, uint32_t *mtu);

/*
 * Policy rules, as `ip rule`: "not fwmark MARK table TABLE", and "table main suppress_prefixlength 0", which together
 * send all that is not marked through TABLE but for what the main table knows better than by a default route.
 */
struct netif_rule {
        int family;
        bool is_suppressor;     /* the second form */
        uint32_t fwmark, table; /* the first form */
};
MUST_USE enum err netif_add_rule(const struct netif_rule *rule);
MUST_USE enum err netif_remove_rule(const struct netif_rule *rule); /* ERR_NOT_FOUND */

/* net.ipv4.conf.all.src_valid_mark = 1: a reverse path check takes the mark of the connection into account. */
MUST_USE enum err netif_set_src_valid_mark(void);
