/*
 * store/table.h - what every family of rows offers.
 *
 * A row is a plain struct that begins with STORE_ROW. Texts and bytes read point into the arena that was given; those
 * written are borrowed. An empty text and an absent one are the same, an id of 0 is no id, a time of 0 is never. `org` 0 in a
 * question means any organisation: for what is built from all of them, never for a caller's own request.
 *
 *   add     gives the row its id and revision 1. ERR_EXISTS: a name or key is taken. ERR_NOT_FOUND: it refers to a row
 *           that is not there, or not of its organisation. ERR_MALFORMED: text that is not UTF-8, or holds a NUL.
 *   update  writes the fields that edits may change if the row still has its revision, and raises that. ERR_STALE it
 *           changed meanwhile, ERR_NOT_FOUND, and as add.
 *   remove  revision 0: whatever it is now. ERR_STALE, ERR_NOT_FOUND, ERR_EXISTS: others refer to it.
 *   get     ERR_NOT_FOUND, also for another organisation's. ERR_NO_MEMORY: the arena is full.
 *   list    in order of ids, a page at a time.
 */
#pragma once

#include "base/arena.h"
#include "base/ip.h"
#include "store/change.h"

/* First in each row. */
#define STORE_ROW    \
        int64_t id;  \
        int64_t org; \
        int64_t revision

enum { STORE_PAGE_MAX = 1000 };

struct store_page {
        int64_t org;
        int64_t after;  /* the last id of the page before; 0: from the start */
        unsigned limit; /* 1 to STORE_PAGE_MAX, else that */
        /* written by list */
        size_t count;
        bool has_more;
};

/* A page's place as text for a caller, and back: the last id in decimal. ERR_MALFORMED: not one of ours. */
MUST_USE enum err store_cursor_parse(struct str text, int64_t *out);
enum { STORE_CURSOR_BYTES = 24 };
struct str store_cursor_format(int64_t after, char out[STORE_CURSOR_BYTES]);

/* clang-format off */
#define STORE_FAMILY(noun)                                                                                               \
        MUST_USE enum err store_##noun##_add(struct store_change *c, struct store_##noun *row);                          \
        MUST_USE enum err store_##noun##_update(struct store_change *c, struct store_##noun *row);                       \
        MUST_USE enum err store_##noun##_remove(struct store_change *c, int64_t org, int64_t id, int64_t revision);      \
        MUST_USE enum err store_##noun##_get(struct store_txn *t, int64_t org, int64_t id, struct arena *a,              \
                                             struct store_##noun *out);                                                  \
        MUST_USE enum err store_##noun##_list(struct store_txn *t, struct store_page *page, struct arena *a,             \
                                              struct store_##noun **out)
/* clang-format on */
