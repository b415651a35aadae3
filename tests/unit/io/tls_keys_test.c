#include "tls_ends.h"

#include <sys/socket.h>

/* --- What may be signed --- */

static struct str content_1_3(const char *who, size_t hash_len, char out[TLS_SIGNED_BYTES_MAX])
{
        size_t len = strlen(who);

        memset(out, ' ', 64);
        memcpy(out + 64, who, len + 1);
        memset(out + 64 + len + 1, 0xa5, hash_len);
        return (struct str){ out, 64 + len + 1 + hash_len };
}

static struct str content_1_2(unsigned curve_type, unsigned group, unsigned said, size_t point,
                              char out[TLS_SIGNED_BYTES_MAX])
{
        memset(out, 'r', 64);
        memcpy(out + 56, "DOWNGRD\x01", 8);
        out[64] = (char)curve_type;
        out[65] = 0;
        out[66] = (char)group;
        out[67] = (char)said;
        memset(out + 68, 4, point);
        return (struct str){ out, 68 + point };
}

static void only_what_tls_signs_is_signed(void **state)
{
        static const char server[] = "TLS 1.3, server CertificateVerify";
        char bytes[TLS_SIGNED_BYTES_MAX + 64];

        assert_true(tls_content_is_signed(0x0403, content_1_3(server, 32, bytes)));
        assert_true(tls_content_is_signed(0x0804, content_1_3(server, 48, bytes)));
        assert_true(tls_content_is_signed(0x0807, content_1_3(server, 32, bytes)));
        assert_false(
                tls_content_is_signed(0x0401, content_1_3(server, 32, bytes))); /* PKCS#1 is of TLS 1.2 */
        assert_false(tls_content_is_signed(0x0201, content_1_3(server, 32, bytes))); /* SHA-1 */
        assert_false(tls_content_is_signed(0x0403, content_1_3(server, 20, bytes)));
        assert_false(
                tls_content_is_signed(0x0403, content_1_3("TLS 1.3, client CertificateVerify", 32, bytes)));
        struct str c = content_1_3(server, 32, bytes);
        bytes[63] = '!';
        assert_false(tls_content_is_signed(0x0403, c));
        c = content_1_3(server, 32, bytes);
        bytes[64 + sizeof(server) - 1] = ' ';
        assert_false(tls_content_is_signed(0x0403, c));

        assert_true(tls_content_is_signed(0x0401, content_1_2(3, 29, 32, 32, bytes)));
        assert_true(tls_content_is_signed(0x0403, content_1_2(3, 23, 65, 65, bytes)));
        assert_true(tls_content_is_signed(0x0403, content_1_2(3, 24, 97, 97, bytes)));
        assert_false(
                tls_content_is_signed(0x0401, content_1_2(1, 29, 32, 32, bytes))); /* not a named curve */
        assert_false(tls_content_is_signed(0x0401, content_1_2(3, 25, 97, 97, bytes))); /* not offered */
        assert_false(tls_content_is_signed(0x0401, content_1_2(3, 29, 31, 32, bytes)));
        assert_false(tls_content_is_signed(0x0401, content_1_2(3, 29, 32, 33, bytes)));
        c = content_1_2(3, 23, 65, 65, bytes);
        bytes[68] = 2; /* a compressed point */
        assert_false(tls_content_is_signed(0x0403, c));
        c = content_1_2(3, 29, 32, 32, bytes);
        bytes[63] = 0; /* a server that can do TLS 1.2 only */
        assert_false(tls_content_is_signed(0x0401, c));

        /* Neither of them at any length. */
        for (size_t n = 0; n < TLS_SIGNED_BYTES_MAX; n++) {
                c = content_1_3(server, 32, bytes);
                if (n != c.len && n != c.len + 16)
                        assert_false(tls_content_is_signed(0x0403, str_sub(c, 0, MIN(n, c.len - 1))));
                c = content_1_2(3, 29, 32, 32, bytes);
                if (n < c.len)
                        assert_false(tls_content_is_signed(0x0403, str_sub(c, 0, n)));
        }
}

static void id_of(const struct issued *i, uint8_t id[TLS_KEY_ID_BYTES])
{
        assert_true(tls_key_id(i->key, id));
}

/* What the keyring gives is judged by OpenSSL with the public half alone. */
static bool is_good(const struct issued *i, const struct tls_scheme *s, struct str content,
                    const uint8_t *signature, size_t len)
{
        EVP_PKEY *key = X509_get0_pubkey(i->certificate);
        EVP_MD_CTX *md = EVP_MD_CTX_new();
        EVP_PKEY_CTX *c = NULL;
        bool ok =
                EVP_DigestVerifyInit_ex(md, &c, s->digest, NULL, NULL, key, NULL) == 1 &&
                (s->padding != TLS_PAD_PSS || (EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PSS_PADDING) == 1 &&
                                               EVP_PKEY_CTX_set_rsa_pss_saltlen(c, -1) == 1)) &&
                EVP_DigestVerify(md, signature, len, (const uint8_t *)content.ptr, content.len) == 1;

        EVP_MD_CTX_free(md);
        ERR_clear_error();
        return ok;
}

static void each_scheme_is_for_its_kind_of_key(void **state)
{
        static const uint16_t numbers[] = { 0x0401, 0x0501, 0x0601, 0x0804, 0x0805, 0x0806, 0x0809,
                                            0x080a, 0x080b, 0x0403, 0x0503, 0x0603, 0x0807, 0x0808 };
        static const char *const kinds[] = { "RSA", "RSA-PSS", "P-256", "P-384", "ED25519", "ED448" };
        struct tls_keyring *ring = tls_keyring_new();
        uint8_t signature[TLS_SIGNATURE_BYTES_MAX], id[TLS_KEY_ID_BYTES];
        char bytes[TLS_SIGNED_BYTES_MAX];
        struct str content = content_1_2(3, 29, 32, 32, bytes);
        unsigned good = 0;
        size_t len;

        for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
                struct issued i = issue((struct issue){ .common_name = "x",
                                                        .issuer = &ca,
                                                        .is_rsa = k == 0,
                                                        .kind = k == 0 ? NULL : kinds[k] });
                const char *kind = kinds[k][0] == 'P' ? "EC" : kinds[k];

                id_of(&i, id);
                assert_err(tls_keyring_sign(ring, id, 0x0401, content, signature, &len), ERR_NOT_FOUND);
                assert_err(tls_keyring_add(ring, str_of(i.key_pem)), ERR_OK);
                assert_err(tls_keyring_add(ring, str_of(i.key_pem)), ERR_OK);
                assert_int_equal(tls_keyring_count(ring), k + 1);
                for (size_t n = 0; n < ARRAY_SIZE(numbers); n++) {
                        const struct tls_scheme *s = tls_scheme_find(numbers[n]);
                        enum err wanted = strcmp(s->kind, kind) == 0 ? ERR_OK : ERR_UNSUPPORTED;

                        for (int twice = 0; twice < 2; twice++)
                                assert_err(tls_keyring_sign(ring, id, numbers[n], content, signature, &len),
                                           wanted);
                        if (wanted == ERR_OK) {
                                assert_true(is_good(&i, s, content, signature, len));
                                good++;
                        }
                }
                assert_err(tls_keyring_sign(ring, id, 0x0203, content, signature, &len), ERR_DENIED);
                assert_err(tls_keyring_sign(ring, id, 0x0401, STR("sign this"), signature, &len), ERR_DENIED);
                issued_free(&i);
        }
        assert_int_equal(good, 6 + 3 + 3 + 3 + 1 + 1);
        tls_keyring_free(ring);
        tls_keyring_free(NULL);
}

static void what_is_no_key_is_refused(void **state)
{
        struct issued large = issue((struct issue){ .common_name = "x", .issuer = &ca, .kind = "X25519" });
        static const char encrypted[] =
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
        struct tls_keyring *ring = tls_keyring_new();
        const struct {
                const char *why;
                struct str pem;
                enum err err;
        } cases[] = {
                { "nothing", STR(""), ERR_MALFORMED },
                { "no PEM", STR("hello"), ERR_MALFORMED },
                { "a certificate", str_of(a_cert.cert_pem), ERR_MALFORMED },
                { "with a passphrase", str_of(encrypted), ERR_MALFORMED },
                { "signs nothing", str_of(large.key_pem), ERR_UNSUPPORTED },
                { "a key", str_of(a_cert.key_pem), ERR_OK },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct buf out;

                buf_init(&out, 4096);
                if (tls_public_half(cases[i].pem, &out) != cases[i].err ||
                    tls_keyring_add(ring, cases[i].pem) != cases[i].err)
                        fail_msg("%s", cases[i].why);
                assert_true(str_find(buf_str(&out), STR("PRIVATE")) == STR_NONE);
                assert_true((str_find(buf_str(&out), STR("BEGIN PUBLIC KEY")) != STR_NONE) ==
                            (cases[i].err == ERR_OK));
                buf_fini(&out);
        }
        tls_keyring_free(ring);
        issued_free(&large);
}

/* --- Handshakes that wait --- */

static void every_kind_of_certificate_in_both_versions(void **state)
{
        static const struct {
                const char *kind, *ciphers; /* of TLS 1.2 */
        } kinds[] = { { "RSA", "ECDHE+aRSA" },
                      { "RSA-PSS", "ECDHE+aRSA" },
                      { "P-256", "ECDHE+aECDSA" },
                      { "P-384", "ECDHE+aECDSA" },
                      { "ED25519", "ECDHE+aECDSA" } };

        for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
                struct issued i = issue((struct issue){ .common_name = "x",
                                                        .alt_names = "DNS:a.example",
                                                        .issuer = &ca,
                                                        .is_rsa = k == 0,
                                                        .kind = k == 0 ? NULL : kinds[k].kind });
                struct tls_context *sc = server_of(&i);

                for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
                        struct raw client = raw_against(sc, "a.example");
                        unsigned before = remote.signed_count;

                        SSL_set_min_proto_version(client.ssl, version);
                        SSL_set_max_proto_version(client.ssl, version);
                        SSL_set_cipher_list(client.ssl, kinds[k].ciphers);
                        if (raw_handshake(&client) != 0)
                                fail_msg("%s with version %x", kinds[k].kind, version);
                        turns(2);
                        assert_int_equal(raw_server.opened, 1);
                        assert_err(raw_server.open_err, ERR_OK);
                        assert_int_equal(remote.signed_count, before + 1);
                        assert_int_equal(SSL_version(client.ssl), version);
                        assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(SSL_get0_peer_certificate(client.ssl)),
                                                     X509_get0_pubkey(i.certificate)),
                                         1);
                        raw_close(&client);
                        close_conn(&raw_server, STREAM_CLOSE_RESET);
                }
                tls_context_put(sc);
                issued_free(&i);
        }
}

/* A chain longer than OpenSSL's own buffer: part of the flight is written before the signature is asked for. */
static void a_long_chain_waits_too(void **state)
{
        struct issued i =
                issue((struct issue){ .common_name = "x", .alt_names = "DNS:a.example", .issuer = &ca });
        struct tls_context *sc = server_of(&i), *cc = client_of((struct tls_client_conf){ 0 });
        struct conn server[2], client[2];

        for (int n = 0; n < 20; n++) {
                X509_up_ref(other_ca.certificate);
                assert_int_equal(SSL_CTX_add0_chain_cert(sc->ssl_ctx, other_ca.certificate), 1);
        }
        for (int n = 0; n < 2; n++) {
                handshake(&server[n], sc, &client[n], cc, "a.example");
                assert_err(server[n].open_err, ERR_OK);
                assert_err(client[n].open_err, ERR_OK);
                assert_err(write_text(&server[n], "well"), ERR_OK);
                expect_text(&client[n], "well");
        }
        for (int n = 0; n < 2; n++) {
                close_conn(&server[n], STREAM_CLOSE_PLAIN);
                close_conn(&client[n], STREAM_CLOSE_PLAIN);
        }
        tls_context_put(sc);
        tls_context_put(cc);
        issued_free(&i);
}

/* Others open and serve while it waits; it is closed without an answer. */
static void one_that_waits_holds_up_nobody(void **state)
{
        struct tls_context *sc = server_of(&a_cert), *cc = client_of((struct tls_client_conf){ 0 });
        struct conn first, second, served;
        struct raw waiting;
        int fds[2];

        remote.is_silent = true;
        remote.forgotten = 0;
        memset(&first, 0, sizeof(first));
        tcp_pair(fds);
        assert_err(stream_open_tls_server(&first.stream, loop, fds[0], &events, sc), ERR_OK);
        waiting = raw_open(fds[1], "a.example");
        SSL_connect(waiting.ssl);
        turns(5);
        assert_false(list_is_empty(&remote.waiting));
        assert_int_equal(first.opened, 0);

        struct list kept;
        list_init(&kept);
        list_move_all(&kept, &remote.waiting);
        remote.is_silent = false;
        handshake(&second, sc, &served, cc, "a.example");
        assert_err(second.open_err, ERR_OK);
        assert_int_equal(first.opened, 0);
        list_move_all(&remote.waiting, &kept);

        close_conn(&first, STREAM_CLOSE_RESET);
        assert_int_equal(remote.forgotten, 1);
        assert_true(list_is_empty(&remote.waiting));
        assert_err(write_text(&second, "unharmed"), ERR_OK);
        expect_text(&served, "unharmed");
        close_conn(&second, STREAM_CLOSE_PLAIN);
        close_conn(&served, STREAM_CLOSE_PLAIN);
        raw_close(&waiting);
        tls_context_put(sc);
        tls_context_put(cc);
}

static void a_refusal_ends_the_handshake(void **state)
{
        struct tls_context *sc = server_of(&a_cert);
        struct raw client = raw_against(sc, "a.example");

        remote.refuses = ERR_NOT_FOUND;
        assert_true(raw_handshake(&client) != 0);
        remote.refuses = ERR_OK;
        assert_int_equal(raw_server.opened, 1);
        assert_err(raw_server.open_err, ERR_TLS);
        raw_close(&client);
        close_conn(&raw_server, STREAM_CLOSE_PLAIN);
        tls_context_put(sc);
}

/* The client is gone meanwhile: that is found out when the signature is there. */
static void a_client_that_leaves_while_it_waits(void **state)
{
        struct tls_context *sc = server_of(&a_cert);
        struct raw client = raw_against(sc, "a.example");

        remote.is_silent = true;
        SSL_connect(client.ssl);
        turns(5);
        raw_close(&client);
        turns(2);
        remote.is_silent = false;
        loop_post(loop, &remote.task);
        turns(10);
        assert_int_equal(raw_server.opened, 1);
        assert_true(raw_server.open_err != ERR_OK);
        close_conn(&raw_server, STREAM_CLOSE_PLAIN);
        tls_context_put(sc);
}

/* There is a bound to those that wait; beyond it a handshake fails at once, and the others go on. */
static void too_many_are_refused(void **state)
{
        static struct conn conns[FIBRES_MAX + 1];
        static struct raw clients[FIBRES_MAX + 1];
        struct tls_context *sc = server_of(&a_cert);
        size_t open = 0, failed = 0;
        int fds[2];

        remote.is_silent = true;
        for (size_t i = 0; i <= FIBRES_MAX; i++) {
                memset(&conns[i], 0, sizeof(conns[i]));
                assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
                assert_err(stream_open_tls_server(&conns[i].stream, loop, fds[0], &events, sc), ERR_OK);
                clients[i] = raw_open(fds[1], "a.example");
                SSL_connect(clients[i].ssl);
                turns(2);
                failed += conns[i].opened;
        }
        assert_int_equal(failed, 1);
        assert_err(conns[FIBRES_MAX].open_err, ERR_NO_MEMORY);
        remote.is_silent = false;
        loop_post(loop, &remote.task);
        turns(2);
        for (size_t i = 0; i < FIBRES_MAX; i++) {
                SSL_connect(clients[i].ssl);
                turns(1);
                open += conns[i].opened && conns[i].open_err == ERR_OK;
        }
        assert_int_equal(open, FIBRES_MAX);
        for (size_t i = 0; i <= FIBRES_MAX; i++) {
                close_conn(&conns[i], STREAM_CLOSE_RESET);
                raw_close(&clients[i]);
        }
        tls_context_put(sc);
}

/* Who checks a configuration has the public halves, and nobody to sign. */
static void without_a_signer_it_can_be_looked_at(void **state)
{
        struct tls_certificate c = certificate_of(&a_cert);
        struct tls_server_conf conf = { .certificates = &c,
                                        .certificates_count = 1,
                                        .signer = &tls_signer_none };
        struct tls_context *sc = NULL;
        struct report r;

        report_init(&r, STR("test"));
        remote_take(&c);
        assert_err(tls_server_new(&conf, &r, &sc), ERR_OK);
        struct raw client = raw_against(sc, "a.example");
        assert_true(raw_handshake(&client) != 0);
        assert_err(raw_server.open_err, ERR_TLS);
        raw_close(&client);
        close_conn(&raw_server, STREAM_CLOSE_PLAIN);
        tls_context_put(sc);
        /* The half of another key. */
        struct tls_certificate other = certificate_of(&b_cert);
        remote_take(&other);
        c.key_pem = other.key_pem;
        assert_err(tls_server_new(&conf, &r, &sc), ERR_CONFIG);
        /* A private one where a public one belongs. */
        c.key_pem = str_of(a_cert.key_pem);
        assert_err(tls_server_new(&conf, &r, &sc), ERR_CONFIG);
        report_fini(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(only_what_tls_signs_is_signed), T(each_scheme_is_for_its_kind_of_key),
                T(what_is_no_key_is_refused),     T(every_kind_of_certificate_in_both_versions),
                T(a_long_chain_waits_too),        T(one_that_waits_holds_up_nobody),
                T(a_refusal_ends_the_handshake),  T(a_client_that_leaves_while_it_waits),
                T(too_many_are_refused),          T(without_a_signer_it_can_be_looked_at),
        };

        keys_are_remote = true;
        return cmocka_run_group_tests(tests, make_certificates, free_certificates) +
               ((keeps_openssl = true), cmocka_run_group_tests(tests, make_certificates, free_certificates));
}
