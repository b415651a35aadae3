/*
 * walk.h - a strict walk over one JSON text, value by value, without a copy and without recursion.
 *
 * The sample model has a JSON walk of its own on purpose: it is what the gateway's tests look through, and must not
 * share a mistake with src/json.
 *
 * Strings are given raw: what stood between the quotes, escapes unopened (they can be put back into JSON as they are).
 * The text must be UTF-8 and is borrowed while the walk lasts. Source: RFC 8259.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum { WALK_DEPTH_MAX = 64 };

enum walk_kind {
        WALK_BAD, /* not JSON; the walk is over */
        WALK_END, /* the whole text was one value */
        WALK_OBJECT,
        WALK_OBJECT_END,
        WALK_ARRAY,
        WALK_ARRAY_END,
        WALK_STRING,
        WALK_NUMBER,
        WALK_TRUE,
        WALK_FALSE,
        WALK_NULL
};

/* One container the walk stands in: levels[1] is the outermost, levels[depth] the nearest. */
struct walk_level {
        bool is_object, is_begun;
        unsigned index;   /* of the present element */
        struct str key;   /* of the present member, raw */
        const char *from; /* its opening bracket */
};

struct walk {
        struct str
                text; /* of the last string (without quotes), number, or closed container (with brackets) */
        unsigned depth;
        struct walk_level levels[WALK_DEPTH_MAX + 1];
        /* private */
        const char *at, *end;
        bool is_done;
};

void walk_init(struct walk *w, struct str json);
enum walk_kind walk_next(struct walk *w);

/* True when the value just given is the member `key` of the container at `depth`. */
bool walk_is(const struct walk *w, unsigned depth, struct str key);
