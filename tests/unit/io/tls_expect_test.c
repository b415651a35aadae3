#include "tls_ends.h"

/* Who a server must prove to be when it is known by a root's fingerprint and a URI name: nodes and control. */

static uint8_t root_hash[32], other_hash[32];

static struct str hash_of(const struct issued *i, uint8_t out[32], size_t len)
{
        assert_int_equal(X509_digest(i->certificate, EVP_sha256(), out, NULL), 1);
        return (struct str){ (char *)out, len };
}

static struct issued chained(const char *names, const struct issued *issuer, const struct issued *sent)
{
        struct issued leaf =
                issue((struct issue){ .common_name = "node", .alt_names = names, .issuer = issuer });
        char *chain;

        assert_true(asprintf(&chain, "%s%s", leaf.cert_pem, sent ? sent->cert_pem : "") > 0);
        free(leaf.cert_pem);
        leaf.cert_pem = chain;
        return leaf;
}

enum who { BY_ROOT, BY_CA, BY_OTHER_ROOT, BY_OTHER_CA };

static void test_expectations(void **state)
{
        static const struct {
                const char *why, *names;
                bool sends_root, of_other;
                enum who who;
                const char *pattern;
                enum err err;
        } cases[] = {
                { "the pinned root, the wanted name", "URI:sekisho://o/control", true, false, BY_ROOT,
                  "sekisho://*/control", ERR_OK },
                { "the pinned root is not sent", "URI:sekisho://o/control", false, false, BY_ROOT,
                  "sekisho://*/control", ERR_TLS },
                { "another root is pinned", "URI:sekisho://o/control", true, false, BY_OTHER_ROOT,
                  "sekisho://*/control", ERR_TLS },
                { "the pinned root is sent, but signed nothing", "URI:sekisho://o/control", true, true,
                  BY_ROOT, "sekisho://*/control", ERR_TLS },
                { "another name", "URI:sekisho://o/gateway/gw-a", true, false, BY_ROOT, "sekisho://*/control",
                  ERR_TLS },
                { "no name", "DNS:control.sekisho.internal", true, false, BY_ROOT, "sekisho://*/control",
                  ERR_TLS },
                { "two names", "URI:sekisho://o/control,URI:sekisho://p/control", true, false, BY_ROOT,
                  "sekisho://*/control", ERR_TLS },
                { "the authority is known", "URI:sekisho://o/gateway/gw-a", false, false, BY_CA,
                  "sekisho://o/gateway/gw-a", ERR_OK },
                { "of the known authority, but another gateway", "URI:sekisho://o/gateway/gw-b", false, false,
                  BY_CA, "sekisho://o/gateway/gw-a", ERR_TLS },
                { "of another authority", "URI:sekisho://o/gateway/gw-a", true, false, BY_OTHER_CA,
                  "sekisho://o/gateway/gw-a", ERR_TLS },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct issued leaf = chained(cases[i].names, cases[i].of_other ? &other_ca : &ca,
                                             cases[i].sends_root ? &ca : NULL);
                const struct issued *list[] = { &leaf };
                struct tls_context *sc = server_with(list, 1, (struct tls_server_conf){ 0 }), *cc = NULL;
                struct tls_client_conf conf = { .uri_name = str_of(cases[i].pattern) };
                struct conn server, client;
                struct report r;

                switch (cases[i].who) {
                case BY_ROOT: conf.root_sha256 = hash_of(&ca, root_hash, 16); break;
                case BY_OTHER_ROOT: conf.root_sha256 = hash_of(&other_ca, other_hash, 32); break;
                case BY_CA: conf.ca_pem = str_of(ca.cert_pem); break;
                case BY_OTHER_CA: conf.ca_pem = str_of(other_ca.cert_pem); break;
                }
                report_init(&r, STR("test"));
                assert_err(tls_client_new(&conf, &r, &cc), ERR_OK);
                report_fini(&r);
                handshake(&server, sc, &client, cc, "control.sekisho.internal");
                if (client.open_err != cases[i].err)
                        fail_msg("%s: %s", cases[i].why, err_name(client.open_err));
                if (client.open_err == ERR_OK)
                        assert_str(stream_tls_server_name(&server.stream), STR("control.sekisho.internal"));
                close_conn(&server, STREAM_CLOSE_PLAIN);
                close_conn(&client, STREAM_CLOSE_PLAIN);
                tls_context_put(sc);
                tls_context_put(cc);
                issued_free(&leaf);
        }
}

static void test_a_short_fingerprint_is_none(void **state)
{
        struct tls_client_conf conf = { .root_sha256 = hash_of(&ca, root_hash, 15) };
        struct tls_context *c = NULL;
        struct report r;

        report_init(&r, STR("test"));
        assert_err(tls_client_new(&conf, &r, &c), ERR_CONFIG);
        report_fini(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(test_expectations),
                T(test_a_short_fingerprint_is_none),
        };
        return RUN_EACH_WAY(tests);
}
