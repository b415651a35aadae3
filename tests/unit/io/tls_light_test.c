/* Connections that leave OpenSSL after the handshake, against ends that are OpenSSL, and each other. */
#include "tls_ends.h"

static void test_which_connections_leave(void **state)
{
        static const struct {
                const char *why;
                int version;
                const char *suite;
                bool leaves;
        } cases[] = {
                { "TLS 1.3, AES-128", TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", true },
                { "TLS 1.3, AES-256", TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", true },
                { "TLS 1.3, ChaCha20", TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256", true },
                { "TLS 1.2", TLS1_2_VERSION, NULL, false },
        };
        struct tls_context *sc = server_of(&a_cert);

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct raw r = raw_against(sc, "a.example");
                SSL_set_max_proto_version(r.ssl, cases[i].version);
                if (cases[i].suite)
                        SSL_set_ciphersuites(r.ssl, cases[i].suite);
                assert_int_equal(raw_handshake(&r), 0);
                struct tls_session *t = raw_server.stream.tls;
                if ((t->ssl == NULL) != cases[i].leaves || (t->records != NULL) != cases[i].leaves)
                        fail_msg("%s", cases[i].why);
                assert_null(t->handshake);
                assert_str(stream_tls_server_name(&raw_server.stream), STR("a.example"));
                assert_string_equal(stream_tls_version(&raw_server.stream), SSL_get_version(r.ssl));
                assert_string_equal(stream_tls_cipher(&raw_server.stream), SSL_get_cipher_name(r.ssl));
                close_conn(&raw_server, STREAM_CLOSE_PLAIN);
                raw_close(&r);
        }
        tls_context_put(sc);
}

static size_t pad(SSL *ssl, int type, size_t len, void *unused)
{
        return (size_t)rand() % 200;
}

/* Random sizes both ways, padded and cut by the client, with new keys every now and then from either side. */
static void echo(const char *suite, long fragment, size_t read_bytes)
{
        enum { TOTAL = 300000 };
        static char sent[TOTAL], got[TOTAL], buffer[65536];
        struct tls_context *sc = server_of(&a_cert);
        struct raw r = raw_against(sc, "a.example");
        size_t out = 0, back = 0, held = 0, held_at = 0, want = 1000, n;
        unsigned rounds = 0;

        for (size_t i = 0; i < TOTAL; i++)
                sent[i] = (char)(rand() >> 7);
        SSL_set_ciphersuites(r.ssl, suite);
        SSL_set_max_send_fragment(r.ssl, fragment);
        SSL_set_record_padding_callback(r.ssl, pad);
        SSL_set_mode(r.ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        assert_int_equal(raw_handshake(&r), 0);
        raw_server.stream.tls->records->out_seq_max = 7;
        int64_t start = loop_clock_us();
        while (back < TOTAL) {
                assert_true(loop_clock_us() - start < 30000000);
                if (out < TOTAL) {
                        ERR_clear_error();
                        int m = SSL_write(r.ssl, sent + out, (int)MIN(TOTAL - out, want));
                        if (m > 0) { /* else the same again: OpenSSL insists */
                                out += (size_t)m;
                                want = 1 + (size_t)rand() % 20000;
                        }
                        if (m > 0 && ++rounds % 5 == 0)
                                SSL_key_update(r.ssl, rounds % 2 ? SSL_KEY_UPDATE_REQUESTED
                                                                 : SSL_KEY_UPDATE_NOT_REQUESTED);
                }
                turns(1);
                while (held_at == held) {
                        enum err e = stream_read(&raw_server.stream, buffer, MIN(read_bytes, sizeof(buffer)),
                                                 &held);
                        if (e != ERR_OK) {
                                assert_err(e, ERR_AGAIN);
                                held = held_at = 0;
                                break;
                        }
                        held_at = 0;
                        struct iovec part = { buffer, held };
                        while (held_at < held && stream_write(&raw_server.stream, &part, 1, &n) == ERR_OK) {
                                held_at += n;
                                part = (struct iovec){ buffer + held_at, held - held_at };
                        }
                }
                if (held_at < held) {
                        struct iovec part = { buffer + held_at, held - held_at };
                        if (stream_write(&raw_server.stream, &part, 1, &n) == ERR_OK)
                                held_at += n;
                }
                ERR_clear_error();
                int m = SSL_read(r.ssl, got + back, (int)(TOTAL - back));
                if (m > 0)
                        back += (size_t)m;
                else
                        assert_int_equal(SSL_get_error(r.ssl, m), SSL_ERROR_WANT_READ);
        }
        assert_memory_equal(sent, got, TOTAL);
        assert_true(raw_server.stream.tls->records->out.seq <= 7); /* our own updates happened */
        SSL_shutdown(r.ssl);
        char bytes[16];
        assert_err(read_some(&raw_server, bytes, sizeof(bytes), &n), ERR_CLOSED);
        assert_err(stream_read(&raw_server.stream, bytes, sizeof(bytes), &n), ERR_CLOSED);
        assert_null(raw_server.stream.tls->input);
        assert_null(raw_server.stream.tls->pending);
        stream_shutdown(&raw_server.stream);
        assert_int_equal(raw_read(&r, bytes, sizeof(bytes)), 0);
        close_conn(&raw_server, STREAM_CLOSE_PLAIN);
        raw_close(&r);
        tls_context_put(sc);
}

static void test_echo(void **state)
{
        echo("TLS_AES_128_GCM_SHA256", 16384, 16384);
        echo("TLS_AES_256_GCM_SHA384", 512, 65536);
        echo("TLS_CHACHA20_POLY1305_SHA256", 16384, 1000);
        echo("TLS_AES_128_GCM_SHA256", 16384, 333);
        echo("TLS_AES_128_GCM_SHA256", 700, 50);
}

/* One byte at a time on the wire; each part of a record is kept until it is whole, and nothing afterwards. */
static void test_dribbled_records(void **state)
{
        struct tls_context *sc = server_of(&a_cert);
        struct raw r = raw_against(sc, "a.example");
        char wire[4096], bytes[64];
        size_t got;

        assert_int_equal(raw_handshake(&r), 0);
        SSL_set0_wbio(r.ssl, BIO_new(BIO_s_mem()));
        for (int round = 0; round < 3; round++) {
                assert_int_equal(SSL_write(r.ssl, "hello", 5), 5);
                int len = BIO_read(SSL_get_wbio(r.ssl), wire, sizeof(wire));
                for (int i = 0; i < len; i++) {
                        assert_err(stream_read(&raw_server.stream, bytes, sizeof(bytes), &got), ERR_AGAIN);
                        assert_int_equal(send(r.fd, wire + i, 1, 0), 1);
                        loop_turn(loop, 50);
                        assert_true(stream_may_have_input(&raw_server.stream));
                }
                expect_text(&raw_server, "hello");
                assert_false(stream_may_have_input(&raw_server.stream));
                assert_null(raw_server.stream.tls->input);
        }
        close_conn(&raw_server, STREAM_CLOSE_PLAIN);
        raw_close(&r);
        tls_context_put(sc);
}

/* What follows a close_notify is nothing, but what came before it is delivered, and our answer still goes out. */
static void test_close_notify_behind_data(void **state)
{
        struct tls_context *sc = server_of(&a_cert);
        struct raw r = raw_against(sc, "a.example");
        char bytes[64];
        size_t got;

        assert_int_equal(raw_handshake(&r), 0);
        assert_int_equal(SSL_write(r.ssl, "last", 4), 4);
        SSL_shutdown(r.ssl);
        assert_int_equal(send(r.fd, "\x17\x03\x03\x00\x05trash", 10, 0), 10);
        shutdown(r.fd, SHUT_WR);
        expect_text(&raw_server, "last");
        assert_true(stream_may_have_input(&raw_server.stream));
        assert_err(read_some(&raw_server, bytes, sizeof(bytes), &got), ERR_CLOSED);
        assert_err(write_text(&raw_server, "answer"), ERR_OK);
        assert_int_equal(raw_read(&r, bytes, sizeof(bytes)), 6);
        close_conn(&raw_server, STREAM_CLOSE_PLAIN);
        raw_close(&r);
        tls_context_put(sc);
}

/* With a client certificate the facts of the handshake outlive OpenSSL's object. */
static void test_facts_stay(void **state)
{
        const struct issued *list[] = { &a_cert };
        struct tls_context *sc = server_with(list, 1,
                                             (struct tls_server_conf){ .client_ca_pem = str_of(ca.cert_pem),
                                                                       .client_required = true,
                                                                       .offer_h2 = true });
        struct tls_context *cc = client_of((struct tls_client_conf){
                .cert_pem = str_of(b_cert.cert_pem), .key_pem = str_of(b_cert.key_pem), .offer_h2 = true });
        struct conn server, client;
        struct buf der;

        handshake(&server, sc, &client, cc, "a.example");
        assert_err(server.open_err, ERR_OK);
        assert_null(server.stream.tls->ssl);
        assert_str(stream_tls_alpn(&server.stream), STR("h2"));
        buf_init(&der, 1 << 16);
        assert_err(stream_tls_peer_certificate(&server.stream, &der), ERR_OK);
        buf_fini(&der);
        close_conn(&server, STREAM_CLOSE_PLAIN);
        close_conn(&client, STREAM_CLOSE_PLAIN);
        tls_context_put(sc);
        tls_context_put(cc);
}

static void send_all(struct conn *from, struct conn *to, const char *bytes, size_t len)
{
        static char got[65536];
        size_t sent = 0, back = 0, n = 0;

        while (back < len) {
                struct iovec part = { (char *)(uintptr_t)bytes + sent, len - sent };
                if (sent < len && stream_write(&from->stream, &part, 1, &n) == ERR_OK)
                        sent += n;
                assert_err(read_some(to, got, sizeof(got), &n), ERR_OK);
                assert_true(n <= len - back);
                assert_memory_equal(got, bytes + back, n);
                back += n;
        }
}

/* A client that knows who it talks to, as an agent does, leaves too: tickets and new keys of the server's come meanwhile. */
static void client_leaves(bool server_stays)
{
        static char bytes[100000];
        struct tls_context *sc = server_of(&a_cert);
        struct tls_context *cc =
                client_of((struct tls_client_conf){ .offer_h2 = true, .light_records = true });
        struct conn server, client;
        size_t n;

        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (char)(rand() >> 7);
        sc->keeps_openssl = server_stays;
        handshake(&server, sc, &client, cc, "a.example");
        assert_err(client.open_err, ERR_OK);
        assert_null(client.stream.tls->ssl);
        assert_true((server.stream.tls->ssl != NULL) == server_stays);
        assert_str(stream_tls_alpn(&client.stream), STR("h2"));
        client.stream.tls->records->out_seq_max = 7;
        for (int i = 0; i < 100; i++) {
                send_all(&client, &server, bytes, 1 + (size_t)rand() % sizeof(bytes));
                if (server_stays && i % 5 == 0)
                        SSL_key_update(server.stream.tls->ssl,
                                       i % 2 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
                send_all(&server, &client, bytes, 1 + (size_t)rand() % sizeof(bytes));
        }
        assert_true(client.stream.tls->records->out.seq < 7 + 4); /* looked at once a write */
        stream_shutdown(&server.stream);
        assert_err(read_some(&client, bytes, sizeof(bytes), &n), ERR_CLOSED);
        stream_shutdown(&client.stream);
        assert_err(read_some(&server, bytes, sizeof(bytes), &n), ERR_CLOSED);
        close_conn(&server, STREAM_CLOSE_PLAIN);
        close_conn(&client, STREAM_CLOSE_PLAIN);
        tls_context_put(sc);
        tls_context_put(cc);
}

static void test_client_leaves(void **state)
{
        client_leaves(true);
        client_leaves(false);
}

/* A server judges a client's certificate when the client is through: its word comes as an alert, and is told. */
static void test_alert_behind_the_handshake(void **state)
{
        const struct issued *list[] = { &a_cert };
        struct tls_context *sc = server_with(
                list, 1,
                (struct tls_server_conf){ .client_ca_pem = str_of(ca.cert_pem), .client_required = true });
        struct tls_context *cc = client_of((struct tls_client_conf){ .light_records = true });
        struct conn server, client;
        char bytes[16];
        size_t n;

        handshake(&server, sc, &client, cc, "a.example");
        assert_err(server.open_err, ERR_TLS);
        assert_err(client.open_err, ERR_OK);
        assert_err(read_some(&client, bytes, sizeof(bytes), &n), ERR_IO);
        assert_string_equal(stream_tls_reason(&client.stream), "tlsv13 alert certificate required");
        close_conn(&server, STREAM_CLOSE_PLAIN);
        close_conn(&client, STREAM_CLOSE_PLAIN);
        tls_context_put(sc);
        tls_context_put(cc);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(test_which_connections_leave),    T(test_echo),       T(test_dribbled_records),
                T(test_close_notify_behind_data),   T(test_facts_stay), T(test_client_leaves),
                T(test_alert_behind_the_handshake),
        };
        return cmocka_run_group_tests(tests, make_certificates, free_certificates);
}
