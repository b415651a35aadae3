/* What an operator gets wrong, where the report says it is, and what it says. */
#include "fake.h"

#define T \
        "{\"gateway\": {\"apiTokens\": [{\"name\": \"t\", \"env\": \"TOKEN\"}]},\n" /* the rest begins on line 2 */
#define U \
        "\"upstreams\": {\"app\": {\"targets\": [\"http://127.0.0.1:1\"]}},\n" /* and after this on line 3 */
#define P "\"providers\": {\"home\": {\"kind\": \"openai\"}},\n"

#define DATAGRAMS(targets, more) \
        "{\"upstreams\": {\"d\": {\"targets\": [" targets "]" more "}},\n\"gateway\": {\"auth\": false, "

static const struct {
        const char *why, *text;
        unsigned line, column;
        const char *says;
} cases[] = {
        { "no JSON", "{\n  \"gateway\" {}\n}", 2, 13, "" },
        { "not an object", "[]", 1, 1, "an array; write an object" },
        { "duplicate key", T "\"log\": {},\n\"log\": {}}", 3, 1, "log" },
        { "unknown key, near one", T "\"upstream\": {}}", 2, 1,
          "there is no key \"upstream\" (did you mean \"upstreams\"?)" },
        { "unknown key, deep", "{\"gateway\": {\"limits\":\n  {\"headerByte\": 1}}}", 2, 4,
          "gateway.limits: there is no key \"headerByte\" (did you mean \"headerBytes\"?)" },
        { "unknown key, near nothing", T "\"zzzzzz\": 1}", 2, 1, "there is no key \"zzzzzz\"" },
        { "wrong type", "{\"gateway\": {\"port\": \"3000\"}}", 1, 22,
          "gateway.port: is a string; write a whole number" },
        { "fraction", "{\"gateway\": {\"port\": 1.5}}", 1, 22, "1.5 is no whole number" },
        { "negative", "{\"gateway\": {\"port\": -1}}", 1, 22, "-1 is no whole number" },
        { "port out of range", "{\"gateway\": {\"port\": 70000}}", 1, 22,
          "70000 is out of range; use 1 to 65535" },
        { "port 0", "{\"gateway\": {\"port\": 0}}", 1, 22, "use 1 to 65535" },
        { "bool as text", "{\"gateway\": {\"auth\": \"yes\"}}", 1, 22, "true or false" },
        { "duration without unit", "{\"gateway\": {\"drainTimeout\": 30}}", 1, 30,
          "write a duration such as \"30s\"" },
        { "bad duration", "{\"gateway\": {\"drainTimeout\": \"soon\"}}", 1, 30, "\"soon\" is no duration" },
        { "duration out of range", "{\"gateway\": {\"limits\": {\"headerTimeout\": \"1ms\"}}}", 1, 42,
          "use 100ms to 1h" },
        { "bad size", "{\"gateway\": {\"limits\": {\"headerBytes\": \"big\"}}}", 1, 40,
          "\"big\" is no size" },
        { "size out of range", "{\"gateway\": {\"limits\": {\"headerBytes\": \"1GiB\"}}}", 1, 40,
          "use 1KiB to 1MiB" },
        { "bad rate", "{\"gateway\": {\"apiTokens\": [{\"rateLimit\": \"60\"}]}}", 1, 42,
          "\"60\" is no rate" },
        { "rate of nothing", "{\"gateway\": {\"apiTokens\": [{\"rateLimit\": \"0/s\"}]}}", 1, 42,
          "is no rate" },
        { "bad time", "{\"gateway\": {\"apiTokens\": [{\"expires\": \"tomorrow\"}]}}", 1, 40,
          "\"tomorrow\" is no time" },
        { "bad CIDR", "{\"gateway\": {\"allowedIps\": [\"10.0.0.0/33\"]}}", 1, 29,
          "gateway.allowedIps[0]: \"10.0.0.0/33\" is no address or range" },
        { "a name is no address", "{\"gateway\": {\"allowedIps\": [\"::1\", \"home\"]}}", 1, 36,
          "allowedIps[1]" },
        { "unknown word", "{\"log\": {\"level\": \"inf\"}}", 1, 19, "did you mean \"info\"?" },
        { "unknown scope", "{\"gateway\": {\"apiTokens\": [{\"scopes\": [\"llms\"]}]}}", 1, 40, "scopes[0]" },
        { "no scope", "{\"gateway\": {\"apiTokens\": [{\"scopes\": []}]}}", 1, 39, "name at least one" },

        { "h2 in plain text",
          T "\"upstreams\": {\"app\": {\"protocol\": \"h2\",\n\"targets\": [\"http://127.0.0.1:1\"]}}}", 3,
          13, "in plain text it is \"h2c\"" },
        { "h2c over TLS",
          T "\"upstreams\": {\"app\": {\"protocol\": \"h2c\",\n\"targets\": [\"https://127.0.0.1:1\"]}}}", 3,
          13, "with an https:// URL it is \"h2\"" },
        { "hash by what",
          T "\"upstreams\": {\"app\": {\"targets\": [\"http://127.0.0.1:1\"],\n\"hashBy\": \"path\"}}}", 3,
          11, "\"path\" is not known; write source, header:NAME or cookie:NAME" },
        { "hash by no name",
          T "\"upstreams\": {\"app\": {\"targets\": [\"http://127.0.0.1:1\"],\n\"hashBy\": \"header:\"}}}", 3,
          11, "write source, header:NAME or cookie:NAME" },

        { "auth and no token", "{\"gateway\": {}}", 1, 13, "gateway.auth is on, and there is no token" },
        { "auth and no token, nothing said", "{}", 0, 0, "'sekisho setup' makes one" },
        { "auth and an empty list", "{\"gateway\": {\"apiTokens\": []}}", 1, 27, "there is no token" },
        { "token without a secret", "{\"gateway\": {\"apiTokens\": [\n{\"name\": \"x\"}]}}", 2, 1,
          "gateway.apiTokens[0]: give the token in one of the forms" },
        { "token with two",
          "{\"gateway\": {\"apiTokens\": [{\"env\": \"TOKEN\", \"token\": \"abcdefghijkl\"}]}}", 1, 28,
          "not in several" },
        { "short hash", "{\"gateway\": {\"apiTokens\": [{\"sha256\": \"abcd\"}]}}", 1, 39,
          "64 hexadecimal digits" },
        { "hash with a wrong digit",
          "{\"gateway\": {\"apiTokens\": [{\"sha256\": "
          "\"zf86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"}]}}",
          1, 39, "64 hexadecimal digits" },
        { "variable not set", "{\"gateway\": {\"apiTokens\": [{\"env\": \"NONE\"}]}}", 1, 36,
          "the environment variable NONE is not set" },
        { "variable empty", "{\"gateway\": {\"apiTokens\": [{\"env\": \"EMPTY\"}]}}", 1, 36,
          "EMPTY is empty" },
        { "variable with blanks", "{\"gateway\": {\"apiTokens\": [{\"env\": \"BLANKS\"}]}}", 1, 36,
          "BLANKS holds blanks" },
        { "file not there", "{\"gateway\": {\"apiTokens\": [{\"file\": \"none\"}]}}", 1, 37,
          "there is no file /etc/sekisho/none" },
        { "file others can read", "{\"gateway\": {\"apiTokens\": [{\"file\": \"open.txt\"}]}}", 1, 37,
          "chmod 600" },
        { "file we cannot read", "{\"gateway\": {\"apiTokens\": [{\"file\": \"denied.txt\"}]}}", 1, 37,
          "cannot be read by this user" },
        { "token too short", "{\"gateway\": {\"apiTokens\": [\"abc\"]}}", 1, 28, "fewer than 8 characters" },
        { "same name twice",
          "{\"gateway\": {\"apiTokens\": [{\"name\": \"a\", \"env\": \"TOKEN\"},\n{\"name\": \"a\", \"env\": \"KEY\"}]}}",
          2, 10, "there is a token \"a\" already" },
        { "a given name meets a made one",
          "{\"gateway\": {\"apiTokens\": [{\"name\": \"token-2\", \"env\": \"TOKEN\"},\n{\"env\": \"KEY\"}]}}",
          2, 1, "there is a token \"token-2\" already" },
        { "same token twice",
          "{\"gateway\": {\"apiTokens\": [{\"name\": \"a\", \"env\": \"TOKEN\"},\n{\"name\": \"b\", \"env\": \"TOKEN\"}]}}",
          2, 1, "in the list already" },
        { "name with a blank", "{\"gateway\": {\"apiTokens\": [{\"name\": \"a b\"}]}}", 1, 37, "is no name" },

        { "half a pair", "{\"gateway\": {\"auth\": false,\n\"tlsCert\": \"a.pem\"}}", 2, 12,
          "without its key" },
        { "the other half", "{\"gateway\": {\"auth\": false,\n\"tlsKey\": \"a.key\"}}", 2, 11,
          "without its certificate" },
        { "key of another",
          "{\"gateway\": {\"auth\": false,\n\"tlsCert\": \"a.pem\", \"tlsKey\": \"b.key\"}}", 0, 0, "b.key" },
        { "no PEM", "{\"gateway\": {\"auth\": false,\n\"tlsCert\": \"broken.pem\", \"tlsKey\": \"a.key\"}}",
          0, 0, "broken.pem" },
        { "key others can read",
          "{\"gateway\": {\"auth\": false,\n\"tlsCert\": \"a.pem\", \"tlsKey\": \"open.key\"}}", 2, 31,
          "has mode 0604" },
        { "TLS without a certificate",
          "{\"gateway\": {\"auth\": false, \"listen\": [\n{\"address\": \":443\", \"tls\": true}]}}", 2, 1,
          "there is no certificate" },
        { "certificate object without key", "{\"gateway\": {\"certificates\": [\n{\"cert\": \"a.pem\"}]}}", 2,
          10, "is there without its key" },
        { "the tailnet's certificate twice",
          "{\"gateway\": {\"auth\": false, \"certificates\": [\"tailnet\",\n\"tailnet\"]}}", 2, 1,
          "in the list already" },
        { "the tailnet's name with a key",
          "{\"gateway\": {\"certificates\": [\n{\"cert\": \"tailnet\", \"key\": \"a.key\"}]}}", 2, 10,
          "/etc/sekisho/tailnet" },
        { "a certificate by its name alone", "{\"gateway\": {\"certificates\": [\n\"a.pem\"]}}", 2, 1,
          "is there without its key" },
        { "control has no tailnet's", "{\"control\": {\"certificates\": [\n\"tailnet\"]}}", 2, 1,
          "without its key" },
        { "TLS on the tailnet without a certificate",
          "{\"gateway\": {\"auth\": false, \"listen\": [\n{\"address\": \"tailnet:443\", \"tls\": true}]}}",
          2, 1, "such as \"tailnet\"" },

        { "host is a name", "{\"gateway\": {\"auth\": false, \"host\": \"example\"}}", 1, 37,
          "gateway.host" },
        { "bad listen address", "{\"gateway\": {\"auth\": false, \"listen\": [\"localhost\"]}}", 1, 40,
          "gateway.listen[0]: \"localhost\" is no address to listen on" },
        { "datagrams without an upstream",
          "{\"gateway\": {\"auth\": false, \"listen\": [\"udp:0.0.0.0:53\"]}}", 1, 40,
          "udp:0.0.0.0:53 is for datagrams: it needs an upstream" },
        { "datagrams of both families", "{\"gateway\": {\"auth\": false, \"listen\": [\"udp::53\"]}}", 1, 40,
          "is no address to listen on" },
        { "datagrams to bytes",
          DATAGRAMS("\"tcp://a:1\"",
                    "") "\"listen\": [{\"address\": \"udp:0.0.0.0:53\",\n\"upstream\": \"d\"}]}}",
          3, 13, "write udp://host:port to pass datagrams on" },
        { "bytes to datagrams",
          DATAGRAMS("\"udp://a:1\"", "") "\"listen\": [{\"address\": \":53\",\n\"upstream\": \"d\"}]}}", 3,
          13, "write tcp://host:port to pass bytes on" },
        { "both kinds in one", DATAGRAMS("\"udp://a:1\", \"tcp://a:1\"", "") "\"port\": 3000}}", 1, 33,
          "one upstream has targets of one kind" },
        { "datagrams without a port", DATAGRAMS("\"udp://a\"", "") "\"port\": 3000}}", 1, 34, "udp://a" },
        { "a header datagrams have not",
          DATAGRAMS("\"udp://a:1\"", ", \"proxyProtocol\": \"v1\"") "\"port\": 3000}}", 1, 16,
          "v1 has no form for datagrams; write v2" },
        { "a path to ask datagrams at",
          DATAGRAMS("\"udp://a:1\"", ", \"health\": {\"path\": \"/\"}") "\"port\": 3000}}", 1, 16,
          "answer no requests" },
        { "the admin listens for datagrams", T "\"admin\": {\"listen\": \"udp:127.0.0.1:1\"}}", 2, 21,
          "for datagrams" },
        { "same address twice", "{\"gateway\": {\"auth\": false, \"listen\": [\":1\", \":1\"]}}", 1, 46,
          "twice" },
        { "redirect to https without TLS", "{\"gateway\": {\"auth\": false, \"redirectHttp\": \":80\"}}", 1,
          45, "nothing in gateway.listen speaks TLS" },
        { "PROXY header from nobody",
          "{\"gateway\": {\"auth\": false, \"listen\": [{\"address\": \":1\", \"proxyProtocol\": true}]}}", 1,
          40, "trustedProxies is empty" },

        { "provider without kind", T "\"providers\": {\n\"home\": {}}}", 3, 1, "\"kind\" is missing" },
        { "provider with a bad URL", T "\"providers\": {\"openai\": {\n\"baseUrl\": \"ftp://x\"}}}", 3, 12,
          "providers.openai.baseUrl: \"ftp://x\" is no URL" },
        { "password in the URL", T "\"providers\": {\"openai\": {\n\"baseUrl\": \"http://a:b@x\"}}}", 3, 12,
          "has no user and password" },
        { "key from nowhere", T "\"providers\": {\"openai\": {\n\"apiKey\": {\"env\": \"NONE\"}}}}", 3, 11,
          "NONE is not set" },
        { "key of a third kind", T "\"providers\": {\"openai\": {\n\"apiKey\": {\"vault\": \"x\"}}}}", 3, 11,
          "must be {\"env\"" },
        { "model of an unknown provider", T P "\"models\": {\"m\": [\n{\"provider\": \"hone\"}]}}", 4, 14,
          "there is no provider \"hone\" (did you mean \"home\"?)" },
        { "model without a provider", T P "\"models\": {\"m\": [\n{}]}}", 4, 1, "\"provider\" is missing" },
        { "model of nobody", T P "\"models\": {\"m\": []}}", 3, 12, "name between 1 and 64 providers" },

        { "upstream without targets", T "\"upstreams\": {\"app\": {}}}", 2, 22, "\"targets\" is missing" },
        { "no target", T "\"upstreams\": {\"app\": {\"targets\": []}}}", 2, 15, "name at least one URL" },
        { "target with a path", T "\"upstreams\": {\"app\": {\"targets\": [\"http://x/y\"]}}}", 2, 35,
          "addPrefix" },
        { "target twice", T "\"upstreams\": {\"app\": {\"targets\": [\"http://x\", \"http://x\"]}}}", 2, 47,
          "twice" },
        { "only backups",
          T "\"upstreams\": {\"app\": {\"targets\": [{\"url\": \"http://x\", \"backup\": true}]}}}", 2, 34,
          "all are backups" },
        { "bad balance",
          T "\"upstreams\": {\"app\": {\"targets\": [\"http://x\"], \"balance\": \"lest-requests\"}}}", 2, 59,
          "did you mean \"least-requests\"?" },
        { "bad status range",
          T "\"upstreams\": {\"app\": {\"targets\": [\"http://x\"], \"health\": {\"status\": \"ok\"}}}}", 2,
          69, "is no range" },

        { "route to an unknown upstream", T U "\"routes\": [\n{\"upstream\": \"ap\"}]}", 4, 14,
          "routes[0].upstream: there is no upstream \"ap\" (did you mean \"app\"?)" },
        { "route to nothing", T U "\"routes\": [\n{\"path\": \"/x\"}]}", 4, 1, "name what answers" },
        { "route to two", T U "\"routes\": [\n{\"upstream\": \"app\", \"redirect\": \"/x\"}]}", 4, 1,
          "not several" },
        { "bad path", T U "\"routes\": [\n{\"path\": \"x\", \"upstream\": \"app\"}]}", 4, 10, "is no path" },
        { "path with dots", T U "\"routes\": [\n{\"path\": \"/a/../b\", \"upstream\": \"app\"}]}", 4, 10,
          "is no path" },
        { "path with half a brace", T U "\"routes\": [\n{\"path\": \"/a/{id\", \"upstream\": \"app\"}]}", 4,
          10, "is no path" },
        { "star inside", T U "\"routes\": [\n{\"path\": \"/a*/b\", \"upstream\": \"app\"}]}", 4, 10,
          "is no path" },
        { "bad host", T U "\"routes\": [\n{\"host\": \"a.example:80\", \"upstream\": \"app\"}]}", 4, 10,
          "is no host" },
        { "star in the middle of a host",
          T U "\"routes\": [\n{\"host\": \"a.*.example\", \"upstream\": \"app\"}]}", 4, 10, "is no host" },
        { "bad method", T U "\"routes\": [\n{\"methods\": [\"G T\"], \"upstream\": \"app\"}]}", 4, 14,
          "is no HTTP method" },
        { "same route twice",
          T U
          "\"routes\": [{\"host\": \"A.example\", \"upstream\": \"app\"},\n{\"host\": \"a.example\", \"upstream\": \"app\"}]}",
          4, 1, "has the same host, path and method already" },
        { "same but for the braces",
          T U
          "\"routes\": [{\"path\": \"/a/{b}\", \"upstream\": \"app\"},\n{\"path\": \"/a/{c}\", \"upstream\": \"app\"}]}",
          4, 1, "has the same host" },
        { "same method in two lists",
          T U
          "\"routes\": [{\"methods\": [\"GET\", \"PUT\"], \"upstream\": \"app\"},\n{\"methods\": \"put\", \"upstream\": \"app\"}]}",
          4, 1, "has the same host" },
        { "same name",
          T U
          "\"routes\": [{\"name\": \"r\", \"upstream\": \"app\"},\n{\"name\": \"r\", \"path\": \"/x\", \"upstream\": \"app\"}]}",
          4, 10, "there is a route \"r\" already" },
        { "strip what is not there",
          T U "\"routes\": [\n{\"path\": \"/a/*\", \"stripPrefix\": \"/b\", \"upstream\": \"app\"}]}", 4, 33,
          "does not begin with" },
        { "strip half a segment",
          T U "\"routes\": [\n{\"path\": \"/abc/*\", \"stripPrefix\": \"/ab\", \"upstream\": \"app\"}]}", 4,
          35, "does not begin with" },
        { "rewrite without a prefix",
          T U "\"routes\": [\n{\"path\": \"/a\", \"rewritePrefix\": \"/b\", \"upstream\": \"app\"}]}", 4, 33,
          "goes with a path such as" },
        { "unknown access", T U "\"routes\": [\n{\"access\": \"everyone\", \"upstream\": \"app\"}]}", 4, 12,
          "\"public\"" },
        { "redirect with a wrong status",
          T "\"routes\": [{\"redirect\": {\"to\": \"/x\", \"status\": 305}}]}", 2, 25, "301, 302" },
        { "redirect to a word", T "\"routes\": [{\"redirect\": \"javascript:alert(1)\"}]}", 2, 25,
          "a path or an http(s) URL" },
        { "redirect that splits the answer", T "\"routes\": [{\"redirect\": \"/x\\r\\nSet-Cookie: a\"}]}", 2,
          25, "cannot stand" },
        { "body where there is none", T "\"routes\": [{\"respond\": {\"status\": 204, \"body\": \"x\"}}]}", 2,
          24, "has no body" },
        { "header name",
          T U "\"routes\": [{\"upstream\": \"app\", \"requestHeaders\": {\"set\": {\"a b\": \"x\"}}}]}", 3,
          66, "is no header field's name" },
        { "header value",
          T U "\"routes\": [{\"upstream\": \"app\", \"requestHeaders\": {\"set\": {\n\"a\": \"x\\ny\"}}}]}",
          4, 1, "cannot stand in a header field" },
        { "framing by rule",
          T U
          "\"routes\": [{\"upstream\": \"app\", \"requestHeaders\": {\"add\": {\n\"Content-length\": \"1\"}}}]}",
          4, 1, "is the gateway's own" },
        { "our family by rule",
          T U
          "\"routes\": [{\"upstream\": \"app\", \"requestHeaders\": {\"set\": {\n\"X_Sekisho_User\": \"a\"}}}]}",
          4, 1, "is the gateway's own" },

        { "admin for nobody", T "\"admin\": {\"allowedIps\": []}}", 0, 0, "name who may use it" },
        { "admin on a name", T "\"admin\": {\"listen\": \"here\"}}", 2, 21, "admin.listen" },
        { "access log to a word", T "\"log\": {\"access\": \"syslog\"}}", 2, 19, "neither \"stdout\"" },
};

static void mistakes(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct fake fake;
                struct report report;
                struct conf *conf;

                fake_init(&fake, str_of(cases[i].text));
                report_init(&report, STR_NULL);
                enum err e = conf_load(&fake.source, &report, &conf);

                if (e != ERR_CONFIG || conf || report.errors_count == 0)
                        fail_msg("%s: got ERR_%s and %zu errors", cases[i].why, err_name(e),
                                 report.errors_count);
                bool found = false;

                for (size_t j = 0; j < report.entries_count; j++) {
                        const struct report_entry *r = &report.entries[j];

                        found |= r->severity == REPORT_ERROR &&
                                 (!cases[i].line ||
                                  (r->line == cases[i].line && r->column == cases[i].column)) &&
                                 str_find(r->text, str_of(cases[i].says)) != STR_NONE;
                }
                if (!found) {
                        struct buf text;

                        buf_init(&text, 1 << 20);
                        report_format(&report, &text);
                        buf_add_char(&text, '\0');
                        fail_msg("%s: wanted %u:%u \"%s\", got:\n%s", cases[i].why, cases[i].line,
                                 cases[i].column, cases[i].says, text.ptr);
                }
                report_fini(&report);
        }
}

static void an_expired_certificate_is_refused(void **state)
{
        struct fake fake;
        struct report report;
        struct conf *conf;

        fake_init(&fake,
                  STR("{\"gateway\": {\"auth\": false, \"tlsCert\": \"a.pem\", \"tlsKey\": \"a.key\"}}"));
        fake.source.now = 4102444800000; /* 2100 */
        report_init(&report, STR_NULL);
        assert_err(conf_load(&fake.source, &report, &conf), ERR_CONFIG);
        assert_true(str_find(report.entries[report.entries_count - 1].text,
                             STR("the certificate a.pem ended 2081")) != STR_NONE);
        report_fini(&report);
}

static void several_at_once(void **state)
{
        struct fake fake;
        struct report report;
        struct conf *conf;

        fake_init(&fake, STR("{\"gateway\": {\"port\": 0, \"hots\": 1}, \"log\": {\"level\": 3}}"));
        report_init(&report, STR_NULL);
        assert_err(conf_load(&fake.source, &report, &conf), ERR_CONFIG);
        assert_int_equal(report.errors_count, 3);
        report_fini(&report);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(mistakes),
                cmocka_unit_test(an_expired_certificate_is_refused),
                cmocka_unit_test(several_at_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
