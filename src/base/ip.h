/*
 * base/ip.h - IP addresses and prefixes as values, and their text. Source: RFC 4291, RFC 5952 (format).
 *
 * A v4-mapped IPv6 address (::ffff:a.b.c.d) becomes the IPv4 address at the door (ip_parse, ip_from_bytes), so that one
 * host has one value and an IPv4 rule cannot be walked round.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

struct ip {
        uint8_t family;    /* 4 or 6; 0 means no address */
        uint8_t bytes[16]; /* network order; for IPv4 the first 4, the rest zero */
};

struct ip_prefix {
        struct ip ip;
        uint8_t bits; /* 0 to 32 or 128 */
};

enum { IP_TEXT_MAX = 46, IP_PREFIX_TEXT_MAX = 50 }; /* with NUL */

/* Strict dotted quad (no octal, hex or short form) or RFC 4291 text without zone. ERR_MALFORMED. */
MUST_USE enum err ip_parse(struct str text, struct ip *out);

/* "10.0.0.0/8", "::1", "192.0.2.7" (a bare address is a /32 or /128). ERR_MALFORMED; host bits may be set. */
MUST_USE enum err ip_prefix_parse(struct str text, struct ip_prefix *out);

/* `family` 4 or 6, bytes in network order; unmaps v4-mapped. */
struct ip ip_from_bytes(int family, const uint8_t *bytes);

bool ip_eq(struct ip a, struct ip b);
int ip_cmp(struct ip a, struct ip b); /* IPv4 before IPv6, then by value */
bool ip_prefix_contains(const struct ip_prefix *p, struct ip ip);
bool ip_prefix_covers(const struct ip_prefix *outer, const struct ip_prefix *inner);
struct ip ip_masked(struct ip ip, uint8_t bits); /* host bits cleared */
struct ip ip_last(struct ip ip, uint8_t bits);   /* host bits set */

bool ip_is_loopback(struct ip ip);   /* 127.0.0.0/8, ::1 */
bool ip_is_link_local(struct ip ip); /* 169.254.0.0/16, fe80::/10 */

/* Writes text and a NUL; returns `out` as a slice. No address (family 0) is an empty text. */
struct str ip_format(struct ip ip, char out[IP_TEXT_MAX]);
struct str ip_prefix_format(const struct ip_prefix *p, char out[IP_PREFIX_TEXT_MAX]);
