/*
 * wg/deadlines.h - which of many things is due first: a binary heap of intrusive nodes. One thread.
 *
 * A deadline that moves later need not be told at once: when it comes up, look whether it is still true and set it anew.
 */
#pragma once

#include <stddef.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"

struct wg_deadline {
        mono_ms due;
        size_t at; /* place in the heap plus 1; 0: not in it */
};

struct wg_deadlines {
        size_t count;
        /* private */
        size_t cap;
        struct wg_deadline **heap;
};

void wg_deadlines_init(struct wg_deadlines *h);
void wg_deadlines_fini(struct wg_deadlines *h);

/* Makes room for `count` nodes, after which add and set cannot fail. ERR_NO_MEMORY. */
MUST_USE enum err wg_deadlines_reserve(struct wg_deadlines *h, size_t count);

/* Puts the node at its new place, adding it where it is not in. MONO_NEVER stays in, at the end. */
void wg_deadlines_set(struct wg_deadlines *h, struct wg_deadline *d, mono_ms due);
void wg_deadlines_remove(struct wg_deadlines *h, struct wg_deadline *d);

/* The first, or NULL. */
struct wg_deadline *wg_deadlines_first(const struct wg_deadlines *h);
