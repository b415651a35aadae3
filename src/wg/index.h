/*
 * wg/index.h - from the receiver index of a message to the peer and the session it belongs to.
 *
 * An index is random, so that it says nothing about how many there are; its highest byte names the worker that owns it,
 * so that another worker knows where to hand a datagram. One thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

struct wg_peer;
struct wg_keypair;

#define WG_INDEX_WORKER_SHIFT 24

struct wg_index_entry {
        uint32_t index; /* 0: free */
        struct wg_peer *peer;
        struct wg_keypair *keypair; /* NULL: a handshake under way */
};

struct wg_index {
        size_t count;
        /* private */
        size_t cap;
        struct wg_index_entry *entries;
};

void wg_index_init(struct wg_index *t);
void wg_index_fini(struct wg_index *t);

/* NULL when there is none. Valid until the next add or remove. */
struct wg_index_entry *wg_index_find(const struct wg_index *t, uint32_t index);

/* ERR_EXISTS: draw another number; ERR_NO_MEMORY. `index` is not 0. */
MUST_USE enum err wg_index_add(struct wg_index *t, uint32_t index, struct wg_peer *peer,
                               struct wg_keypair *keypair);

/* Not being there is fine. */
void wg_index_remove(struct wg_index *t, uint32_t index);
