#include "http/proxy_protocol.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Bytes of version 2's fixed part, and of its address blocks. */
enum { FIXED = 16, BLOCK_IPV4 = 12, BLOCK_IPV6 = 36, BLOCK_UNIX = 216, TLV_HEAD = 3 };

enum { COMMAND_LOCAL = 0, COMMAND_PROXY = 1 };
enum { FAMILY_UNSPEC = 0, FAMILY_IPV4 = 1, FAMILY_IPV6 = 2, FAMILY_UNIX = 3 };
enum { TRANSPORT_UNSPEC = 0, TRANSPORT_STREAM = 1, TRANSPORT_DGRAM = 2 };
enum { TLV_ALPN = 0x01, TLV_AUTHORITY = 0x02, TLV_CRC32C = 0x03, TLV_UNIQUE_ID = 0x05, TLV_SSL = 0x20 };
enum { SSL_CLIENT_USED_TLS = 0x01, SSL_BYTES_MIN = 5, UNIQUE_ID_BYTES_MAX = 128 };

static const struct str v1_start = STR_INIT("PROXY ");
static const struct str v2_start = STR_INIT("\r\n\r\n\0\r\nQUIT\n");

static enum err bad(const char **reason, const char *word)
{
        *reason = word;
        return ERR_MALFORMED;
}

/* The bytes there agree with `start`, as far as either goes. */
static bool begins_like(struct str in, struct str start)
{
        size_t n = MIN(in.len, start.len);

        return memcmp(in.ptr, start.ptr, n) == 0;
}

/* Decimal digits without a leading zero. */
static bool port_parse(struct str s, uint16_t *out)
{
        unsigned n = 0;

        if (s.len == 0 || s.len > 5 || (s.len > 1 && s.ptr[0] == '0'))
                return false;
        for (size_t i = 0; i < s.len; i++) {
                if (!ascii_is_digit(s.ptr[i]))
                        return false;
                n = n * 10 + (unsigned)(s.ptr[i] - '0');
        }
        *out = (uint16_t)n;
        return n <= UINT16_MAX;
}

/* An address of the family the line names; a mapped one is TCP6 in writing though it is IPv4 in meaning. */
static bool address_parse(struct str s, bool is_ipv6, struct ip *out)
{
        return (str_find_char(s, ':') != STR_NONE) == is_ipv6 && ip_parse(s, out) == ERR_OK;
}

static enum err v1_fields_parse(struct str line, struct proxy_header *out, const char **reason)
{
        struct str part[5], rest = line;
        size_t parts = 0;

        while (parts < ARRAY_SIZE(part) && str_split(&rest, ' ', &part[parts]))
                parts++;
        if (str_eq(part[0], STR("UNKNOWN")))
                return ERR_OK;
        bool is_ipv6 = str_eq(part[0], STR("TCP6"));
        if (!is_ipv6 && !str_eq(part[0], STR("TCP4")))
                return bad(reason, "proxy_family");
        if (parts != ARRAY_SIZE(part) || rest.ptr)
                return bad(reason, "proxy_fields");
        if (!address_parse(part[1], is_ipv6, &out->source) ||
            !address_parse(part[2], is_ipv6, &out->destination))
                return bad(reason, "proxy_address");
        if (!port_parse(part[3], &out->source_port) || !port_parse(part[4], &out->destination_port))
                return bad(reason, "proxy_port");
        out->has_addresses = true;
        return ERR_OK;
}

static enum err v1_parse(struct str in, struct proxy_header *out, const char **reason)
{
        struct str window = str_sub(in, 0, PROXY_V1_BYTES_MAX);
        size_t lf = str_find_char(window, '\n');

        if (lf == STR_NONE) {
                if (window.len < PROXY_V1_BYTES_MAX)
                        return ERR_AGAIN;
                *reason = "proxy_too_long";
                return ERR_TOO_LARGE;
        }
        struct str line = str_sub(window, 0, lf);
        if (line.ptr[line.len - 1] != '\r' || str_find_char(line, '\r') != line.len - 1)
                return bad(reason, "proxy_line_end");
        out->version = 1;
        out->bytes = lf + 1;
        return v1_fields_parse(str_sub(line, v1_start.len, line.len - v1_start.len - 1), out, reason);
}

static unsigned get_u16(const char *p)
{
        return (unsigned)(uint8_t)p[0] << 8 | (uint8_t)p[1];
}

static uint32_t get_u32(const char *p)
{
        return (uint32_t)get_u16(p) << 16 | get_u16(p + 2);
}

/* RFC 3720 appendix B.4's polynomial, bit by bit: a header a connection needs no table. `hole` counts as four zeros. */
static uint32_t crc32c(struct str s, size_t hole)
{
        uint32_t crc = UINT32_MAX;

        for (size_t i = 0; i < s.len; i++) {
                crc ^= i - hole < 4 ? 0 : (uint8_t)s.ptr[i];
                for (int bit = 0; bit < 8; bit++)
                        crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
        }
        return ~crc;
}

static enum err tlv_take(struct str header, unsigned type, struct str value, struct proxy_header *out,
                         const char **reason)
{
        switch (type) {
        case TLV_ALPN: out->alpn = value; break;
        case TLV_AUTHORITY: out->authority = value; break;
        case TLV_UNIQUE_ID:
                if (value.len > UNIQUE_ID_BYTES_MAX)
                        return bad(reason, "proxy_tlv");
                out->unique_id = value;
                break;
        case TLV_SSL:
                if (value.len < SSL_BYTES_MIN)
                        return bad(reason, "proxy_tlv");
                out->is_tls = value.ptr[0] & SSL_CLIENT_USED_TLS;
                break;
        case TLV_CRC32C:
                if (value.len != 4 || get_u32(value.ptr) != crc32c(header, (size_t)(value.ptr - header.ptr)))
                        return bad(reason, "proxy_checksum");
                break;
        default: break; /* no-op, network namespace, private ones */
        }
        return ERR_OK;
}

static enum err tlvs_parse(struct str header, size_t start, struct proxy_header *out, const char **reason)
{
        struct str rest = str_from(header, start);
        enum err e;

        while (rest.len) {
                if (rest.len < TLV_HEAD || get_u16(rest.ptr + 1) > rest.len - TLV_HEAD)
                        return bad(reason, "proxy_tlv");
                struct str value = str_sub(rest, TLV_HEAD, get_u16(rest.ptr + 1));
                if ((e = tlv_take(header, (uint8_t)rest.ptr[0], value, out, reason)) != ERR_OK)
                        return e;
                rest = str_from(rest, TLV_HEAD + value.len);
        }
        return ERR_OK;
}

static void block_read(const char *p, int family, struct proxy_header *out)
{
        size_t width = family == 6 ? 16 : 4;

        out->source = ip_from_bytes(family, (const uint8_t *)p);
        out->destination = ip_from_bytes(family, (const uint8_t *)p + width);
        out->source_port = (uint16_t)get_u16(p + 2 * width);
        out->destination_port = (uint16_t)get_u16(p + 2 * width + 2);
        out->has_addresses = true;
}

/* Addresses of a PROXY command; *used is how much of the body they take. */
static enum err v2_addresses_parse(struct str body, unsigned family, struct proxy_header *out, size_t *used,
                                   const char **reason)
{
        *used = family == FAMILY_IPV4 ? BLOCK_IPV4 : family == FAMILY_IPV6 ? BLOCK_IPV6 : BLOCK_UNIX;
        if (body.len < *used)
                return bad(reason, "proxy_length");
        if (family != FAMILY_UNIX)
                block_read(body.ptr, family == FAMILY_IPV6 ? 6 : 4, out);
        return ERR_OK;
}

static enum err v2_parse(struct str in, struct proxy_header *out, const char **reason)
{
        if (in.len < FIXED)
                return ERR_AGAIN;
        unsigned version = (uint8_t)in.ptr[12] >> 4, command = in.ptr[12] & 15;
        unsigned family = (uint8_t)in.ptr[13] >> 4, transport = in.ptr[13] & 15;
        size_t bytes = FIXED + get_u16(in.ptr + 14), used = 0;
        enum err e;

        if (version != 2)
                return bad(reason, "proxy_version");
        if (command > COMMAND_PROXY)
                return bad(reason, "proxy_command");
        if (family > FAMILY_UNIX || transport > TRANSPORT_DGRAM)
                return bad(reason, "proxy_family");
        if (bytes > PROXY_V2_BYTES_MAX) {
                *reason = "proxy_too_long";
                return ERR_TOO_LARGE;
        }
        if (in.len < bytes)
                return ERR_AGAIN;
        out->version = 2;
        out->bytes = bytes;
        /* A health check of the proxy's own, or an address nobody can read: the rest is to be skipped. */
        if (command == COMMAND_LOCAL || family == FAMILY_UNSPEC)
                return ERR_OK;
        struct str header = str_sub(in, 0, bytes);
        if ((e = v2_addresses_parse(str_from(header, FIXED), family, out, &used, reason)) != ERR_OK)
                return e;
        out->is_udp = transport == TRANSPORT_DGRAM;
        return tlvs_parse(header, FIXED + used, out, reason);
}

enum err proxy_header_parse(struct str in, struct proxy_header *out, const char **reason)
{
        struct proxy_header header = { 0 };
        enum err e;

        if (in.len == 0)
                return ERR_AGAIN;
        if (begins_like(in, v2_start))
                e = v2_parse(in, &header, reason);
        else if (begins_like(in, v1_start))
                e = in.len < v1_start.len ? ERR_AGAIN : v1_parse(in, &header, reason);
        else
                e = bad(reason, "proxy_signature");
        if (e == ERR_OK)
                *out = header;
        return e;
}

static struct str v1_format(const struct proxy_header *h, bool is_ipv6, char *out)
{
        char source[IP_TEXT_MAX], destination[IP_TEXT_MAX];
        const char *mapped = "::ffff:";

        if (!h->has_addresses)
                return (struct str){ out, (size_t)snprintf(out, PROXY_WRITE_MAX, "PROXY UNKNOWN\r\n") };
        ip_format(h->source, source);
        ip_format(h->destination, destination);
        int n = snprintf(out, PROXY_WRITE_MAX, "PROXY TCP%c %s%s %s%s %u %u\r\n", is_ipv6 ? '6' : '4',
                         is_ipv6 && h->source.family == 4 ? mapped : "", source,
                         is_ipv6 && h->destination.family == 4 ? mapped : "", destination, h->source_port,
                         h->destination_port);
        return (struct str){ out, (size_t)n };
}

static char *address_put(char *at, struct ip ip, bool is_ipv6)
{
        if (is_ipv6 && ip.family == 4) {
                memset(at, 0, 10);
                memset(at + 10, 0xff, 2);
                at += 12;
        }
        size_t width = ip.family == 6 ? 16 : 4;
        memcpy(at, ip.bytes, width);
        return at + width;
}

static char *port_put(char *at, uint16_t port)
{
        at[0] = (char)(port >> 8);
        at[1] = (char)port;
        return at + 2;
}

static struct str v2_format(const struct proxy_header *h, bool is_ipv6, char *out)
{
        char *at = out + FIXED;

        memcpy(out, v2_start.ptr, v2_start.len);
        out[12] = (char)(2 << 4 | (h->has_addresses ? COMMAND_PROXY : COMMAND_LOCAL));
        out[13] = 0;
        if (h->has_addresses) {
                out[13] = (char)((is_ipv6 ? FAMILY_IPV6 : FAMILY_IPV4) << 4 |
                                 (h->is_udp ? TRANSPORT_DGRAM : TRANSPORT_STREAM));
                at = address_put(at, h->source, is_ipv6);
                at = address_put(at, h->destination, is_ipv6);
                at = port_put(port_put(at, h->source_port), h->destination_port);
        }
        port_put(out + 14, (uint16_t)(at - out - FIXED));
        return (struct str){ out, (size_t)(at - out) };
}

struct str proxy_header_format(const struct proxy_header *h, uint8_t version, char out[PROXY_WRITE_MAX])
{
        bool is_ipv6 = h->source.family == 6 || h->destination.family == 6;

        assert(version == 1 || version == 2);
        assert(!h->has_addresses || (h->source.family && h->destination.family));
        return version == 1 ? v1_format(h, is_ipv6, out) : v2_format(h, is_ipv6, out);
}
