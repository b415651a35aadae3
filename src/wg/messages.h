/*
 * wg/messages.h - the whole wire format and every constant of the protocol. Source: Donenfeld, "WireGuard: Next
 * Generation Kernel Network Tunnel", 5.4 (messages), 6 (timers).
 *
 * All numbers are little-endian. A message opens with its type in one byte and three zero bytes.
 *
 *   initiation   1 | sender u32 | ephemeral 32 | static 32+16 | timestamp 12+16 | mac1 16 | mac2 16          148 bytes
 *   response     2 | sender u32 | receiver u32 | ephemeral 32 | nothing 0+16    | mac1 16 | mac2 16           92 bytes
 *   cookie reply 3 | receiver u32 | nonce 24 | cookie 16+16                                                   64 bytes
 *   data         4 | receiver u32 | counter u64 | packet n+16, n padded to 16                             32+n bytes
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/compiler.h"

enum wg_message {
        WG_MESSAGE_INITIATION = 1,
        WG_MESSAGE_RESPONSE = 2,
        WG_MESSAGE_COOKIE_REPLY = 3,
        WG_MESSAGE_DATA = 4,
};

enum {
        WG_KEY_BYTES = 32,
        WG_HASH_BYTES = 32,
        WG_TAG_BYTES = 16,
        WG_MAC_BYTES = 16,
        WG_COOKIE_BYTES = 16,
        WG_COOKIE_NONCE_BYTES = 24,
        WG_TIMESTAMP_BYTES = 12, /* TAI64N */
        WG_PADDING = 16,         /* packets are padded with zero to a multiple of this */
};

/* Where each field begins. */
enum {
        WG_INITIATION_SENDER = 4,
        WG_INITIATION_EPHEMERAL = 8,
        WG_INITIATION_STATIC = 40,
        WG_INITIATION_TIMESTAMP = 88,
        WG_INITIATION_MAC1 = 116,
        WG_INITIATION_MAC2 = 132,
        WG_INITIATION_BYTES = 148,

        WG_RESPONSE_SENDER = 4,
        WG_RESPONSE_RECEIVER = 8,
        WG_RESPONSE_EPHEMERAL = 12,
        WG_RESPONSE_NOTHING = 44,
        WG_RESPONSE_MAC1 = 60,
        WG_RESPONSE_MAC2 = 76,
        WG_RESPONSE_BYTES = 92,

        WG_COOKIE_REPLY_RECEIVER = 4,
        WG_COOKIE_REPLY_NONCE = 8,
        WG_COOKIE_REPLY_COOKIE = 32,
        WG_COOKIE_REPLY_BYTES = 64,

        WG_DATA_RECEIVER = 4,
        WG_DATA_COUNTER = 8,
        WG_DATA_PACKET = 16,
        WG_DATA_OVERHEAD = WG_DATA_PACKET + WG_TAG_BYTES,
};

/* Time in milliseconds (paper 6.1). */
#define WG_REKEY_AFTER_MS      ((mono_ms)120 * 1000) /* the initiator makes new keys */
#define WG_REJECT_AFTER_MS     ((mono_ms)180 * 1000) /* no key is used after this */
#define WG_REKEY_TIMEOUT_MS    ((mono_ms)5 * 1000)   /* between two initiations */
#define WG_REKEY_JITTER_MS     333                   /* at most this much more */
#define WG_REKEY_ATTEMPT_MS    ((mono_ms)90 * 1000)  /* then give up until there is something to send */
#define WG_KEEPALIVE_MS        ((mono_ms)10 * 1000)
#define WG_COOKIE_SECRET_MS    ((mono_ms)120 * 1000) /* a cookie is good for this long at its maker */
#define WG_COOKIE_LATENCY_MS   ((mono_ms)5 * 1000)   /* and this much less at its user */
#define WG_INITIATION_LEAST_MS 20   /* between two initiations taken from one peer: 50 a second */
#define WG_UNDER_LOAD_MS       1000 /* how long load is believed in after it was last seen */

#define WG_REKEY_ATTEMPTS (WG_REKEY_ATTEMPT_MS / WG_REKEY_TIMEOUT_MS)

/* Messages of one key (paper 6.1). */
#define WG_REKEY_AFTER_MESSAGES  (UINT64_C(1) << 60)
#define WG_REJECT_AFTER_MESSAGES (UINT64_MAX - (UINT64_C(1) << 13))

#define WG_REPLAY_WINDOW 8192 /* how far behind the newest a counter may come, itself included */

/* Handshakes from one source address under load (an IPv6 source is its /64). */
#define WG_SOURCE_RATE  20 /* a second */
#define WG_SOURCE_BURST 5

/* Queues. */
#define WG_STAGED_PACKETS_MAX    128  /* waiting for one peer's handshake; the oldest goes first */
#define WG_QUEUED_HANDSHAKES_MAX 1024 /* taken from the network, not looked at yet */
#define WG_LOADED_HANDSHAKES     (WG_QUEUED_HANDSHAKES_MAX / 8)

#define WG_DSCP_HANDSHAKE 0x88 /* AF41 in the traffic class byte, so that keys survive a full link */

static inline uint32_t wg_get_u32(const uint8_t *p)
{
        return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t wg_get_u64(const uint8_t *p)
{
        return wg_get_u32(p) | (uint64_t)wg_get_u32(p + 4) << 32;
}

static inline void wg_put_u32(uint8_t *p, uint32_t value)
{
        for (size_t i = 0; i < 4; i++)
                p[i] = (uint8_t)(value >> 8 * i);
}

static inline void wg_put_u64(uint8_t *p, uint64_t value)
{
        wg_put_u32(p, (uint32_t)value);
        wg_put_u32(p + 4, (uint32_t)(value >> 32));
}
