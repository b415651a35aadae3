/*
 * http/target.h - the one canonical target of a request, made once; what is routed, authorised and forwarded.
 *
 * Canonical form (RFC 3986 6.2.2): percent-encoded unreserved characters are decoded, other escapes have upper-case
 * digits, the query is kept as it came. Refused with 400, because back ends disagree on them: dot segments in any
 * spelling, empty segments ("//"), '\', ';', '#', controls, raw 8-bit bytes, bad escapes, escapes that are not UTF-8,
 * %2F, %5C, %00 and other encoded controls, and double encodings of these (%252e …).
 */
#pragma once

#include "http/h1_read.h"

struct http_authority {
        struct str
                host; /* lower case, without brackets and without a trailing dot (refused); an address or a name */
        uint16_t port; /* 0: none was given */
        bool is_ipv6;
};

struct http_target {
        struct str text;  /* path and query in canonical form: what is forwarded; "*" for OPTIONS * */
        struct str path;  /* the part before '?' of text */
        struct str query; /* after '?', without it; empty when none */
        struct http_authority authority; /* from an absolute-form target, else from Host */
};

/*
 * From a parsed request head: target and Host. ERR_MALFORMED with *refusal (also: Host missing, doubled, empty, with
 * userinfo, port out of range; absolute-form whose authority differs from Host; authority-form). Slices point into the
 * head's bytes where they are canonical already, else into the arena.
 */
MUST_USE
enum err http_target_parse(const struct http_head *h, struct arena *a, struct http_target *out,
                           struct http_refusal *refusal);

/* "example.com:8443", "[::1]", "192.0.2.1:80". ERR_MALFORMED. Lower-cased copy in the arena where needed. */
MUST_USE
enum err http_authority_parse(struct str text, struct arena *a, struct http_authority *out);

/* The path alone, canonical, or ERR_MALFORMED: for route patterns in a configuration and for redirects. */
MUST_USE
enum err http_path_canonical(struct str path, struct arena *a, struct str *out);
