/*
 * control/numbers.h - the last document number each node was given by this control, also while it is away.
 *
 * Numbers of one epoch only rise for a node, whichever of several controls it is connected to: it says what it has, and the
 * next number goes on from there.
 * Grows with the nodes that ever came; nothing is taken out before the end.
 */
#pragma once

#include "wire/message.h"

struct number {
        int64_t node;
        uint64_t version; /* 0: none yet */
        uint8_t items[WIRE_HASH_BYTES];
};

struct numbers {
        struct number *list; /* in order of nodes */
        size_t count, cap;
};

/* The node's, made when it is new. Good until the next call. NULL: no memory. */
struct number *numbers_find(struct numbers *all, int64_t node);
void numbers_fini(struct numbers *all);

/*
 * The number for a document with these items: the last one's, if that had the same items, else a higher one, which is `seq` (the
 * outbox's) where it can be. `have`: what the node said it has, if that is of the same epoch; else NULL.
 */
uint64_t numbers_next(const struct number *n, const struct wire_have *have, uint64_t seq,
                      const uint8_t items[WIRE_HASH_BYTES]);
