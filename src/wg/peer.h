/*
 * wg/peer.h - one peer of a device: its key, where it is, what it may send, and how it has been.
 *
 * Born by wg_device_add_peer, dies by wg_device_remove_peer or with the device. Thread: its device's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "wg/allowedips.h"
#include "wg/endpoint.h"
#include "wg/messages.h"

struct wg_device;
struct wg_peer;

const uint8_t *wg_peer_public_key(const struct wg_peer *p);

/* All zero: none. For the next handshake on. */
void wg_peer_set_preshared_key(struct wg_peer *p, const uint8_t key[WG_KEY_BYTES]);
const uint8_t *wg_peer_preshared_key(const struct wg_peer *p);

/* Where to send. Roaming changes it: an authentic message from elsewhere moves the peer there. */
void wg_peer_set_endpoint(struct wg_peer *p, const struct wg_endpoint *e);
const struct wg_endpoint *wg_peer_endpoint(const struct wg_peer *p);

/* The way there has changed: a handshake that waits for an answer on the old one is begun anew at once. */
void wg_peer_hurry(struct wg_device *d, struct wg_peer *p, mono_ms now);

/* Persistent keepalive in seconds, 0: none. The first goes out at the next tick. */
void wg_peer_set_keepalive(struct wg_device *d, struct wg_peer *p, uint16_t seconds, mono_ms now);
uint16_t wg_peer_keepalive(const struct wg_peer *p);

/* Its prefixes, for wg_allowedips_next. */
const struct wg_allowedips_owner *wg_peer_allowedips(const struct wg_peer *p);

struct wg_peer_stats {
        uint64_t received_bytes, sent_bytes; /* of datagrams */
        unix_ms last_handshake;              /* 0: none yet */
        bool has_session;
};
void wg_peer_get_stats(const struct wg_peer *p, mono_ms now, struct wg_peer_stats *out);
