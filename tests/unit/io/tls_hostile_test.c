#include "tls_ends.h"

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
        assert_in_range(raw_server.stream.tls->handshake->timer.due - loop_now(loop), 9000, 10000);
        timer_set(loop, &raw_server.stream.tls->handshake->timer,
                  loop_now(loop) + 5); /* not to wait for it here */
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

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(test_alpn_mismatch),
                T(test_old_versions_are_refused),
                T(test_plain_http),
                T(test_slow_handshake_is_ended),
                T(test_peer_leaves_during_the_handshake),
                T(test_dribbled_handshake),
                T(test_bad_records),
                T(test_renegotiation_is_refused),
                T(test_key_update_flood),
        };
        return RUN_EACH_WAY(tests);
}
