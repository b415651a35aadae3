#include "../test.h"

#include "http/target.h"

static char memory[65536];
static struct arena arena;

static int setup(void **state)
{
        arena_init(&arena, memory, sizeof(memory), sizeof(memory));
        return 0;
}

static int teardown(void **state)
{
        arena_fini(&arena);
        return 0;
}

/* Parses "METHOD target HTTP/1.1", Host lines and the empty line. */
static enum err parse(const char *method, struct str target, const char *hosts, struct http_target *out,
                      struct http_refusal *refusal)
{
        static struct http_field fields[8];
        static const struct h1_limits limits = { 8192, 4096, 8 };
        struct http_head h = { .fields = fields, .fields_max = ARRAY_SIZE(fields) };
        struct str text = arena_format(&arena, "%s %.*s HTTP/1.1\r\n%s\r\n", method, STR_FMT(target), hosts);
        size_t scanned = 0;

        enum err e = h1_request_parse(text, &limits, &scanned, &h, refusal);
        return e == ERR_OK ? http_target_parse(&h, &arena, out, refusal) : e;
}

static const struct {
        const char *why, *in, *out;
        const char *match; /* NULL: as out */
} canonical[] = {
        { "root", "/", "/" },
        { "ordinary", "/a/b.txt", "/a/b.txt" },
        { "trailing slash stays", "/a/", "/a/" },
        { "sub-delimiters", "/a!$&'()*+,=:@b", "/a!$&'()*+,=:@b" },
        { "three dots are a name", "/.../..a/b..", "/.../..a/b.." },
        { "hidden file", "/.well-known/x", "/.well-known/x" },
        { "unreserved decoded", "/%41%7a%30%2D%2e%5F%7ea", "/Az0-._~a" },
        { "digits of escapes in capitals", "/%c3%a9%3a", "/%C3%A9%3A", "/%C3%A9:" },
        { "delimiters stay encoded, and rules see through", "/%21%40%3F%23%20", "/%21%40%3F%23%20",
          "/!@%3F%23%20" },
        { "all delimiters", "/%21%24%26%27%28%29%2a%2b%2c%3d%3A%40", "/%21%24%26%27%28%29%2A%2B%2C%3D%3A%40",
          "/!$&'()*+,=:@" },
        { "a model's name", "/model/anthropic.x-v1%3A0/invoke", "/model/anthropic.x-v1%3A0/invoke",
          "/model/anthropic.x-v1:0/invoke" },
        { "percent sign", "/100%25", "/100%25" },
        { "percent sign before no digits", "/100%25off", "/100%25off" },
        { "three bytes", "/%E9%96%A2%E6%89%80", "/%E9%96%A2%E6%89%80" },
        { "four bytes", "/%F0%9F%98%80", "/%F0%9F%98%80" },
        { "what browsers leave raw", "/a[0]|b^c`{d}\"<>", "/a%5B0%5D%7Cb%5Ec%60%7Bd%7D%22%3C%3E" },
};

static const struct {
        const char *why;
        struct str in;
        const char *reason;
} refused[] = {
        { "dot dot", STR_INIT("/a/../b"), "path_dot_segment" },
        { "dot dot at the end", STR_INIT("/a/.."), "path_dot_segment" },
        { "dot dot at the front", STR_INIT("/.."), "path_dot_segment" },
        { "dot", STR_INIT("/a/./b"), "path_dot_segment" },
        { "dot at the end", STR_INIT("/a/."), "path_dot_segment" },
        { "encoded dots", STR_INIT("/a/%2e%2e/b"), "path_dot_segment" },
        { "one dot encoded", STR_INIT("/a/.%2E/b"), "path_dot_segment" },
        { "encoded single dot", STR_INIT("/a/%2e"), "path_dot_segment" },
        { "two slashes", STR_INIT("/a//b"), "path_empty_segment" },
        { "two slashes at the front", STR_INIT("//a"), "path_empty_segment" },
        { "two slashes at the end", STR_INIT("/a//"), "path_empty_segment" },
        { "backslash", STR_INIT("/a\\..\\b"), "path_separator" },
        { "semicolon", STR_INIT("/a;x=1/b"), "path_separator" },
        { "semicolon hides dots", STR_INIT("/a/..;/b"), "path_separator" },
        { "encoded slash", STR_INIT("/a%2fb"), "path_separator" },
        { "encoded slash, capitals", STR_INIT("/a%2Fb"), "path_separator" },
        { "encoded backslash", STR_INIT("/a%5Cb"), "path_separator" },
        { "encoded semicolon", STR_INIT("/a%3bb"), "path_separator" },
        { "encoded NUL", STR_INIT("/a%00.txt"), "path_control" },
        { "encoded LF", STR_INIT("/a%0ab"), "path_control" },
        { "encoded CR", STR_INIT("/a%0Db"), "path_control" },
        { "encoded DEL", STR_INIT("/a%7f"), "path_control" },
        { "encoded C1", STR_INIT("/a%C2%85"), "path_control" },
        { "bad digits", STR_INIT("/%zz"), "path_escape" },
        { "one digit", STR_INIT("/a%4"), "path_escape" },
        { "no digit", STR_INIT("/a%"), "path_escape" },
        { "IIS escape", STR_INIT("/%u002e"), "path_escape" },
        { "overlong slash", STR_INIT("/%c0%af"), "path_utf8" },
        { "overlong dot", STR_INIT("/%c0%ae%c0%ae/"), "path_utf8" },
        { "overlong, three bytes", STR_INIT("/%e0%80%af"), "path_utf8" },
        { "Latin-1", STR_INIT("/caf%e9"), "path_utf8" },
        { "Latin-1 before an escape", STR_INIT("/caf%e9%41"), "path_utf8" },
        { "cut character", STR_INIT("/%E9%96"), "path_utf8" },
        { "lone continuation", STR_INIT("/%80"), "path_utf8" },
        { "surrogate", STR_INIT("/%ED%A0%80"), "path_utf8" },
        { "past Unicode", STR_INIT("/%F4%90%80%80"), "path_utf8" },
        { "byte FF", STR_INIT("/%ff"), "path_utf8" },
        { "double encoded dot", STR_INIT("/%252e%252e/"), "path_double_escape" },
        { "double encoded slash", STR_INIT("/a%252fb"), "path_double_escape" },
        { "double encoded NUL", STR_INIT("/a%2500"), "path_double_escape" },
        { "three times", STR_INIT("/%25252e"), "path_double_escape" },
        { "double, put together by decoding", STR_INIT("/%25%32e"), "path_double_escape" },
        { "double, second digit encoded", STR_INIT("/%252%65"), "path_double_escape" },
        { "no slash", STR_INIT("a/b"), "target_form" },
        { "authority form", STR_INIT("a:443"), "target_form" },
        { "asterisk", STR_INIT("*"), "target_asterisk" },
        { "asterisk and more", STR_INIT("*/a"), "target_form" },
        { "query alone", STR_INIT("?a"), "target_form" },
};

static void test_paths(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(canonical); i++) {
                struct http_target t;
                struct http_refusal refusal = { 0 };
                struct str path;

                arena_reset(&arena);
                if (parse("GET", str_of(canonical[i].in), "Host: a\r\n", &t, &refusal) != ERR_OK)
                        fail_msg("%s: %s", canonical[i].why, refusal.reason);
                assert_str(t.path, str_of(canonical[i].out));
                assert_str(t.text, str_of(canonical[i].out));
                assert_null(t.query.ptr);
                assert_str(t.match, str_of(canonical[i].match ? canonical[i].match : canonical[i].out));
                assert_err(http_path_canonical(str_of(canonical[i].in), &arena, &path), ERR_OK);
                assert_str(path, t.match);
        }
}

static void test_refused(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
                struct http_target t;
                struct http_refusal refusal = { 0 };
                struct str path;

                arena_reset(&arena);
                enum err e = parse("GET", refused[i].in, "Host: a\r\n", &t, &refusal);
                if (e != ERR_MALFORMED || refusal.status != 400 ||
                    strcmp(refusal.reason, refused[i].reason) != 0)
                        fail_msg("%s: ERR_%s %s", refused[i].why, err_name(e), refusal.reason);
                assert_err(http_path_canonical(refused[i].in, &arena, &path), ERR_MALFORMED);
        }
        /* Bytes the head's reader refuses already, for callers that bring a path of their own. */
        static const struct str raw[] = { STR_INIT("/a#b"),      STR_INIT("/a b"),   STR_INIT("/a\0b"),
                                          STR_INIT("/\xc3\xa9"), STR_INIT("/a\r\n"), STR_INIT("/\x7f"),
                                          STR_INIT("") };
        for (size_t i = 0; i < ARRAY_SIZE(raw); i++) {
                struct str path;

                assert_err(http_path_canonical(raw[i], &arena, &path), ERR_MALFORMED);
        }
}

static void test_prefixes(void **state)
{
        static const struct {
                const char *path, *prefix;
                size_t bytes;
        } cases[] = {
                { "/a/b", "/a", 2 },
                { "/a/b", "/", 1 },
                { "/a", "/a", 2 },
                { "/a/b", "/b", STR_NONE },
                { "/a", "/a/b", STR_NONE },
                { "/%40x/y", "/@x", 5 },
                { "/%40x/y", "/%40", STR_NONE },
                { "/@x/y", "/@x", 3 },
                { "/%C3%A9/y", "/%C3%A9", 7 },
                { "/a%20b", "/a", 2 },
                { "/a", "", 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (http_path_prefix(str_of(cases[i].path), str_of(cases[i].prefix)) != cases[i].bytes)
                        fail_msg("%s of %s", cases[i].prefix, cases[i].path);
}

static const struct {
        const char *why, *method, *target, *hosts;
        const char *text, *query, *host;
        uint16_t port;
        const char *reason;
} targets[] = {
        { "query as it came", "GET", "/a?b=%zz&c=../..//;\\", "Host: a\r\n", "/a?b=%zz&c=../..//;\\",
          "b=%zz&c=../..//;\\", "a", 0, NULL },
        { "empty query", "GET", "/a?", "Host: a\r\n", "/a?", "", "a", 0, NULL },
        { "two question marks", "GET", "/a?b?c", "Host: a\r\n", "/a?b?c", "b?c", "a", 0, NULL },
        { "path changes, query not", "GET", "/%61?%61", "Host: a\r\n", "/a?%61", "%61", "a", 0, NULL },
        { "asterisk", "OPTIONS", "*", "Host: a\r\n", "*", NULL, "a", 0, NULL },
        { "OPTIONS of a path", "OPTIONS", "/x", "Host: a\r\n", "/x", NULL, "a", 0, NULL },
        { "absolute form", "GET", "http://a/b?c", "Host: a\r\n", "/b?c", "c", "a", 0, NULL },
        { "absolute, https, case", "GET", "HTTPS://Example.COM:8443/b", "Host: example.com:8443\r\n", "/b",
          NULL, "example.com", 8443, NULL },
        { "absolute without path", "GET", "http://a", "Host: a\r\n", "/", NULL, "a", 0, NULL },
        { "absolute, query alone", "GET", "http://a?b", "Host: a\r\n", "/?b", "b", "a", 0, NULL },
        { "absolute, other Host", "GET", "http://a/", "Host: b\r\n", NULL, NULL, NULL, 0, "host_differs" },
        { "absolute, other port", "GET", "http://a:81/", "Host: a\r\n", NULL, NULL, NULL, 0, "host_differs" },
        { "absolute, userinfo", "GET", "http://u@a/", "Host: a\r\n", NULL, NULL, NULL, 0,
          "target_authority" },
        { "absolute, no authority", "GET", "http:///", "Host: a\r\n", NULL, NULL, NULL, 0,
          "target_authority" },
        { "absolute, other scheme", "GET", "ftp://a/", "Host: a\r\n", NULL, NULL, NULL, 0, "target_scheme" },
        { "absolute, backslash", "GET", "http://a\\b/", "Host: a\r\n", NULL, NULL, NULL, 0,
          "target_authority" },
        { "absolute, dots", "GET", "http://a/../b", "Host: a\r\n", NULL, NULL, NULL, 0, "path_dot_segment" },
        { "absolute, no Host", "GET", "http://a/", "", NULL, NULL, NULL, 0, "host_missing" },
        { "no Host", "GET", "/", "", NULL, NULL, NULL, 0, "host_missing" },
        { "two Hosts", "GET", "/", "Host: a\r\nHost: a\r\n", NULL, NULL, NULL, 0, "host_twice" },
        { "two Hosts, two cases", "GET", "/", "Host: a\r\nhOST: b\r\n", NULL, NULL, NULL, 0, "host_twice" },
        { "tab", "GET", "/", "Host:\ta\r\n", NULL, NULL, NULL, 0, "host" },
        { "upper case", "GET", "/", "Host: EXAMPLE.com:80\r\n", "/", NULL, "example.com", 80, NULL },
        { "empty Host", "GET", "/", "Host:\r\n", NULL, NULL, NULL, 0, "host" },
        { "list", "GET", "/", "Host: a, b\r\n", NULL, NULL, NULL, 0, "host" },
};

static void test_targets(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
                struct http_target t = { 0 };
                struct http_refusal refusal = { 0 };

                arena_reset(&arena);
                enum err e =
                        parse(targets[i].method, str_of(targets[i].target), targets[i].hosts, &t, &refusal);
                if (e != (targets[i].reason ? ERR_MALFORMED : ERR_OK))
                        fail_msg("%s: ERR_%s %s", targets[i].why, err_name(e), refusal.reason);
                if (targets[i].reason) {
                        assert_string_equal(refusal.reason, targets[i].reason);
                        assert_int_equal(refusal.status, 400);
                        assert_null(t.text.ptr); /* all or nothing */
                        continue;
                }
                assert_str(t.text, str_of(targets[i].text));
                assert_str(t.query, str_of(targets[i].query));
                assert_str(t.authority.host, str_of(targets[i].host));
                assert_int_equal(t.authority.port, targets[i].port);
        }
}

static const struct {
        const char *why;
        struct str in;
        const char *host; /* NULL: refused */
        uint16_t port;
        bool is_ipv6;
} authorities[] = {
        { "name", STR_INIT("example.com"), "example.com", 0, false },
        { "name and port", STR_INIT("example.com:8443"), "example.com", 8443, false },
        { "largest port", STR_INIT("a:65535"), "a", 65535, false },
        { "capitals", STR_INIT("ExAmple.COM"), "example.com", 0, false },
        { "underscore, dash, digits", STR_INIT("my_svc-1.2a"), "my_svc-1.2a", 0, false },
        { "IPv4", STR_INIT("192.0.2.1:80"), "192.0.2.1", 80, false },
        { "IPv6", STR_INIT("[::1]"), "::1", 0, true },
        { "IPv6 and port", STR_INIT("[2001:db8::1]:443"), "2001:db8::1", 443, true },
        { "IPv6 in long form", STR_INIT("[2001:DB8:0:0:0:0:0:1]"), "2001:db8::1", 0, true },
        { "v4-mapped is the IPv4 address", STR_INIT("[::ffff:192.0.2.1]"), "192.0.2.1", 0, false },
        { "punycode", STR_INIT("xn--bcher-kva.example"), "xn--bcher-kva.example", 0, false },
        { "empty", STR_INIT(""), NULL, 0, false },
        { "port alone", STR_INIT(":80"), NULL, 0, false },
        { "empty port", STR_INIT("a:"), NULL, 0, false },
        { "port 0", STR_INIT("a:0"), NULL, 0, false },
        { "port too large", STR_INIT("a:65536"), NULL, 0, false },
        { "port of six digits", STR_INIT("a:000080"), NULL, 0, false },
        { "port with a zero before", STR_INIT("a:080"), NULL, 0, false },
        { "port with a sign", STR_INIT("a:+80"), NULL, 0, false },
        { "two ports", STR_INIT("a:80:80"), NULL, 0, false },
        { "trailing dot", STR_INIT("example.com."), NULL, 0, false },
        { "trailing dot and port", STR_INIT("example.com.:80"), NULL, 0, false },
        { "leading dot", STR_INIT(".example.com"), NULL, 0, false },
        { "two dots", STR_INIT("a..b"), NULL, 0, false },
        { "slash", STR_INIT("a/b"), NULL, 0, false },
        { "question mark", STR_INIT("a?b"), NULL, 0, false },
        { "hash", STR_INIT("a#b"), NULL, 0, false },
        { "at", STR_INIT("u@a"), NULL, 0, false },
        { "userinfo", STR_INIT("u:p@a"), NULL, 0, false },
        { "backslash", STR_INIT("a\\b"), NULL, 0, false },
        { "space", STR_INIT("a b"), NULL, 0, false },
        { "NUL", STR_INIT("a\0b"), NULL, 0, false },
        { "escape", STR_INIT("a%2eb"), NULL, 0, false },
        { "comma", STR_INIT("a,b"), NULL, 0, false },
        { "raw IDN",
          STR_INIT("b\xc3\xbc"
                   "cher.example"),
          NULL, 0, false },
        { "short IPv4", STR_INIT("127.1"), NULL, 0, false },
        { "IPv4 as a number", STR_INIT("2130706433"), NULL, 0, false },
        { "IPv4 in hex", STR_INIT("0x7f.0.0.1"), NULL, 0, false },
        { "IPv4 in hex, one number", STR_INIT("0X7f000001"), NULL, 0, false },
        { "IPv4 in octal", STR_INIT("0177.0.0.1"), NULL, 0, false },
        { "IPv4 of five", STR_INIT("1.2.3.4.5"), NULL, 0, false },
        { "IPv4 too large", STR_INIT("256.1.1.1"), NULL, 0, false },
        { "IPv6 without brackets", STR_INIT("::1"), NULL, 0, false },
        { "IPv6 open", STR_INIT("[::1"), NULL, 0, false },
        { "IPv6 and more", STR_INIT("[::1]a"), NULL, 0, false },
        { "IPv6, empty port", STR_INIT("[::1]:"), NULL, 0, false },
        { "IPv6, zone", STR_INIT("[fe80::1%25eth0]"), NULL, 0, false },
        { "IPv4 in brackets", STR_INIT("[127.0.0.1]"), NULL, 0, false },
        { "empty brackets", STR_INIT("[]"), NULL, 0, false },
        { "future address", STR_INIT("[v1.a]"), NULL, 0, false },
        { "label of 64", STR_INIT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b"), NULL,
          0, false },
        { "label of 63", STR_INIT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b"),
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b", 0, false },
};

static void test_authorities(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(authorities); i++) {
                struct http_authority a;

                arena_reset(&arena);
                enum err e = http_authority_parse(authorities[i].in, &arena, &a);
                if (e != (authorities[i].host ? ERR_OK : ERR_MALFORMED))
                        fail_msg("%s: ERR_%s", authorities[i].why, err_name(e));
                if (!authorities[i].host)
                        continue;
                assert_str(a.host, str_of(authorities[i].host));
                assert_int_equal(a.port, authorities[i].port);
                assert_int_equal(a.is_ipv6, authorities[i].is_ipv6);
        }
}

static void test_no_room(void **state)
{
        char small[16];
        struct arena full;
        struct str path;
        struct http_authority authority;

        arena_init(&full, small, sizeof(small), sizeof(small));
        assert_err(http_path_canonical(STR("/%61bcdefgh"), &full, &path), ERR_NO_MEMORY);
        arena_reset(&full);
        assert_err(http_authority_parse(STR("Abcdefghijklmnopqrstuvw"), &full, &authority), ERR_NO_MEMORY);
        arena_reset(&full);
        /* what is canonical already needs no room */
        assert_err(http_path_canonical(STR("/abcdefghijklmnopqrstuvwxyz"), &full, &path), ERR_OK);
        arena_fini(&full);
}

/* With every size of arena: the target, or 500. */
static void test_no_room_for_target(void **state)
{
        static struct http_field fields[4];
        static const struct h1_limits limits = { 1024, 512, 4 };
        struct http_head h = { .fields = fields, .fields_max = ARRAY_SIZE(fields) };
        struct http_refusal refusal;
        bool fitted = false;

        assert_err(
                h1_request_parse(STR("GET HTTP://EXAMPLE.com/%41%40?b HTTP/1.1\r\nHost: Example.COM\r\n\r\n"),
                                 &limits, &(size_t){ 0 }, &h, &refusal),
                ERR_OK);
        for (size_t room = 0; room < 100; room++) {
                struct http_target t = { 0 };
                char small[100];
                struct arena full;

                arena_init(&full, small, room, room);
                enum err e = http_target_parse(&h, &full, &t, &refusal);
                if (e == ERR_OK) {
                        assert_str(t.text, STR("/A%40?b"));
                        assert_str(t.match, STR("/A@"));
                        fitted = true;
                } else {
                        assert_true(e == ERR_NO_MEMORY && refusal.status == 500 && !fitted && !t.text.ptr);
                }
                arena_fini(&full);
        }
        assert_true(fitted);
}

/* A generator of our own, so that a failure is the same everywhere. */
static uint32_t next_random(uint32_t *seed)
{
        *seed = *seed * 1664525u + 1013904223u;
        return *seed >> 8;
}

/* What a back end that decodes once more would see. */
static struct str decode(struct str in, char *out)
{
        size_t n = 0;

        for (size_t i = 0; i < in.len; i++) {
                if (in.ptr[i] == '%' && i + 2 < in.len && ascii_hex(in.ptr[i + 1]) >= 0 &&
                    ascii_hex(in.ptr[i + 2]) >= 0) {
                        out[n++] = (char)(ascii_hex(in.ptr[i + 1]) << 4 | ascii_hex(in.ptr[i + 2]));
                        i += 2;
                } else {
                        out[n++] = in.ptr[i];
                }
        }
        return (struct str){ out, n };
}

static void check_harmless(struct str path)
{
        char once[1024], twice[1024];
        struct str decoded = decode(path, once), rest = str_from(decoded, 1), segment;

        assert_true(str_is_utf8(decoded));
        for (size_t i = 0; i < decoded.len; i++) {
                uint8_t c = (uint8_t)decoded.ptr[i];

                assert_true(c >= 0x20 && c != 0x7f && c != '\\' && c != ';');
        }
        while (rest.len && str_split(&rest, '/', &segment)) {
                assert_false(segment.len == 0 && rest.ptr);
                assert_false(str_eq(segment, STR(".")) || str_eq(segment, STR("..")));
        }
        assert_str(decode(decoded, twice), decoded); /* nothing is left to decode */
}

/* 10^5 paths put together from awkward pieces: what is accepted is a fixed point, and has no second reading. */
static void test_generated(void **state)
{
        static const char *const pieces[] = {
                "/",         "/",
                "a",         ".",
                "..",        "%2e",
                "%2E",       "%2f",
                "%5c",       "\\",
                ";",         "%3b",
                "%",         "%25",
                "%252",      "2e",
                "e",         "%41",
                "%c3%a9",    "%C3",
                "%a9",       "%e9",
                "%00",       "%0a",
                "~",         "%7e",
                "[",         "|",
                "%5B",       "b-c",
                "admin",     "%61dmin",
                "%e9%96%a2", "%f0%9f%98%80",
                "%u0041",    "+",
                "%2b",       "%%32",
                "5",         "%32",
                "%35",       "A",
                "%3f",       "%23",
                "@",         "%40",
                "*",         "%20",
                "//",        "/./",
        };
        uint32_t seed = 20261121;
        size_t accepted = 0;

        for (int n = 0; n < 100000; n++) {
                char text[256] = "/";
                size_t len = 1, count = 1 + next_random(&seed) % 8;
                struct str path, again;
                struct http_target first, second;
                struct http_refusal refusal;

                for (size_t i = 0; i < count; i++) {
                        const char *piece = pieces[next_random(&seed) % ARRAY_SIZE(pieces)];

                        memcpy(text + len, piece, strlen(piece));
                        len += strlen(piece);
                }
                arena_reset(&arena);
                if (http_path_canonical((struct str){ text, len }, &arena, &path) != ERR_OK)
                        continue;
                accepted++;
                assert_err(http_path_canonical(path, &arena, &again), ERR_OK);
                assert_str(again, path);
                check_harmless(path);
                /* and what is forwarded is one too, with the same meaning to the rules */
                struct str target = { text, len };
                if (str_find_char(target, '#') != STR_NONE)
                        continue;
                assert_err(parse("GET", target, "Host: a\r\n", &first, &refusal), ERR_OK);
                assert_err(parse("GET", first.text, "Host: a\r\n", &second, &refusal), ERR_OK);
                assert_str(second.text, first.text);
                assert_str(first.match, path);
                assert_str(second.match, path);
                check_harmless(first.path);
        }
        assert_true(accepted > 10000); /* the test means something */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_paths),       cmocka_unit_test(test_prefixes),
                cmocka_unit_test(test_refused),     cmocka_unit_test(test_targets),
                cmocka_unit_test(test_no_room),     cmocka_unit_test(test_no_room_for_target),
                cmocka_unit_test(test_authorities), cmocka_unit_test(test_generated),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
