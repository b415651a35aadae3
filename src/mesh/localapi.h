/*
 * mesh/localapi.h - one call to tailscaled's LocalAPI: HTTP/1.1 over its Unix socket; or, the same over TLS, to a machine of the tailnet.
 *
 * Not:    what the answers mean (tailnet.h); several at a time (the caller has as many of these as it wants).
 * Thread: the loop's.
 */
#pragma once

#include "base/buf.h"
#include "http/h1_read.h"
#include "io/dial.h"
#include "io/stream.h"

struct mesh_localapi;
/*
 * The call is over and nothing refers to it any more. ERR_OK: `status`, `etag` and `body` say what came, until mesh_localapi_fini.
 * ERR_REFUSED, ERR_NOT_FOUND, ERR_UNREACHABLE: nobody answers there; ERR_DENIED: not to us; ERR_TIMED_OUT; ERR_TOO_LARGE; ERR_MALFORMED: it is
 * no HTTP, or ended early.
 */
typedef void mesh_localapi_fn(struct mesh_localapi *c, enum err e);

struct mesh_localapi_request {
        struct str socket; /* the path; kept until the end */
        struct ip ip;      /* family not 0: another machine, over TLS */
        uint16_t port;
        struct tls_context *tls; /* shared */
        struct str server_name;  /* kept until the end */
        struct str method, path; /* valid for HTTP: the caller looked */
        struct str if_match;     /* an ETag, or empty */
        struct str body;         /* JSON, or empty */
        size_t bytes_max;        /* of the answer's body */
        int64_t timeout_ms;      /* for all of it */
};

enum { MESH_LOCALAPI_FIELDS_MAX = 64, MESH_LOCALAPI_ETAG_MAX = 128 };

/* Embedded in its owner, who lives until fn. */
struct mesh_localapi {
        mesh_localapi_fn *fn;
        uint16_t status;
        char etag[MESH_LOCALAPI_ETAG_MAX + 1]; /* empty: none, or a longer one */
        struct buf body;
        /* private */
        struct loop *loop;
        struct tls_context *tls;
        struct str server_name;
        struct dial dial;
        struct stream stream;
        struct timer timer;
        struct buf out, in;
        size_t written, scanned;
        bool has_stream, has_head, is_over;
        enum err result;
        struct h1_body reader;
};

/* Borrows all of `r` but the socket. fn comes in a later turn. */
void mesh_localapi_start(struct mesh_localapi *c, struct loop *l, const struct mesh_localapi_request *r,
                         mesh_localapi_fn *fn);
void mesh_localapi_fini(struct mesh_localapi *c); /* the answer's memory */

/* The same, waited for on a loop of its own: for commands. On every result fini it. Blocks. */
MUST_USE enum err mesh_localapi_ask(struct mesh_localapi *c, const struct mesh_localapi_request *r);

/* What a status that is not 2xx means: ERR_DENIED, ERR_NOT_FOUND, ERR_STALE (412), else ERR_MALFORMED. */
enum err mesh_localapi_err(uint16_t status);
