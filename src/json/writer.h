/*
 * json/writer.h - JSON written as a stream of calls into a buf.
 *
 * Does:   commas, colons, quotes, escapes, indentation; any bytes make valid JSON (what is not UTF-8 becomes U+FFFD).
 *         A call out of order (a value without its key, an end without its begin) is our bug: assert.
 * Not:    checks of raw texts; duplicate keys; running out of room: buf.full tells, once, at the end.
 * Thread: none; a value of its owner.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "json/parser.h"
#include "json/value.h"

enum {
        JSON_COMPACT = 0,     /* no space at all */
        JSON_INDENT_TAB = 99, /* one member or item a line; any number between: so many spaces a level */
        JSON_WRITE_DEPTH_MAX = 2 * JSON_DEPTH_MAX, /* a tree as deep as can be read fits inside another */
};

struct json_writer {
        /* private */
        struct buf *out;
        unsigned indent, depth;
        bool is_first; /* nothing stands in the innermost container yet */
        bool has_key;  /* a key was written and waits for its value */
        bool is_whole; /* the one value at the top is complete */
        uint64_t is_object[JSON_WRITE_DEPTH_MAX / 64];
};

/* Borrows `out` until json_writer_finish. `indent` is one of the above. */
void json_writer_init(struct json_writer *w, struct buf *out, unsigned indent);

/* One whole value was written: asserts it. */
void json_writer_finish(struct json_writer *w);

void json_write_object_begin(struct json_writer *w);
void json_write_object_end(struct json_writer *w);
void json_write_array_begin(struct json_writer *w);
void json_write_array_end(struct json_writer *w);
void json_write_key(struct json_writer *w, struct str key);

void json_write_null(struct json_writer *w);
void json_write_bool(struct json_writer *w, bool value);
void json_write_str(struct json_writer *w, struct str value);
void json_write_int(struct json_writer *w, int64_t value);
void json_write_uint(struct json_writer *w, uint64_t value);

/* The shortest of 15 to 17 digits that reads back as the same double; what is not finite becomes null. */
void json_write_double(struct json_writer *w, double value);

/* A value as it stands: the caller knows that it is one whole JSON value (a number's text, a json_value's raw). */
void json_write_raw(struct json_writer *w, struct str json);

/* A tree: numbers as they were written, strings escaped anew, comments left out. */
void json_write_value(struct json_writer *w, const struct json_value *value);

/* Key and value in one. */
void json_write_member_null(struct json_writer *w, struct str key);
void json_write_member_bool(struct json_writer *w, struct str key, bool value);
void json_write_member_str(struct json_writer *w, struct str key, struct str value);
void json_write_member_int(struct json_writer *w, struct str key, int64_t value);
void json_write_member_uint(struct json_writer *w, struct str key, uint64_t value);
void json_write_member_double(struct json_writer *w, struct str key, double value);
void json_write_member_raw(struct json_writer *w, struct str key, struct str json);
void json_write_member_object_begin(struct json_writer *w, struct str key);
void json_write_member_array_begin(struct json_writer *w, struct str key);
