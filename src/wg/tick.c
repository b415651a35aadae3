#include "wg/device_priv.h"

/* False: no room for all, more is to be done at once. */
static bool carry_out(struct wg_device *d, struct wg_peer *p, unsigned actions, struct wg_time now,
                      struct wg_outbox *out)
{
        bool has_room = true;

        if (actions & WG_DO_ZERO_KEYS) {
                wg_peer_clear_handshake(d, p);
                wg_peer_drop_keys(d, p, MONO_NEVER);
        }
        if (actions & WG_DO_DROP_OLD_KEYS)
                wg_peer_drop_keys(d, p, now.mono - WG_REJECT_AFTER_MS + 1);
        if (actions & WG_DO_DROP_STAGED)
                wg_staged_drop_all(d, p);
        if (actions & WG_DO_FORGET_SOURCE)
                wg_endpoint_forget_source(&p->endpoint);
        if (actions & WG_DO_INITIATE)
                wg_handshake_send_initiation(d, p, now, out);
        if (actions & WG_DO_KEEPALIVE)
                has_room &= wg_send_keepalive(d, p, now.mono, out);
        if (actions & WG_DO_SEND_STAGED)
                has_room &= wg_send_staged(d, p, false, now.mono, out);
        return has_room;
}

static mono_ms tick(struct wg_device *d, struct wg_time now, struct wg_outbox *out)
{
        struct wg_deadline *first;
        bool is_done = wg_handshake_work(d, now, out);

        while ((first = wg_deadlines_first(&d->deadlines)) && first->due <= now.mono) {
                struct wg_peer *p = CONTAINER_OF(first, struct wg_peer, deadline);
                if (!wg_outbox_has_room(out, 2, WG_INITIATION_BYTES))
                        return now.mono;
                unsigned actions = wg_timers_fire(&p->timers, now.mono);
                bool has_room = carry_out(d, p, actions, now, out);
                wg_deadlines_set(&d->deadlines, &p->deadline, wg_timers_next(&p->timers));
                if (!has_room)
                        return now.mono;
        }
        return is_done ? (first ? first->due : MONO_NEVER) : now.mono;
}

mono_ms wg_device_tick(struct wg_device *d, struct wg_time now, struct wg_outbox *out)
{
        mono_ms next = tick(d, now, out);

        wg_outbox_seal(out);
        return next;
}
