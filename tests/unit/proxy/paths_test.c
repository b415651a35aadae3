/*
 * A hundred thousand generated paths: what is routed, what is authorised and what is forwarded are one path.
 *
 * The reference is a back end as lenient as any: it decodes escapes once or twice, takes '\' for '/', drops ";parameters",
 * merges slashes and resolves dot segments. Whatever it makes of the text that is forwarded must lie under the route (and so
 * under the access rule) that was found for the request. Paths that could be read in two ways must have been refused.
 * SEKISHO_SEED chooses other paths, SEKISHO_PATHS their number.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../test.h"
#include "http/target.h"
#include "proxy/route.h"

enum { PATH_BYTES_MAX = 512, PATHS_COUNT = 100000 };

#define R(name_, kind_, path_)                                                                             \
        {                                                                                                  \
                .name = STR_INIT(name_), .host = STR_INIT(""), .path_kind = kind_, .path = STR_INIT(path_) \
        }
static struct route routes[] = {
        R("root", PATH_PREFIX, "/"),
        R("admin", PATH_PREFIX, "/admin"),
        R("login", PATH_EXACT, "/admin/login"),
        R("keys", PATH_PATTERN, "/api/{id}/keys"),
        R("api", PATH_PREFIX, "/api"),
        R("at", PATH_PREFIX, "/a@b"),
        R("files", PATH_PREFIX, "/files"),
};
static struct route_table table = { routes, ARRAY_SIZE(routes), false };

static const char *const segments[] = {
        "admin",    "admin",     "Admin",      "login",     "api",     "files",    "keys",    "7",
        "a@b",      "x",         "",           ".",         "..",      "...",      "%2e",     "%2E%2e",
        ".%2e",     "%2e.",      "%252e%252e", "%25%32%65", "%61dmin", "adm%69n",  "%41dmin", "%2561dmin",
        "admin%20", "admin%00",  "admin;x",    ";",         "..;",     "%3b",      "..%3b",   "admin%2flogin",
        "%2f",      "%2F..",     "%5c",        "..\\",      "\\",      "%5C..",    "admin\\", "%c0%ae",
        "%c0%af",   "%e0%80%af", "%ef%bc%8f",  "%u002e",    "%",       "%z",       "%2",      "a%40b",
        "a%2540b",  "~",         "%7e",        "%7E",       "admin?",  "admin#",   "+",       "*",
        "admin.",   "a|b",       "[x]",        "^",         "`",       "\"",       "<",       "\x7f",
        "\xc3\xa9", "%C3%A9",    "%ff",        " ",         "\t",      "admin%09", "%0d%0a",  "admin%3f",
        "admin%23", "{id}",      "!",          "$",         "&",       "'",        "(",       ")",
        ",",        ":",         "=",          "%3A",       "%26",     "%2B",
};
static const char *const separators[] = { "/",   "/",    "/",  "/",   "/",   "/",   "//",
                                          "/./", "/../", "\\", "%2f", "%5c", "/;/", "" };

static uint64_t random_state;

static uint64_t random_below(uint64_t n)
{
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return random_state % n;
}

static struct str path_generate(char out[PATH_BYTES_MAX])
{
        size_t len = 0, count = 1 + random_below(6);
        const char *first = random_below(20) ? "/" : "";

        len += (size_t)snprintf(out, PATH_BYTES_MAX, "%s", first);
        for (size_t i = 0; i < count; i++)
                len += (size_t)snprintf(out + len, PATH_BYTES_MAX - len, "%s%s",
                                        i ? separators[random_below(ARRAY_SIZE(separators))] : "",
                                        segments[random_below(ARRAY_SIZE(segments))]);
        if (random_below(4) == 0)
                len += (size_t)snprintf(out + len, PATH_BYTES_MAX - len, "?q=/../admin");
        return (struct str){ out, len };
}

static enum err target_of(struct str text, struct arena *a, struct http_target *out)
{
        struct http_field host = { .name = STR("Host"), .value = STR("x.example"), .id = HTTP_FIELD_HOST };
        struct http_head head = { .method = HTTP_GET,
                                  .method_text = STR("GET"),
                                  .target = text,
                                  .version_minor = 1,
                                  .fields = &host,
                                  .fields_count = 1 };
        struct http_refusal refusal = { 0 };

        head.first[HTTP_FIELD_HOST] = 1;
        enum err e = http_target_parse(&head, a, out, &refusal);
        if (e != ERR_OK)
                assert_int_equal(refusal.status, 400);
        return e;
}

static const struct route *route_of(const struct http_target *t)
{
        unsigned allowed;
        uint16_t status;

        return route_find(&table, t, HTTP_GET, &status, &allowed);
}

/* ---- the lenient back end ---- */

static int hex(char c)
{
        return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static size_t decode(const char *in, size_t len, char *out)
{
        size_t n = 0;

        for (size_t i = 0; i < len; i++)
                if (in[i] == '%' && i + 2 < len && hex(in[i + 1]) >= 0 && hex(in[i + 2]) >= 0) {
                        out[n++] = (char)(hex(in[i + 1]) * 16 + hex(in[i + 2]));
                        i += 2;
                } else {
                        out[n++] = in[i];
                }
        return n;
}

/* Up to `decodes` times decoded, then put in order as file systems and frameworks do. */
static struct str lenient(struct str path, int decodes, char out[PATH_BYTES_MAX])
{
        char text[PATH_BYTES_MAX], more[PATH_BYTES_MAX];
        size_t len = path.len, n = 0;
        struct str rest, segment;

        memcpy(text, path.ptr, path.len);
        for (int i = 0; i < decodes; i++) {
                len = decode(text, len, more);
                memcpy(text, more, len);
        }
        for (size_t i = 0; i < len; i++)
                if (text[i] == '\\')
                        text[i] = '/';
        rest = (struct str){ text, len };
        while (str_split(&rest, '/', &segment)) {
                segment = str_sub(segment, 0, MIN(str_find_char(segment, ';'), str_find_char(segment, '\0')));
                if (segment.len == 0 || str_eq(segment, STR(".")))
                        continue;
                if (str_eq(segment, STR(".."))) {
                        while (n > 0 && out[--n] != '/')
                                ;
                        continue;
                }
                out[n++] = '/';
                memcpy(out + n, segment.ptr, segment.len);
                n += segment.len;
        }
        if (n == 0)
                out[n++] = '/';
        return (struct str){ out, n };
}

static bool is_under(struct str path, struct str prefix)
{
        return str_has_prefix(path, prefix) && (path.len == prefix.len || path.ptr[prefix.len] == '/');
}

/* The rules once more, in other words. A slash at the end makes no other resource to a lenient back end. */
static const char *rule_of(struct str path)
{
        struct str id = is_under(path, STR("/api")) ? str_from(path, 5) : STR_NULL;
        size_t end = str_find_char(id, '/');

        if (str_eq(path, STR("/admin/login")))
                return "login";
        if (id.len && end != STR_NONE && end > 0 && str_eq(str_from(id, end), STR("/keys")))
                return "keys";
        if (is_under(path, STR("/admin")))
                return "admin";
        if (is_under(path, STR("/api")))
                return "api";
        if (is_under(path, STR("/a@b")))
                return "at";
        return is_under(path, STR("/files")) ? "files" : "root";
}

/* Between an exact path or a pattern and the prefix around it a slash at the end decides; both are behind the same prefix. */
static const char *around(const char *rule, struct str path)
{
        if (path.len < 2 || path.ptr[path.len - 1] != '/')
                return rule;
        return strcmp(rule, "login") == 0 ? "admin" : strcmp(rule, "keys") == 0 ? "api" : rule;
}

/* ---- the test ---- */

static void agree(struct str raw, const struct http_target *t, struct arena *a)
{
        const struct route *r = route_of(t), *again;
        struct http_target forwarded;
        char text[PATH_BYTES_MAX];

        assert_non_null(r);
        /* What goes out, read by the same rules, is the same again: routed and authorised alike. */
        if (target_of(t->text, a, &forwarded) != ERR_OK || !str_eq(forwarded.text, t->text) ||
            !str_eq(forwarded.match, t->match))
                fail_msg("\"%.*s\" is forwarded as \"%.*s\", which is not read as the same", STR_FMT(raw),
                         STR_FMT(t->text));
        again = route_of(&forwarded);
        if (again != r)
                fail_msg("\"%.*s\": two routes", STR_FMT(raw));
        for (int decodes = 0; decodes <= 2; decodes++) {
                if (decodes == 0 && str_find_char(t->path, '%') != STR_NONE)
                        continue; /* no back end serves escapes unread */
                struct str seen = lenient(t->path, decodes, text);
                const char *rule = around(rule_of(seen), t->path);
                if (!str_eq(r->name, str_of(rule)))
                        fail_msg(
                                "\"%.*s\" goes by the rule \"%.*s\" as \"%.*s\", and a back end sees \"%.*s\" (%s)",
                                STR_FMT(raw), STR_FMT(r->name), STR_FMT(t->path), STR_FMT(seen), rule);
        }
        /* Stripping the route's prefix takes off what was matched, no more and no less. */
        if (r->path_kind == PATH_PREFIX && r->path.len > 1) {
                size_t covered = http_path_prefix(t->text, r->path);
                if (covered == STR_NONE || (covered < t->text.len && !strchr("/?", t->text.ptr[covered])))
                        fail_msg("\"%.*s\": the prefix covers %zu bytes of \"%.*s\"", STR_FMT(raw), covered,
                                 STR_FMT(t->text));
        }
}

static void route_authorise_and_forward_agree(void **state)
{
        const char *seed = getenv("SEKISHO_SEED"), *number = getenv("SEKISHO_PATHS");
        size_t count = number ? (size_t)strtoul(number, NULL, 10) : PATHS_COUNT, taken = 0;
        size_t by_route[ARRAY_SIZE(routes)] = { 0 };

        random_state = 0x9e3779b97f4a7c15;
        for (const char *c = seed ? seed : "sekisho"; *c; c++)
                random_state = random_state * 31 + (unsigned char)*c;
        random_state |= 1;
        route_table_sort(&table);
        for (size_t i = 0; i < count; i++) {
                char raw[PATH_BYTES_MAX];
                struct http_target t;
                struct arena a;

                arena_init(&a, NULL, 0, 1 << 16);
                struct str path = path_generate(raw);
                if (target_of(path, &a, &t) == ERR_OK) {
                        taken++;
                        by_route[route_of(&t) - routes]++;
                        agree(path, &t, &a);
                }
                arena_fini(&a);
        }
        print_message("%zu paths, %zu taken\n", count, taken);
        assert_true(taken > count / 50);
        for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
                assert_true(by_route[i] > 0); /* the paths reach every rule */
}

/* The reference itself would find a gateway that forwards what it has not understood. */
static void the_reference_finds_the_classics(void **state)
{
        static const struct {
                const char *raw, *rule;
        } cases[] = {
                { "/x/../admin", "admin" },
                { "/x/%2e%2e/admin", "admin" },
                { "/files/..%2fadmin", "admin" },
                { "//admin", "admin" },
                { "/%61dmin", "admin" },
                { "/x/..;/admin", "admin" },
                { "/x\\..\\admin", "admin" },
                { "/x/%252e%252e/admin", "admin" },
                { "/admin%2flogin", "login" },
                { "/api/7/keys", "keys" },
                { "/a%40b", "at" },
        };
        char text[PATH_BYTES_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_string_equal(rule_of(lenient(str_of(cases[i].raw), 2, text)), cases[i].rule);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_reference_finds_the_classics),
                cmocka_unit_test(route_authorise_and_forward_agree),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
