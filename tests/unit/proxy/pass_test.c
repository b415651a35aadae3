#include "proxy/pass.h"

#include "../test.h"

static struct pass passes[] = {
        { .host = STR_INIT("*.example.com") },
        { .host = STR_INIT("db.example.com") },
        { .host = STR_INIT("*.deep.example.com") },
        { .host = STR_INIT("solo.test") },
};

static struct route routes[] = {
        { .name = STR_INIT("any"), .host = STR_INIT("") },
        { .name = STR_INIT("app"), .host = STR_INIT("app.example.com") },
        { .name = STR_INIT("wild"), .host = STR_INIT("*.web.example.com") },
        { .name = STR_INIT("wide"), .host = STR_INIT("*.test") },
};

static const struct {
        const char *why, *name, *host; /* NULL: ends here */
} cases[] = {
        { "a name", "db.example.com", "db.example.com" },
        { "a wildcard", "x.example.com", "*.example.com" },
        { "several labels for the star", "a.b.example.com", "*.example.com" },
        { "the longer wildcard", "x.deep.example.com", "*.deep.example.com" },
        { "the star is not empty", "example.com", NULL },
        { "a suffix is no name below it", "evilexample.com", NULL },
        { "a route of that name stands before a wildcard", "app.example.com", NULL },
        { "a route's longer wildcard, too", "x.web.example.com", NULL },
        { "a name stands before a route's wildcard", "solo.test", "solo.test" },
        { "a route for every name takes none", "y.example.com", "*.example.com" },
        { "no name", "", NULL },
        { "a dot at the end", "db.example.com.", "db.example.com" },
        { "a dot alone", ".", NULL },
        { "nobody's", "other.test", NULL },
};

static void finds_whose_the_name_is(void **state)
{
        struct snapshot s = { .passes = { passes, ARRAY_SIZE(passes) },
                              .routes = { routes, ARRAY_SIZE(routes), true } };
        (void)state;

        pass_table_sort(&s.passes);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const struct listen_conf *found = pass_find(&s, str_of(cases[i].name));
                const struct pass *p = found ? CONTAINER_OF(found, struct pass, listen) : NULL;

                if ((p == NULL) != (cases[i].host == NULL) || (p && !str_eq(p->host, str_of(cases[i].host))))
                        fail_msg("%s: %.*s", cases[i].why, p ? (int)p->host.len : 4,
                                 p ? p->host.ptr : "none");
        }
}

static void nothing_is_passed_where_nothing_is_said(void **state)
{
        struct snapshot s = { 0 };
        (void)state;

        pass_table_sort(&s.passes);
        assert_null(pass_find(&s, STR("db.example.com")));
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(finds_whose_the_name_is),
                                            cmocka_unit_test(nothing_is_passed_where_nothing_is_said) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
