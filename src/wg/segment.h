/*
 * wg/segment.h - one large packet of the host cut into the packets it stands for. Source: virtio 1.2, 5.1.6 (offload
 * fields), RFC 9293, RFC 768.
 *
 * A TUN device with offloads hands out TCP and UDP runs of up to 64 KiB as one packet with one header and no finished
 * checksum. Each part gets its own header, numbers and checksum in the same pass that copies it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

enum wg_offload { WG_OFFLOAD_NONE, WG_OFFLOAD_TCP4, WG_OFFLOAD_TCP6, WG_OFFLOAD_UDP4, WG_OFFLOAD_UDP6 };

/* A packet from the host. */
struct wg_frame {
        const uint8_t *bytes; /* from the IP header on */
        size_t len;
        enum wg_offload offload;
        uint16_t segment_bytes; /* payload of each part but the last; with an offload */
        bool needs_checksum; /* the field holds the sum of the pseudo header only; always so with an offload */
        uint16_t checksum_start, checksum_offset; /* where summing begins; where the field is from there */
};

struct wg_segmenter {
        size_t segments_count;  /* still to come */
        size_t segment_len_max; /* header and payload */
        /* private */
        const struct wg_frame *frame;
        size_t header_len, l4_at, payload_at, at;
        uint32_t sequence;
        uint16_t id;
        uint64_t sum; /* of what all parts have in common */
};

/* Keeps `frame` while it is used. ERR_MALFORMED: the fields do not fit the packet. */
MUST_USE enum err wg_segmenter_init(struct wg_segmenter *s, const struct wg_frame *frame);

/* The length of the next part; 0 after the last. */
size_t wg_segmenter_next_len(const struct wg_segmenter *s);

/* Writes the next part, complete, to `out` (segment_len_max bytes of room) and returns its length; 0 after the last. */
size_t wg_segmenter_next(struct wg_segmenter *s, uint8_t *out);
