/*
 * wg/inner.h - the IP header of a packet inside the tunnel: just what routing, trimming and ECN need.
 * Source: RFC 791, RFC 8200; RFC 6040 (ECN through tunnels).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "wg/allowedips.h"

struct wg_inner {
        uint8_t version;                     /* 4 or 6 */
        size_t len;                          /* by its own header; at most what was given */
        const uint8_t *source, *destination; /* 4 or 16 bytes in the packet */
        uint8_t tos;                         /* traffic class: DSCP and ECN */
};

/* ERR_MALFORMED: neither version, cut short, or shorter than its own header. */
MUST_USE enum err wg_inner_parse(const uint8_t *packet, size_t len, struct wg_inner *out);

/* The owner of the prefix the source or destination falls under, or NULL. */
struct wg_allowedips_owner *wg_inner_find_source(const struct wg_inner *i, const struct wg_allowedips *a);
struct wg_allowedips_owner *wg_inner_find_destination(const struct wg_inner *i,
                                                      const struct wg_allowedips *a);

/* What the outer header says of congestion goes into an inner one that can carry it (RFC 6040 4.2). */
void wg_inner_mark_congestion(uint8_t *packet, uint8_t outer_tos);
