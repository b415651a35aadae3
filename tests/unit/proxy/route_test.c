#include "proxy/route.h"

#include "../test.h"

#define R(name_, host_, kind_, path_, methods_)                                       \
        {                                                                             \
                .name = STR_INIT(name_), .host = STR_INIT(host_), .path_kind = kind_, \
                .path = STR_INIT(path_), .methods = methods_                          \
        }

static struct route routes[] = {
        R("any-root", "", PATH_PREFIX, "/", 0),
        R("app", "app.example.com", PATH_PREFIX, "/", 0),
        R("app-admin", "app.example.com", PATH_PREFIX, "/admin", 0),
        R("app-admin-login", "app.example.com", PATH_EXACT, "/admin/login", 0),
        R("app-user", "app.example.com", PATH_PATTERN, "/users/{id}/avatar", 0),
        R("app-files", "app.example.com", PATH_PATTERN, "/files/{owner}/*", 0),
        R("app-post", "app.example.com", PATH_EXACT, "/form", 1u << HTTP_POST),
        R("app-get", "app.example.com", PATH_EXACT, "/form", 1u << HTTP_GET),
        R("wild", "*.example.com", PATH_PREFIX, "/", 0),
        R("wild-deep", "*.deep.example.com", PATH_PREFIX, "/", 0),
};

static const struct {
        const char *why, *host, *path;
        enum http_method method;
        const char *route;
} cases[] = {
        { "exact host before wildcard", "app.example.com", "/x", HTTP_GET, "app" },
        { "longest prefix", "app.example.com", "/admin/users", HTTP_GET, "app-admin" },
        { "a prefix itself", "app.example.com", "/admin", HTTP_GET, "app-admin" },
        { "a prefix ends at a segment", "app.example.com", "/administrator", HTTP_GET, "app" },
        { "exact path before prefix", "app.example.com", "/admin/login", HTTP_GET, "app-admin-login" },
        { "pattern", "app.example.com", "/users/42/avatar", HTTP_GET, "app-user" },
        { "a pattern's segment is not empty", "app.example.com", "/users//avatar", HTTP_GET, "app" },
        { "a pattern has as many segments", "app.example.com", "/users/42/avatar/x", HTTP_GET, "app" },
        { "a last star takes the rest", "app.example.com", "/files/ann/a/b/c", HTTP_GET, "app-files" },
        { "but at least a segment", "app.example.com", "/files/ann", HTTP_GET, "app" },
        { "by method", "app.example.com", "/form", HTTP_POST, "app-post" },
        { "HEAD goes where GET goes", "app.example.com", "/form", HTTP_HEAD, "app-get" },
        { "another method falls through", "app.example.com", "/form", HTTP_PUT, "app" },
        { "one label for the star", "b.example.com", "/", HTTP_GET, "wild" },
        { "the longer wildcard", "b.deep.example.com", "/", HTTP_GET, "wild-deep" },
        { "the star is not empty", "example.com", "/", HTTP_GET, "any-root" },
        { "any host", "other.test", "/", HTTP_GET, "any-root" },
};

static struct http_target target_of(const char *host, const char *path)
{
        return (struct http_target){ .path = str_of(path),
                                     .match = str_of(path),
                                     .authority = { .host = str_of(host) } };
}

static void finds_the_most_specific(void **state)
{
        struct route_table table = { routes, ARRAY_SIZE(routes), false };
        unsigned allowed;
        uint16_t status;

        route_table_sort(&table);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct http_target target = target_of(cases[i].host, cases[i].path);
                const struct route *r = route_find(&table, &target, cases[i].method, &status, &allowed);

                if (!r || !str_eq(r->name, str_of(cases[i].route)))
                        fail_msg("%s: got %.*s, wanted %s", cases[i].why, r ? (int)r->name.len : 4,
                                 r ? r->name.ptr : "none", cases[i].route);
        }
}

static void says_why_there_is_none(void **state)
{
        struct route few[] = {
                { .name = STR("health"),
                  .path = STR("/health"),
                  .path_kind = PATH_EXACT,
                  .is_builtin = true },
                { .name = STR("app"),
                  .host = STR("app.test"),
                  .path = STR("/a"),
                  .path_kind = PATH_EXACT,
                  .methods = 1u << HTTP_POST | 1u << HTTP_PUT },
        };
        struct route_table table = { few, ARRAY_SIZE(few), false };
        struct http_target known = target_of("app.test", "/b"), unknown = target_of("other.test", "/a"),
                           path = target_of("app.test", "/a"), health = target_of("whatever", "/health");
        unsigned allowed;
        uint16_t status;

        route_table_sort(&table);
        assert_null(route_find(&table, &known, HTTP_GET, &status, &allowed));
        assert_int_equal(status, 404);
        assert_null(route_find(&table, &unknown, HTTP_GET, &status, &allowed));
        assert_int_equal(status, 421);
        assert_null(route_find(&table, &path, HTTP_GET, &status, &allowed));
        assert_int_equal(status, 405);
        assert_int_equal(allowed, 1u << HTTP_POST | 1u << HTTP_PUT);
        assert_non_null(route_find(&table, &health, HTTP_GET, &status, &allowed));
        /* without a route for a name, no name is wrong */
        table.count = 0;
        route_table_sort(&table);
        assert_null(route_find(&table, &unknown, HTTP_GET, &status, &allowed));
        assert_int_equal(status, 404);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(finds_the_most_specific),
                cmocka_unit_test(says_why_there_is_none),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
