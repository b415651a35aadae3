/*
 * http/h2_fields_priv.h - what receiving a list (h2_fields.c), making a head of it (h2_fields_head.c) and lists to send
 * (h2_list.c) know of each other: pseudo-fields, and where in a section's text its lines are.
 */
#pragma once

#include <assert.h>
#include <string.h>

#include "http/h2_fields.h"

enum h2_pseudo { H2_METHOD, H2_SCHEME, H2_AUTHORITY, H2_PATH, H2_PROTOCOL, H2_STATUS, H2_PSEUDO_COUNT };

enum {
        H2_FIELD_OVERHEAD = 32, /* of each field, where a list's size is counted: RFC 9113 10.5.1 */
        H2_TEXT_SLACK =
                512 /* of a section's text, beyond the fields as they came and their cookies once more */
};

struct h2_line {
        uint32_t at, name_len, value_len;
        uint32_t id; /* enum http_field_id */
};
static_assert(sizeof(struct h2_line) <= H2_FIELD_OVERHEAD, "no index is larger than what a list may count");

struct str h2_pseudo_name(enum h2_pseudo p);
/* NULL: it may stand there. Else the reason. */
const char *h2_pseudo_check(enum h2_pseudo p, struct str value);

static inline bool h2_pseudo_is_seen(const struct h2_section *s, enum h2_pseudo p)
{
        return s->pseudo_seen & 1u << p;
}

/* Into the section's text; STR_NULL: none came. */
static inline struct str h2_pseudo_value(const struct h2_section *s, enum h2_pseudo p)
{
        return h2_pseudo_is_seen(s, p) && s->text.ptr
                       ? str_sub(buf_str(&s->text), s->pseudo[p].at, s->pseudo[p].len)
                       : STR_NULL;
}
