/*
 * wg/timers.h - when to send what without being asked: one peer's deadlines as a value. Source: paper 6.2 to 6.5.
 *
 *   initiate      make new keys now (somebody asked, see wg_timers_want_initiation)
 *   retransmit    an initiation was sent and no answer came: 5 s and some jitter, 18 times, then give up
 *   keepalive     data came in and nothing went out for 10 s: say that we are here
 *   new handshake data went out and nothing came in for 15 s: the keys may be lost at the other end
 *   old keys      a session is 180 s old: nobody may use its keys any more
 *   zero keys     no new session for 540 s: forget all that could open old packets
 *   persistent    the operator wants a keepalive every so often, to hold a NAT open
 *   staged        packets that waited for keys can go
 *
 * Does:   answers "what is due" with a set of actions, which the device carries out.
 * Not:    sending, clocks. `now` never goes back; `jitter_ms` is random, 0 to WG_REKEY_JITTER_MS, from the caller.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "wg/messages.h"

enum wg_timer {
        WG_TIMER_INITIATE,
        WG_TIMER_RETRANSMIT,
        WG_TIMER_KEEPALIVE,
        WG_TIMER_NEW_HANDSHAKE,
        WG_TIMER_OLD_KEYS,
        WG_TIMER_ZERO_KEYS,
        WG_TIMER_PERSISTENT,
        WG_TIMER_STAGED,
        WG_TIMERS
};

enum wg_timer_action {
        WG_DO_INITIATE = 1 << 0,      /* send an initiation */
        WG_DO_FORGET_SOURCE = 1 << 1, /* our own address may have changed: let the system choose again */
        WG_DO_DROP_STAGED = 1 << 2,
        WG_DO_KEEPALIVE = 1 << 3,
        WG_DO_DROP_OLD_KEYS = 1 << 4,
        WG_DO_ZERO_KEYS = 1 << 5,
        WG_DO_SEND_STAGED = 1 << 6,
};

struct wg_timers {
        mono_ms due[WG_TIMERS]; /* MONO_NEVER: off */
        mono_ms last_initiation;
        mono_ms persistent_ms; /* 0: off */
        unsigned attempts;
        bool has_initiation; /* last_initiation is true */
        bool wants_another_keepalive, has_asked_last_minute;
};

void wg_timers_init(struct wg_timers *t);

/* The earliest deadline. */
mono_ms wg_timers_next(const struct wg_timers *t);

/* Fires what is due and gives the actions it asks for. */
unsigned wg_timers_fire(struct wg_timers *t, mono_ms now);

/* Somebody needs new keys. Nothing happens within 5 s of the last initiation. */
void wg_timers_want_initiation(struct wg_timers *t, mono_ms now);
void wg_timers_want_staged(struct wg_timers *t, mono_ms now);

/* 0 to switch off. */
void wg_timers_set_persistent(struct wg_timers *t, mono_ms interval_ms, mono_ms now);

/* What has happened. "Authenticated" is every message but a cookie reply. */
void wg_timers_initiation_sent(struct wg_timers *t, mono_ms now, unsigned jitter_ms);
void wg_timers_session_derived(struct wg_timers *t, mono_ms now);
void wg_timers_handshake_complete(struct wg_timers *t);
void wg_timers_data_sent(struct wg_timers *t, mono_ms now, unsigned jitter_ms); /* not keepalives */
void wg_timers_data_received(struct wg_timers *t, mono_ms now);                 /* not keepalives */
void wg_timers_authenticated_sent(struct wg_timers *t, mono_ms now);
void wg_timers_authenticated_received(struct wg_timers *t, mono_ms now);

/* An initiator's session is near its end and data comes in: ask for new keys, once. */
void wg_timers_last_minute(struct wg_timers *t, mono_ms now);
