#include "proxy/error_page.h"

#include "../test.h"

static const struct {
        const char *why, *accept;
        bool is_page;
} wants[] = {
        { "nothing said", NULL, false },
        { "curl", "*/*", false },
        { "Firefox", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true },
        { "fetch for JSON", "application/json, text/plain, */*", false },
        { "JSON above HTML", "text/html;q=0.5, application/json", false },
        { "HTML above JSON", "application/json;q=0.5, text/html", true },
        { "both alike", "application/json, text/html", true },
        { "HTML refused", "text/html;q=0", false },
        { "refused in full", "text/html;q=0.000", false },
        { "a thousandth", "text/html;q=0.001", true },
        { "capitals and blanks", " Text/HTML ; Q=1.0 ", true },
        { "other parameters first", "text/html;level=1;q=0", false },
        { "a rank that is none", "text/html;q=high", false },
        { "more than one", "text/html;q=9.999", true },
        { "only its beginning", "text/htm", false },
        { "empty entries", ",,;,text/html,", true },
};

static void who_wants_a_page(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(wants); i++) {
                struct http_field field = { .name = STR("accept"), .value = str_of(wants[i].accept) };
                struct http_head head = { .fields = &field,
                                          .fields_count = wants[i].accept ? 1 : 0,
                                          .fields_max = 1 };

                if (error_page_is_wanted(&head) != wants[i].is_page)
                        fail_msg("%s", wants[i].why);
        }
}

static const struct {
        const char *why, *page, *made;
} made[] = {
        { "as it is", "<h1>Oh</h1>", "<h1>Oh</h1>" },
        { "all of them", "{status}|{reason}|{message}|{request_id}|{host}|{path}",
          "404|Not Found|no &lt;b&gt; here|abc|h&quot;st|/&#39;&amp;" },
        { "braces of its own", "body{color:red} {} { {statu} {status",
          "body{color:red} {} { {statu} {status" },
        { "a value in braces", "{{status}}", "{404}" },
        { "nothing", "", "" },
};

static void what_is_put_in(void **state)
{
        const struct error_page_facts facts = { .status = 404,
                                                .message = "no <b> here",
                                                .request_id = "abc",
                                                .host = STR("h\"st"),
                                                .path = STR("/'&") };

        for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
                struct error_page page = { 400, 499, str_of(made[i].page) };
                struct buf out;

                buf_init(&out, 4096);
                error_page_format(&page, &facts, &out);
                if (!str_eq(buf_str(&out), str_of(made[i].made)))
                        fail_msg("%s: %.*s", made[i].why, STR_FMT(buf_str(&out)));
                buf_fini(&out);
        }
}

/* What a stranger sent stands in no page as markup, ours included. */
static void the_plain_page_is_whole(void **state)
{
        const struct error_page_facts facts = { .status = 503, .message = "Later.", .request_id = "id" };
        struct buf out;

        buf_init(&out, 4096);
        error_page_format(NULL, &facts, &out);
        assert_true(str_has_prefix(buf_str(&out), STR("<!doctype html>")));
        assert_int_equal(str_find(buf_str(&out), STR("{status}")), STR_NONE);
        assert_int_not_equal(str_find(buf_str(&out), STR("<h1>503 Service Unavailable</h1>")), STR_NONE);
        buf_fini(&out);
}

static void the_first_that_fits(void **state)
{
        const struct error_page pages[] = { { 404, 404, STR_INIT("a") }, { 400, 599, STR_INIT("b") } };
        const struct error_page_set set = { pages, 2 };

        assert_ptr_equal(error_page_find(&set, 404), &pages[0]);
        assert_ptr_equal(error_page_find(&set, 403), &pages[1]);
        assert_null(error_page_find(&set, 302));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(who_wants_a_page),
                cmocka_unit_test(what_is_put_in),
                cmocka_unit_test(the_plain_page_is_whole),
                cmocka_unit_test(the_first_that_fits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
