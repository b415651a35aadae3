#include "../test.h"

#include "base/compiler.h"
#include "identity/permit.h"

static void test_decide(void **state)
{
        const struct {
                const char *why;
                enum identity_kind kind;
                int64_t org;
                unsigned has, asked;
                enum err err;
        } cases[] = {
                { "nobody", IDENTITY_NOBODY, 1, IDENTITY_SCOPES_ALL, IDENTITY_READ, ERR_DENIED },
                { "no organisation", IDENTITY_KEY, 0, IDENTITY_SCOPES_ALL, IDENTITY_READ, ERR_DENIED },
                { "no scope", IDENTITY_KEY, 1, 0, IDENTITY_READ, ERR_DENIED },
                { "the scope", IDENTITY_KEY, 1, IDENTITY_READ, IDENTITY_READ, ERR_OK },
                { "one of two", IDENTITY_KEY, 1, IDENTITY_NODES, IDENTITY_READ | IDENTITY_NODES, ERR_OK },
                { "another", IDENTITY_KEY, 1, IDENTITY_SERVICES, IDENTITY_READ | IDENTITY_NODES, ERR_DENIED },
                { "an administrator", IDENTITY_KEY, 1, IDENTITY_ADMIN, IDENTITY_NODES, ERR_OK },
                { "reading is no right to change", IDENTITY_KEY, 1, IDENTITY_READ, IDENTITY_ADMIN,
                  ERR_DENIED },
                { "a key for services", IDENTITY_KEY, 1, IDENTITY_SCOPES_USE, IDENTITY_SCOPES_ALL,
                  ERR_DENIED },
                { "a route that asks for nothing is no route", IDENTITY_KEY, 1, IDENTITY_READ, 0,
                  ERR_DENIED },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct identity_caller caller = { .kind = cases[i].kind,
                                                  .id = 7,
                                                  .org = cases[i].org,
                                                  .scopes = cases[i].has,
                                                  .actor = STR("key/7"),
                                                  .source = STR("192.0.2.1") };
                struct identity_permit permit;
                const char *why = NULL;
                enum err e = identity_decide(&caller, cases[i].asked, &permit, &why);

                if (e != cases[i].err)
                        fail_msg("%s: ERR_%s", cases[i].why, err_name(e));
                if (e != ERR_OK) {
                        assert_non_null(why);
                        continue;
                }
                assert_int_equal(identity_permit_org(&permit), 1);
                assert_str(identity_permit_actor(&permit).name, STR("key/7"));
                assert_str(identity_permit_actor(&permit).source, STR("192.0.2.1"));
        }
}

static void test_scopes(void **state)
{
        struct arena a;
        struct str bad;
        unsigned scopes;

        arena_init(&a, NULL, 0, 4096);
        assert_err(identity_scopes_parse(STR("read,nodes"), &scopes, &bad), ERR_OK);
        assert_int_equal(scopes, IDENTITY_READ | IDENTITY_NODES);
        assert_str(identity_scopes_format(scopes, &a), STR("read,nodes"));
        assert_err(identity_scopes_parse(STR(""), &scopes, &bad), ERR_OK);
        assert_int_equal(scopes, 0);
        assert_err(identity_scopes_parse(STR("read,root"), &scopes, &bad), ERR_MALFORMED);
        assert_str(bad, STR("root"));
        arena_fini(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_decide), cmocka_unit_test(test_scopes) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
