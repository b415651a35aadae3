/*
 * http/proxy_protocol.h - the line or block in front of a connection that tells whose it is. Source: HAProxy's PROXY
 * protocol, versions 1 and 2 (revision of 2020/03).
 *
 * Only ever read from peers on a trust list: whoever can send it can be anyone. A listener that expects it takes no
 * connection without it, and one that does not never looks for it.
 */
#pragma once

#include "base/err.h"
#include "base/ip.h"
#include "base/str.h"

enum {
        PROXY_V1_BYTES_MAX = 107, /* with CRLF */
        PROXY_V2_BYTES_MAX =
                2048, /* with its 16 fixed bytes; addresses and TLVs of real senders stay below 600 */
        PROXY_BYTES_MAX = PROXY_V2_BYTES_MAX
};

struct proxy_header {
        uint8_t version; /* 1 or 2 */
        size_t bytes;    /* of the header; the connection's own begin after it */
        /*
         * False: UNKNOWN, LOCAL, or a family without IP addresses. The real peer of the connection is meant then.
         * An IPv4 address in IPv6 form is given as IPv4.
         */
        bool has_addresses;
        bool is_udp; /* version 2: datagrams */
        struct ip source, destination;
        uint16_t source_port, destination_port;
        /* Version 2 TLVs; empty when absent; point into the input; any bytes, nothing is checked. */
        struct str alpn, authority, unique_id;
        bool is_tls; /* the client spoke TLS to the proxy in front */
};

/*
 * From the front of a connection's bytes. ERR_AGAIN: so far it could be one. ERR_MALFORMED, ERR_TOO_LARGE: *reason says
 * why ("proxy_signature", "proxy_address", …); drop the connection without an answer.
 */
MUST_USE
enum err proxy_header_parse(struct str in, struct proxy_header *out, const char **reason);

enum { PROXY_WRITE_MAX = 108 };

/*
 * The header for an upstream, of `version` 1 or 2, with addresses and ports of *h; UNKNOWN or LOCAL without addresses. When
 * one side is IPv6 both are written so. TLVs are not written.
 */
struct str proxy_header_format(const struct proxy_header *h, uint8_t version, char out[PROXY_WRITE_MAX]);
