#include "tls_ends.h"

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

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(test_round_trip),
                T(test_peer_ends_when_closed),
                T(test_bulk_both_ways),
                T(test_close_delivers_what_was_taken),
                T(test_truncation_is_no_clean_end),
                T(test_data_with_the_last_flight),
                T(test_configuration_errors),
                T(test_not_after),
                T(test_context_outlives_its_owner),
        };
        return RUN_EACH_WAY(tests);
}
