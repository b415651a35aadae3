/*
 * conf/table_priv.h - one line a key: where it goes, what it may be, what it means.
 *
 * Everything about a key comes from its line: reading, `config show`, the JSON Schema, docs/reference/config.md. A new key
 * is a member in conf.h (or draft_priv.h) and a line in table_*.c; nothing else knows the keys' names.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct json_value;
struct loader;

/* The member a key fills is of the type named here. */
enum conf_type {
        CONF_TYPE_BOOL,     /* bool */
        CONF_TYPE_NUMBER,   /* uint64_t */
        CONF_TYPE_PLACED,   /* struct draft_number: a number whose place is asked for later */
        CONF_TYPE_BYTES,    /* uint64_t */
        CONF_TYPE_DURATION, /* int64_t, milliseconds */
        CONF_TYPE_RATE,     /* struct units_rate */
        CONF_TYPE_TIME,     /* unix_ms */
        CONF_TYPE_TEXT,     /* struct draft_text */
        CONF_TYPE_WORD,     /* an enum: one of `words` */
        CONF_TYPE_WORDS,    /* unsigned: a set of `words` */
        CONF_TYPE_TEXTS,    /* struct conf_strs; a single text stands for a list of one */
        CONF_TYPE_PREFIXES, /* struct conf_prefixes */
        CONF_TYPE_SECRET,   /* struct draft_secret: a text, {"env": name} or {"file": name} */
        CONF_TYPE_HEADERS,  /* struct draft_headers: an object of names and texts (or secrets) */
        CONF_TYPE_TABLE,    /* an object with the keys of `table`, in place */
        CONF_TYPE_LIST,     /* struct draft_list: an array of such */
        CONF_TYPE_MAP,      /* struct draft_list: an object of such, each under a name of the operator's */
        CONF_TYPE_UNUSED,   /* known from the predecessor's file, and without a meaning here */
        CONF_TYPES
};

enum conf_key_flags {
        CONF_REQUIRED = 1 << 0,
        CONF_HIDDEN = 1 << 1, /* an older name of another key: read, but neither shown nor suggested */
        CONF_MASKED = 1 << 2, /* shown as "***" */
        CONF_PLAIN = 1 << 3,  /* a secret: only the plain form is known */
};

/* What "no value" looks like in a number, a size or a duration without a default. */
#define CONF_UNSET UINT64_MAX

struct conf_word {
        const char *name; /* NULL ends the list */
        unsigned value;
        const char *doc; /* may be NULL */
};

/* A look at one text as it is read, with its place at hand; reports by itself. May replace *text. */
typedef bool conf_check_fn(struct loader *l, const struct json_value *v, struct str *text);

struct conf_key {
        const char *name;
        enum conf_type type;
        unsigned flags;
        size_t offset;
        const char *fallback; /* the default, as JSON; NULL: none */
        uint64_t min, max;    /* number, bytes, duration; max 0: no bounds */
        const struct conf_word *words;
        const struct conf_table *table;
        conf_check_fn *check;
        const char *unless; /* for the manual, where there is no default: what then holds */
        const char *doc;
};

struct conf_table {
        const char *name;  /* heading in the manual: "upstreams.NAME.health" */
        size_t item_bytes; /* of an item of a list or map; 0: in place only */
        bool has_place;    /* its first member is a struct draft_place, set when the object is met */
        bool is_optional;  /* not shown when it was not given; only with has_place */
        const struct conf_key *keys;
        size_t keys_count;
        const char *short_key; /* what a value that is no object stands for; NULL: it must be one */
        const char *doc;
};

/* The keys of a table, in its initializer. */
#define CONF_KEYS(array) .keys = (array), .keys_count = ARRAY_SIZE(array)

extern const struct conf_table conf_table_root, conf_table_gateway, conf_table_provider, conf_table_model,
        conf_table_upstream, conf_table_route, conf_table_admin, conf_table_log, conf_table_trace,
        conf_table_agent, conf_table_control;
/* Shared by several. */
extern const struct conf_table conf_table_client_tls, conf_table_timeouts, conf_table_provider_timeouts,
        conf_table_route_timeouts, conf_table_certificate;

const struct conf_key *conf_table_find(const struct conf_table *t, struct str name); /* or NULL */
