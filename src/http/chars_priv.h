/*
 * http/chars_priv.h - which bytes may stand where, one table look-up each. Source: RFC 9110 5.5, 5.6.2; RFC 9112 3.2.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

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

/* Bit 5 of each of eight bytes that is a capital letter, in ASCII. */
static inline uint64_t http_word_capitals(uint64_t word)
{
        const uint64_t each = 0x0101010101010101;
        uint64_t low = word & 0x7f * each;
        uint64_t from_a = low + (0x80 - 'A') * each, past_z = low + (0x7f - 'Z') * each;

        return (from_a & ~past_z & ~word & 0x80 * each) >> 2;
}

static inline uint64_t http_word(const char *at)
{
        uint64_t word;

        memcpy(&word, at, sizeof(word));
        return word;
}

/*
 * The same for names and values, which are most of a head's bytes, sixteen a step where the machine can. A step may stop
 * early, at a byte only the table knows about; it never passes over one the table refuses.
 */
#ifdef __SSE2__

#define HTTP_WIDE(c) _mm_set1_epi8((char)(c))

/* All bits of the bytes that are at most `most`, as unsigned numbers. */
static inline __m128i http_wide_at_most(__m128i x, char most)
{
        return _mm_cmpeq_epi8(_mm_max_epu8(x, HTTP_WIDE(most)), HTTP_WIDE(most));
}

/* The first eight and the last eight of 8 to 16 bytes: all of them, in one. */
static inline __m128i http_wide_ends(const char *at, const char *end)
{
        return _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)(const void *)at),
                                  _mm_loadl_epi64((const __m128i *)(const void *)(end - 8)));
}

/* A bit for each of letters, digits, '-' and '.': what nearly all names are made of. */
static inline unsigned http_wide_names(__m128i x)
{
        __m128i letters =
                http_wide_at_most(_mm_sub_epi8(_mm_or_si128(x, HTTP_WIDE(0x20)), HTTP_WIDE('a')), 25);
        __m128i digits = http_wide_at_most(_mm_sub_epi8(x, HTTP_WIDE('-')), '9' - '-');
        __m128i slash = _mm_cmpeq_epi8(x, HTTP_WIDE('/'));

        return (unsigned)_mm_movemask_epi8(_mm_or_si128(letters, _mm_andnot_si128(slash, digits)));
}

static inline const char *http_name_skip(const char *at, const char *end)
{
        while (end - at >= 16) {
                unsigned good = http_wide_names(_mm_loadu_si128((const __m128i *)(const void *)at));

                if (good != 0xffff) {
                        at += __builtin_ctz(~good);
                        if (!http_char_is(*at, HTTP_CHAR_TOKEN))
                                return at;
                        at++;
                } else {
                        at += 16;
                }
        }
        if (end - at >= 8 && http_wide_names(http_wide_ends(at, end)) == 0xffff)
                return end;
        return http_chars_skip(at, end, HTTP_CHAR_TOKEN);
}

/* A bit for each control; a tab is one, and is looked up. */
static inline unsigned http_wide_controls(__m128i x)
{
        __m128i del = _mm_cmpeq_epi8(x, HTTP_WIDE(0x7f));

        return (unsigned)_mm_movemask_epi8(_mm_or_si128(http_wide_at_most(x, 0x1f), del));
}

static inline const char *http_value_skip(const char *at, const char *end)
{
        while (end - at >= 16) {
                unsigned hit = http_wide_controls(_mm_loadu_si128((const __m128i *)(const void *)at));

                if (hit) {
                        at += __builtin_ctz(hit);
                        if (!http_char_is(*at, HTTP_CHAR_VALUE))
                                return at;
                        at++;
                } else {
                        at += 16;
                }
        }
        if (end - at >= 8 && http_wide_controls(http_wide_ends(at, end)) == 0)
                return end;
        return http_chars_skip(at, end, HTTP_CHAR_VALUE);
}

#else

static inline const char *http_name_skip(const char *at, const char *end)
{
        return http_chars_skip(at, end, HTTP_CHAR_TOKEN);
}

static inline const char *http_value_skip(const char *at, const char *end)
{
        return http_chars_skip(at, end, HTTP_CHAR_VALUE);
}

#endif
