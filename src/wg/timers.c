#include "wg/timers.h"

#include <string.h>

static bool is_off(const struct wg_timers *t, enum wg_timer which)
{
        return t->due[which] == MONO_NEVER;
}

void wg_timers_init(struct wg_timers *t)
{
        memset(t, 0, sizeof(*t));
        for (size_t i = 0; i < WG_TIMERS; i++)
                t->due[i] = MONO_NEVER;
}

mono_ms wg_timers_next(const struct wg_timers *t)
{
        mono_ms next = MONO_NEVER;

        for (size_t i = 0; i < WG_TIMERS; i++)
                next = MIN(next, t->due[i]);
        return next;
}

static unsigned fire_initiate(struct wg_timers *t)
{
        t->attempts = 0;
        return WG_DO_INITIATE;
}

static unsigned fire_retransmit(struct wg_timers *t, mono_ms now)
{
        if (t->attempts >= WG_REKEY_ATTEMPTS) {
                t->due[WG_TIMER_KEEPALIVE] = MONO_NEVER;
                if (is_off(t, WG_TIMER_ZERO_KEYS))
                        t->due[WG_TIMER_ZERO_KEYS] = now + 3 * WG_REJECT_AFTER_MS;
                return WG_DO_DROP_STAGED;
        }
        t->attempts++;
        return WG_DO_INITIATE | WG_DO_FORGET_SOURCE;
}

static unsigned fire_keepalive(struct wg_timers *t, mono_ms now)
{
        if (t->wants_another_keepalive) {
                t->wants_another_keepalive = false;
                t->due[WG_TIMER_KEEPALIVE] = now + WG_KEEPALIVE_MS;
        }
        return WG_DO_KEEPALIVE;
}

static unsigned fire_persistent(struct wg_timers *t, mono_ms now)
{
        if (!t->persistent_ms)
                return 0;
        /* Sending sets it anew; this is for the case that nothing can be sent. */
        t->due[WG_TIMER_PERSISTENT] = now + t->persistent_ms;
        return WG_DO_KEEPALIVE;
}

static unsigned fire(struct wg_timers *t, enum wg_timer which, mono_ms now)
{
        switch (which) {
        case WG_TIMER_INITIATE: return fire_initiate(t);
        case WG_TIMER_RETRANSMIT: return fire_retransmit(t, now);
        case WG_TIMER_KEEPALIVE: return fire_keepalive(t, now);
        case WG_TIMER_NEW_HANDSHAKE: return fire_initiate(t) | WG_DO_FORGET_SOURCE;
        case WG_TIMER_OLD_KEYS: return WG_DO_DROP_OLD_KEYS;
        case WG_TIMER_ZERO_KEYS: return WG_DO_ZERO_KEYS;
        case WG_TIMER_PERSISTENT: return fire_persistent(t, now);
        case WG_TIMER_STAGED: return WG_DO_SEND_STAGED;
        case WG_TIMERS: break;
        }
        return 0;
}

unsigned wg_timers_fire(struct wg_timers *t, mono_ms now)
{
        unsigned actions = 0;

        for (enum wg_timer i = 0; i < WG_TIMERS; i++)
                if (t->due[i] <= now) {
                        t->due[i] = MONO_NEVER;
                        actions |= fire(t, i, now);
                }
        return actions;
}

void wg_timers_want_initiation(struct wg_timers *t, mono_ms now)
{
        if (t->has_initiation && now - t->last_initiation < WG_REKEY_TIMEOUT_MS)
                return;
        t->due[WG_TIMER_INITIATE] = now;
}

void wg_timers_want_staged(struct wg_timers *t, mono_ms now)
{
        t->due[WG_TIMER_STAGED] = now;
}

void wg_timers_set_persistent(struct wg_timers *t, mono_ms interval_ms, mono_ms now)
{
        t->persistent_ms = interval_ms;
        t->due[WG_TIMER_PERSISTENT] = interval_ms ? now : MONO_NEVER;
}

void wg_timers_initiation_sent(struct wg_timers *t, mono_ms now, unsigned jitter_ms)
{
        t->last_initiation = now;
        t->has_initiation = true;
        t->due[WG_TIMER_RETRANSMIT] = now + WG_REKEY_TIMEOUT_MS + jitter_ms;
}

void wg_timers_session_derived(struct wg_timers *t, mono_ms now)
{
        t->due[WG_TIMER_OLD_KEYS] = now + WG_REJECT_AFTER_MS;
        t->due[WG_TIMER_ZERO_KEYS] = now + 3 * WG_REJECT_AFTER_MS;
}

void wg_timers_handshake_complete(struct wg_timers *t)
{
        t->due[WG_TIMER_RETRANSMIT] = MONO_NEVER;
        t->attempts = 0;
        t->has_asked_last_minute = false;
}

void wg_timers_data_sent(struct wg_timers *t, mono_ms now, unsigned jitter_ms)
{
        if (is_off(t, WG_TIMER_NEW_HANDSHAKE))
                t->due[WG_TIMER_NEW_HANDSHAKE] = now + WG_KEEPALIVE_MS + WG_REKEY_TIMEOUT_MS + jitter_ms;
}

void wg_timers_data_received(struct wg_timers *t, mono_ms now)
{
        if (is_off(t, WG_TIMER_KEEPALIVE))
                t->due[WG_TIMER_KEEPALIVE] = now + WG_KEEPALIVE_MS;
        else
                t->wants_another_keepalive = true;
}

static void traversal(struct wg_timers *t, mono_ms now)
{
        if (t->persistent_ms)
                t->due[WG_TIMER_PERSISTENT] = now + t->persistent_ms;
}

void wg_timers_authenticated_sent(struct wg_timers *t, mono_ms now)
{
        t->due[WG_TIMER_KEEPALIVE] = MONO_NEVER;
        traversal(t, now);
}

void wg_timers_authenticated_received(struct wg_timers *t, mono_ms now)
{
        t->due[WG_TIMER_NEW_HANDSHAKE] = MONO_NEVER;
        traversal(t, now);
}

void wg_timers_last_minute(struct wg_timers *t, mono_ms now)
{
        if (t->has_asked_last_minute)
                return;
        t->has_asked_last_minute = true;
        wg_timers_want_initiation(t, now);
}
