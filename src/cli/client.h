/*
 * cli/client.h - one HTTP exchange after the other, each waited for. For commands: it blocks, and has a loop to itself.
 *
 * The steps are apart (name, TCP, TLS, exchange), so that a command can say which of them failed and how long each took.
 */
#pragma once

#include "base/buf.h"
#include "base/ip.h"
#include "io/dial.h"
#include "io/tls.h"

struct client;

/* NULL when memory runs out. */
MUST_USE struct client *client_new(void);
void client_free(struct client *c); /* closes too; NULL is fine */

enum { CLIENT_ADDRESSES_MAX = 16, CLIENT_HOST_BYTES_MAX = 253, CLIENT_BODY_BYTES_MAX = 16 << 20 };

/* Addresses of a name or the text of one, in the system's order. ERR_NOT_FOUND: there is no such name. ERR_TIMED_OUT,
 * ERR_IO: nobody could be asked. */
MUST_USE enum err client_find(struct str host, struct ip out[CLIENT_ADDRESSES_MAX], size_t *count);

/* A connection, in place of the one there may be. Errors of io/dial.h. */
MUST_USE enum err client_dial(struct client *c, const struct dial_target *target, int64_t timeout_ms);

/* TLS on the connection, before the first exchange. ERR_TLS: it was refused, by us or by them; ERR_TIMED_OUT. */
MUST_USE enum err client_secure(struct client *c, struct tls_context *context, struct str server_name,
                                int64_t timeout_ms);
const char *client_tls_version(const struct client *c); /* "TLSv1.3", or NULL for a plain connection */

bool client_is_open(const struct client *c); /* an exchange may be begun */
void client_close(struct client *c);

struct client_field {
        struct str name, value; /* valid for HTTP: the caller looked */
};

struct client_request {
        struct str method, path, host; /* "GET", "/health", "example.com:3000" */
        const struct client_field *fields;
        size_t fields_count;
        struct str wants; /* a field of the answer that is to be kept; may be empty */
        /* The body as it comes, of any length, instead of into the answer: for a status of 200 alone. ERR_OK, or the exchange ends. */
        enum err (*on_body)(void *context, struct str part);
        void *context;
        struct str body; /* with a Content-Length where it is not empty, or the method is POST */
};

struct client_answer {
        uint16_t status;
        struct str body;         /* whole; the client's until the next call */
        struct str content_type; /* likewise; empty when it was not said */
        struct str server;       /* the Server field, likewise */
        struct str wanted;       /* the field that was wanted, likewise */
};

/*
 * ERR_OK: *out is a whole answer. ERR_CLOSED, ERR_IO: the connection was lost before its end; ERR_MALFORMED: what came is
 * not HTTP/1.1; ERR_TOO_LARGE: over CLIENT_BODY_BYTES_MAX; ERR_TIMED_OUT. After an error, and where the other end does
 * not keep the connection, it is closed.
 */
MUST_USE enum err client_ask(struct client *c, const struct client_request *request, int64_t timeout_ms,
                             struct client_answer *out);
