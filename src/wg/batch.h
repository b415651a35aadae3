/*
 * wg/batch.h - runs of datagrams and packets, as the engine takes and gives them. Values over the caller's memory.
 *
 * The outer side works in bursts: datagrams of one size to one address, one behind the other, the last one may be
 * shorter. That is what UDP_SEGMENT sends and UDP_GRO receives in one call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "crypto/aead.h"
#include "wg/endpoint.h"

struct wg_peer;

enum {
        WG_BURST_DATAGRAMS_MAX = 64, /* what every kernel with UDP_SEGMENT takes */
        WG_BURST_BYTES_MAX = 65507,  /* the largest UDP payload over IPv4 */
        WG_HOST_PACKET_BYTES =
                61440, /* what the host should give at the most, to fit one burst when sealed */
        WG_OUTBOX_BURSTS_MAX = 64,
        WG_OUTBOX_BYTES_MIN = 256 * 1024, /* so that any packet the host may give fits in an empty outbox */
        WG_INBOX_PACKETS_MAX = 256,
        WG_ARRIVAL_DATAGRAMS_MAX = 128, /* of one arrival; an inbox must have this much room */
};

/* Datagrams to send. */
struct wg_burst {
        struct wg_endpoint to;
        uint8_t tos; /* traffic class byte of the outer header: ECN of the packets, DSCP of handshakes */
        uint16_t datagram_bytes; /* of all but the last */
        uint16_t datagrams_count;
        uint32_t offset, len; /* in the outbox's memory */
};

struct wg_outbox {
        unsigned bursts_count;
        struct wg_burst bursts[WG_OUTBOX_BURSTS_MAX];
        size_t used; /* bytes in it */
        /* private */
        uint8_t *bytes;
        size_t cap;
        struct crypto_aead_key key; /* of what is not sealed yet */
        struct crypto_aead_packet unsealed[WG_BURST_DATAGRAMS_MAX];
        unsigned unsealed_count;
};

/* Keeps `memory`, of at least WG_OUTBOX_BYTES_MIN bytes. */
void wg_outbox_init(struct wg_outbox *o, uint8_t *memory, size_t size);

/* After all bursts have been sent (or given up). */
void wg_outbox_clear(struct wg_outbox *o);

/*
 * Seals what is not sealed yet: packets wait for this in the clear, in their places, so that many are sealed at once.
 * To be called before the bursts are looked at; wg_device_tick ends with it.
 */
void wg_outbox_seal(struct wg_outbox *o);

/* The bytes of a burst. Everything must be sealed. */
const uint8_t *wg_outbox_bytes(const struct wg_outbox *o, const struct wg_burst *b);

/* Is there surely room for `datagrams_count` datagrams of up to `datagram_bytes` each? */
bool wg_outbox_has_room(const struct wg_outbox *o, size_t datagrams_count, size_t datagram_bytes);

/* Memory for one datagram, joined to the last burst where it fits there. NULL when there is no room. */
uint8_t *wg_outbox_add(struct wg_outbox *o, const struct wg_endpoint *to, uint8_t tos, size_t len);

/* Leaves a packet to be sealed with that key: `text` is where it lies, in memory wg_outbox_add gave, with room for the tag. */
void wg_outbox_seal_later(struct wg_outbox *o, const struct crypto_aead_key *key, uint8_t *text, size_t len,
                          uint64_t counter);

/* What one receive call gave: one datagram, or many of the same size from one address, the last one may be shorter. */
struct wg_arrival {
        uint8_t *bytes; /* opened in place; packets of the inbox point into it */
        size_t len;
        size_t datagram_bytes;   /* 0: it is one */
        struct wg_endpoint from; /* with the address it came to as source */
        uint8_t tos;
};

/* Packets for the host, each complete and from an inner address its peer may use. */
struct wg_packet {
        uint8_t *bytes;
        size_t len;
        struct wg_peer *peer;
};

struct wg_inbox {
        unsigned packets_count;
        struct wg_packet packets[WG_INBOX_PACKETS_MAX];
};
