#include <string.h>

#include "base/ip.h"
#include "http/chars_priv.h"
#include "http/target.h"

enum { HOST_BYTES_MAX = 253, LABEL_BYTES_MAX = 63 }; /* RFC 1035 2.3.4 */

static bool all_digits(struct str s)
{
        for (size_t i = 0; i < s.len; i++)
                if (!ascii_is_digit(s.ptr[i]))
                        return false;
        return s.len > 0;
}

/* Digits without a leading zero, 1 to 65535. */
static bool port_parse(struct str digits, uint16_t *out)
{
        unsigned n = 0;

        if (digits.len > 5 || !all_digits(digits) || digits.ptr[0] == '0')
                return false;
        for (size_t i = 0; i < digits.len; i++)
                n = n * 10 + (unsigned)(digits.ptr[i] - '0');
        *out = (uint16_t)n;
        return n <= UINT16_MAX;
}

/* Some resolvers read "127.1", "0x7f.1" and "2130706433" as addresses: whatever ends like a number must be a dotted quad. */
static bool label_is_number(struct str label)
{
        return all_digits(label) ||
               (label.len >= 2 && label.ptr[0] == '0' && ascii_lower(label.ptr[1]) == 'x');
}

static bool name_is_valid(struct str host)
{
        struct str rest = host, label;
        struct ip ip;

        if (host.len == 0 || host.len > HOST_BYTES_MAX)
                return false;
        while (str_split(&rest, '.', &label)) /* a trailing dot leaves an empty label */
                if (label.len == 0 || label.len > LABEL_BYTES_MAX)
                        return false;
        if (http_chars_skip(host.ptr, host.ptr + host.len, HTTP_CHAR_HOST) != host.ptr + host.len)
                return false;
        return !label_is_number(label) || ip_parse(host, &ip) == ERR_OK;
}

static bool has_upper(struct str s)
{
        for (size_t i = 0; i < s.len; i++)
                if (s.ptr[i] != ascii_lower(s.ptr[i]))
                        return true;
        return false;
}

static enum err name_lower(struct str name, struct arena *a, struct str *out)
{
        if (!has_upper(name)) {
                *out = name;
                return ERR_OK;
        }
        char *copy = arena_alloc(a, name.len, 1);
        if (!copy)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < name.len; i++)
                copy[i] = ascii_lower(name.ptr[i]);
        *out = (struct str){ copy, name.len };
        return ERR_OK;
}

/* One address has one text: the host becomes the short form of RFC 5952. */
static enum err ipv6_parse(struct str text, struct arena *a, struct http_authority *out)
{
        char formatted[IP_TEXT_MAX];
        struct ip ip;

        if (str_find_char(text, ':') == STR_NONE || ip_parse(text, &ip) != ERR_OK)
                return ERR_MALFORMED;
        out->is_ipv6 = ip.family == 6;
        struct str canonical = ip_format(ip, formatted);
        out->host = str_eq(text, canonical) ? text : arena_copy(a, canonical);
        return out->host.ptr ? ERR_OK : ERR_NO_MEMORY;
}

enum err http_authority_parse(struct str text, struct arena *a, struct http_authority *out)
{
        struct http_authority authority = { 0 };
        struct str host, rest;
        enum err e;

        if (text.len && text.ptr[0] == '[') {
                size_t close = str_find_char(text, ']');

                if (close == STR_NONE)
                        return ERR_MALFORMED;
                rest = str_from(text, close + 1);
                e = ipv6_parse(str_sub(text, 1, close - 1), a, &authority);
        } else {
                size_t colon = str_find_char(text, ':');

                host = str_sub(text, 0, colon);
                rest = str_from(text, host.len);
                e = name_is_valid(host) ? name_lower(host, a, &authority.host) : ERR_MALFORMED;
        }
        if (e != ERR_OK)
                return e;
        if (rest.len && (rest.ptr[0] != ':' || !port_parse(str_from(rest, 1), &authority.port)))
                return ERR_MALFORMED;
        *out = authority;
        return ERR_OK;
}
