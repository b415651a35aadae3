/*
 * http/target.h - the one canonical target of a request, made once; what is routed, authorised and forwarded.
 *
 * Canonical form (RFC 3986 6.2.2): percent-encoded unreserved characters are decoded, other escapes have upper-case
 * digits, raw bytes that RFC 3986 does not allow in a path but browsers send ([ ] | ^ …) are encoded, the query is kept
 * as it came. Refused with 400, because back ends disagree on them: dot segments in any spelling, empty segments ("//"),
 * '\', ';', '#', controls, raw 8-bit bytes, bad escapes, escapes that are not UTF-8, %2F, %5C, %3B, %00 and other encoded
 * controls, and double encodings (%25 before two hexadecimal digits).
 *
 * RFC 3986 does not allow an escaped delimiter such as %40 to become '@' on the way, yet nearly every back end takes them
 * for the same. So there are two texts of one path: `path` is forwarded, and `match`, in which these too are decoded, is
 * what routes and access rules are compared with. They have the same segments, and one path has one `match`.
 */
#pragma once

#include "http/h1_read.h"

struct http_authority {
        /* A lower-case name, or an address in its short form and without brackets. Never empty, no trailing dot. */
        struct str host;
        uint16_t port; /* 0: none was given */
        bool is_ipv6;
};

struct http_target {
        struct str text;  /* path and query in canonical form: what is forwarded; "*" for OPTIONS * */
        struct str path;  /* the part before '?' of text */
        struct str match; /* the path as rules see it */
        struct str query; /* after '?', without it; empty when none */
        struct http_authority authority; /* from an absolute-form target, else from Host */
};

/*
 * From a parsed request head: target and Host. ERR_MALFORMED with *refusal (also: Host missing, doubled, empty, with
 * userinfo, port out of range; absolute-form whose authority differs from Host; authority-form). ERR_NO_MEMORY: the arena is full
 * (500). Slices point into the head's bytes where they are canonical already, else into the arena. HTTP/1.0 needs Host too.
 */
MUST_USE
enum err http_target_parse(const struct http_head *h, struct arena *a, struct http_target *out,
                           struct http_refusal *refusal);

/*
 * "example.com:8443", "[::1]", "192.0.2.1:80". ERR_MALFORMED, also for userinfo, an empty or zero port, a host that ends
 * in a number without being a dotted quad. ERR_NO_MEMORY. The host is copied to the arena only where it must change.
 */
MUST_USE
enum err http_authority_parse(struct str text, struct arena *a, struct http_authority *out);

/* A path in the form of `match`, or ERR_MALFORMED: for route patterns in a configuration. */
MUST_USE
enum err http_path_canonical(struct str path, struct arena *a, struct str *out);

/* How many bytes of a forwarded `path` the rule's `prefix` covers, or STR_NONE when its `match` does not begin with it. */
size_t http_path_prefix(struct str path, struct str prefix);
