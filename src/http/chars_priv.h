/*
 * http/chars_priv.h - which bytes may stand where, one table look-up each. Source: RFC 9110 5.5, 5.6.2; RFC 9112 3.2.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
        HTTP_CHAR_TOKEN = 1,      /* of a method or a field name */
        HTTP_CHAR_VALUE = 2,      /* of a field value: HTAB, SP, visible ASCII, obs-text */
        HTTP_CHAR_TARGET = 4,     /* of a request target on the wire: visible ASCII but '#' */
        HTTP_CHAR_UNRESERVED = 8, /* RFC 3986 2.3 */
        HTTP_CHAR_PATH = 16,      /* stands raw in a canonical path: pchar and '/', without ';' */
        HTTP_CHAR_HOST = 32       /* of a host name: letters, digits, '-', '.', '_' */
};

extern const uint8_t http_chars[256];

static inline bool http_char_is(char c, uint8_t kind)
{
        return http_chars[(uint8_t)c] & kind;
}

/* The first byte of [at, end) that is not of `kind`, or end. */
static inline const char *http_chars_skip(const char *at, const char *end, uint8_t kind)
{
        while (at < end && http_char_is(*at, kind))
                at++;
        return at;
}

/*
 * The first byte that may not stand in a field value, or end. Eight bytes a step: a borrow of the subtraction can only
 * mark bytes above a true hit, so the lowest mark is exact.
 */
static inline const char *http_value_skip(const char *at, const char *end)
{
        const uint64_t ones = 0x0101010101010101u, tops = ones * 0x80;

        while (end - at >= 8) {
                uint64_t x;

                memcpy(&x, at, sizeof(x));
                uint64_t del = x ^ (ones * 0x7f);
                uint64_t hit = (((x - ones * 0x20) & ~x) | ((del - ones) & ~del)) & tops;
                if (hit == 0) {
                        at += 8;
                        continue;
                }
                if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
                        at += __builtin_ctzll(hit) >> 3;
                else
                        at = http_chars_skip(at, end, HTTP_CHAR_VALUE);
                if (!http_char_is(*at, HTTP_CHAR_VALUE))
                        return at;
                at++; /* a tab, which the subtraction takes for a control */
        }
        return http_chars_skip(at, end, HTTP_CHAR_VALUE);
}
