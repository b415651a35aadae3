/*
 * json/layout_priv.h - what json_format prints: a text as a row of items with its line ends decided.
 *
 * Commas and colons are not items: they follow from what stands beside them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "json/token.h"

struct json_item {
        uint32_t start, end; /* bytes of the text */
        uint32_t pad;        /* key: spaces between it and its value, besides the usual one */
        uint8_t type;        /* enum json_token_type */
        uint8_t newlines;    /* line ends before it, at most 2 */
        bool is_key;
        bool in_member;    /* a comment between a key and its value */
        bool is_expanded;  /* [ or {: its parts stand on lines of their own */
        bool is_multiline; /* [ or {: it takes more than one line */
};

struct json_layout {
        struct str text;
        struct json_item *items; /* owned */
        size_t count;
        bool is_hujson; /* has comments or trailing commas */
        /* private */
        size_t cap;
};

/* Errors as json_format. After success: json_layout_fini. */
MUST_USE enum err json_layout_init(struct json_layout *l, struct str text, struct report *report);
void json_layout_fini(struct json_layout *l);

/* The first item from index `i` on that is no comment; it is there: a text ends with its value or comments after it. */
size_t json_layout_skip_comments(const struct json_layout *l, size_t i);

static inline bool json_item_is_comment(const struct json_item *item)
{
        return item->type == JSON_TOKEN_COMMENT_LINE || item->type == JSON_TOKEN_COMMENT_BLOCK;
}

static inline bool json_item_is_open(const struct json_item *item)
{
        return item->type == JSON_TOKEN_OBJECT_BEGIN || item->type == JSON_TOKEN_ARRAY_BEGIN;
}

static inline bool json_item_is_close(const struct json_item *item)
{
        return item->type == JSON_TOKEN_OBJECT_END || item->type == JSON_TOKEN_ARRAY_END;
}
