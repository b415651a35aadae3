/*
 * json/reader.h - a whole JSON or huJSON text into a tree.
 *
 * Does:   strict RFC 8259, or huJSON (comments, trailing commas). Refused in both: duplicate keys, bytes that are not
 *         UTF-8, half surrogate pairs, a byte order mark, anything over a limit of the options.
 * Not:    streams (json/scanner.h).
 * Thread: none; a plain function.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "json/parser.h"
#include "json/value.h"

enum {
        JSON_BYTES_DEFAULT = 4 * 1024 * 1024,
        JSON_VALUES_DEFAULT = 256 * 1024,
        JSON_KEYS_DEFAULT = 128 * 1024,
};

/* Zero in a limit means the default named beside it. */
struct json_options {
        enum json_mode mode;
        uint32_t depth_max;      /* levels of nesting; JSON_DEPTH_DEFAULT, at most JSON_DEPTH_MAX */
        size_t bytes_max;        /* of the text; JSON_BYTES_DEFAULT */
        size_t values_max;       /* in the whole tree; JSON_VALUES_DEFAULT */
        size_t keys_max;         /* members of one object; JSON_KEYS_DEFAULT */
        bool nul_refused;        /* "\u0000" is an error: for texts whose strings reach C functions */
        bool duplicates_allowed; /* the last one counts: only to read what others wrote so */
};

/*
 * Reads `text` into `arena`; `options` may be NULL (strict, defaults). Keeps `text` as long as the tree is used: places
 * and undecoded strings point into it. On success *root is the tree; on an error it is untouched, the arena holds
 * leftovers, and `report` (may be NULL) has gained one entry with line, column and what would be right.
 * ERR_MALFORMED; ERR_TOO_LARGE: over one of the limits; ERR_NO_MEMORY: the arena is full.
 */
MUST_USE enum err json_read(struct arena *arena, struct str text, const struct json_options *options,
                            struct report *report, const struct json_value **root);

/* The same with the default limits. */
MUST_USE enum err json_read_strict(struct arena *arena, struct str text, struct report *report,
                                   const struct json_value **root);
MUST_USE enum err json_read_hujson(struct arena *arena, struct str text, struct report *report,
                                   const struct json_value **root);
