/*
 * base/str.h - a borrowed run of bytes, passed by value. All input travels in it.
 *
 * Owns nothing; no NUL is promised at the end; ptr may be NULL when len is 0.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

struct str {
        const char *ptr;
        size_t len;
};

/* clang-format off */
#define STR(lit)     ((struct str){ (lit), sizeof(lit) - 1 })
#define STR_INIT(lit) { (lit), sizeof(lit) - 1 }          /* the same, for static tables */
#define STR_NULL     ((struct str){ NULL, 0 })
#define STR_FMT(s)   (int)(s).len, (s).ptr                /* for "%.*s" */
/* clang-format on */

#define STR_NONE SIZE_MAX /* "not found" of the find functions */

struct str str_of(const char *text); /* text may be NULL: an empty slice */
static inline bool str_eq(struct str a, struct str b)
{
        return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
bool str_eq_nocase(struct str a, struct str b); /* ASCII case only */
int str_cmp(struct str a, struct str b);        /* as memcmp, shorter first */
static inline bool str_has_prefix(struct str s, struct str prefix)
{
        return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}
bool str_has_suffix(struct str s, struct str suffix);

/* Positions are clamped to the slice, so neither can read outside it. */
static inline struct str str_from(struct str s, size_t start)
{
        start = MIN(start, s.len);
        return s.len ? (struct str){ s.ptr + start, s.len - start } : s;
}

static inline struct str str_sub(struct str s, size_t start, size_t len)
{
        s = str_from(s, start);
        s.len = MIN(len, s.len);
        return s;
}

size_t str_find_char(struct str s, char c);
size_t str_find(struct str s, struct str needle);

/* Removes spaces and tabs at both ends (RFC 9110 OWS). */
struct str str_trim(struct str s);

/*
 * Takes the next part up to `sep` off the front of *rest. False when *rest is exhausted (its ptr is NULL).
 * "a,,b" gives "a", "", "b"; "a," gives "a", ""; an empty slice with a pointer gives one empty part.
 */
bool str_split(struct str *rest, char sep, struct str *part);

/* Compares without a data-dependent branch or early exit; lengths may be observed. */
bool str_eq_consttime(struct str a, struct str b);

/* Shell-like pattern with '*' (any run, '/' too) and '?'; no recursion, O(pattern * text) worst case. */
bool str_match(struct str pattern, struct str text);

static inline char ascii_lower(char c)
{
        return (c >= 'A' && c <= 'Z') ? (char)(c | 0x20) : c;
}

static inline bool ascii_is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static inline bool ascii_is_alpha(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Value of a hexadecimal digit, or -1. */
int ascii_hex(char c);

/* Bytes of the well-formed UTF-8 sequence at the front of s, or 0 when there is none. */
size_t str_utf8_len(struct str s);

/* True when the bytes are well-formed UTF-8 (RFC 3629: no overlong form, no surrogate, at most U+10FFFF). */
bool str_is_utf8(struct str s);
