/*
 * wg/replay.h - which counters of a key have been seen. Source: RFC 6479, with a window of exactly WG_REPLAY_WINDOW.
 *
 * Ask only about counters of packets that proved authentic: a forged one must not move the window.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "wg/messages.h"

enum {
        WG_REPLAY_WORDS = WG_REPLAY_WINDOW / 64 + 1
}; /* one word more, since the oldest is cleared as a whole */

struct wg_replay {
        uint64_t next; /* one more than the newest counter seen; 0: none yet */
        uint64_t seen[WG_REPLAY_WORDS];
};

void wg_replay_init(struct wg_replay *r);

/* True, and noted, when `counter` is new and within the window; false for a repeat, too old, or over the limit. */
MUST_USE bool wg_replay_accept(struct wg_replay *r, uint64_t counter);
