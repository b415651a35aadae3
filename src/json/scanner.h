/*
 * json/scanner.h - watches a body pass and tells where a few named fields stand and what they say.
 *
 * Does:   takes chunks of any size; keeps the place of each watched field's value in the whole stream and, up to a
 *         bound, what it says; refuses a body that is not one well-formed JSON value, and a watched field that comes
 *         twice (whoever reads the body next might take the other one). Memory is this struct, whatever the body.
 *         Names are paths of keys from the top object: "model", "usage.prompt_tokens"; escapes in the body's keys are
 *         understood. Fields inside arrays are not looked for.
 * Not:    the body: no byte is kept or changed; duplicates of keys nobody watches; half surrogate pairs are let pass
 *         except in a watched value (clients cut emoji, and providers take them).
 * Thread: none; a value of its owner.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "json/parser.h"
#include "json/value.h"

enum {
        JSON_FIELDS_MAX = 8,       /* watched by one scanner */
        JSON_FIELD_DEPTH_MAX = 3,  /* keys in a name */
        JSON_FIELD_KEY_MAX = 64,   /* bytes of one key of a name */
        JSON_FIELD_TEXT_MAX = 256, /* bytes kept of a value */
        JSON_SCAN_DEPTH_DEFAULT = 256,
};

struct json_field {
        struct str name;
        bool is_found; /* the whole value has passed; the rest is set */
        bool is_cut;   /* text holds only the first JSON_FIELD_TEXT_MAX bytes */
        enum json_type type;
        uint64_t start, end; /* of the value in the stream: bytes [start, end) */
        /* private: see json_field_text */
        uint8_t keys_count;
        struct str keys[JSON_FIELD_DEPTH_MAX];
        size_t text_len;
        char text[JSON_FIELD_TEXT_MAX];
};

enum json_scan_flags {
        /*
         * A key that differs from a watched one only in case is an error: parsers that ignore case (Go's) would take
         * it for the watched one. With it goes what Unicode folds to ASCII letters (U+017F, U+212A).
         */
        JSON_SCAN_CASE_STRICT = 1,
};

struct json_scanner {
        struct json_problem problem; /* set by an error */
        const struct json_field
                *culprit; /* the watched field that came twice or in another case; NULL: it was not that */
        struct json_field fields[JSON_FIELDS_MAX];
        size_t fields_count;
        bool is_object;    /* the body is an object; known from its first byte on */
        bool is_empty;     /* and it has no member; until is_whole: none was seen yet */
        bool is_whole;     /* the body's value is complete; only white space may follow */
        uint64_t open_end; /* offset after the object's { */
        /* private */
        struct json_parser parser;
        unsigned flags;
        uint32_t depth_max;
        uint8_t matched; /* fields whose path goes through the last key */
        uint8_t candidates[JSON_FIELD_DEPTH_MAX +
                           2];                  /* by depth: fields whose path leads to the open object */
        uint8_t seen[JSON_FIELD_DEPTH_MAX + 1]; /* by depth: fields whose key of that depth has come */
        int8_t pending;                         /* the field whose value comes next; -1: none */
        int8_t open[JSON_FIELD_DEPTH_MAX + 1];  /* by depth: the field whose container is open */
        char key[3 * JSON_FIELD_KEY_MAX];
};

/*
 * Keeps the texts of `names`, which are distinct. `depth_max` 0: JSON_SCAN_DEPTH_DEFAULT. More names, longer or deeper
 * ones than the bounds above are our bug: assert.
 */
void json_scanner_init(struct json_scanner *s, const struct str *names, size_t names_count, unsigned flags,
                       uint32_t depth_max);

/* Ready for another body, with the same names; cheaper than init. */
void json_scanner_reset(struct json_scanner *s);

/*
 * Takes the next bytes of the body. Fields are found as soon as their last byte has passed (a number: the byte after).
 * ERR_MALFORMED, ERR_TOO_LARGE (nested deeper than depth_max): s->problem says where and why; final.
 */
MUST_USE enum err json_scanner_feed(struct json_scanner *s, struct str chunk);

/* The body is over. ERR_MALFORMED: it was cut short. */
MUST_USE enum err json_scanner_end(struct json_scanner *s);

/* The field of that name, NULL until it is found. */
const struct json_field *json_scanner_find(const struct json_scanner *s, struct str name);

/* What it says: a string decoded, a number or true, false, null as written; empty for arrays and objects. */
struct str json_field_text(const struct json_field *f);

/*
 * A buffered body with the value of one field replaced by other JSON text: `out` is what stands before, the new text,
 * and what stands after. No other byte changes. `body` is the whole stream the scanner saw.
 */
void json_field_replace(const struct json_field *f, struct str body, struct str json, struct str out[3]);

/* The same with a member put first into the top object; `member` is its text with key and colon. s->is_object. */
void json_scanner_insert(const struct json_scanner *s, struct str body, struct str member, struct str out[4]);
