/*
 * store/change_priv.h - what a change gathers until it is finished.
 */
#pragma once

#include "base/buf.h"
#include "store/change.h"

struct store_table;

enum { CHANGE_OBJECT_BYTES = 64, CHANGE_DETAIL_BYTES_MAX = 64 * 1024 };

struct store_change {
        struct store_txn *txn;
        bool is_open;
        int64_t org;
        struct store_actor actor;
        const char *action;
        char object[CHANGE_OBJECT_BYTES]; /* the first one touched */
        struct buf detail;                /* a JSON array, not closed yet */
        unsigned effects_count, left_out_count;
};

/* A row became another: `before` NULL it is new, `after` NULL it is gone. Writes its outbox entry. */
MUST_USE enum err store_change_row(struct store_change *c, const struct store_table *table,
                                   const void *before, const void *after);
