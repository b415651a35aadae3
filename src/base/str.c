#include "base/str.h"

#include <string.h>

struct str str_of(const char *text)
{
        return text ? (struct str){ text, strlen(text) } : STR_NULL;
}

bool str_eq_nocase(struct str a, struct str b)
{
        if (a.len != b.len)
                return false;
        for (size_t i = 0; i < a.len; i++)
                if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i]))
                        return false;
        return true;
}

int str_cmp(struct str a, struct str b)
{
        size_t n = MIN(a.len, b.len);
        int order = n ? memcmp(a.ptr, b.ptr, n) : 0;

        if (order != 0)
                return order;
        return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

bool str_has_suffix(struct str s, struct str suffix)
{
        return s.len >= suffix.len &&
               (suffix.len == 0 || memcmp(s.ptr + (s.len - suffix.len), suffix.ptr, suffix.len) == 0);
}

size_t str_find_char(struct str s, char c)
{
        const char *at = s.len ? memchr(s.ptr, c, s.len) : NULL;

        return at ? (size_t)(at - s.ptr) : STR_NONE;
}

size_t str_find(struct str s, struct str needle)
{
        if (needle.len == 0)
                return 0;
        if (s.len == 0)
                return STR_NONE;
        const char *at = memmem(s.ptr, s.len, needle.ptr, needle.len);

        return at ? (size_t)(at - s.ptr) : STR_NONE;
}

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

struct str str_trim(struct str s)
{
        while (s.len && is_blank(s.ptr[0]))
                s = str_from(s, 1);
        while (s.len && is_blank(s.ptr[s.len - 1]))
                s.len--;
        return s;
}

bool str_split(struct str *rest, char sep, struct str *part)
{
        if (!rest->ptr)
                return false;
        size_t at = str_find_char(*rest, sep);

        if (at == STR_NONE) {
                *part = *rest;
                *rest = STR_NULL;
        } else {
                *part = str_sub(*rest, 0, at);
                *rest = (struct str){ rest->ptr + at + 1, rest->len - at - 1 };
        }
        return true;
}

bool str_eq_consttime(struct str a, struct str b)
{
        volatile unsigned char difference = a.len != b.len;
        size_t n = MIN(a.len, b.len);

        for (size_t i = 0; i < n; i++)
                difference |= (unsigned char)(a.ptr[i] ^ b.ptr[i]);
        return difference == 0;
}

bool str_match(struct str pattern, struct str text)
{
        size_t p = 0, t = 0, star = STR_NONE, resume = 0;

        while (t < text.len) {
                if (p < pattern.len && pattern.ptr[p] == '*') {
                        star = p++;
                        resume = t;
                } else if (p < pattern.len && (pattern.ptr[p] == '?' || pattern.ptr[p] == text.ptr[t])) {
                        p++;
                        t++;
                } else if (star != STR_NONE) { /* let the last star swallow one more byte */
                        p = star + 1;
                        t = ++resume;
                } else {
                        return false;
                }
        }
        while (p < pattern.len && pattern.ptr[p] == '*')
                p++;
        return p == pattern.len;
}

int ascii_hex(char c)
{
        if (ascii_is_digit(c))
                return c - '0';
        c = ascii_lower(c);
        return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : -1;
}

/* Table 3-7 of the Unicode standard. */
size_t str_utf8_len(struct str text)
{
        const unsigned char *s = (const unsigned char *)text.ptr;
        unsigned char low = 0x80, high = 0xbf;
        size_t n;

        if (text.len == 0)
                return 0;
        if (s[0] < 0x80)
                return 1;
        if (s[0] >= 0xc2 && s[0] <= 0xdf) {
                n = 2;
        } else if (s[0] >= 0xe0 && s[0] <= 0xef) {
                n = 3;
                if (s[0] == 0xe0)
                        low = 0xa0; /* overlong */
                else if (s[0] == 0xed)
                        high = 0x9f; /* surrogates */
        } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
                n = 4;
                if (s[0] == 0xf0)
                        low = 0x90; /* overlong */
                else if (s[0] == 0xf4)
                        high = 0x8f; /* above U+10FFFF */
        } else {
                return 0;
        }
        if (text.len < n || s[1] < low || s[1] > high)
                return 0;
        for (size_t i = 2; i < n; i++)
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
        return n;
}

bool str_is_utf8(struct str s)
{
        while (s.len) {
                size_t n = str_utf8_len(s);

                if (n == 0)
                        return false;
                s = str_from(s, n);
        }
        return true;
}
