/*
 * dispatch/url.h - an http or https URL taken apart. Source: RFC 3986 3, RFC 9110 4.2.
 *
 * Does:   strict on what decides where a request goes (scheme, host, port); path and query pass as they were written, but for
 *         bytes that no request line may hold.
 * Not:    names outside ASCII: the caller sends them in their xn-- form.
 * Thread: any; plain functions.
 */
#pragma once

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "http/target.h"

enum { DISPATCH_URL_BYTES_MAX = 16 * 1024 };

struct dispatch_url {
        bool is_tls;
        struct http_authority authority; /* port given or the scheme's */
        struct str path;                 /* with the query, at least "/"; no fragment */
};

/*
 * Slices point into `text` or the arena. ERR_MALFORMED: *problem is a sentence's end ("has a user name in it").
 * ERR_NO_MEMORY.
 */
MUST_USE enum err dispatch_url_parse(struct str text, struct arena *a, struct dispatch_url *out,
                                     const char **problem);

/* The port a scheme has where none is given. */
uint16_t dispatch_url_port(bool is_tls);
/* No byte that a request line cannot hold. */
bool dispatch_url_is_sendable(struct str text);

/* The Host of such a request: without the port where it is the scheme's. NULL slice: no memory. */
struct str dispatch_url_host(const struct dispatch_url *u, struct arena *a);

/* As a text again. NULL slice: no memory. */
struct str dispatch_url_format(const struct dispatch_url *u, struct arena *a);

/* Where a Location leads, relative to `base` (RFC 3986 5.2 for what servers send: URL, "//host/…", "/path", "?query", "path"). */
MUST_USE enum err dispatch_url_resolve(const struct dispatch_url *base, struct str location, struct arena *a,
                                       struct dispatch_url *out, const char **problem);
