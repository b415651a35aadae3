/*
 * wg/cookie.h - mac1, mac2 and cookies: who may make us work. Source: paper 5.3, 5.4.4, 5.4.7.
 *
 * mac1 proves that the sender knows our public key; without it we stay silent. Under load mac2 proves that the sender
 * gets what is sent to its address: it is keyed by a cookie that we make from the address and forget.
 *
 * Thread: one. Nothing allocates.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/ip.h"
#include "wg/messages.h"
#include "wg/random.h"

/* At the end that is asked: one for the device. */
struct wg_cookie_checker {
        uint8_t mac1_key[WG_KEY_BYTES], cookie_key[WG_KEY_BYTES];
        uint8_t secret[WG_HASH_BYTES];
        mono_ms secret_born;
        bool has_secret;
};

/* At the end that asks: one for each peer. */
struct wg_cookie_maker {
        uint8_t mac1_key[WG_KEY_BYTES], cookie_key[WG_KEY_BYTES]; /* of the peer's public key */
        uint8_t cookie[WG_COOKIE_BYTES];
        mono_ms cookie_born;
        bool has_cookie;
        uint8_t last_mac1[WG_MAC_BYTES];
        bool has_last_mac1; /* sent, and not yet answered with a cookie */
};

void wg_cookie_checker_init(struct wg_cookie_checker *c, const uint8_t own_public_key[WG_KEY_BYTES]);
void wg_cookie_maker_init(struct wg_cookie_maker *m, const uint8_t peer_public_key[WG_KEY_BYTES]);

/* For an initiation or a response: `mac1_at` is where mac1 begins; mac2 follows it and ends the message. */
MUST_USE bool wg_cookie_mac1_holds(const struct wg_cookie_checker *c, const uint8_t *message, size_t mac1_at);

/* Does mac2 hold the cookie of this address and port? Draws a new secret when one is due. */
MUST_USE bool wg_cookie_mac2_holds(struct wg_cookie_checker *c, const uint8_t *message, size_t mac1_at,
                                   struct ip source, uint16_t port, mono_ms now,
                                   const struct wg_random *random);

/* The cookie for that address, sealed to whoever sent the message. */
void wg_cookie_reply(struct wg_cookie_checker *c, const uint8_t *message, size_t mac1_at, uint32_t receiver,
                     struct ip source, uint16_t port, mono_ms now, const struct wg_random *random,
                     uint8_t reply[WG_COOKIE_REPLY_BYTES]);

/* Fills in mac1, and mac2 if there is a cookie young enough. */
void wg_cookie_add_macs(struct wg_cookie_maker *m, uint8_t *message, size_t mac1_at, mono_ms now);

/* ERR_DENIED: unasked, or not for the message we sent last. */
MUST_USE enum err wg_cookie_consume(struct wg_cookie_maker *m, const uint8_t reply[WG_COOKIE_REPLY_BYTES],
                                    mono_ms now);
