#include "../test.h"

#include "dispatch/url.h"

static char block[1 << 16];
static struct arena arena;

static int setup(void **state)
{
        arena_init(&arena, block, sizeof(block), 1 << 20);
        return 0;
}

static int teardown(void **state)
{
        arena_fini(&arena);
        return 0;
}

static void good_urls(void **state)
{
        static const struct {
                const char *text;
                bool is_tls;
                const char *host;
                uint16_t port;
                const char *path, *host_field, *reason;
        } rows[] = {
                { "http://example.com", false, "example.com", 80, "/", "example.com", "no path is the root" },
                { "HTTPS://Example.COM/a", true, "example.com", 443, "/a", "example.com",
                  "case of scheme and host" },
                { "https://example.com:8443/a?b=c#d", true, "example.com", 8443, "/a?b=c", "example.com:8443",
                  "a fragment stays with the caller" },
                { "http://example.com?q=1", false, "example.com", 80, "/?q=1", "example.com",
                  "a query without a path" },
                { "http://192.0.2.1:80/", false, "192.0.2.1", 80, "/", "192.0.2.1",
                  "the usual port is not said" },
                { "https://[2001:DB8::1]:8080/x", true, "2001:db8::1", 8080, "/x", "[2001:db8::1]:8080",
                  "IPv6" },
                { "http://example.com/a;b/%2F/..//c", false, "example.com", 80, "/a;b/%2F/..//c",
                  "example.com", "the path is the target's, as it was written" },
                { "http://example.com#only", false, "example.com", 80, "/", "example.com",
                  "a fragment alone" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const char *problem = NULL;
                struct dispatch_url u;

                print_message("%s\n", rows[i].reason);
                assert_err(dispatch_url_parse(str_of(rows[i].text), &arena, &u, &problem), ERR_OK);
                assert_int_equal(u.is_tls, rows[i].is_tls);
                assert_str(u.authority.host, str_of(rows[i].host));
                assert_int_equal(u.authority.port, rows[i].port);
                assert_str(u.path, str_of(rows[i].path));
                assert_str(dispatch_url_host(&u, &arena), str_of(rows[i].host_field));
        }
}

static void bad_urls(void **state)
{
        static const struct {
                const char *text, *reason;
        } rows[] = {
                { "", "nothing" },
                { "ftp://example.com/", "another scheme" },
                { "file:///etc/passwd", "a file" },
                { "http:example.com", "no slashes" },
                { "http://", "no host" },
                { "http:///path", "no host" },
                { "http://user:pass@example.com/", "credentials" },
                { "http://example.com@127.0.0.1/", "a host that looks like another" },
                { "http://exa mple.com/", "a space" },
                { "http://example.com/a\r\nHost: b", "a line of its own" },
                { "http://example.com/\xc3\xbc", "outside ASCII" },
                { "http://example.com:0/", "port 0" },
                { "http://example.com:65536/", "port too large" },
                { "http://example.com:/", "an empty port" },
                { "http://0x7f000001/", "an address in disguise" },
                { "http://127.1/", "a short address" },
                { "http://[::1/", "an open bracket" },
                { "http://[fe80::1%25eth0]/", "a zone" },
                { "javascript:alert(1)", "no request at all" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const char *problem = NULL;
                struct dispatch_url u;

                print_message("%s\n", rows[i].reason);
                assert_err(dispatch_url_parse(str_of(rows[i].text), &arena, &u, &problem), ERR_MALFORMED);
                assert_non_null(problem);
        }
}

static void redirects(void **state)
{
        static const struct {
                const char *base, *location, *host, *path;
                uint16_t port;
                bool is_tls;
        } rows[] = {
                { "http://a.example/b/c?d", "https://other.example/x", "other.example", "/x", 443, true },
                { "http://a.example/b/c?d", "//other.example/x", "other.example", "/x", 80, false },
                { "https://a.example/b/c", "//other.example:444", "other.example", "/", 444, true },
                { "http://a.example:81/b/c?d", "/x?y", "a.example", "/x?y", 81, false },
                { "http://a.example/b/c?d", "e", "a.example", "/b/e", 80, false },
                { "http://a.example/b/c?d", "../e", "a.example", "/e", 80, false },
                { "http://a.example/b/c?d", "../../../e", "a.example", "/e", 80, false },
                { "http://a.example/b/c/", ".", "a.example", "/b/c/", 80, false },
                { "http://a.example/b/c?d", "?e", "a.example", "/b/c?e", 80, false },
                { "http://a.example/b/c?d", "./e/./f/..", "a.example", "/b/e/", 80, false },
                { "http://a.example/b/c", "/x#fragment", "a.example", "/x", 80, false },
                { "http://a.example/", "e:80", "", "", 0, false }, /* reads as a scheme */
                { "http://a.example/", "ftp://b/", "", "", 0, false },
                { "http://a.example/", "//user@b/", "", "", 0, false },
                { "http://a.example/", "/a b", "", "", 0, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const char *problem = NULL;
                struct dispatch_url base, u;

                print_message("%s + %s\n", rows[i].base, rows[i].location);
                assert_err(dispatch_url_parse(str_of(rows[i].base), &arena, &base, &problem), ERR_OK);
                enum err e = dispatch_url_resolve(&base, str_of(rows[i].location), &arena, &u, &problem);
                assert_err(e, rows[i].port ? ERR_OK : ERR_MALFORMED);
                if (e != ERR_OK)
                        continue;
                assert_str(u.authority.host, str_of(rows[i].host));
                assert_str(u.path, str_of(rows[i].path));
                assert_int_equal(u.authority.port, rows[i].port);
                assert_int_equal(u.is_tls, rows[i].is_tls);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(good_urls, setup, teardown),
                cmocka_unit_test_setup_teardown(bad_urls, setup, teardown),
                cmocka_unit_test_setup_teardown(redirects, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
