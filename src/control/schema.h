/*
 * control/schema.h - the members of an object of the API, once: read strictly, written, and described from the same lines.
 *
 * Does:   JSON to a plain struct (unknown members named with the nearest known one), a struct to JSON, OpenAPI's schemas.
 * Not:    what values mean beyond their type, length and words.
 * Thread: any; plain functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "json/value.h"
#include "json/writer.h"

struct schema_texts {
        struct str *items;
        size_t count;
};

struct schema_list {
        void *items; /* structs of the member's schema */
        size_t count;
};

/* What a member is in JSON, and what the struct has for it. */
enum schema_type {
        SCHEMA_TEXT,   /* struct str; absent, null and "" are the same */
        SCHEMA_NUMBER, /* int64_t */
        SCHEMA_BOOL,   /* bool */
        SCHEMA_TIME,   /* unix_ms, as RFC 3339 text; 0: null */
        SCHEMA_TEXTS,  /* struct schema_texts */
        SCHEMA_JSON,   /* struct str: an object as it stands; empty: {} */
        SCHEMA_LIST,   /* struct schema_list of `schema` */
        SCHEMA_OBJECT, /* in place, of `schema` */
};

enum schema_flags {
        SCHEMA_OUT = 1 << 0,    /* stands in answers */
        SCHEMA_IN = 1 << 1,     /* may be given when something is made */
        SCHEMA_EDIT = 1 << 2,   /* may be given in a change */
        SCHEMA_NEEDED = 1 << 3, /* must be given when something is made */
        SCHEMA_ONCE = 1 << 4,   /* a secret: in the answer that made it only; left out where it is empty */
        SCHEMA_ALL = SCHEMA_OUT | SCHEMA_IN | SCHEMA_EDIT,
};

struct schema_field {
        const char *name;
        enum schema_type type;
        unsigned flags;
        size_t offset;
        int64_t max; /* text: bytes; number: the largest; texts and lists: items. 0: SCHEMA_*_MAX */
        int64_t min; /* number */
        const char *const *words; /* text: one of these, NULL ends; NULL: any */
        const struct schema *schema;
        const char *doc;
};

struct schema {
        const char *name; /* of the object in OpenAPI: "Node" */
        size_t bytes;     /* of the struct */
        const struct schema_field *fields;
        size_t fields_count;
        const char *doc;
};

enum { SCHEMA_TEXT_MAX = 1024, SCHEMA_JSON_MAX = 32 * 1024, SCHEMA_ITEMS_MAX = 1000, SCHEMA_FIELDS_MAX = 64 };

/*
 * Fills in the struct at `out` (zeroed or with the present values) from an object, taking members that have one of `flags`
 * (SCHEMA_IN or SCHEMA_EDIT). *given gets a bit for each field of the table that was there. Texts point into the value's
 * text or the arena. ERR_MALFORMED: `problem` says what and what would be right; ERR_NO_MEMORY.
 */
MUST_USE enum err schema_read(const struct schema *s, unsigned flags, const struct json_value *object,
                              struct arena *arena, void *out, uint64_t *given, struct buf *problem);

/* True when the member was given. */
bool schema_has(const struct schema *s, uint64_t given, const char *name);

/* The members of an answer, into an object that was begun. `with_secrets`: also those shown once. */
void schema_write_members(const struct schema *s, const void *in, bool with_secrets, struct json_writer *w);
/* The whole object. */
void schema_write(const struct schema *s, const void *in, bool with_secrets, struct json_writer *w);

/* As JSON Schema (OpenAPI 3.1), of what is sent (SCHEMA_IN, SCHEMA_EDIT) or answered (SCHEMA_OUT). */
void schema_describe(const struct schema *s, unsigned flags, struct json_writer *w);
