/*
 * wg/allowedips.h - which peer an inner address belongs to: the longest prefix wins.
 *
 * One table serves both ways: the destination of a packet that leaves picks the peer, the source of a packet that came
 * in must lead back to the peer that sealed it. Each prefix belongs to one peer; giving it to another takes it away.
 *
 * A binary trie with compressed paths: a lookup visits at most one node for each distinct bit. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/list.h"

struct wg_allowedips_node;

struct wg_allowedips {
        size_t prefixes_count;
        /* private */
        struct wg_allowedips_node *roots[2]; /* IPv4, IPv6 */
};

/* What a peer keeps: its prefixes. Its address is the peer's identity in the table. */
struct wg_allowedips_owner {
        struct list prefixes;
};

void wg_allowedips_init(struct wg_allowedips *a);
void wg_allowedips_fini(struct wg_allowedips *a); /* the owners' lists are empty afterwards */
void wg_allowedips_owner_init(struct wg_allowedips_owner *o);

/* Host bits are cleared. A prefix another owner has moves to this one. ERR_NO_MEMORY: nothing changed. */
MUST_USE enum err wg_allowedips_add(struct wg_allowedips *a, const struct ip_prefix *p,
                                    struct wg_allowedips_owner *o);

/* ERR_NOT_FOUND when the prefix is not this owner's. */
MUST_USE enum err wg_allowedips_remove(struct wg_allowedips *a, const struct ip_prefix *p,
                                       struct wg_allowedips_owner *o);
void wg_allowedips_remove_all(struct wg_allowedips *a, struct wg_allowedips_owner *o);

/* NULL when no prefix covers the address. `bytes` has 4 or 16 in network order. */
struct wg_allowedips_owner *wg_allowedips_find4(const struct wg_allowedips *a, const uint8_t *bytes);
struct wg_allowedips_owner *wg_allowedips_find6(const struct wg_allowedips *a, const uint8_t *bytes);

/* Walks an owner's prefixes: start with *at = NULL; false at the end. No change meanwhile. */
bool wg_allowedips_next(const struct wg_allowedips_owner *o, const struct list **at, struct ip_prefix *out);
