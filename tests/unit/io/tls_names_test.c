#include "tls_ends.h"

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

/* One name of a listener asks for a certificate, the others do not, and none of it is resumed across. */
static void test_revoked_client_certificates(void **state)
{
        struct issued node = issue((struct issue){ .common_name = "node", .issuer = &ca });
        struct issued other = issue((struct issue){ .common_name = "other", .issuer = &ca });
        const struct issued *list[] = { &a_cert };
        const struct {
                const char *why;
                char *crl;
                bool required, succeeds;
        } cases[] = {
                { "an empty list", revocations(&ca, NULL, 3600), true, true },
                { "another is revoked", revocations(&ca, &other, 3600), true, true },
                { "revoked", revocations(&ca, &node, 3600), true, false },
                { "revoked, not required", revocations(&ca, &node, 3600), false, false },
                { "a list past its time", revocations(&ca, NULL, -60), true, false },
                { "another authority's list", revocations(&other_ca, NULL, 3600), true, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct tls_context *sc =
                        server_with(list, 1,
                                    (struct tls_server_conf){ .client_ca_pem = str_of(ca.cert_pem),
                                                              .client_crl_pem = str_of(cases[i].crl),
                                                              .client_required = cases[i].required });
                struct tls_context *cc = client_of((struct tls_client_conf){
                        .cert_pem = str_of(node.cert_pem), .key_pem = str_of(node.key_pem) });
                struct conn server, client;

                handshake(&server, sc, &client, cc, "a.example");
                if ((server.open_err == ERR_OK) != cases[i].succeeds)
                        fail_msg("%s: ERR_%s", cases[i].why, err_name(server.open_err));
                close_conn(&server, STREAM_CLOSE_PLAIN);
                close_conn(&client, STREAM_CLOSE_PLAIN);
                tls_context_put(sc);
                tls_context_put(cc);
                free(cases[i].crl);
        }
        issued_free(&node);
        issued_free(&other);
}

static void test_client_certificates_of_one_name(void **state)
{
        struct issued good = issue((struct issue){ .common_name = "node", .issuer = &ca });
        struct issued stranger = issue((struct issue){ .common_name = "x", .issuer = &other_ca });
        const struct {
                const char *why, *name;
                const struct issued *client;
                bool required, succeeds, is_known;
        } cases[] = {
                { "the inner name, with one", "b.example", &good, true, true, true },
                { "the inner name, with none", "b.example", NULL, true, false, false },
                { "the inner name, with none where it may", "b.example", NULL, false, true, false },
                { "the inner name, a stranger's", "b.example", &stranger, false, false, false },
                { "another name: nobody asks", "a.example", &good, true, true, false },
                { "another name, with none", "a.example", NULL, true, true, false },
                { "another name, a stranger's is not looked at", "a.example", &stranger, true, true, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct tls_certificate certificates[] = { certificate_of(&a_cert), certificate_of(&b_cert) };
                struct tls_server_conf server_conf = { .certificates = certificates,
                                                       .certificates_count = 2 };
                struct tls_client_conf conf = { 0 };
                struct tls_context *sc;
                struct conn server, client;
                struct report r;
                struct buf der;

                certificates[1].client_ca_pem = str_of(ca.cert_pem);
                certificates[1].client_required = cases[i].required;
                report_init(&r, STR("test"));
                assert_err(tls_server_new(&server_conf, &r, &sc), ERR_OK);
                report_fini(&r);
                sc->keeps_openssl = keeps_openssl;
                if (cases[i].client) {
                        conf.cert_pem = str_of(cases[i].client->cert_pem);
                        conf.key_pem = str_of(cases[i].client->key_pem);
                }
                struct tls_context *cc = client_of(conf);
                handshake(&server, sc, &client, cc, cases[i].name);
                if ((server.open_err == ERR_OK) != cases[i].succeeds)
                        fail_msg("%s: ERR_%s", cases[i].why, err_name(server.open_err));
                buf_init(&der, 1 << 16);
                if ((stream_tls_peer_certificate(&server.stream, &der) == ERR_OK) != cases[i].is_known)
                        fail_msg("%s: %s", cases[i].why, cases[i].is_known ? "not known" : "known");
                buf_fini(&der);
                close_conn(&server, STREAM_CLOSE_PLAIN);
                close_conn(&client, STREAM_CLOSE_PLAIN);
                tls_context_put(sc);
                tls_context_put(cc);
        }
        issued_free(&good);
        issued_free(&stranger);
}

/* Chains no honest client has: 15 authorities deep, and 100 KB of names. */
static void test_monstrous_client_certificates(void **state)
{
        enum { DEPTH = 15, NAMES = 4000 };
        static char chain[1 << 16], alt_names[NAMES * 24];
        struct issued links[DEPTH], leaf, huge;
        const struct issued *list[] = { &a_cert };
        size_t len = 0;

        for (int i = 0; i < DEPTH; i++) {
                char name[32];
                snprintf(name, sizeof(name), "authority %d", i);
                links[i] = issue((struct issue){
                        .common_name = name, .is_ca = true, .issuer = i ? &links[i - 1] : &ca });
        }
        leaf = issue((struct issue){ .common_name = "leaf", .issuer = &links[DEPTH - 1] });
        len += (size_t)snprintf(chain, sizeof(chain), "%s", leaf.cert_pem);
        for (int i = DEPTH - 1; i >= 0; i--)
                len += (size_t)snprintf(chain + len, sizeof(chain) - len, "%s", links[i].cert_pem);
        size_t at = 0;
        for (int i = 0; i < NAMES; i++)
                at += (size_t)snprintf(alt_names + at, sizeof(alt_names) - at, "%sDNS:n%d.example.org",
                                       i ? "," : "", i);
        huge = issue((struct issue){ .common_name = "huge", .alt_names = alt_names, .issuer = &ca });
        const struct {
                const char *cert, *key, *reason;
        } cases[] = {
                { chain, leaf.key_pem, "certificate chain too long" },
                { huge.cert_pem, huge.key_pem, "excessive message size" },
        };
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct tls_context *sc =
                        server_with(list, 1,
                                    (struct tls_server_conf){ .client_ca_pem = str_of(ca.cert_pem),
                                                              .client_required = true });
                struct tls_context *cc = client_of((struct tls_client_conf){
                        .cert_pem = str_of(cases[i].cert), .key_pem = str_of(cases[i].key) });
                struct conn server, client;

                handshake(&server, sc, &client, cc, "a.example");
                assert_err(server.open_err, ERR_TLS);
                assert_string_equal(stream_tls_reason(&server.stream), cases[i].reason);
                close_conn(&server, STREAM_CLOSE_PLAIN);
                close_conn(&client, STREAM_CLOSE_PLAIN);
                tls_context_put(sc);
                tls_context_put(cc);
        }
        for (int i = 0; i < DEPTH; i++)
                issued_free(&links[i]);
        issued_free(&leaf);
        issued_free(&huge);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(test_names),
                T(test_rsa_beside_ecdsa),
                T(test_sessions_do_not_cross_names),
                T(test_sessions_do_not_cross_client_policy),
                T(test_ticket_keys),
                T(test_our_client_resumes),
                T(test_client_verifies),
                T(test_client_certificates),
                T(test_revoked_client_certificates),
                T(test_client_certificates_of_one_name),
                T(test_monstrous_client_certificates),
        };
        return RUN_EACH_WAY(tests);
}
