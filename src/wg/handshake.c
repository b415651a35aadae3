#include <string.h>

#include "crypto/secret.h"
#include "wg/device_priv.h"

/*
 * Theory of operation: what comes from the network is looked at in the order of its price. Length and type; mac1 (one
 * hash: does the sender know us); under load mac2 and a bucket (two hashes: does it own its address, and is it modest).
 * Only then does a message wait in a bounded queue for the curve work, of which each tick does a little.
 */

enum { STEPS_PER_MS = 1 << 16 }; /* of our timestamps, so that several in one millisecond still grow */

/* TAI64N of our clock, always later than the one before. Whole milliseconds are hidden: a coarse clock tells less. */
static void timestamp(struct wg_device *d, unix_ms now, uint8_t out[WG_TIMESTAMP_BYTES])
{
        enum { COARSE_MS = 16 };
        int64_t steps = MAX((now & ~(unix_ms)(COARSE_MS - 1)) * STEPS_PER_MS, d->last_timestamp + 1);
        uint64_t ms = (uint64_t)steps / STEPS_PER_MS;
        uint64_t nanoseconds =
                ms % 1000 * 1000000 + (uint64_t)steps % STEPS_PER_MS * 15; /* 65536 * 15 < 1 ms */

        d->last_timestamp = steps;
        /* Big-endian; 2^62 and 10 leap seconds is how TAI64 writes 1970. */
        uint64_t seconds = UINT64_C(0x400000000000000a) + ms / 1000;
        for (size_t i = 0; i < 8; i++)
                out[i] = (uint8_t)(seconds >> (56 - 8 * i));
        for (size_t i = 0; i < 4; i++)
                out[8 + i] = (uint8_t)(nanoseconds >> (24 - 8 * i));
}

void wg_device_set_timestamp_floor(struct wg_device *d, unix_ms floor)
{
        d->last_timestamp = MAX(d->last_timestamp, (floor + 1) * STEPS_PER_MS);
}

unix_ms wg_device_timestamp_floor(const struct wg_device *d)
{
        return d->last_timestamp / STEPS_PER_MS;
}

static void fresh_ephemeral(struct wg_device *d, uint8_t out[WG_KEY_BYTES])
{
        d->conf.random.fill(d->conf.random.context, out, WG_KEY_BYTES);
}

static void was_sent(struct wg_device *d, struct wg_peer *p, size_t len, mono_ms now)
{
        p->sent_bytes += len;
        wg_peer_touch(d, p);
        wg_timers_authenticated_sent(&p->timers, now);
        wg_timers_initiation_sent(&p->timers, now, wg_device_jitter_ms(d));
}

void wg_handshake_send_initiation(struct wg_device *d, struct wg_peer *p, struct wg_time now,
                                  struct wg_outbox *out)
{
        uint8_t ephemeral[WG_KEY_BYTES], stamp[WG_TIMESTAMP_BYTES], message[WG_INITIATION_BYTES], *at;
        const struct wg_timers *t = &p->timers;

        if (!wg_endpoint_is_known(&p->endpoint) ||
            (t->has_initiation && now.mono - t->last_initiation < WG_REKEY_TIMEOUT_MS))
                return;
        uint32_t old = p->handshake.local_index, index = wg_device_new_index(d, p);
        if (!index) { /* no memory: tried again like one that was lost, so that what waits for it does not wait for ever */
                was_sent(d, p, 0, now.mono);
                return;
        }
        timestamp(d, now.wall, stamp);
        fresh_ephemeral(d, ephemeral);
        enum err e =
                wg_noise_create_initiation(&p->handshake, &d->identity, ephemeral, stamp, index, message);
        crypto_wipe(ephemeral, sizeof(ephemeral));
        if (e != ERR_OK) {
                wg_index_remove(&d->index, index);
                return;
        }
        wg_index_remove(&d->index, old);
        wg_cookie_add_macs(&p->cookie, message, WG_INITIATION_MAC1, now.mono);
        if ((at = wg_outbox_add(out, &p->endpoint, WG_DSCP_HANDSHAKE, sizeof(message)))) {
                memcpy(at, message, sizeof(message));
                d->stats.initiations_sent++;
        }
        was_sent(d, p, sizeof(message),
                 now.mono); /* one that was not sent is tried again like one that was lost */
}

/* Our keys are in the response, but only the peer's first packet shows that it has them too. */
static enum err send_response(struct wg_device *d, struct wg_peer *p, mono_ms now, struct wg_outbox *out)
{
        uint8_t ephemeral[WG_KEY_BYTES], message[WG_RESPONSE_BYTES], *at;
        uint32_t index = wg_device_new_index(d, p);

        if (!index)
                return ERR_NO_MEMORY;
        fresh_ephemeral(d, ephemeral);
        enum err e = wg_noise_create_response(&p->handshake, ephemeral, index, message);
        crypto_wipe(ephemeral, sizeof(ephemeral));
        if (e != ERR_OK) {
                wg_index_remove(&d->index, index);
                wg_handshake_clear(&p->handshake);
                return e;
        }
        wg_cookie_add_macs(&p->cookie, message, WG_RESPONSE_MAC1, now);
        if ((e = wg_peer_begin_session(d, p, now)) != ERR_OK)
                return e;
        if (!(at = wg_outbox_add(out, &p->endpoint, WG_DSCP_HANDSHAKE, sizeof(message))))
                return ERR_AGAIN;
        memcpy(at, message, sizeof(message));
        p->sent_bytes += sizeof(message);
        p->timers.last_initiation = now; /* a peer that just asked need not be asked */
        p->timers.has_initiation = true;
        wg_timers_authenticated_sent(&p->timers, now);
        d->stats.responses_sent++;
        return ERR_OK;
}

static void received(struct wg_device *d, struct wg_peer *p, size_t len, mono_ms now)
{
        p->received_bytes += len;
        wg_peer_touch(d, p);
        wg_timers_authenticated_received(&p->timers, now);
        wg_peer_reschedule(d, p);
}

static void work_initiation(struct wg_device *d, const struct wg_queued *q, struct wg_time now,
                            struct wg_outbox *out)
{
        struct wg_initiation initiation;

        if (wg_noise_read_initiation(&d->identity, q->message, &initiation) != ERR_OK) {
                wg_device_drop(d, WG_DROP_HANDSHAKE);
                return;
        }
        struct wg_peer *p = wg_device_find_peer(d, initiation.remote_static);
        if (!p) {
                crypto_wipe(&initiation, sizeof(initiation));
                wg_device_drop(d, WG_DROP_UNKNOWN_PEER);
                return;
        }
        uint32_t old = p->handshake.local_index;
        if (wg_noise_accept_initiation(&p->handshake, &initiation, q->message, now.mono) != ERR_OK) {
                wg_device_drop(d, WG_DROP_HANDSHAKE);
                return;
        }
        wg_index_remove(&d->index, old);
        d->stats.initiations_received++;
        wg_peer_move_to(p, &q->from);
        if (send_response(d, p, now.mono, out) != ERR_OK)
                wg_device_drop(d, WG_DROP_HANDSHAKE);
        received(d, p, q->len, now.mono);
}

static void work_response(struct wg_device *d, const struct wg_queued *q, struct wg_time now,
                          struct wg_outbox *out)
{
        struct wg_index_entry *entry =
                wg_index_find(&d->index, wg_get_u32(q->message + WG_RESPONSE_RECEIVER));

        if (!entry || entry->keypair) {
                wg_device_drop(d, WG_DROP_INDEX);
                return;
        }
        struct wg_peer *p = entry->peer;
        if (wg_noise_consume_response(&p->handshake, &d->identity, q->message) != ERR_OK) {
                wg_device_drop(d, WG_DROP_HANDSHAKE);
                return;
        }
        if (wg_peer_begin_session(d, p, now.mono) != ERR_OK) {
                wg_device_drop(d, WG_DROP_NO_MEMORY);
                return;
        }
        d->stats.responses_received++;
        wg_peer_move_to(p, &q->from);
        p->last_handshake = now.wall;
        wg_timers_handshake_complete(&p->timers);
        received(d, p, q->len, now.mono);
        /* The other end may use its keys only once it has heard ours in use. */
        if (!wg_send_staged(d, p, true, now.mono, out))
                wg_timers_want_staged(&p->timers, now.mono);
        wg_peer_reschedule(d, p);
}

bool wg_handshake_work(struct wg_device *d, struct wg_time now, struct wg_outbox *out)
{
        for (unsigned i = 0; i < WG_HANDSHAKES_A_TICK && d->queue_count > 0; i++) {
                if (!wg_outbox_has_room(out, 1, WG_INITIATION_BYTES))
                        return false;
                const struct wg_queued *q = &d->queue[d->queue_first];
                d->queue_first = (d->queue_first + 1) % WG_QUEUED_HANDSHAKES_MAX;
                d->queue_count--;
                if (q->message[0] == WG_MESSAGE_INITIATION)
                        work_initiation(d, q, now, out);
                else
                        work_response(d, q, now, out);
        }
        return d->queue_count == 0;
}

static void take_cookie(struct wg_device *d, const uint8_t *message, mono_ms now)
{
        struct wg_index_entry *entry =
                wg_index_find(&d->index, wg_get_u32(message + WG_COOKIE_REPLY_RECEIVER));

        if (!entry)
                wg_device_drop(d, WG_DROP_INDEX);
        else if (wg_cookie_consume(&entry->peer->cookie, message, now) != ERR_OK)
                wg_device_drop(d, WG_DROP_COOKIE);
}

/* Under load: true when the message may wait for its turn. */
static bool is_let_through(struct wg_device *d, const uint8_t *message, size_t mac1_at,
                           const struct wg_endpoint *from, mono_ms now, struct wg_outbox *out)
{
        if (wg_cookie_mac2_holds(&d->checker, message, mac1_at, from->ip, from->port, now, &d->conf.random)) {
                if (wg_ratelimiter_allow(d->ratelimiter, from->ip, now))
                        return true;
                wg_device_drop(d, WG_DROP_SOURCE_RATE);
                return false;
        }
        uint8_t *reply = wg_outbox_add(out, from, WG_DSCP_HANDSHAKE, WG_COOKIE_REPLY_BYTES);
        if (!reply) {
                wg_device_drop(d, WG_DROP_OUTBOX_FULL);
                return false;
        }
        wg_cookie_reply(&d->checker, message, mac1_at, wg_get_u32(message + WG_INITIATION_SENDER), from->ip,
                        from->port, now, &d->conf.random, reply);
        d->stats.cookies_sent++;
        wg_device_drop(d, WG_DROP_COOKIE_ASKED);
        return false;
}

void wg_handshake_take_in(struct wg_device *d, const uint8_t *message, size_t len,
                          const struct wg_endpoint *from, mono_ms now, struct wg_outbox *out)
{
        size_t mac1_at;

        if (message[0] == WG_MESSAGE_INITIATION && len == WG_INITIATION_BYTES) {
                mac1_at = WG_INITIATION_MAC1;
        } else if (message[0] == WG_MESSAGE_RESPONSE && len == WG_RESPONSE_BYTES) {
                mac1_at = WG_RESPONSE_MAC1;
        } else if (message[0] == WG_MESSAGE_COOKIE_REPLY && len == WG_COOKIE_REPLY_BYTES) {
                take_cookie(d, message, now);
                return;
        } else {
                wg_device_drop(d, WG_DROP_MALFORMED);
                return;
        }
        /* mac1 before any curve work: a stranger without our public key hears silence (paper 5.1). */
        if (!d->identity.has_key || !wg_cookie_mac1_holds(&d->checker, message, mac1_at)) {
                wg_device_drop(d, WG_DROP_MAC1);
                return;
        }
        if (d->queue_count >= WG_LOADED_HANDSHAKES)
                d->loaded_until = now + WG_UNDER_LOAD_MS;
        if (wg_device_is_under_load(d, now) && !is_let_through(d, message, mac1_at, from, now, out))
                return;
        if (d->queue_count == WG_QUEUED_HANDSHAKES_MAX) {
                wg_device_drop(d, WG_DROP_QUEUE_FULL);
                return;
        }
        struct wg_queued *q = &d->queue[(d->queue_first + d->queue_count++) % WG_QUEUED_HANDSHAKES_MAX];
        memcpy(q->message, message, len);
        q->len = (uint8_t)len;
        q->from = *from;
}
