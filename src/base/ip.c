#include "base/ip.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static int width(struct ip ip)
{
        return ip.family == 4 ? 32 : 128;
}

struct ip ip_from_bytes(int family, const uint8_t *bytes)
{
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
        struct ip ip = { .family = (uint8_t)family };

        if (family == 6 && memcmp(bytes, mapped, sizeof(mapped)) == 0) {
                ip.family = 4;
                bytes += sizeof(mapped);
        }
        memcpy(ip.bytes, bytes, ip.family == 4 ? 4 : 16);
        return ip;
}

enum err ip_parse(struct str text, struct ip *out)
{
        char copy[IP_TEXT_MAX];
        uint8_t bytes[16];

        if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.ptr, '\0', text.len))
                return ERR_MALFORMED;
        memcpy(copy, text.ptr, text.len);
        copy[text.len] = '\0';
        int family = memchr(copy, ':', text.len) ? 6 : 4;
        if (inet_pton(family == 4 ? AF_INET : AF_INET6, copy, bytes) != 1)
                return ERR_MALFORMED;
        *out = ip_from_bytes(family, bytes);
        return ERR_OK;
}

enum err ip_prefix_parse(struct str text, struct ip_prefix *out)
{
        struct ip_prefix p;
        size_t slash = str_find_char(text, '/');
        unsigned bits = 0;

        if (ip_parse(str_sub(text, 0, slash), &p.ip) != ERR_OK)
                return ERR_MALFORMED;
        if (slash == STR_NONE) {
                p.bits = (uint8_t)width(p.ip);
                *out = p;
                return ERR_OK;
        }
        struct str digits = str_from(text, slash + 1);
        if (digits.len == 0 || digits.len > 3 || (digits.len > 1 && digits.ptr[0] == '0'))
                return ERR_MALFORMED;
        for (size_t i = 0; i < digits.len; i++) {
                if (!ascii_is_digit(digits.ptr[i]))
                        return ERR_MALFORMED;
                bits = bits * 10 + (unsigned)(digits.ptr[i] - '0');
        }
        /* A mapped prefix counts its bits from the IPv6 form: ::ffff:10.0.0.0/104 is 10.0.0.0/8. */
        if (p.ip.family == 4 && str_find_char(text, ':') != STR_NONE) {
                if (bits < 96)
                        return ERR_MALFORMED;
                bits -= 96;
        }
        if (bits > (unsigned)width(p.ip))
                return ERR_MALFORMED;
        p.bits = (uint8_t)bits;
        *out = p;
        return ERR_OK;
}

bool ip_eq(struct ip a, struct ip b)
{
        return a.family == b.family && memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0;
}

int ip_cmp(struct ip a, struct ip b)
{
        if (a.family != b.family)
                return a.family < b.family ? -1 : 1;
        return memcmp(a.bytes, b.bytes, sizeof(a.bytes));
}

struct ip ip_masked(struct ip ip, uint8_t bits)
{
        for (int i = 0; i < 16; i++) {
                int keep = (int)bits - i * 8;

                if (keep <= 0)
                        ip.bytes[i] = 0;
                else if (keep < 8)
                        ip.bytes[i] &= (uint8_t)(0xff << (8 - keep));
        }
        return ip;
}

struct ip ip_last(struct ip ip, uint8_t bits)
{
        int bytes = ip.family == 4 ? 4 : 16;

        for (int i = 0; i < bytes; i++) {
                int keep = (int)bits - i * 8;

                if (keep <= 0)
                        ip.bytes[i] = 0xff;
                else if (keep < 8)
                        ip.bytes[i] |= (uint8_t)(0xff >> keep);
        }
        return ip;
}

bool ip_prefix_contains(const struct ip_prefix *p, struct ip ip)
{
        return p->ip.family == ip.family && ip_eq(ip_masked(ip, p->bits), ip_masked(p->ip, p->bits));
}

bool ip_prefix_covers(const struct ip_prefix *outer, const struct ip_prefix *inner)
{
        return outer->bits <= inner->bits && ip_prefix_contains(outer, inner->ip);
}

bool ip_is_loopback(struct ip ip)
{
        static const uint8_t one[16] = { [15] = 1 };

        return ip.family == 4 ? ip.bytes[0] == 127 : memcmp(ip.bytes, one, 16) == 0;
}

bool ip_is_link_local(struct ip ip)
{
        if (ip.family == 4)
                return ip.bytes[0] == 169 && ip.bytes[1] == 254;
        return ip.bytes[0] == 0xfe && (ip.bytes[1] & 0xc0) == 0x80;
}

/* By hand: every request's forwarding fields and log line hold one, and inet_ntop goes through printf. */
static struct str ipv4_format(const uint8_t bytes[4], char *out)
{
        char *at = out;

        for (int i = 0; i < 4; i++) {
                unsigned n = bytes[i];

                if (n >= 100)
                        *at++ = (char)('0' + n / 100);
                if (n >= 10)
                        *at++ = (char)('0' + n / 10 % 10);
                *at++ = (char)('0' + n % 10);
                *at++ = '.';
        }
        *--at = '\0';
        return (struct str){ out, (size_t)(at - out) };
}

struct str ip_format(struct ip ip, char out[IP_TEXT_MAX])
{
        if (ip.family == 4)
                return ipv4_format(ip.bytes, out);
        if (ip.family == 0 || !inet_ntop(AF_INET6, ip.bytes, out, IP_TEXT_MAX))
                out[0] = '\0';
        return str_of(out);
}

struct str ip_prefix_format(const struct ip_prefix *p, char out[IP_PREFIX_TEXT_MAX])
{
        char ip[IP_TEXT_MAX];

        ip_format(p->ip, ip);
        snprintf(out, IP_PREFIX_TEXT_MAX, "%s/%u", ip, p->bits);
        return str_of(out);
}
