#include <string.h>

#include "wg/device_priv.h"

static size_t padded(const struct wg_device *d, size_t len)
{
        size_t rounded = (len + WG_PADDING - 1) & ~(size_t)(WG_PADDING - 1);

        return MIN(rounded, MAX(len, (size_t)d->conf.mtu));
}

/* The header of a data message; returns where its packet goes. */
static uint8_t *header_put(struct wg_keypair *k, uint8_t *message)
{
        wg_put_u32(message, WG_MESSAGE_DATA);
        wg_put_u32(message + WG_DATA_RECEIVER, k->remote_index);
        wg_put_u64(message + WG_DATA_COUNTER, k->sending_counter++);
        return message + WG_DATA_PACKET;
}

/* New keys well before these end, made by the side that made these (paper 6.2). */
static void keep_keys_fresh(struct wg_peer *p, const struct wg_keypair *k, mono_ms now)
{
        if (k->sending_counter >= WG_REKEY_AFTER_MESSAGES ||
            (k->is_initiator && now - k->born >= WG_REKEY_AFTER_MS))
                wg_timers_want_initiation(&p->timers, now);
}

static void was_sent(struct wg_device *d, struct wg_peer *p, const struct wg_keypair *k, bool is_data,
                     mono_ms now)
{
        wg_peer_touch(d, p);
        wg_timers_authenticated_sent(&p->timers, now);
        if (is_data && p->timers.due[WG_TIMER_NEW_HANDSHAKE] == MONO_NEVER)
                wg_timers_data_sent(&p->timers, now, wg_device_jitter_ms(d));
        keep_keys_fresh(p, k, now);
        wg_peer_reschedule(d, p);
}

/* One part of a packet of the host, in its place in the outbox. Room has been seen to. */
static void send_part(struct wg_device *d, struct wg_peer *p, struct wg_segmenter *s, struct wg_keypair *k,
                      uint8_t tos, struct wg_outbox *out)
{
        size_t len = wg_segmenter_next_len(s), full = padded(d, len);
        uint8_t *message = wg_outbox_add(out, &p->endpoint, tos, full + WG_DATA_OVERHEAD);
        uint64_t counter = k->sending_counter;
        uint8_t *text = header_put(k, message);

        wg_segmenter_next(s, text);
        memset(text + len, 0, full - len);
        wg_outbox_seal_later(out, &k->sending, text, full, counter);
        p->sent_bytes += full + WG_DATA_OVERHEAD;
}

enum err wg_send_frame(struct wg_device *d, struct wg_peer *p, const struct wg_frame *frame,
                       struct wg_keypair *k, mono_ms now, struct wg_outbox *out)
{
        struct wg_segmenter s;
        struct wg_inner inner;

        if (wg_segmenter_init(&s, frame) != ERR_OK ||
            wg_inner_parse(frame->bytes, frame->len, &inner) != ERR_OK)
                return ERR_MALFORMED;
        size_t datagram_max = padded(d, s.segment_len_max) + WG_DATA_OVERHEAD;
        if (datagram_max > WG_BURST_BYTES_MAX)
                return ERR_TOO_LARGE;
        if (!wg_outbox_has_room(out, s.segments_count, datagram_max))
                return out->bursts_count > 0 ? ERR_AGAIN : ERR_TOO_LARGE;
        d->stats.packets_sent += s.segments_count;
        /* Only ECN shows outside: the DSCP of what is inside is nobody's business (RFC 6040 4.1). */
        while (s.segments_count > 0)
                send_part(d, p, &s, k, inner.tos & 3, out);
        was_sent(d, p, k, true, now);
        return ERR_OK;
}

bool wg_send_keepalive(struct wg_device *d, struct wg_peer *p, mono_ms now, struct wg_outbox *out)
{
        struct wg_keypair *k = wg_peer_sending_keys(p, now);

        if (!wg_endpoint_is_known(&p->endpoint))
                return true;
        if (!k) {
                wg_timers_want_initiation(&p->timers, now);
                return true;
        }
        uint8_t *message = wg_outbox_add(out, &p->endpoint, 0, WG_DATA_OVERHEAD);
        if (!message)
                return false;
        uint64_t counter = k->sending_counter;
        uint8_t *text = header_put(k, message);
        wg_outbox_seal_later(out, &k->sending, text, 0, counter);
        p->sent_bytes += WG_DATA_OVERHEAD;
        d->stats.keepalives_sent++;
        was_sent(d, p, k, false, now);
        return true;
}

bool wg_send_staged(struct wg_device *d, struct wg_peer *p, bool must_send, mono_ms now,
                    struct wg_outbox *out)
{
        struct wg_keypair *k;

        if (must_send && p->staged_count == 0)
                return wg_send_keepalive(d, p, now, out);
        while (p->staged_count > 0 && (k = wg_peer_sending_keys(p, now))) {
                struct wg_staged *s = LIST_FIRST(&p->staged, struct wg_staged, link);
                enum err e = wg_send_frame(d, p, &s->frame, k, now, out);
                if (e == ERR_AGAIN) {
                        wg_timers_want_staged(&p->timers, now);
                        return false;
                }
                if (e != ERR_OK)
                        wg_device_drop(d, WG_DROP_HOST_MALFORMED);
                wg_staged_take_first(d, p);
        }
        if (p->staged_count > 0)
                wg_timers_want_initiation(&p->timers, now);
        return true;
}

static enum err dropped(struct wg_device *d, enum wg_drop why, enum err e)
{
        wg_device_drop(d, why);
        return e;
}

enum err wg_device_send(struct wg_device *d, const struct wg_frame *frame, struct wg_time now,
                        struct wg_outbox *out)
{
        struct wg_inner inner;

        if (wg_inner_parse(frame->bytes, frame->len, &inner) != ERR_OK)
                return dropped(d, WG_DROP_HOST_MALFORMED, ERR_MALFORMED);
        struct wg_peer *p = wg_peer_of_owner(wg_inner_find_destination(&inner, &d->allowedips));
        if (!p)
                return dropped(d, WG_DROP_NO_PEER, ERR_NOT_FOUND);
        if (!wg_endpoint_is_known(&p->endpoint))
                return dropped(d, WG_DROP_NO_ENDPOINT, ERR_UNREACHABLE);

        struct wg_keypair *k = wg_peer_sending_keys(p, now.mono);
        if (k && p->staged_count == 0) {
                enum err e = wg_send_frame(d, p, frame, k, now.mono, out);
                if (e == ERR_MALFORMED)
                        wg_device_drop(d, WG_DROP_HOST_MALFORMED);
                else if (e == ERR_TOO_LARGE)
                        wg_device_drop(d, WG_DROP_TOO_LARGE);
                return e;
        }
        enum err e = wg_staged_add(d, p, frame);
        if (k)
                wg_timers_want_staged(&p->timers, now.mono);
        else
                wg_timers_want_initiation(&p->timers, now.mono);
        wg_peer_reschedule(d, p);
        return e;
}
