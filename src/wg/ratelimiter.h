/*
 * wg/ratelimiter.h - a token bucket for each source address, in a table of fixed size. Asked only while the device is
 * under load, about handshakes whose sender has proved its address with a cookie.
 *
 * An IPv6 source is its /64, since one host has all of it. Where the table has no place left for a source, the answer
 * is no. One thread.
 */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/hash.h"
#include "base/ip.h"

struct wg_ratelimiter;

/* NULL when memory runs out. `hash_key` is random. About 100 KiB. */
MUST_USE struct wg_ratelimiter *wg_ratelimiter_new(struct hash_key hash_key);
void wg_ratelimiter_free(struct wg_ratelimiter *r);

/* True when the source may go on: WG_SOURCE_BURST at once, then WG_SOURCE_RATE a second. */
MUST_USE bool wg_ratelimiter_allow(struct wg_ratelimiter *r, struct ip source, mono_ms now);
