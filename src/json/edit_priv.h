/*
 * json/edit_priv.h - one change to one text: where to cut, what to put in.
 *
 * Made from a tree, whose offsets it works on; after the change the tree is of no more use.
 */
#pragma once

#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "json/reader.h"
#include "json/value.h"

enum { JSON_SPLICES_MAX = 3 };

struct json_splice {
        size_t at, cut;  /* bytes from `at` on that go */
        struct str text; /* what comes instead */
};

struct json_edit {
        struct str text;
        const struct json_value *root;
        struct arena tree, texts;
        struct json_splice splices[JSON_SPLICES_MAX]; /* in the order of the text */
        size_t splices_count;
};

/* A value to put in, and the text it is taken from: its lines are moved from the indentation there to that here. */
struct json_graft {
        struct str from;
        struct str raw; /* a slice of `from` */
};

/* Reads the text. Errors as json_read; after success: json_edit_close. */
MUST_USE enum err json_edit_open(struct json_edit *e, struct str text, const struct json_options *options,
                                 struct report *report);
void json_edit_close(struct json_edit *e);

/* Plans one of these. `key` is the JSON text of a key, empty in an array; `index` up to container->count. */
void json_edit_insert(struct json_edit *e, const struct json_value *container, size_t index, struct str key,
                      struct json_graft value);
void json_edit_remove(struct json_edit *e, const struct json_value *container, size_t index);
void json_edit_replace(struct json_edit *e, const struct json_value *old, struct json_graft value);
void json_edit_rename(struct json_edit *e, const struct json_member *member, struct str key);

/* Appends the changed text. ERR_NO_MEMORY. */
MUST_USE enum err json_edit_apply(struct json_edit *e, struct buf *out);

/* Bytes of arena the tree of a text of that length may take, whatever it holds. */
size_t json_edit_arena_bytes(size_t text_bytes);
