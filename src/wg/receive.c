#include <string.h>

#include "crypto/aead.h"
#include "wg/device_priv.h"

enum { BATCH = 64 };

/* Data messages that came together for one session. */
struct batch {
        struct wg_peer *peer;
        struct wg_keypair *keys;
        size_t count;
        struct crypto_aead_packet packets[BATCH];
        const struct wg_arrival *from[BATCH];
        /* the last inner source found to be the peer's */
        uint8_t source[16];
        uint8_t source_version;
};

/* Is the inner source one of the peer's? Most packets of a batch come from the same. */
static bool is_source_allowed(const struct wg_device *d, struct batch *b, const struct wg_inner *inner)
{
        size_t len = inner->version == 4 ? 4 : 16;

        if (b->source_version == inner->version && memcmp(b->source, inner->source, len) == 0)
                return true;
        if (wg_peer_of_owner(wg_inner_find_source(inner, &d->allowedips)) != b->peer)
                return false;
        b->source_version = inner->version;
        memcpy(b->source, inner->source, len);
        return true;
}

/* True when it was data, not a keepalive. */
static bool deliver(struct wg_device *d, struct batch *b, const struct crypto_aead_packet *packet,
                    uint8_t tos, struct wg_inbox *in)
{
        size_t len = packet->len - WG_TAG_BYTES;
        struct wg_inner inner;

        if (len == 0) {
                d->stats.keepalives_received++;
                return false;
        }
        if (wg_inner_parse(packet->text, len, &inner) != ERR_OK) {
                wg_device_drop(d, WG_DROP_INNER_MALFORMED);
        } else if (!is_source_allowed(d, b, &inner)) {
                wg_device_drop(d, WG_DROP_INNER_SOURCE);
        } else if (in->packets_count == WG_INBOX_PACKETS_MAX) {
                wg_device_drop(d, WG_DROP_INBOX_FULL);
        } else {
                wg_inner_mark_congestion(packet->text, tos);
                in->packets[in->packets_count++] = (struct wg_packet){ packet->text, inner.len, b->peer };
                d->stats.packets_received++;
        }
        return true;
}

/* What one authentic packet of the batch, or more, says about the session. */
static void was_received(struct wg_device *d, struct batch *b, bool has_data, const struct wg_endpoint *from,
                         struct wg_time now)
{
        struct wg_peer *p = b->peer;
        const struct wg_keypair *k = b->keys;
        bool is_confirmed = wg_peer_confirm(d, p, k);

        if (is_confirmed) {
                p->last_handshake = now.wall;
                wg_timers_handshake_complete(&p->timers);
                if (p->staged_count > 0)
                        wg_timers_want_staged(&p->timers, now.mono);
        }
        wg_peer_move_to(p, from);
        wg_peer_touch(d, p);
        wg_timers_authenticated_received(&p->timers, now.mono);
        if (has_data)
                wg_timers_data_received(&p->timers, now.mono);
        /* The initiator makes new keys in time even if it only ever listens (paper 6.2). */
        if (k->is_initiator && k == p->current &&
            now.mono - k->born >= WG_REJECT_AFTER_MS - WG_KEEPALIVE_MS - WG_REKEY_TIMEOUT_MS)
                wg_timers_last_minute(&p->timers, now.mono);
        wg_peer_reschedule(d, p);
}

static void batch_finish(struct wg_device *d, struct batch *b, struct wg_time now, struct wg_inbox *in)
{
        const struct wg_arrival *last = NULL; /* the last authentic one says where the peer is */
        bool has_data = false;

        if (b->count == 0)
                return;
        b->source_version = 0;
        crypto_aead_open_many(&b->keys->receiving, b->packets, b->count);
        for (size_t i = 0; i < b->count; i++) {
                if (!b->packets[i].is_authentic) {
                        wg_device_drop(d, WG_DROP_NOT_AUTHENTIC);
                        continue;
                }
                if (!wg_replay_accept(&b->keys->replay, b->packets[i].counter)) {
                        wg_device_drop(d, WG_DROP_REPLAY);
                        continue;
                }
                last = b->from[i];
                b->peer->received_bytes += b->packets[i].len + WG_DATA_PACKET;
                has_data |= deliver(d, b, &b->packets[i], last->tos, in);
        }
        if (last)
                was_received(d, b, has_data, &last->from, now);
        b->count = 0;
}

/* Adds one message to the batch, if it belongs to a session that may still be used. */
static void batch_add(struct wg_device *d, struct batch *b, uint8_t *message, size_t len,
                      const struct wg_arrival *a, struct wg_time now, struct wg_inbox *in)
{
        uint32_t index = wg_get_u32(message + WG_DATA_RECEIVER);

        if (b->count > 0 && (b->count == BATCH || b->keys->local_index != index))
                batch_finish(d, b, now, in);
        if (b->count == 0) {
                struct wg_index_entry *entry = wg_index_find(&d->index, index);
                if (!entry || !entry->keypair) {
                        wg_device_drop(d, WG_DROP_INDEX);
                        return;
                }
                b->peer = entry->peer;
                b->keys = entry->keypair;
        }
        uint64_t counter = wg_get_u64(message + WG_DATA_COUNTER);
        if (now.mono - b->keys->born >= WG_REJECT_AFTER_MS || counter >= WG_REJECT_AFTER_MESSAGES) {
                wg_device_drop(d, WG_DROP_KEY_EXPIRED);
                return;
        }
        b->from[b->count] = a;
        b->packets[b->count++] =
                (struct crypto_aead_packet){ message + WG_DATA_PACKET, len - WG_DATA_PACKET, counter, false };
}

static void take_in(struct wg_device *d, struct batch *b, uint8_t *message, size_t len,
                    const struct wg_arrival *a, struct wg_time now, struct wg_inbox *in,
                    struct wg_outbox *out)
{
        /* The three reserved bytes are zero, so the type is a whole word. */
        uint32_t type = len >= 4 ? wg_get_u32(message) : 0;

        if (LIKELY(type == WG_MESSAGE_DATA && len >= WG_DATA_OVERHEAD)) {
                batch_add(d, b, message, len, a, now, in);
        } else if (type >= WG_MESSAGE_INITIATION && type <= WG_MESSAGE_COOKIE_REPLY) {
                batch_finish(d, b, now, in);
                wg_handshake_take_in(d, message, len, &a->from, now.mono, out);
        } else {
                wg_device_drop(d, WG_DROP_MALFORMED);
        }
}

static void take_arrival(struct wg_device *d, struct batch *b, const struct wg_arrival *a, struct wg_time now,
                         struct wg_inbox *in, struct wg_outbox *out)
{
        size_t step = a->datagram_bytes ? a->datagram_bytes : a->len;

        if (a->from.port == 0) {
                wg_device_drop(d, WG_DROP_PORT_ZERO);
                return;
        }
        if (a->len == 0)
                wg_device_drop(d, WG_DROP_MALFORMED);
        for (size_t at = 0; at < a->len; at += MIN(step, a->len - at))
                take_in(d, b, a->bytes + at, MIN(step, a->len - at), a, now, in, out);
}

size_t wg_device_receive(struct wg_device *d, const struct wg_arrival *arrivals, size_t arrivals_count,
                         struct wg_time now, struct wg_inbox *in, struct wg_outbox *out)
{
        struct batch batch UNINITIALIZED;
        size_t taken = 0, room = WG_INBOX_PACKETS_MAX - in->packets_count;

        batch.count = 0;
        for (; taken < arrivals_count; taken++) {
                const struct wg_arrival *a = &arrivals[taken];
                size_t datagrams = a->datagram_bytes ? a->len / a->datagram_bytes + 1 : 1;
                if (taken > 0 && datagrams > room)
                        break;
                room -= MIN(datagrams, room);
                take_arrival(d, &batch, a, now, in, out);
        }
        batch_finish(d, &batch, now, in);
        return taken;
}
