/*
 * io/tls_priv.h - what the TLS files share: the context, and one connection's session.
 */
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/map.h"
#include "io/fibre.h"
#include "io/stream_priv.h"
#include "io/timer.h"
#include "io/tls.h"
#include "io/tls_keys.h"
#include "io/tls_record_priv.h"

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
        bool keeps_openssl; /* no connection goes on without it: not light_records */
        SSL_CTX *ssl_ctx;   /* server: the first vhost's, not owned through this pointer */
        int64_t not_after;
        /* server */
        struct tls_vhost *vhosts;
        size_t vhosts_count;
        struct map names;                     /* to struct tls_vhost */
        struct tls_ticket_key ticket_keys[2]; /* the present one, and the one before */
        unsigned ticket_keys_count;
        struct tls_signer *signer; /* NULL: the keys are here */
        /* client: the last session, for the next connection to the same name */
        SSL_SESSION *session;
        char session_name[TLS_NAME_BYTES_MAX + 1];
        /* client: who it must prove to be, beside or instead of what OpenSSL looks at (tls_client.c) */
        uint8_t root_sha256[32];
        size_t root_len;                       /* 0: by ca_pem or the system's authorities */
        char uri_name[TLS_NAME_BYTES_MAX + 1]; /* empty: by its server name */
};

/* What the handshake told of its keys, kept until it is over. */
struct tls_secrets {
        uint8_t in[TLS_SECRET_BYTES_MAX], out[TLS_SECRET_BYTES_MAX];
        size_t in_len, out_len;
};

/*
 * A connection. It begins with OpenSSL; a server's of TLS 1.3 goes on without it after the handshake ("light": `ssl` is
 * NULL, `records` is not), all others keep it.
 */
struct tls_session {
        SSL *ssl;
        struct tls_records *records;
        struct stream *stream;
        struct tls_context *context;

        bool is_open, is_over;        /* the handshake succeeded; failed, or the connection broke */
        bool has_input;               /* a read may find something: decoded, received, or in the socket */
        bool saw_first, is_plaintext; /* what came first was a plain-text request */
        bool is_held;                 /* `pending` may wait for the next write */
        bool wants_fin, has_fin;      /* our end was said, its FIN waits for `pending`; was sent */
        bool is_resumed;
        unsigned key_updates; /* with OpenSSL: without data between them */
        enum err end;         /* what reading ends with, once known */

        /* Records that the socket did not take yet. */
        char *pending;
        size_t pending_len, pending_at;

        /* Received and not yet taken: `plain_len` bytes are decoded, what follows is not. NULL: nothing. */
        char *input;
        size_t input_len, input_at, plain_len;

        char *server_name;            /* server: as asked for, in lower case; client: as given. NULL: none */
        const char *version, *cipher; /* known after the handshake; static texts */
        struct str alpn;
        const char *reason;  /* of a failure; static text */
        unsigned char *peer; /* verified certificate, or NULL: as DER, a tenth of OpenSSL's object */
        size_t peer_len;

        struct tls_handshake *handshake; /* only while there is one */
};

struct tls_handshake {
        struct tls_session *session;
        struct timer timer; /* its deadline */
        struct tls_secrets secrets;

        /* With a signer OpenSSL runs in a fibre, which waits in the middle of SSL_do_handshake for a signature. */
        struct fibre *fibre; /* NULL: OpenSSL is not under way */
        int result, error;   /* of SSL_do_handshake, and SSL_get_error's word for it */
        struct tls_signature wanted;
        bool is_waiting; /* for `wanted`; its signer has it */
        bool is_signed;  /* there is only one: from here on there is no need of a fibre */
        enum err signed_with;
        size_t signature_len;
        uint8_t *signature; /* where it is to go: on the fibre's stack */
};

/* tls.c: what both sides set. */
SSL_CTX *tls_ssl_ctx_new(bool is_server);
void tls_ticket_callback_set(SSL_CTX *ssl_ctx);
const char *tls_last_reason(void); /* OpenSSL's word for its last error; empties its queue */

/* tls_pem.c: certificates and keys from text. */
/* `is_public`: the key is a public half, and a stand-in for the private one is set. */
bool tls_pem_certificate(SSL_CTX *ssl_ctx, const struct tls_certificate *c, bool is_public, struct report *r,
                         int64_t *not_after);
/* The last certificate of a chain must not be on the list of its authority, which must be here and not past its time. */
bool tls_pem_revocations(SSL_CTX *ssl_ctx, struct str pem, const char *what, struct report *r);
bool tls_pem_authorities(SSL_CTX *ssl_ctx, struct str pem, const char *what, bool tell_clients,
                         struct report *r);

/* tls_server.c: the vhost for a name in lower case, NULL when there is none for it. */
void tls_vhost_fini(struct tls_vhost *v);
struct tls_vhost *tls_vhost_find(const struct tls_context *c, struct str name);

/* tls_bio.c: the socket as OpenSSL sees it, and the records on their way out. */
BIO *tls_bio_new(struct tls_session *t);

/* The thread's buffer for what is received: free between calls. Four full records. */
enum { TLS_WIRE_BYTES = 4 * TLS_RECORD_WIRE_BYTES_MAX };
uint8_t *tls_wire(void);

/* Room for records in the thread's output, NULL when memory runs out; and what was put there. */
uint8_t *tls_output_reserve(size_t len);
void tls_output_added(size_t len);
struct str tls_output(void); /* what was written and not yet flushed or held */
void tls_output_drop(void);

/*
 * Sends what was written since the last call, with what was pending, in one system call. What the socket does not take
 * stays pending (ERR_AGAIN). ERR_CLOSED, ERR_IO: the connection is gone.
 */
MUST_USE
enum err tls_output_flush(struct tls_session *t);
/* The same without sending: kept for the next flush. */
MUST_USE
enum err tls_output_hold(struct tls_session *t);

/* tls_openssl.c: data through OpenSSL. As stream_read and stream_write; *broken is set when the connection is of no use. */
MUST_USE
enum err tls_openssl_read(struct tls_session *t, void *bytes, size_t len, size_t *got, bool *broken);
MUST_USE
enum err tls_openssl_write(struct tls_session *t, const struct iovec *parts, int parts_count,
                           size_t *written);
/* For SSL_set_msg_callback: counts key updates, of which OpenSSL takes any number. */
void tls_openssl_watch(int is_write, int version, int type, const void *bytes, size_t len, SSL *ssl,
                       void *unused);

/* tls_light.c: data without OpenSSL. False: this connection keeps it. */
bool tls_light_start(struct tls_session *t);
void tls_light_end(struct tls_session *t);              /* frees; wipes */
void tls_light_watch(const SSL *ssl, const char *line); /* for SSL_CTX_set_keylog_callback */
MUST_USE
enum err tls_light_read(struct tls_session *t, void *bytes, size_t len, size_t *got, bool *broken);
MUST_USE
enum err tls_light_write(struct tls_session *t, const struct iovec *parts, int parts_count, size_t *written);
void tls_light_say_end(struct tls_session *t); /* close_notify, into the output */

/* tls_stream.c: the TLS half of stream.h. */
MUST_USE
enum err tls_stream_read(struct stream *s, void *bytes, size_t len, size_t *got);
MUST_USE
enum err tls_stream_write(struct stream *s, const struct iovec *parts, int parts_count, size_t *written);
bool tls_stream_may_have_input(const struct stream *s);
void tls_stream_shutdown(struct stream *s);
void tls_stream_moved(struct stream *s); /* the session's stream is at a new place */
/* Writes the close_notify unless the stream is being reset, and frees the session. Gives the records that are still to be
 * sent (free them with free), or NULL; changes *how where the connection asks for it. */
char *tls_stream_end(struct stream *s, enum stream_close_how *how, size_t *len_out);

/* OpenSSL judges its results by what is in its queue of errors: it is empty before each call. */
static inline void tls_forget_errors(void)
{
        if (ERR_peek_error())
                ERR_clear_error();
}
