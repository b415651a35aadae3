/*
 * io/tls_priv.h - what the TLS files share: the context, and one connection's session.
 */
#pragma once

#include <openssl/ssl.h>

#include "base/map.h"
#include "io/stream_priv.h"
#include "io/timer.h"
#include "io/tls.h"

enum { TLS_NAME_BYTES_MAX = 255, TLS_HANDSHAKE_MS = 10 * 1000, TLS_CHAIN_BYTES_MAX = 64 * 1024 };

/* Four full records and what TLS adds to them. */
enum { TLS_OUTPUT_BYTES = 68 * 1024 };

/* One set of certificates and the names it is for. */
struct tls_vhost {
        struct tls_context *context;
        SSL_CTX *ssl_ctx;
        struct str *names; /* lower case, with "*." in front of a wildcard's rest; owned */
        size_t names_count;
        uint8_t id[32]; /* hash of certificate and client policy: what a session is bound to */
};

struct tls_ticket_key {
        uint8_t name[16], aes[32], hmac[32];
};

struct tls_context {
        unsigned refs;
        bool is_server, offer_h2, skip_verify;
        SSL_CTX *ssl_ctx; /* server: the first vhost's, not owned through this pointer */
        int64_t not_after;
        /* server */
        struct tls_vhost *vhosts;
        size_t vhosts_count;
        struct map names;                     /* to struct tls_vhost */
        struct tls_ticket_key ticket_keys[2]; /* the present one, and the one before */
        unsigned ticket_keys_count;
        /* client: the last session, for the next connection to the same name */
        SSL_SESSION *session;
        char session_name[TLS_NAME_BYTES_MAX + 1];
};

struct tls_session {
        SSL *ssl;
        struct stream *stream;
        struct tls_context *context;
        struct timer timer; /* the handshake's deadline */

        bool is_open, is_over;        /* the handshake succeeded; failed, or the connection broke */
        bool has_input;               /* a read may find something: decoded, received, or in the socket */
        bool saw_first, is_plaintext; /* what came first was a plain-text request */
        bool is_held;                 /* `pending` may wait for the next write */
        bool wants_fin, has_fin;      /* our end was said, its FIN waits for `pending`; was sent */
        unsigned key_updates;
        enum err end; /* what reading ends with, once known */

        /* Records that the socket did not take yet. */
        char *pending;
        size_t pending_len, pending_at;

        char *server_name;  /* server: as asked for, in lower case; client: as given. NULL: none */
        const char *reason; /* of a failure; static text */
};

/* tls.c: what both sides set. */
SSL_CTX *tls_ssl_ctx_new(bool is_server);
void tls_ticket_callback_set(SSL_CTX *ssl_ctx);
const char *tls_last_reason(void); /* OpenSSL's word for its last error; empties its queue */

/* tls_pem.c: certificates and keys from text. */
bool tls_pem_certificate(SSL_CTX *ssl_ctx, const struct tls_certificate *c, struct report *r,
                         int64_t *not_after);
bool tls_pem_authorities(SSL_CTX *ssl_ctx, struct str pem, const char *what, bool tell_clients,
                         struct report *r);

/* tls_server.c: the vhost for a name in lower case, NULL when there is none for it. */
void tls_vhost_fini(struct tls_vhost *v);
struct tls_vhost *tls_vhost_find(const struct tls_context *c, struct str name);

/* tls_bio.c: the socket as OpenSSL sees it. */
BIO *tls_bio_new(struct tls_session *t);
bool tls_bio_has_output(void); /* OpenSSL has written something that was not flushed or held */

/*
 * Sends what OpenSSL has written since the last call, with what was pending, in one system call. What the socket does
 * not take stays pending (ERR_AGAIN). ERR_CLOSED, ERR_IO: the connection is gone.
 */
MUST_USE
enum err tls_bio_flush(struct tls_session *t);
/* The same without sending: kept for the next flush. */
MUST_USE
enum err tls_bio_hold(struct tls_session *t);

/* tls_stream.c: the TLS half of stream.h. */
MUST_USE
enum err tls_stream_read(struct stream *s, void *bytes, size_t len, size_t *got);
MUST_USE
enum err tls_stream_write(struct stream *s, const struct iovec *parts, int parts_count, size_t *written);
bool tls_stream_may_have_input(const struct stream *s);
void tls_stream_shutdown(struct stream *s);
/* Writes the close_notify unless the stream is being reset, and frees the session. Gives the records that are still to be
 * sent (free them with free), or NULL; changes *how where the connection asks for it. */
char *tls_stream_end(struct stream *s, enum stream_close_how *how, size_t *len_out);
