/*
 * wire/walk_priv.h - the members of a JSON object one by one, their values as raw bytes. For this room only.
 *
 * Documents are read this way, level by level, so that 16 MiB need no tree. Strict RFC 8259; duplicates are the caller's to
 * refuse.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "json/parser.h"

enum { WIRE_WALK_KEY_MAX = 128 };

struct wire_walk {
        /* private */
        struct json_parser parser;
        struct str text, rest;
        bool is_open;
        char key[WIRE_WALK_KEY_MAX];
};

struct wire_member {
        struct str
                key; /* decoded, borrowed until the next call; empty with is_long: longer than anything we know */
        bool is_long;
        struct str value; /* raw bytes in the text */
};

/* Keeps `text`. */
void wire_walk_init(struct wire_walk *w, struct str text);

/* ERR_NOT_FOUND: that was all, and the text was one whole object. ERR_MALFORMED. */
MUST_USE enum err wire_walk_next(struct wire_walk *w, struct wire_member *out);

/* The inside of a raw string without escapes; what we exchange this way never needs any. */
MUST_USE bool wire_raw_text(struct str raw, struct str *out);
MUST_USE bool wire_raw_uint(struct str raw, uint64_t max, uint64_t *out);
