/*
 * proxy/bodystore.h - a request body held in chunks: until a step has seen enough of it, or for a replay.
 *
 * Bounded by the caller. A range may be replaced (the model's name), so that what is read out differs there and nowhere
 * else. Thread: its worker.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct bodystore_chunk;

struct bodystore {
        size_t len;      /* bytes put in */
        bool is_whole;   /* the last byte was put in */
        bool is_dropped; /* gave up: over the bound, or no longer wanted */
        /* private */
        struct bodystore_chunk *first, *last;
        size_t edit_start, edit_len;
        struct str edit_text; /* borrowed */
        bool is_edited;
};

void bodystore_init(struct bodystore *b);
void bodystore_fini(struct bodystore *b);

/* ERR_TOO_LARGE past `bytes_max`, ERR_NO_MEMORY; nothing of `s` was kept then. */
MUST_USE enum err bodystore_add(struct bodystore *b, struct str s, size_t bytes_max);

/* Frees what it holds and keeps nothing more. */
void bodystore_drop(struct bodystore *b);

/* From now on reads as if bytes [start, start+len) were `text` (borrowed). One replacement. */
void bodystore_replace(struct bodystore *b, size_t start, size_t len, struct str text);

/* Length as read out, with the replacement. */
size_t bodystore_read_len(const struct bodystore *b);

/* Slices of what is read out from `offset` on; returns how many (at most slices_max). Borrowed until the next add or drop. */
size_t bodystore_read(const struct bodystore *b, size_t offset, struct str *slices, size_t slices_max);

/* Contiguous copy of the stored bytes (without the replacement) into `out`, which has room for len. */
void bodystore_copy(const struct bodystore *b, char *out);
