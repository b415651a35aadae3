#include "../test.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/report.h"
#include "certs.h"
#include "io/tls_priv.h"
#include "pairs.h"

static struct loop *loop;
static struct issued ca, other_ca, a_cert, b_cert, wild_cert, rsa_cert, expired_cert;

/* --- Streams on our side, OpenSSL's plain client on the other --- */

struct conn {
        struct stream stream;
        unsigned opened, readies, ready, closed;
        enum err open_err;
};

static void on_open(struct stream *s, enum err e)
{
        struct conn *c = CONTAINER_OF(s, struct conn, stream);

        c->opened++;
        c->open_err = e;
}

static void on_ready(struct stream *s, unsigned ready)
{
        struct conn *c = CONTAINER_OF(s, struct conn, stream);

        assert_int_equal(c->opened, 1);
        assert_int_equal(c->closed, 0);
        c->readies++;
        c->ready |= ready;
}

static void on_closed(struct stream *s)
{
        CONTAINER_OF(s, struct conn, stream)->closed++;
}

static const struct stream_events events = { on_open, on_ready, on_closed };

static void turns(int n)
{
        for (int i = 0; i < n; i++)
                loop_turn(loop, 0);
}

static void close_conn(struct conn *c, enum stream_close_how how)
{
        stream_close(&c->stream, how);
        assert_int_equal(c->closed, 0);
        turns(1);
        assert_int_equal(c->closed, 1);
}

static struct tls_certificate certificate_of(const struct issued *i)
{
        return (struct tls_certificate){ str_of(i->cert_pem), str_of(i->key_pem), STR("cert.pem"),
                                         STR("key.pem") };
}

static struct tls_context *server_with(const struct issued *const *list, size_t count,
                                       struct tls_server_conf conf)
{
        struct tls_certificate certificates[8];
        struct tls_context *c = NULL;
        struct report r;

        report_init(&r, STR("test"));
        for (size_t i = 0; i < count; i++)
                certificates[i] = certificate_of(list[i]);
        conf.certificates = certificates;
        conf.certificates_count = count;
        assert_err(tls_server_new(&conf, &r, &c), ERR_OK);
        assert_int_equal(r.errors_count, 0);
        report_fini(&r);
        return c;
}

static struct tls_context *server_of(const struct issued *i)
{
        return server_with(&i, 1, (struct tls_server_conf){ .offer_h2 = true });
}

static struct tls_context *client_of(struct tls_client_conf conf)
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
static void handshake(struct conn *server, struct tls_context *server_context, struct conn *client,
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

static enum err write_text(struct conn *c, const char *text)
{
        struct iovec part = { (char *)(uintptr_t)text, strlen(text) };
        size_t written;

        return stream_write(&c->stream, &part, 1, &written);
}

/* Reads until something comes that is not ERR_AGAIN. */
static enum err read_some(struct conn *c, char *out, size_t len, size_t *got)
{
        enum err e = ERR_AGAIN;

        for (int i = 0; i < 500 && (e = stream_read(&c->stream, out, len, got)) == ERR_AGAIN; i++)
                loop_turn(loop, 10);
        return e;
}

static void expect_text(struct conn *c, const char *text)
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

static struct raw raw_open(int fd, const char *name)
{
        struct raw r = { SSL_CTX_new(TLS_client_method()), NULL, fd };

        SSL_CTX_set_session_cache_mode(r.context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        r.ssl = SSL_new(r.context);
        SSL_set_fd(r.ssl, fd);
        if (name)
                SSL_set_tlsext_host_name(r.ssl, name);
        return r;
}

static void raw_close(struct raw *r)
{
        SSL_free(r->ssl);
        SSL_CTX_free(r->context);
        close(r->fd);
        ERR_clear_error();
}

/* OpenSSL's error reason, 0 when the handshake succeeded. */
static int raw_handshake(struct raw *r)
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
static int raw_read(struct raw *r, char *out, int len)
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

static struct raw raw_against(struct tls_context *context, const char *name)
{
        int fds[2];

        memset(&raw_server, 0, sizeof(raw_server));
        tcp_pair(fds);
        assert_err(stream_open_tls_server(&raw_server.stream, loop, fds[0], &events, context), ERR_OK);
        return raw_open(fds[1], name);
}

/* --- Data --- */

static void test_round_trip(void **state)
{
        struct tls_context *sc = server_of(&a_cert),
                           *cc = client_of((struct tls_client_conf){ .offer_h2 = true });
        struct conn server, client;
        char bytes[16];
        size_t got;

        handshake(&server, sc, &client, cc, "A.example");
        assert_err(server.open_err, ERR_OK);
        assert_err(client.open_err, ERR_OK);
        assert_str(stream_tls_server_name(&server.stream), STR("a.example"));
        assert_str(stream_tls_alpn(&server.stream), STR("h2"));
        assert_str(stream_tls_alpn(&client.stream), STR("h2"));
        assert_string_equal(stream_tls_version(&server.stream), "TLSv1.3");
        assert_string_equal(stream_tls_cipher(&server.stream), "TLS_AES_128_GCM_SHA256");
        assert_err(write_text(&client, "question"), ERR_OK);
        expect_text(&server, "question");
        assert_err(stream_read(&server.stream, bytes, sizeof(bytes), &got), ERR_AGAIN);
        struct iovec parts[] = { { "an", 2 }, { "", 0 }, { "swer", 4 } };
        assert_err(stream_write(&server.stream, parts, 3, &got), ERR_OK);
        assert_int_equal(got, 6);
        expect_text(&client, "answer");
        /* Half close: the client has no more to say, the server still answers. */
        stream_shutdown(&client.stream);
        assert_err(read_some(&server, bytes, sizeof(bytes), &got), ERR_CLOSED);
        assert_err(write_text(&server, "last"), ERR_OK);
        expect_text(&client, "last");
        stream_shutdown(&server.stream);
        stream_shutdown(&server.stream);
        assert_err(read_some(&client, bytes, sizeof(bytes), &got), ERR_CLOSED);
        close_conn(&server, STREAM_CLOSE_PLAIN);
        close_conn(&client, STREAM_CLOSE_PLAIN);
        tls_context_put(sc);
        tls_context_put(cc);
}

static void test_peer_ends_when_closed(void **state)
{
        struct tls_context *sc = server_of(&a_cert), *cc = client_of((struct tls_client_conf){ 0 });
        struct conn server, client;
        char bytes[16];
        size_t got;

        handshake(&server, sc, &client, cc, "a.example");
        assert_str(stream_tls_alpn(&client.stream), STR("http/1.1"));
        assert_err(write_text(&server, "bye"), ERR_OK);
        close_conn(&server, STREAM_CLOSE_PLAIN); /* says close_notify */
        expect_text(&client, "bye");
        assert_err(read_some(&client, bytes, sizeof(bytes), &got), ERR_CLOSED);
        close_conn(&client, STREAM_CLOSE_PLAIN);
        handshake(&server, sc, &client, cc, "a.example");
        close_conn(&server, STREAM_CLOSE_RESET);
        assert_err(read_some(&client, bytes, sizeof(bytes), &got), ERR_IO);
        close_conn(&client, STREAM_CLOSE_PLAIN);
        tls_context_put(sc);
        tls_context_put(cc);
}

/* A megabyte each way at once, through small socket buffers and odd vectors; close_notify comes after the last byte. */
static void test_bulk_both_ways(void **state)
{
        enum { TOTAL = 1 << 20 };
        static char sent[2][TOTAL], got[2][TOTAL];
        struct tls_context *sc = server_of(&a_cert), *cc = client_of((struct tls_client_conf){ 0 });
        struct conn ends[2];
        size_t out[2] = { 0 }, in[2] = { 0 }, n;
        bool ended[2] = { false, false }, is_closed[2] = { false, false };
        unsigned refusals = 0;

        for (size_t i = 0; i < TOTAL; i++) {
                sent[0][i] = (char)(i * 2654435761u >> 11);
                sent[1][i] = (char)(i * 40503u >> 7);
        }
        handshake(&ends[0], sc, &ends[1], cc, "a.example");
        small_buffers((int[]){ ends[0].stream.watch.fd, ends[1].stream.watch.fd });
        int64_t start = loop_clock_us();
        for (unsigned round = 0; loop_clock_us() - start < 20000000 && !(ended[0] && ended[1]); round++) {
                for (int i = 0; i < 2; i++) {
                        if (out[i] < TOTAL) {
                                size_t left = TOTAL - out[i], first = MIN(left, 1 + round % 700);
                                size_t second = MIN(left - first, round % 3 ? 40000u : 10u);
                                struct iovec parts[] = { { sent[i] + out[i], first },
                                                         { sent[i] + out[i] + first, second },
                                                         { sent[i] + out[i] + first + second,
                                                           left - first - second } };
                                enum err e = stream_write(&ends[i].stream, parts, 3, &n);
                                assert_true(e == ERR_OK || e == ERR_AGAIN);
                                refusals += e == ERR_AGAIN;
                                out[i] += e == ERR_OK ? n : 0;
                        } else if (!is_closed[i]) {
                                stream_shutdown(&ends[i].stream);
                                is_closed[i] = true;
                        }
                        if (!ended[i] && round % 3 == 0) {
                                char *at = got[i] + in[i];
                                size_t room = TOTAL - in[i];
                                char spare[1];
                                enum err e = stream_read(&ends[i].stream, room ? at : spare,
                                                         room ? MIN(room, 20000u) : 1, &n);
                                assert_true(e == ERR_OK || e == ERR_AGAIN || e == ERR_CLOSED);
                                in[i] += e == ERR_OK ? n : 0;
                                ended[i] = e == ERR_CLOSED;
                        }
                }
                turns(1);
        }
        assert_true(ended[0] && ended[1]);
        assert_true(refusals > 0);
        assert_memory_equal(sent[0], got[1], TOTAL);
        assert_memory_equal(sent[1], got[0], TOTAL);
        close_conn(&ends[0], STREAM_CLOSE_PLAIN);
        close_conn(&ends[1], STREAM_CLOSE_PLAIN);
        tls_context_put(sc);
        tls_context_put(cc);
}

/* What was accepted for writing is delivered after a close, although the socket was full. */
static void test_close_delivers_what_was_taken(void **state)
{
        static char bytes[1 << 16];
        struct tls_context *sc = server_of(&a_cert), *cc = client_of((struct tls_client_conf){ 0 });
        struct conn server, client;
        struct iovec part = { bytes, sizeof(bytes) };
        size_t taken = 0, got_all = 0, n = 0;
        enum err e;

        handshake(&server, sc, &client, cc, "a.example");
        small_buffers((int[]){ server.stream.watch.fd, client.stream.watch.fd });
        while (stream_write(&server.stream, &part, 1, &n) == ERR_OK)
                taken += n;
        assert_true(server.stream.tls->pending_len > 0);
        close_conn(&server, STREAM_CLOSE_PLAIN);
        while ((e = read_some(&client, bytes, sizeof(bytes), &n)) == ERR_OK)
                got_all += n;
        assert_err(e, ERR_CLOSED);
        assert_int_equal(got_all, taken);
        close_conn(&client, STREAM_CLOSE_PLAIN);
        turns(5);
        tls_context_put(sc);
        tls_context_put(cc);
}

static void test_truncation_is_no_clean_end(void **state)
{
        struct tls_context *sc = server_of(&a_cert);
        char bytes[64];
        size_t got;

        /* A FIN without close_notify, as anyone on the path can send. */
        struct raw r = raw_against(sc, "a.example");
        assert_int_equal(raw_handshake(&r), 0);
        assert_int_equal(SSL_write(r.ssl, "part", 4), 4);
        shutdown(r.fd, SHUT_WR);
        expect_text(&raw_server, "part");
        assert_err(read_some(&raw_server, bytes, sizeof(bytes), &got), ERR_IO);
        assert_err(stream_read(&raw_server.stream, bytes, sizeof(bytes), &got), ERR_IO); /* and stays so */
        assert_err(write_text(&raw_server, "x"), ERR_IO);
        close_conn(&raw_server, STREAM_CLOSE_PLAIN);
        raw_close(&r);
        /* In the middle of a record. */
        r = raw_against(sc, "a.example");
        assert_int_equal(raw_handshake(&r), 0);
        assert_int_equal(send(r.fd, "\x17\x03\x03\x00\x40half", 9, 0), 9);
        shutdown(r.fd, SHUT_WR);
        assert_err(read_some(&raw_server, bytes, sizeof(bytes), &got), ERR_IO);
        close_conn(&raw_server, STREAM_CLOSE_PLAIN);
        raw_close(&r);
        tls_context_put(sc);
}

static void test_data_with_the_last_flight(void **state)
{
        /* The client's Finished, a request and its end in one segment: one event has to give all of them. */
        struct tls_context *sc = server_of(&a_cert), *cc = client_of((struct tls_client_conf){ 0 });
        struct raw r = raw_against(sc, "a.example");
        char bytes[64];
        size_t got;

        SSL_set_bio(r.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        BIO_set_mem_eof_return(SSL_get_rbio(r.ssl), -1);
        int done = 0;
        for (int i = 0; i < 50 && !done; i++) {
                char wire[8192];
                done = SSL_connect(r.ssl) == 1;
                if (done) {
                        assert_int_equal(SSL_write(r.ssl, "GET", 3), 3);
                        SSL_shutdown(r.ssl);
                }
                int n = BIO_read(SSL_get_wbio(r.ssl), wire, sizeof(wire));
                if (n > 0)
                        assert_int_equal(send(r.fd, wire, (size_t)n, 0), n);
                loop_turn(loop, 10);
                ssize_t m = recv(r.fd, wire, sizeof(wire), MSG_DONTWAIT);
                if (m > 0)
                        BIO_write(SSL_get_rbio(r.ssl), wire, (int)m);
        }
        assert_true(done);
        turns(3);
        assert_int_equal(raw_server.readies, 1);
        assert_true(stream_may_have_input(&raw_server.stream));
        expect_text(&raw_server, "GET");
        assert_err(read_some(&raw_server, bytes, sizeof(bytes), &got), ERR_CLOSED);
        close_conn(&raw_server, STREAM_CLOSE_PLAIN);
        raw_close(&r);
        tls_context_put(sc);
        tls_context_put(cc);
}

/* --- Names --- */

static const struct {
        const char *why;
        const char *asked; /* NULL: no server_name */
        const char *given; /* common name of the certificate, NULL: unrecognized_name */
} names[] = {
        { "exact", "a.example", "a" },
        { "case does not matter", "A.EXAMPLE", "a" },
        { "second certificate", "b.example", "b" },
        { "second name of it", "www.b.example", "b" },
        { "wildcard", "x.wild.example", "wild" },
        { "wildcard, in capitals", "X.WILD.example", "wild" },
        { "exact before wildcard", "own.wild.example", "b" },
        { "a star is one label", "x.y.wild.example", NULL },
        { "a star is not nothing", "wild.example", NULL },
        { "empty first label", ".wild.example", NULL },
        { "unknown", "c.example", NULL },
        { "a star asked for is no name", "*.other.example", NULL },
        { "only a suffix", "na.example", NULL },
        { "nobody is named", NULL, "a" },
        { "an address is no name", "127.0.0.1", "a" },
};

static void test_names(void **state)
{
        const struct issued *list[] = { &a_cert, &b_cert, &wild_cert };
        struct tls_context *sc = server_with(list, 3, (struct tls_server_conf){ 0 });

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                struct raw r = raw_against(sc, names[i].asked);
                int reason = raw_handshake(&r);
                char common_name[64] = "";

                if (reason == 0) {
                        X509 *c = SSL_get1_peer_certificate(r.ssl);
                        X509_NAME_get_text_by_NID(X509_get_subject_name(c), NID_commonName, common_name,
                                                  sizeof(common_name));
                        X509_free(c);
                }
                if (names[i].given ? strcmp(common_name, names[i].given) != 0
                                   : reason != SSL_R_TLSV1_UNRECOGNIZED_NAME)
                        fail_msg("%s: got \"%s\", reason %d", names[i].why, common_name, reason);
                close_conn(&raw_server, STREAM_CLOSE_PLAIN);
                raw_close(&r);
        }
        tls_context_put(sc);
        /* With one certificate everyone gets it. */
        sc = server_of(&b_cert);
        struct raw r = raw_against(sc, "unknown.example");
        assert_int_equal(raw_handshake(&r), 0);
        assert_str(stream_tls_server_name(&raw_server.stream), STR("unknown.example"));
        close_conn(&raw_server, STREAM_CLOSE_PLAIN);
        raw_close(&r);
        tls_context_put(sc);
}

static void test_rsa_beside_ecdsa(void **state)
{
        const struct issued *list[] = { &a_cert, &rsa_cert }; /* both for a.example */
        struct tls_context *sc = server_with(list, 2, (struct tls_server_conf){ 0 });
        static const struct {
                const char *algorithms;
                int type;
        } wants[] = { { "RSA-PSS+SHA256", EVP_PKEY_RSA }, { "ECDSA+SHA256", EVP_PKEY_EC } };

        assert_int_equal(sc->vhosts_count, 1);
        for (size_t i = 0; i < ARRAY_SIZE(wants); i++) {
                struct raw r = raw_against(sc, "a.example");
                SSL_set1_sigalgs_list(r.ssl, wants[i].algorithms);
                assert_int_equal(raw_handshake(&r), 0);
                X509 *c = SSL_get1_peer_certificate(r.ssl);
                assert_int_equal(EVP_PKEY_get_base_id(X509_get0_pubkey(c)), wants[i].type);
                X509_free(c);
                close_conn(&raw_server, STREAM_CLOSE_PLAIN);
                raw_close(&r);
        }
        tls_context_put(sc);
}

/* --- Resumption --- */

/* One connection with an earlier session; gives the new one. */
static SSL_SESSION *visit(struct tls_context *sc, const char *name, int version, SSL_SESSION *session,
                          bool *resumed)
{
        struct raw r = raw_against(sc, name);
        char bytes[8];
        SSL_SESSION *next;

        SSL_set_max_proto_version(r.ssl, version);
        if (session) { /* a copy, because OpenSSL's client takes each ticket of TLS 1.3 for used up after one use */
                SSL_SESSION *copy = SSL_SESSION_dup(session);
                SSL_set_session(r.ssl, copy);
                SSL_SESSION_free(copy);
        }
        assert_int_equal(raw_handshake(&r), 0);
        assert_err(raw_server.open_err, ERR_OK);
        *resumed = SSL_session_reused(r.ssl);
        assert_true(stream_tls_is_resumed(&raw_server.stream) == *resumed);
        assert_err(write_text(&raw_server, "hi"), ERR_OK); /* the ticket comes with it */
        assert_int_equal(raw_read(&r, bytes, sizeof(bytes)), 2);
        next = SSL_get1_session(r.ssl);
        SSL_shutdown(r.ssl); /* or OpenSSL takes the session for a bad one */
        close_conn(&raw_server, STREAM_CLOSE_PLAIN);
        raw_close(&r);
        return next;
}

static const struct {
        const char *why;
        const char *from, *to;
        bool resumes;
} resumptions[] = {
        { "the same name", "a.example", "a.example", true },
        { "the same name in capitals", "a.example", "A.EXAMPLE", true },
        { "another certificate", "a.example", "b.example", false },
        { "the same certificate, another name", "b.example", "www.b.example", false },
        { "the same wildcard, another name", "x.wild.example", "y.wild.example", false },
        { "a name, then none", "a.example", NULL, false },
        { "no name, then one", NULL, "a.example", false },
        { "no name twice", NULL, NULL, true },
};

static void test_sessions_do_not_cross_names(void **state)
{
        const struct issued *list[] = { &a_cert, &b_cert, &wild_cert };
        struct tls_context *sc = server_with(list, 3, (struct tls_server_conf){ 0 });
        static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

        for (size_t i = 0; i < ARRAY_SIZE(resumptions) * 2; i++) {
                int version = versions[i % 2];
                bool resumed;
                SSL_SESSION *first = visit(sc, resumptions[i / 2].from, version, NULL, &resumed), *second;

                assert_false(resumed);
                second = visit(sc, resumptions[i / 2].to, version, first, &resumed);
                if (resumed != resumptions[i / 2].resumes)
                        fail_msg("%s, version %x: %s", resumptions[i / 2].why, version,
                                 resumed ? "resumed" : "not resumed");
                SSL_SESSION_free(first);
                SSL_SESSION_free(second);
        }
        tls_context_put(sc);
}

static void test_sessions_do_not_cross_client_policy(void **state)
{
        const struct issued *list[] = { &a_cert };
        struct tls_context *open = server_with(list, 1, (struct tls_server_conf){ 0 });
        struct tls_context *asks =
                server_with(list, 1, (struct tls_server_conf){ .client_ca_pem = str_of(ca.cert_pem) });
        uint8_t key[TLS_TICKET_KEY_BYTES] = { 1 };
        bool resumed;

        /* Same key, as workers and reloads have; the policy of client certificates differs. */
        tls_ticket_key_set(open, key);
        tls_ticket_key_set(asks, key);
        SSL_SESSION *s = visit(open, "a.example", TLS1_3_VERSION, NULL, &resumed);
        SSL_SESSION *t = visit(asks, "a.example", TLS1_3_VERSION, s, &resumed);
        assert_false(resumed);
        SSL_SESSION_free(s);
        SSL_SESSION_free(t);
        tls_context_put(open);
        tls_context_put(asks);
}

static void test_ticket_keys(void **state)
{
        const struct issued *list[] = { &a_cert };
        struct tls_context *one = server_with(list, 1, (struct tls_server_conf){ 0 });
        struct tls_context *two = server_with(list, 1, (struct tls_server_conf){ 0 });
        uint8_t keys[3][TLS_TICKET_KEY_BYTES] = { { 1 }, { 2 }, { 3 } };
        bool resumed;
        SSL_SESSION *s = visit(one, "a.example", TLS1_3_VERSION, NULL, &resumed), *t;

        t = visit(two, "a.example", TLS1_3_VERSION, s, &resumed);
        assert_false(resumed); /* each context begins with a key of its own */
        SSL_SESSION_free(s);
        SSL_SESSION_free(t);
        tls_ticket_key_set(one, keys[0]);
        tls_ticket_key_set(two, keys[0]);
        s = visit(one, "a.example", TLS1_3_VERSION, NULL, &resumed);
        t = visit(two, "a.example", TLS1_3_VERSION, s, &resumed);
        assert_true(resumed); /* another worker */
        SSL_SESSION_free(t);
        tls_ticket_key_set(two, keys[1]);
        t = visit(two, "a.example", TLS1_3_VERSION, s, &resumed);
        assert_true(resumed); /* the key before */
        SSL_SESSION_free(t);
        tls_ticket_key_set(two, keys[2]);
        t = visit(two, "a.example", TLS1_3_VERSION, s, &resumed);
        assert_false(resumed); /* two keys ago */
        SSL_SESSION_free(s);
        SSL_SESSION_free(t);
        tls_context_put(one);
        tls_context_put(two);
}

static void test_our_client_resumes(void **state)
{
        struct tls_context *sc = server_of(&b_cert), *cc = client_of((struct tls_client_conf){ 0 });
        struct conn server, client;
        static const struct {
                const char *name;
                bool resumes;
        } visits[] = { { "b.example", false },
                       { "b.example", true },
                       { "www.b.example", false },
                       { "b.example", false } };

        for (size_t i = 0; i < ARRAY_SIZE(visits); i++) {
                handshake(&server, sc, &client, cc, visits[i].name);
                assert_err(client.open_err, ERR_OK);
                assert_true(stream_tls_is_resumed(&client.stream) == visits[i].resumes);
                assert_err(write_text(&server, "x"), ERR_OK);
                expect_text(&client, "x");
                close_conn(&server, STREAM_CLOSE_PLAIN);
                close_conn(&client, STREAM_CLOSE_PLAIN);
        }
        tls_context_put(sc);
        tls_context_put(cc);
}

/* --- Who is who --- */

static void test_client_verifies(void **state)
{
        struct issued address_cert = issue(
                (struct issue){ .common_name = "ip", .alt_names = "IP:127.0.0.1,IP:::1", .issuer = &ca });
        struct issued stranger = issue(
                (struct issue){ .common_name = "a", .alt_names = "DNS:a.example", .issuer = &other_ca });
        struct issued client_only = issue((struct issue){
                .common_name = "a", .alt_names = "DNS:a.example", .issuer = &ca, .usage = "clientAuth" });
        const struct {
                const char *why;
                const struct issued *server;
                const char *name;
                bool skips, succeeds;
        } cases[] = {
                { "right", &a_cert, "a.example", false, true },
                { "another name", &a_cert, "c.example", false, false },
                { "wildcard", &wild_cert, "x.wild.example", false, true },
                { "wildcard over two labels", &wild_cert, "x.y.wild.example", false, false },
                { "expired", &expired_cert, "a.example", false, false },
                { "another authority", &stranger, "a.example", false, false },
                { "not for servers", &client_only, "a.example", false, false },
                { "address", &address_cert, "127.0.0.1", false, true },
                { "IPv6 address", &address_cert, "::1", false, true },
                { "another address", &address_cert, "127.0.0.2", false, false },
                { "the operator wrote not to", &stranger, "c.example", true, true },
                { "not to, and no name", &stranger, "", true, true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct tls_context *sc = server_of(cases[i].server);
                struct tls_context *cc = client_of((struct tls_client_conf){ .skip_verify = cases[i].skips });
                struct conn server, client;

                handshake(&server, sc, &client, cc, cases[i].name);
                if ((client.open_err == ERR_OK) != cases[i].succeeds)
                        fail_msg("%s: ERR_%s, %s", cases[i].why, err_name(client.open_err),
                                 stream_tls_reason(&client.stream));
                if (!cases[i].succeeds) {
                        assert_err(client.open_err, ERR_TLS);
                        assert_non_null(stream_tls_reason(&client.stream));
                }
                close_conn(&server, STREAM_CLOSE_PLAIN);
                close_conn(&client, STREAM_CLOSE_PLAIN);
                tls_context_put(sc);
                tls_context_put(cc);
        }
        struct tls_context *cc = client_of((struct tls_client_conf){ 0 });
        struct conn client;
        int fds[2];
        unix_pair(fds);
        assert_err(stream_open_tls_client(&client.stream, loop, fds[0], &events, cc, STR("")), ERR_MALFORMED);
        close(fds[1]);
        tls_context_put(cc);
        issued_free(&address_cert);
        issued_free(&stranger);
        issued_free(&client_only);
}

static void test_client_certificates(void **state)
{
        struct issued good = issue((struct issue){ .common_name = "node",
                                                   .alt_names = "URI:sekisho://org/gateway/1",
                                                   .issuer = &ca,
                                                   .usage = "clientAuth" });
        struct issued expired =
                issue((struct issue){ .common_name = "old", .issuer = &ca, .from = -7200, .to = -3600 });
        struct issued stranger = issue((struct issue){ .common_name = "x", .issuer = &other_ca });
        struct issued server_only =
                issue((struct issue){ .common_name = "s", .issuer = &ca, .usage = "serverAuth" });
        const struct issued *list[] = { &a_cert };
        const struct {
                const char *why;
                const struct issued *client;
                bool required, succeeds, is_known;
        } cases[] = {
                { "right", &good, true, true, true },
                { "right, not required", &good, false, true, true },
                { "none", NULL, true, false, false },
                { "none, not required", NULL, false, true, false },
                { "expired", &expired, true, false, false },
                { "expired, not required", &expired, false, false, false },
                { "another authority", &stranger, true, false, false },
                { "not for clients", &server_only, true, false, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct tls_context *sc =
                        server_with(list, 1,
                                    (struct tls_server_conf){ .client_ca_pem = str_of(ca.cert_pem),
                                                              .client_required = cases[i].required });
                struct tls_client_conf conf = { 0 };
                struct conn server, client;
                struct buf der;

                if (cases[i].client) {
                        conf.cert_pem = str_of(cases[i].client->cert_pem);
                        conf.key_pem = str_of(cases[i].client->key_pem);
                }
                struct tls_context *cc = client_of(conf);
                handshake(&server, sc, &client, cc, "a.example");
                if ((server.open_err == ERR_OK) != cases[i].succeeds)
                        fail_msg("%s: ERR_%s", cases[i].why, err_name(server.open_err));
                buf_init(&der, 1 << 16);
                assert_err(stream_tls_peer_certificate(&server.stream, &der),
                           cases[i].is_known ? ERR_OK : ERR_NOT_FOUND);
                if (cases[i].is_known) {
                        const unsigned char *p = (const unsigned char *)der.ptr;
                        X509 *c = d2i_X509(NULL, &p, (long)der.len);
                        assert_int_equal(X509_cmp(c, cases[i].client->certificate), 0);
                        X509_free(c);
                }
                buf_fini(&der);
                close_conn(&server, STREAM_CLOSE_PLAIN);
                close_conn(&client, STREAM_CLOSE_PLAIN);
                tls_context_put(sc);
                tls_context_put(cc);
        }
        issued_free(&good);
        issued_free(&expired);
        issued_free(&stranger);
        issued_free(&server_only);
}

/* --- What strangers do --- */

static void test_alpn_mismatch(void **state)
{
        struct tls_context *sc = server_of(&a_cert);
        struct raw r = raw_against(sc, "a.example");

        SSL_set_alpn_protos(r.ssl, (const unsigned char *)"\x06spdy/3", 7);
        assert_int_equal(raw_handshake(&r), SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
        assert_err(raw_server.open_err, ERR_TLS);
        close_conn(&raw_server, STREAM_CLOSE_PLAIN);
        raw_close(&r);
        tls_context_put(sc);
}

static void test_old_versions_are_refused(void **state)
{
        struct tls_context *sc = server_of(&a_cert);
        struct raw r = raw_against(sc, "a.example");

        SSL_set_min_proto_version(r.ssl, TLS1_VERSION);
        SSL_set_max_proto_version(r.ssl, TLS1_1_VERSION);
        SSL_set_cipher_list(r.ssl, "ALL:@SECLEVEL=0");
        assert_int_equal(raw_handshake(&r), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
        assert_err(raw_server.open_err, ERR_TLS);
        assert_string_equal(stream_tls_reason(&raw_server.stream), "unsupported protocol");
        close_conn(&raw_server, STREAM_CLOSE_PLAIN);
        raw_close(&r);
        r = raw_against(sc, "a.example");
        SSL_set_max_proto_version(r.ssl, TLS1_2_VERSION);
        SSL_set_cipher_list(r.ssl, "AES128-SHA:@SECLEVEL=0"); /* no forward secrecy */
        assert_int_equal(raw_handshake(&r), SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE);
        close_conn(&raw_server, STREAM_CLOSE_PLAIN);
        raw_close(&r);
        tls_context_put(sc);
}

static void test_plain_http(void **state)
{
        static const char *const requests[] = { "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                                                "OPTIONS * HTTP/1.1\r\n\r\n",
                                                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "P" };
        struct tls_context *sc = server_of(&a_cert);

        for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
                struct raw r = raw_against(sc, NULL);
                char bytes[512];
                size_t got = 0;
                ssize_t n;

                send_text(r.fd, requests[i]);
                for (int j = 0; j < 200 && !raw_server.opened; j++)
                        loop_turn(loop, 5);
                assert_err(raw_server.open_err, ERR_TLS);
                assert_string_equal(stream_tls_reason(&raw_server.stream), "plain HTTP on a TLS port");
                close_conn(&raw_server, STREAM_CLOSE_PLAIN);
                turns(3);
                while ((n = recv(r.fd, bytes + got, sizeof(bytes) - got, MSG_DONTWAIT)) > 0)
                        got += (size_t)n;
                assert_int_equal(n, 0); /* ended, not reset */
                assert_true(str_has_prefix((struct str){ bytes, got }, STR("HTTP/1.1 400 Bad Request\r\n")));
                struct str body = str_from((struct str){ bytes, got },
                                           str_find((struct str){ bytes, got }, STR("\r\n\r\n")) + 4);
                assert_int_equal(body.len, 61); /* the Content-Length it says */
                raw_close(&r);
                turns(3);
        }
        tls_context_put(sc);
}

static void test_slow_handshake_is_ended(void **state)
{
        struct tls_context *sc = server_of(&a_cert);
        struct raw r = raw_against(sc, NULL);

        send_text(r.fd, "\x16\x03\x01"); /* the beginning of a record, and silence */
        turns(3);
        assert_int_equal(raw_server.opened, 0);
        assert_in_range(raw_server.stream.tls->timer.due - loop_now(loop), 9000, 10000);
        timer_set(loop, &raw_server.stream.tls->timer, loop_now(loop) + 5); /* not to wait for it here */
        for (int i = 0; i < 100 && !raw_server.opened; i++)
                loop_turn(loop, 10);
        assert_err(raw_server.open_err, ERR_TIMED_OUT);
        send_text(r.fd, "\x02"); /* nothing is done with what comes after it */
        turns(3);
        assert_int_equal(raw_server.opened, 1);
        close_conn(&raw_server, STREAM_CLOSE_PLAIN);
        raw_close(&r);
        tls_context_put(sc);
}

static void test_peer_leaves_during_the_handshake(void **state)
{
        struct tls_context *sc = server_of(&a_cert);

        for (int how = 0; how < 2; how++) {
                struct raw r = raw_against(sc, NULL);
                send_text(r.fd, "\x16\x03\x01");
                turns(2);
                if (how)
                        reset(dup(r.fd));
                shutdown(r.fd, SHUT_WR);
                for (int i = 0; i < 100 && !raw_server.opened; i++)
                        loop_turn(loop, 10);
                assert_err(raw_server.open_err, ERR_CLOSED);
                close_conn(&raw_server, STREAM_CLOSE_PLAIN);
                raw_close(&r);
        }
        tls_context_put(sc);
}

/* What a client sends, byte by byte and record by record of one byte. */
static void test_dribbled_handshake(void **state)
{
        struct tls_context *sc = server_of(&a_cert);
        struct raw r = raw_against(sc, "a.example");
        int done = 0;

        SSL_set_bio(r.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        BIO_set_mem_eof_return(SSL_get_rbio(r.ssl), -1);
        SSL_set_max_send_fragment(r.ssl, 512);
        for (int i = 0; i < 5000 && !(done && raw_server.opened); i++) {
                char byte, wire[8192];
                if (!done)
                        done = SSL_connect(r.ssl) == 1;
                while (BIO_read(SSL_get_wbio(r.ssl), &byte, 1) == 1) {
                        assert_int_equal(send(r.fd, &byte, 1, 0), 1);
                        turns(1);
                }
                ssize_t m = recv(r.fd, wire, sizeof(wire), MSG_DONTWAIT);
                if (m > 0)
                        BIO_write(SSL_get_rbio(r.ssl), wire, (int)m);
        }
        assert_err(raw_server.open_err, ERR_OK);
        close_conn(&raw_server, STREAM_CLOSE_PLAIN);
        raw_close(&r);
        tls_context_put(sc);
}

static const struct {
        const char *why;
        struct str record;
        int alert;
} bad_records[] = {
        { "longer than 2^14 + 256", STR_INIT("\x17\x03\x03\x41\x01"), SSL_R_TLSV1_ALERT_RECORD_OVERFLOW },
        { "forged",
          STR_INIT("\x17\x03\x03\x00\x20"
                   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"),
          SSL_R_SSLV3_ALERT_BAD_RECORD_MAC },
        { "unknown type", STR_INIT("\x63\x03\x03\x00\x01x"), SSL_R_SSLV3_ALERT_UNEXPECTED_MESSAGE },
};

static void test_bad_records(void **state)
{
        struct tls_context *sc = server_of(&a_cert);
        char bytes[64];
        size_t got;

        for (size_t i = 0; i < ARRAY_SIZE(bad_records); i++) {
                struct raw r = raw_against(sc, "a.example");
                assert_int_equal(raw_handshake(&r), 0);
                assert_int_equal(send(r.fd, bad_records[i].record.ptr, bad_records[i].record.len, 0),
                                 (ssize_t)bad_records[i].record.len);
                assert_err(read_some(&raw_server, bytes, sizeof(bytes), &got), ERR_IO);
                int alert = -raw_read(&r, bytes, sizeof(bytes));
                if (alert != bad_records[i].alert)
                        fail_msg("%s: reason %d (%s)", bad_records[i].why, alert,
                                 stream_tls_reason(&raw_server.stream));
                close_conn(&raw_server, STREAM_CLOSE_PLAIN);
                raw_close(&r);
        }
        tls_context_put(sc);
}

static void test_renegotiation_is_refused(void **state)
{
        struct tls_context *sc = server_of(&a_cert);
        struct raw r = raw_against(sc, "a.example");
        char bytes[64];

        SSL_set_max_proto_version(r.ssl, TLS1_2_VERSION);
        assert_int_equal(raw_handshake(&r), 0);
        assert_int_equal(SSL_renegotiate(r.ssl), 1);
        SSL_do_handshake(r.ssl);
        for (int i = 0; i < 5; i++) {
                size_t got;
                assert_err(stream_read(&raw_server.stream, bytes, sizeof(bytes), &got), ERR_AGAIN);
                loop_turn(loop, 5);
        }
        assert_int_equal(-raw_read(&r, bytes, sizeof(bytes)), SSL_R_NO_RENEGOTIATION);
        assert_int_equal(raw_server.opened, 1);
        close_conn(&raw_server, STREAM_CLOSE_PLAIN);
        raw_close(&r);
        tls_context_put(sc);
}

static void test_key_update_flood(void **state)
{
        struct tls_context *sc = server_of(&a_cert);
        struct raw r = raw_against(sc, "a.example");
        char bytes[4096];
        size_t got;
        enum err e = ERR_AGAIN;
        unsigned sent = 0;

        assert_int_equal(raw_handshake(&r), 0);
        while (sent < 65536 && e == ERR_AGAIN) {
                for (int i = 0; i < 50; i++, sent++) {
                        SSL_key_update(r.ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
                        if (SSL_do_handshake(r.ssl) != 1)
                                break;
                }
                turns(1);
                e = stream_read(&raw_server.stream, bytes, sizeof(bytes), &got);
                SSL_read(r.ssl, bytes, sizeof(bytes));
        }
        assert_err(e, ERR_IO);
        assert_true(sent < 65536);
        close_conn(&raw_server, STREAM_CLOSE_PLAIN);
        raw_close(&r);
        tls_context_put(sc);
}

/* --- Configuration --- */

static void test_configuration_errors(void **state)
{
        char both[8192], encrypted[8192];
        BIO *bio = BIO_new(BIO_s_mem());

        PEM_write_bio_PrivateKey(bio, a_cert.key, EVP_aes_256_cbc(), (const unsigned char *)"secret", 6, NULL,
                                 NULL);
        char *text = pem_text(bio);
        snprintf(encrypted, sizeof(encrypted), "%s", text);
        free(text);
        snprintf(both, sizeof(both), "%s%s", a_cert.key_pem, a_cert.cert_pem);
        const struct {
                const char *why;
                const char *cert, *key, *client_ca;
                enum err err;
                const char *says;
        } cases[] = {
                { "right", a_cert.cert_pem, a_cert.key_pem, NULL, ERR_OK, "" },
                { "key and certificate in one file", both, both, NULL, ERR_OK, "" },
                { "empty certificate", "", a_cert.key_pem, NULL, ERR_CONFIG,
                  "cert.pem: no certificate found" },
                { "not PEM", "hello", a_cert.key_pem, NULL, ERR_CONFIG, "cert.pem: no certificate found" },
                { "empty key", a_cert.cert_pem, "", NULL, ERR_CONFIG, "key.pem: no private key found" },
                { "certificate for a key", a_cert.cert_pem, a_cert.cert_pem, NULL, ERR_CONFIG,
                  "key.pem: no private key found" },
                { "passphrase", a_cert.cert_pem, encrypted, NULL, ERR_CONFIG,
                  "key.pem: the private key is protected" },
                { "another's key", a_cert.cert_pem, b_cert.key_pem, NULL, ERR_CONFIG,
                  "key.pem: the private key does not belong" },
                { "expired", expired_cert.cert_pem, expired_cert.key_pem, NULL, ERR_OK,
                  "cert.pem: the certificate expired on" },
                { "bad client authorities", a_cert.cert_pem, a_cert.key_pem, "x", ERR_CONFIG,
                  "client authorities: no certificate" },
        };
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct tls_certificate c = { str_of(cases[i].cert), str_of(cases[i].key), STR("cert.pem"),
                                             STR("key.pem") };
                struct tls_server_conf conf = { .certificates = &c,
                                                .certificates_count = 1,
                                                .client_ca_pem = str_of(cases[i].client_ca) };
                struct tls_context *context = NULL;
                struct report r;
                struct buf said;

                report_init(&r, STR("sekisho.json"));
                buf_init(&said, 1 << 16);
                enum err e = tls_server_new(&conf, &r, &context);
                report_format(&r, &said);
                if (e != cases[i].err || (r.errors_count > 0) != (e != ERR_OK) ||
                    str_find(buf_str(&said), str_of(cases[i].says)) == STR_NONE)
                        fail_msg("%s: ERR_%s, \"%.*s\"", cases[i].why, err_name(e), STR_FMT(buf_str(&said)));
                buf_fini(&said);
                report_fini(&r);
                tls_context_put(context);
        }
        struct tls_server_conf none = { 0 };
        struct tls_context *context = NULL;
        struct report r;
        report_init(&r, STR("sekisho.json"));
        assert_err(tls_server_new(&none, &r, &context), ERR_CONFIG);
        report_fini(&r);
}

static void test_not_after(void **state)
{
        const struct issued *list[] = { &a_cert, &b_cert };
        struct tls_context *sc = server_with(list, 2, (struct tls_server_conf){ 0 }),
                           *cc = client_of((struct tls_client_conf){ 0 });

        assert_in_range(tls_not_after(sc) - time(NULL), 86000, 86500);
        assert_true(tls_not_after(cc) == INT64_MAX);
        tls_context_put(tls_context_get(sc));
        tls_context_put(sc);
        tls_context_put(cc);
        tls_context_put(NULL);
}

/* A stream in use keeps the context of before a reload. */
static void test_context_outlives_its_owner(void **state)
{
        struct tls_context *sc = server_of(&a_cert), *cc = client_of((struct tls_client_conf){ 0 });
        struct conn server, client;

        handshake(&server, sc, &client, cc, "a.example");
        tls_context_put(sc);
        tls_context_put(cc);
        assert_err(write_text(&server, "still"), ERR_OK);
        expect_text(&client, "still");
        close_conn(&server, STREAM_CLOSE_PLAIN);
        close_conn(&client, STREAM_CLOSE_PLAIN);
}

static int setup(void **state)
{
        return loop_new(&loop) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
        loop_free(loop);
        return 0;
}

static int make_certificates(void **state)
{
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

static int free_certificates(void **state)
{
        struct issued *all[] = { &ca, &other_ca, &a_cert, &b_cert, &wild_cert, &rsa_cert, &expired_cert };

        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
                issued_free(all[i]);
        return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(test_round_trip),
                T(test_peer_ends_when_closed),
                T(test_bulk_both_ways),
                T(test_close_delivers_what_was_taken),
                T(test_truncation_is_no_clean_end),
                T(test_data_with_the_last_flight),
                T(test_names),
                T(test_rsa_beside_ecdsa),
                T(test_sessions_do_not_cross_names),
                T(test_sessions_do_not_cross_client_policy),
                T(test_ticket_keys),
                T(test_our_client_resumes),
                T(test_client_verifies),
                T(test_client_certificates),
                T(test_alpn_mismatch),
                T(test_old_versions_are_refused),
                T(test_plain_http),
                T(test_slow_handshake_is_ended),
                T(test_peer_leaves_during_the_handshake),
                T(test_dribbled_handshake),
                T(test_bad_records),
                T(test_renegotiation_is_refused),
                T(test_key_update_flood),
                T(test_configuration_errors),
                T(test_not_after),
                T(test_context_outlives_its_owner),
        };
        return cmocka_run_group_tests(tests, make_certificates, free_certificates);
}
