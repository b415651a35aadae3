/*
 * control/numbers.h - the last document number each node was given in this epoch, also while it is away.
 *
 * Grows with the nodes that ever came; nothing is taken out before the end.
 */
#pragma once

#include "wire/document.h"

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
