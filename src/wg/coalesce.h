/*
 * wg/coalesce.h - packets from the tunnel joined into large ones for the host: the reverse of segment.h.
 *
 * TCP packets of one connection that continue each other, and UDP datagrams of one flow and size, become one packet with
 * an offload, so that the host's stack is walked once for all. A packet whose checksum is wrong, whose header differs in
 * anything but what must differ, or which is a fragment, goes alone and untouched. Within one connection the order is kept.
 *
 * Nothing is copied: a joined packet is a list of slices of the packets' own memory, of which the first one's header is
 * rewritten. Only packets the host would have seen one by one without loss of meaning are joined.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wg/batch.h"
#include "wg/segment.h"

enum {
        WG_RUN_PACKETS_MAX = 64,
        WG_RUNS_MAX = WG_INBOX_PACKETS_MAX,
        WG_OPEN_RUNS_MAX = 8, /* connections looked at for a continuation */
};

/* One packet for the host: `slices_count` slices, then what a TUN device wants to know about it. */
struct wg_run {
        struct {
                uint8_t *bytes;
                size_t len;
        } slices[WG_RUN_PACKETS_MAX];
        unsigned slices_count;
        size_t len; /* of all slices */
        enum wg_offload offload;
        uint16_t segment_bytes, header_bytes;
        uint16_t checksum_start,
                checksum_offset; /* with an offload: the field holds the pseudo header's sum */
};

struct wg_coalescer {
        /* private */
        struct wg_inbox *inbox;
        uint16_t next[WG_INBOX_PACKETS_MAX]; /* the packet that continues this one; NO_PACKET */
        uint16_t heads[WG_RUNS_MAX];
        unsigned heads_count, at;
};

/* What the host's device can take. */
struct wg_coalescer_limits {
        bool joins_tcp, joins_udp;
};

/* Plans the runs of an inbox. Keeps it until the last wg_coalescer_next. */
void wg_coalescer_init(struct wg_coalescer *c, struct wg_inbox *inbox, struct wg_coalescer_limits limits);

/* The next run; false after the last. The slices point into the arrivals' memory. */
bool wg_coalescer_next(struct wg_coalescer *c, struct wg_run *run);
