/*
 * wg/device_priv.h - what a device and a peer are made of, and what the files of this room do for each other.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "wg/cookie.h"
#include "wg/deadlines.h"
#include "wg/device.h"
#include "wg/index.h"
#include "wg/inner.h"
#include "wg/noise.h"
#include "wg/ratelimiter.h"
#include "wg/timers.h"

enum {
        WG_STAGED_BYTES_MAX = 4 * 1024 * 1024, /* of all peers */
        WG_HANDSHAKES_A_TICK = 8,              /* about a millisecond of curve work */
};

/* A packet that waits for a key. */
struct wg_staged {
        struct list link;
        struct wg_frame frame; /* its bytes follow */
        uint8_t bytes[];
};

struct wg_peer {
        /* identity */
        struct wg_handshake handshake;
        struct wg_cookie_maker cookie;
        struct wg_allowedips_owner allowedips;

        /* state: `next` was made by our response and waits for the peer's first use of it */
        struct wg_keypair *current, *previous, *next;
        struct wg_endpoint endpoint;
        struct wg_timers timers;
        struct list staged;
        unsigned staged_count;

        /* links */
        struct wg_deadline deadline;
        struct list link;
        struct list touched; /* in the device's list, or by itself */

        /* statistics */
        uint64_t received_bytes, sent_bytes;
        unix_ms last_handshake;
};

/* A handshake message that waits for its turn. */
struct wg_queued {
        uint8_t message[WG_INITIATION_BYTES];
        uint8_t len;
        struct wg_endpoint from;
};

struct wg_device {
        struct wg_device_conf conf;
        struct wg_identity identity;
        struct wg_cookie_checker checker;
        struct wg_ratelimiter *ratelimiter;
        int64_t last_timestamp; /* in steps, see timestamp() */

        struct map peers_by_key;
        struct list peers, touched;
        struct wg_allowedips allowedips;
        struct wg_index index;
        struct wg_deadlines deadlines;
        size_t staged_bytes;

        struct wg_queued *queue; /* a ring of WG_QUEUED_HANDSHAKES_MAX */
        unsigned queue_first, queue_count;
        mono_ms loaded_until;

        struct wg_device_stats stats;
};

static inline struct wg_peer *wg_peer_of_owner(struct wg_allowedips_owner *o)
{
        return o ? CONTAINER_OF(o, struct wg_peer, allowedips) : NULL;
}

static inline void wg_peer_touch(struct wg_device *d, struct wg_peer *p)
{
        if (list_is_empty(&p->touched))
                list_add_last(&d->touched, &p->touched);
}

/* device.c */
void wg_device_drop(struct wg_device *d, enum wg_drop why);
uint32_t wg_device_random_u32(struct wg_device *d);
unsigned wg_device_jitter_ms(struct wg_device *d);
/* A fresh index for this peer, or 0 when memory runs out. */
uint32_t wg_device_new_index(struct wg_device *d, struct wg_peer *p);

/* peer.c */
struct wg_peer *wg_peer_new(struct wg_device *d, const uint8_t public_key[WG_KEY_BYTES]);
void wg_peer_free(struct wg_device *d, struct wg_peer *p);
/* After anything that may have brought a deadline forward. */
void wg_peer_reschedule(struct wg_device *d, struct wg_peer *p);
/* The keys a packet may be sealed with now, or NULL. */
struct wg_keypair *wg_peer_sending_keys(const struct wg_peer *p, mono_ms now);
/* Makes the session of a finished handshake. ERR_NO_MEMORY. */
MUST_USE enum err wg_peer_begin_session(struct wg_device *d, struct wg_peer *p, mono_ms now);
/* An authentic packet came with these keys: if they are `next`, they are confirmed. True when so. */
bool wg_peer_confirm(struct wg_device *d, struct wg_peer *p, const struct wg_keypair *k);
void wg_peer_drop_keys(struct wg_device *d, struct wg_peer *p, mono_ms born_before);
void wg_peer_clear_handshake(struct wg_device *d, struct wg_peer *p);
void wg_peer_move_to(struct wg_peer *p, const struct wg_endpoint *from);

/* staged.c */
MUST_USE enum err wg_staged_add(struct wg_device *d, struct wg_peer *p, const struct wg_frame *frame);
void wg_staged_drop_all(struct wg_device *d, struct wg_peer *p);
void wg_staged_take_first(struct wg_device *d, struct wg_peer *p); /* and frees it */

/* send.c */
/* Seals a packet of the host into `out`. ERR_AGAIN: no room; ERR_MALFORMED; ERR_TOO_LARGE. The peer has keys. */
MUST_USE enum err wg_send_frame(struct wg_device *d, struct wg_peer *p, const struct wg_frame *frame,
                                struct wg_keypair *k, mono_ms now, struct wg_outbox *out);
/* An empty packet, or a handshake where there are no keys. False: no room. */
MUST_USE bool wg_send_keepalive(struct wg_device *d, struct wg_peer *p, mono_ms now, struct wg_outbox *out);
/* What waited, or at least an empty packet when `must_send`. False: no room for all. */
MUST_USE bool wg_send_staged(struct wg_device *d, struct wg_peer *p, bool must_send, mono_ms now,
                             struct wg_outbox *out);

/* handshake.c */
void wg_handshake_take_in(struct wg_device *d, const uint8_t *message, size_t len,
                          const struct wg_endpoint *from, mono_ms now, struct wg_outbox *out);
/* Works off some of the queue. False: more is waiting. */
bool wg_handshake_work(struct wg_device *d, struct wg_time now, struct wg_outbox *out);
void wg_handshake_send_initiation(struct wg_device *d, struct wg_peer *p, struct wg_time now,
                                  struct wg_outbox *out);
