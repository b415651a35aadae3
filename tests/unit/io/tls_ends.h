/*
 * tests/unit/io/tls_ends.h - what the TLS tests share: certificates, our streams at one or both ends, and a client that is
 * only OpenSSL, for what our own would not do.
 */
#pragma once

#include "../test.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/report.h"
#include "certs.h"
#include "io/tls_keys_priv.h"
#include "io/tls_priv.h"
#include "pairs.h"
#include "with_loop.h"

static bool keeps_openssl;   /* the second run: servers do not leave OpenSSL after the handshake */
static bool keys_are_remote; /* the third: their keys are with a signer */
static struct issued ca, other_ca, a_cert, b_cert, wild_cert, rsa_cert, expired_cert;

/* --- A signer as another process would be: it answers in a later turn --- */

static struct remote {
        struct tls_signer signer;
        struct tls_keyring *ring;
        struct list waiting;
        struct task task;
        unsigned asked, forgotten, signed_count;
        bool is_silent;   /* answers nothing */
        enum err refuses; /* not ERR_OK: answers that */
} remote;

static inline void remote_answer(struct task *t)
{
        uint8_t signature[TLS_SIGNATURE_BYTES_MAX];
        struct tls_signature *w;
        struct list due;

        if (remote.is_silent)
                return;
        list_init(&due);
        list_move_all(&due, &remote.waiting);
        while ((w = LIST_FIRST(&due, struct tls_signature, node))) {
                struct str content = { (const char *)w->content, w->content_len };
                size_t len = 0;
                enum err e = remote.refuses ? remote.refuses
                                            : tls_keyring_sign(remote.ring, w->key_id, w->scheme, content,
                                                               signature, &len);

                list_remove(&w->node);
                remote.signed_count += e == ERR_OK;
                tls_signature_done(w, e, (struct str){ (const char *)signature, len });
        }
}

static inline enum err remote_ask(struct tls_signer *s, struct tls_signature *wanted)
{
        list_add_last(&remote.waiting, &wanted->node);
        remote.asked++;
        loop_post(loop, &remote.task);
        return ERR_OK;
}

static inline void remote_forget(struct tls_signer *s, struct tls_signature *wanted)
{
        list_remove(&wanted->node);
        remote.forgotten++;
}

static inline void remote_start(void)
{
        remote = (struct remote){ .signer = { remote_ask, remote_forget }, .ring = tls_keyring_new() };
        assert_non_null(remote.ring);
        list_init(&remote.waiting);
        task_init(&remote.task, remote_answer);
}

/* The public half goes into the certificate, the private one to the signer. Freed with the ring. */
static inline void remote_take(struct tls_certificate *c)
{
        static struct buf halves[64];
        static size_t at;
        struct buf *half = &halves[at++ % ARRAY_SIZE(halves)];

        buf_fini(half);
        buf_init(half, 65536);
        assert_err(tls_keyring_add(remote.ring, c->key_pem), ERR_OK);
        assert_err(tls_public_half(c->key_pem, half), ERR_OK);
        c->key_pem = buf_str(half);
}

/* --- Streams on our side, OpenSSL's plain client on the other --- */

struct conn {
        struct stream stream;
        unsigned opened, readies, ready, closed;
        enum err open_err;
};

static inline void on_open(struct stream *s, enum err e)
{
        struct conn *c = CONTAINER_OF(s, struct conn, stream);

        c->opened++;
        c->open_err = e;
}

static inline void on_ready(struct stream *s, unsigned ready)
{
        struct conn *c = CONTAINER_OF(s, struct conn, stream);

        assert_int_equal(c->opened, 1);
        assert_int_equal(c->closed, 0);
        c->readies++;
        c->ready |= ready;
}

static inline void on_closed(struct stream *s)
{
        CONTAINER_OF(s, struct conn, stream)->closed++;
}

static const struct stream_events events = { on_open, on_ready, on_closed };

static inline void turns(int n)
{
        for (int i = 0; i < n; i++)
                loop_turn(loop, 0);
}

static inline void close_conn(struct conn *c, enum stream_close_how how)
{
        stream_close(&c->stream, how);
        assert_int_equal(c->closed, 0);
        turns(1);
        assert_int_equal(c->closed, 1);
}

static inline struct tls_certificate certificate_of(const struct issued *i)
{
        return (struct tls_certificate){ str_of(i->cert_pem), str_of(i->key_pem), STR("cert.pem"),
                                         STR("key.pem") };
}

static inline struct tls_context *server_with(const struct issued *const *list, size_t count,
                                              struct tls_server_conf conf)
{
        struct tls_certificate certificates[8];
        struct tls_context *c = NULL;
        struct report r;

        report_init(&r, STR("test"));
        for (size_t i = 0; i < count; i++)
                certificates[i] = certificate_of(list[i]);
        for (size_t i = 0; i < count && keys_are_remote; i++)
                remote_take(&certificates[i]);
        conf.signer = keys_are_remote ? &remote.signer : NULL;
        conf.certificates = certificates;
        conf.certificates_count = count;
        assert_err(tls_server_new(&conf, &r, &c), ERR_OK);
        assert_int_equal(r.errors_count, 0);
        report_fini(&r);
        c->keeps_openssl = keeps_openssl;
        return c;
}

static inline struct tls_context *server_of(const struct issued *i)
{
        return server_with(&i, 1, (struct tls_server_conf){ .offer_h2 = true });
}

static inline struct tls_context *client_of(struct tls_client_conf conf)
{
        struct tls_context *c = NULL;
        struct report r;

        report_init(&r, STR("test"));
        if (!conf.ca_pem.len)
                conf.ca_pem = str_of(ca.cert_pem);
        assert_err(tls_client_new(&conf, &r, &c), ERR_OK);
        report_fini(&r);
        return c;
}

/* Both ends as our streams; ends when both have said how it went. */
static inline void handshake(struct conn *server, struct tls_context *server_context, struct conn *client,
                             struct tls_context *client_context, const char *name)
{
        int fds[2];

        memset(server, 0, sizeof(*server));
        memset(client, 0, sizeof(*client));
        tcp_pair(fds);
        assert_err(stream_open_tls_server(&server->stream, loop, fds[0], &events, server_context), ERR_OK);
        assert_err(
                stream_open_tls_client(&client->stream, loop, fds[1], &events, client_context, str_of(name)),
                ERR_OK);
        assert_int_equal(server->opened + client->opened, 0);
        for (int i = 0; i < 500 && !(server->opened && client->opened); i++)
                loop_turn(loop, 10);
        assert_int_equal(server->opened, 1);
        assert_int_equal(client->opened, 1);
}

static inline enum err write_text(struct conn *c, const char *text)
{
        struct iovec part = { (char *)(uintptr_t)text, strlen(text) };
        size_t written;

        return stream_write(&c->stream, &part, 1, &written);
}

/* Reads until something comes that is not ERR_AGAIN. */
static inline enum err read_some(struct conn *c, char *out, size_t len, size_t *got)
{
        enum err e = ERR_AGAIN;

        for (int i = 0; i < 500 && (e = stream_read(&c->stream, out, len, got)) == ERR_AGAIN; i++)
                loop_turn(loop, 10);
        return e;
}

static inline void expect_text(struct conn *c, const char *text)
{
        char bytes[256];
        size_t got = 0;

        assert_err(read_some(c, bytes, sizeof(bytes), &got), ERR_OK);
        assert_str(((struct str){ bytes, got }), str_of(text));
}

/* A client that is only OpenSSL, for what our own would not do. */
struct raw {
        SSL_CTX *context;
        SSL *ssl;
        int fd;
};

static inline struct raw raw_open(int fd, const char *name)
{
        struct raw r = { SSL_CTX_new(TLS_client_method()), NULL, fd };

        SSL_CTX_set_session_cache_mode(r.context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        r.ssl = SSL_new(r.context);
        SSL_set_fd(r.ssl, fd);
        if (name)
                SSL_set_tlsext_host_name(r.ssl, name);
        return r;
}

static inline void raw_close(struct raw *r)
{
        SSL_free(r->ssl);
        SSL_CTX_free(r->context);
        close(r->fd);
        ERR_clear_error();
}

/* OpenSSL's error reason, 0 when the handshake succeeded. */
static inline int raw_handshake(struct raw *r)
{
        int result = -1, error = SSL_ERROR_WANT_READ;

        for (int i = 0; i < 1000 && result != 1; i++) {
                ERR_clear_error();
                result = SSL_connect(r->ssl);
                error = SSL_get_error(r->ssl, result);
                if (result != 1 && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
                        break;
                loop_turn(loop, 5);
        }
        turns(3);
        return result == 1 ? 0 : ERR_GET_REASON(ERR_peek_error()) ? ERR_GET_REASON(ERR_peek_error()) : -1;
}

/* Reads until there is something, an end (0) or an error (negative reason). */
static inline int raw_read(struct raw *r, char *out, int len)
{
        for (int i = 0; i < 500; i++) {
                ERR_clear_error();
                int n = SSL_read(r->ssl, out, len);
                if (n > 0)
                        return n;
                int error = SSL_get_error(r->ssl, n);
                if (error == SSL_ERROR_ZERO_RETURN)
                        return 0;
                if (error != SSL_ERROR_WANT_READ)
                        return ERR_peek_error() ? -ERR_GET_REASON(ERR_peek_error()) : -1;
                loop_turn(loop, 5);
        }
        return -1;
}

static struct conn raw_server;

static inline struct raw raw_against(struct tls_context *context, const char *name)
{
        int fds[2];

        memset(&raw_server, 0, sizeof(raw_server));
        tcp_pair(fds);
        assert_err(stream_open_tls_server(&raw_server.stream, loop, fds[0], &events, context), ERR_OK);
        return raw_open(fds[1], name);
}

static inline int make_certificates(void **state)
{
        remote_start();
        ca = issue((struct issue){ .common_name = "test authority", .is_ca = true });
        other_ca = issue((struct issue){ .common_name = "other authority", .is_ca = true });
        a_cert = issue((struct issue){ .common_name = "a", .alt_names = "DNS:a.example", .issuer = &ca });
        b_cert = issue((struct issue){ .common_name = "b",
                                       .alt_names = "DNS:b.example,DNS:www.b.example,DNS:own.wild.example",
                                       .issuer = &ca });
        wild_cert = issue(
                (struct issue){ .common_name = "wild", .alt_names = "DNS:*.wild.example", .issuer = &ca });
        rsa_cert = issue((struct issue){
                .common_name = "rsa", .alt_names = "DNS:a.example", .issuer = &ca, .is_rsa = true });
        expired_cert = issue((struct issue){ .common_name = "expired",
                                             .alt_names = "DNS:a.example",
                                             .issuer = &ca,
                                             .from = -7200,
                                             .to = -3600 });
        return 0;
}

static inline int free_certificates(void **state)
{
        struct issued *all[] = { &ca, &other_ca, &a_cert, &b_cert, &wild_cert, &rsa_cert, &expired_cert };

        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
                issued_free(all[i]);
        tls_keyring_free(remote.ring);
        return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Once as servers are, once with OpenSSL to the end, once more with their keys elsewhere. */
#define RUN_EACH_WAY(tests)                                                                                \
        (cmocka_run_group_tests((tests), make_certificates, free_certificates) +                           \
         ((keeps_openssl = true), cmocka_run_group_tests((tests), make_certificates, free_certificates)) + \
         ((keys_are_remote = true), cmocka_run_group_tests((tests), make_certificates, free_certificates)))
