/*
 * json/value.h - a JSON text as a tree that still knows where each value stood.
 *
 * Does:   what json_read (json/reader.h) gives: values with type, place and exact source text; look-ups; numbers kept
 *         as text until somebody asks for one with a range.
 * Not:    changing a tree: texts are edited (json/patch.h) or written (json/writer.h).
 * Thread: read-only, so any number of readers.
 * Memory: all of it lies in the reader's arena and in the text that was read; every result is borrowed from there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_member;

struct json_value {
        enum json_type type;
        uint32_t line, column; /* of its first byte, from 1; the column counts characters */
        size_t offset;         /* of its first byte in the text */
        struct str raw;        /* its exact bytes in the text: quotes, escapes, inner comments and all */
        size_t count;          /* array: items; object: members */
        union {
                bool boolean;
                struct str text;                   /* string: decoded, may hold NUL; number: as written */
                const struct json_value *items;    /* array */
                const struct json_member *members; /* object, in the order of the text */
        };
        /* private */
        const struct json_member *const *by_key; /* object with many members: sorted */
};

struct json_member {
        struct str key; /* decoded */
        struct str key_raw;
        uint32_t key_line, key_column;
        size_t key_offset;
        struct json_value value;
};

/* "null", "a boolean", "a number", "a string", "an array", "an object": for messages. */
const char *json_type_text(enum json_type type);

/*
 * The member of that name, or NULL: also when `object` is NULL or no object, so that look-ups can be chained. Where
 * duplicates were let through, the last one. O(log members).
 */
const struct json_value *json_find(const struct json_value *object, struct str key);
const struct json_member *json_find_member(const struct json_value *object, struct str key);

/* The item at that index, or NULL, in the same manner. */
const struct json_value *json_item(const struct json_value *array, size_t index);

/* What a value of that type says; STR_NULL or `otherwise` when v is NULL or of another type. */
struct str json_str(const struct json_value *v);
bool json_bool(const struct json_value *v, bool otherwise);
bool json_is(const struct json_value *v, enum json_type type); /* false for NULL */

/*
 * A number that is whole, however written (1e3, 2.0), in its range. ERR_MALFORMED: NULL, no number, or not whole;
 * ERR_TOO_LARGE: out of range (negative for uint64 too).
 */
MUST_USE enum err json_get_int64(const struct json_value *v, int64_t *out);
MUST_USE enum err json_get_uint64(const struct json_value *v, uint64_t *out);

/* The nearest double. ERR_MALFORMED: NULL or no number; ERR_TOO_LARGE: beyond the largest double. */
MUST_USE enum err json_get_double(const struct json_value *v, double *out);

/* The same from the text of a number alone (what a tokenizer accepted as one). */
MUST_USE enum err json_number_int64(struct str number, int64_t *out);
MUST_USE enum err json_number_uint64(struct str number, uint64_t *out);
MUST_USE enum err json_number_double(struct str number, double *out);

/* Whether two numbers have the same value, exactly, whatever their size and form: 1.0 and 1, 1e400 and 10e399. */
bool json_number_eq(struct str a, struct str b);

/* Deep equality (RFC 6902 4.6): numbers by value, strings decoded, the order of members aside. */
bool json_eq(const struct json_value *a, const struct json_value *b);
