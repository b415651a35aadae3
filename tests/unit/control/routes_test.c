#include "../test.h"

#include <stdio.h>
#include <stdlib.h>

#include "control/dispatch.h"
#include "control/openapi.h"
#include "control/routes.h"
#include "io/file.h"
#include "wire/name.h"
#include "json/reader.h"

/* Deny by default: a route that needs no key is one of these, and each other one names who may. */
static void test_table(void **state)
{
        static const char *const open[] = { "/owner", "/join", "/join/{id}", "/node/channel" };

        for (size_t i = 0; i < api_table_count; i++) {
                const struct api_route *r = &api_table[i];
                bool is_open = false;

                for (size_t j = 0; j < ARRAY_SIZE(open); j++)
                        is_open |= strcmp(open[j], r->path) == 0;
                if (is_open != ((r->flags & API_PUBLIC) != 0))
                        fail_msg("%s is %sopen", r->path, is_open ? "not " : "");
                if (!is_open && !r->scopes && strcmp(r->path, "/me") != 0)
                        fail_msg("%s asks for no scope", r->path);
                if (r->method != HTTP_GET && !is_open && r->scopes & IDENTITY_READ)
                        fail_msg("%s changes something for who may only read", r->path);
                if ((r->method == HTTP_GET) != ((r->flags & API_READS) != 0) &&
                    strcmp(r->path, "/join") != 0 && strcmp(r->path, "/store/backup") != 0)
                        fail_msg("%s: a GET reads, and nothing else does", r->path);
                if (!r->run || !r->doc || !r->tag)
                        fail_msg("%s is not complete", r->path);
        }
}

/* What comes by a gateway: these, and no other path however it is written; nothing that changes what control keeps. */
static void test_at_gateways(void **state)
{
        static const struct {
                enum http_method method;
                const char *path;
                bool is_there;
        } rows[] = {
                { HTTP_POST, "/api/execute", true },
                { HTTP_GET, "/api/agents", true },
                { HTTP_GET, "/api/pool/status", true },
                { HTTP_GET, "/api/stats", true },
                { HTTP_GET, "/api/history", true },
                { HTTP_GET, "/api/config/request", true },
                { HTTP_GET, "/api/execute", false },
                { HTTP_POST, "/api/config/request", false },
                { HTTP_DELETE, "/api/agents/home", false },
                { HTTP_POST, "/api/agents/register", false },
                { HTTP_GET, "/metrics", false },
                { HTTP_GET, "/health", false },
                { HTTP_GET, "/setup", false },
                { HTTP_GET, "/.well-known/sekisho", false },
                { HTTP_POST, "/api/v1/owner", false },
                { HTTP_POST, "/api/v1/join", false },
                { HTTP_GET, "/api/v1/node/channel", false },
                { HTTP_GET, "/api/v1/openapi.json", false },
                { HTTP_POST, "/api/execute/", false },
                { HTTP_GET, "/", false },
        };
        struct route_table t = { 0 };
        struct arena a;

        arena_init(&a, NULL, 0, 1 << 20);
        assert_err(routes_build(&t, NULL, &a), ERR_OK);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct http_target target = { .path = str_of(rows[i].path), .match = str_of(rows[i].path) };
                uint16_t status;
                unsigned allowed;

                target.authority.host = WIRE_HOST_CALLERS;
                const struct route *r = route_find(&t, &target, rows[i].method, &status, &allowed);
                assert_non_null(r);
                if (rows[i].is_there != (r->handler == &api_handler))
                        fail_msg("%s is %sthere", rows[i].path, rows[i].is_there ? "not " : "");
                assert_str(r->host, WIRE_HOST_CALLERS);
        }
        /* at other names a path that is not there is what it was */
        struct http_target other = { .path = STR("/servces"), .match = STR("/servces") };
        uint16_t status;
        unsigned allowed;
        other.authority.host = STR("localhost");
        assert_null(route_find(&t, &other, HTTP_GET, &status, &allowed));
        assert_int_equal(status, 404);
        /* what is passed on is read, or is execute; and nobody is let in without a key */
        for (size_t i = 0; i < dispatch_table_count; i++)
                if (dispatch_table[i].flags & API_AT_GATEWAYS) {
                        assert_true(dispatch_table[i].flags & API_READS);
                        assert_false(dispatch_table[i].flags & API_PUBLIC);
                        assert_true(dispatch_table[i].scopes & IDENTITY_DISPATCH);
                }
        for (size_t i = 0; i < api_table_count; i++)
                assert_false(api_table[i].flags & API_AT_GATEWAYS);
        arena_fini(&a);
}

static void test_routes_build(void **state)
{
        struct route_table t = { 0 };
        struct arena a;

        arena_init(&a, NULL, 0, 1 << 20);
        assert_err(routes_build(&t, NULL, &a), ERR_OK);
        assert_true(t.count > api_table_count);
        arena_fini(&a);
}

/* docs/reference/openapi.json is what the table says. */
static void test_openapi(void **state)
{
        const char *root = getenv("SEKISHO_SOURCE_ROOT");
        const struct json_value *tree;
        struct buf made, kept;
        struct arena a;
        char path[512];

        buf_init(&made, 4 << 20);
        buf_init(&kept, 4 << 20);
        arena_init(&a, NULL, 0, 64 << 20);
        openapi_write(&made, 1);
        assert_err(json_read_strict(&a, buf_str(&made), NULL, &tree), ERR_OK);
        assert_true(json_find(tree, STR("paths"))->count > 20);
        assert_null(json_find(json_find(tree, STR("paths")), STR("/join")));
        snprintf(path, sizeof(path), "%s/docs/reference/openapi.json", root ? root : ".");
        if (getenv("SEKISHO_WRITE_REFERENCE"))
                assert_err(file_write_atomic(path, buf_str(&made), 0644, false), ERR_OK);
        assert_err(file_read(path, &kept), ERR_OK);
        if (!str_eq(buf_str(&made), buf_str(&kept)))
                fail_msg(
                        "docs/reference/openapi.json is out of date; write it anew with: SEKISHO_WRITE_REFERENCE=1 meson test "
                        "-C build control/routes");
        buf_fini(&made);
        buf_fini(&kept);
        arena_fini(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_table), cmocka_unit_test(test_at_gateways),
                                            cmocka_unit_test(test_routes_build),
                                            cmocka_unit_test(test_openapi) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
