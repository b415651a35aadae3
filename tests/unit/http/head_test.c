#include "../test.h"

#include "http/chars_priv.h"
#include "http/head.h"

static struct http_field fields[HTTP_FIELDS_MAX];

static struct http_head head_new(uint16_t fields_max)
{
        return (struct http_head){ .fields = fields, .fields_max = fields_max };
}

/* Each known name is found in any case; one letter off it is not. */
static void test_field_ids(void **state)
{
        for (int id = 1; id < HTTP_FIELD_COUNT; id++) {
                struct str name = http_field_name((enum http_field_id)id);
                char text[64], near[64];

                for (int how = 0; how < 3; how++) {
                        for (size_t i = 0; i < name.len; i++)
                                text[i] = how == 0                      ? name.ptr[i]
                                          : how == 1                    ? ascii_lower(name.ptr[i])
                                          : ascii_is_alpha(name.ptr[i]) ? (char)(name.ptr[i] & ~0x20)
                                                                        : name.ptr[i];
                        if (http_field_id_of((struct str){ text, name.len }) != (enum http_field_id)id)
                                fail_msg("%.*s is not found: its row in ids_by_length?", STR_FMT(name));
                }
                for (size_t i = 0; i < name.len; i++) {
                        for (int bit = 0; bit < 8; bit++) {
                                memcpy(near, name.ptr, name.len);
                                near[i] = (char)(near[i] ^ (1 << bit));
                                struct str other = { near, name.len };
                                if (!str_eq_nocase(other, name))
                                        assert_int_not_equal(http_field_id_of(other), id);
                        }
                }
                assert_int_not_equal(http_field_id_of((struct str){ name.ptr, name.len - 1 }), id);
        }
        assert_int_equal(http_field_id_of(STR("")), HTTP_FIELD_OTHER);
        assert_int_equal(http_field_id_of(STR("X-Something-Else-Entirely-And-Long")), HTTP_FIELD_OTHER);
        assert_str(http_field_name(HTTP_FIELD_OTHER), STR(""));
}

static void test_methods(void **state)
{
        for (int m = HTTP_GET; m < HTTP_OTHER; m++)
                assert_int_equal(http_method_of(http_method_name((enum http_method)m)), m);
        assert_int_equal(http_method_of(STR("get")), HTTP_OTHER);
        assert_int_equal(http_method_of(STR("GETS")), HTTP_OTHER);
        assert_int_equal(http_method_of(STR("OTHER")), HTTP_OTHER);
        assert_int_equal(http_method_of(STR_NULL), HTTP_OTHER);
}

static void test_chars(void **state)
{
        for (int c = 0; c < 256; c++) {
                bool is_alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
                bool is_token = is_alnum || (c && strchr("!#$%&'*+-.^_`|~", c));
                bool is_value = c == '\t' || (c >= ' ' && c != 0x7f);
                bool is_unreserved = is_alnum || (c && strchr("-._~", c));
                char ch = (char)c, text[41];

                memset(text, 'a', sizeof(text));

                assert_int_equal(http_char_is(ch, HTTP_CHAR_TOKEN), is_token);
                assert_int_equal(http_char_is(ch, HTTP_CHAR_VALUE), is_value);
                assert_int_equal(http_char_is(ch, HTTP_CHAR_TARGET), c > ' ' && c < 0x7f && c != '#');
                assert_int_equal(http_char_is(ch, HTTP_CHAR_UNRESERVED), is_unreserved);
                assert_int_equal(http_char_is(ch, HTTP_CHAR_PATH),
                                 is_unreserved || (c && strchr("!$&'()*+,=:@/", c)));
                assert_int_equal(http_char_is(ch, HTTP_CHAR_HOST), is_alnum || (c && strchr("-._", c)));
                /* the wide steps see what the table says, wherever the byte stands and however far the text goes */
                for (int i = 0; i < 40; i++) {
                        text[i] = ch;
                        for (int len = i + 1; len <= 40; len += 13) {
                                assert_ptr_equal(http_value_skip(text, text + len),
                                                 text + (is_value ? len : i));
                                assert_ptr_equal(http_name_skip(text, text + len),
                                                 text + (is_token ? len : i));
                        }
                        text[i] = 'a';
                }
        }
}

/* Every pair of bytes side by side: a byte the wide step stops at must not hide the next one. */
static void test_pairs(void **state)
{
        for (int a = 0; a < 256; a++)
                for (int b = 0; b < 256; b++) {
                        char text[33];

                        memset(text, 'x', sizeof(text));
                        text[3] = (char)a;
                        text[4] = (char)b;
                        assert_ptr_equal(http_value_skip(text, text + 33),
                                         http_chars_skip(text, text + 33, HTTP_CHAR_VALUE));
                        assert_ptr_equal(http_name_skip(text, text + 33),
                                         http_chars_skip(text, text + 33, HTTP_CHAR_TOKEN));
                }
}

static void test_add_find_remove(void **state)
{
        struct http_head h = head_new(8);

        assert_null(http_find(&h, HTTP_FIELD_COOKIE));
        assert_err(http_add(&h, STR("cookie"), STR("a")), ERR_OK);
        assert_err(http_add(&h, STR("X-One"), STR("1")), ERR_OK);
        assert_err(http_add(&h, STR("Cookie"), STR(" b\t")), ERR_OK);
        assert_err(http_add(&h, STR("x-one"), STR("")), ERR_OK);
        assert_str(http_value(&h, HTTP_FIELD_COOKIE), STR("a"));
        assert_str(http_find_next(&h, http_find(&h, HTTP_FIELD_COOKIE))->value, STR("b"));
        assert_str(http_find_name(&h, STR("COOKIE"))->value, STR("a"));
        assert_str(http_find_name(&h, STR("X-ONE"))->value, STR("1"));
        assert_str(http_find_next(&h, http_find_name(&h, STR("X-ONE")))->value, STR(""));

        http_find(&h, HTTP_FIELD_COOKIE)->is_removed = true;
        assert_str(http_value(&h, HTTP_FIELD_COOKIE), STR("b"));
        http_remove(&h, HTTP_FIELD_COOKIE);
        assert_null(http_find(&h, HTTP_FIELD_COOKIE));
        assert_int_equal(h.first[HTTP_FIELD_COOKIE], 0);
        http_remove_name(&h, STR("X-One"));
        assert_null(http_find_name(&h, STR("x-one")));

        assert_err(http_replace(&h, STR("Cookie"), STR("c")), ERR_OK);
        assert_err(http_replace(&h, STR("COOKIE"), STR("d")), ERR_OK);
        assert_str(http_value(&h, HTTP_FIELD_COOKIE), STR("d"));
        assert_null(http_find_next(&h, http_find(&h, HTTP_FIELD_COOKIE)));
}

static void test_no_injection(void **state)
{
        static const struct {
                const char *why;
                struct str name, value;
        } cases[] = {
                { "LF", STR_INIT("X"), STR_INIT("a\nY: b") },
                { "CR", STR_INIT("X"), STR_INIT("a\rb") },
                { "CRLF", STR_INIT("X"), STR_INIT("a\r\nY: b") },
                { "NUL", STR_INIT("X"), STR_INIT("a\0b") },
                { "DEL", STR_INIT("X"), STR_INIT("\x7f") },
                { "empty name", STR_INIT(""), STR_INIT("a") },
                { "colon in the name", STR_INIT("X: a\r\nY"), STR_INIT("a") },
                { "blank in the name", STR_INIT("X Y"), STR_INIT("a") },
                { "8-bit name", STR_INIT("\xc3\xa9"), STR_INIT("a") },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct http_head h = head_new(4);

                if (http_add(&h, cases[i].name, cases[i].value) != ERR_MALFORMED ||
                    http_replace(&h, cases[i].name, cases[i].value) != ERR_MALFORMED || h.fields_count)
                        fail_msg("%s", cases[i].why);
        }
        /* A replacement that is refused takes nothing away. */
        struct http_head h = head_new(4);
        assert_err(http_add(&h, STR("Via"), STR("a")), ERR_OK);
        assert_err(http_replace(&h, STR("Via"), STR("\n")), ERR_MALFORMED);
        assert_str(http_value(&h, HTTP_FIELD_VIA), STR("a"));
}

static void test_full(void **state)
{
        struct http_head h = head_new(2);

        assert_err(http_add(&h, STR("A"), STR("")), ERR_OK);
        assert_err(http_add(&h, STR("B"), STR("")), ERR_OK);
        assert_err(http_add(&h, STR("C"), STR("")), ERR_TOO_LARGE);
        assert_int_equal(h.fields_count, 2);

        h = head_new(HTTP_FIELDS_MAX);
        for (int i = 0; i < HTTP_FIELDS_MAX - 1; i++)
                assert_err(http_add(&h, STR("A"), STR("")), ERR_OK);
        assert_err(http_add(&h, STR("Via"), STR("last")), ERR_OK);
        assert_str(http_value(&h, HTTP_FIELD_VIA), STR("last"));
        assert_err(http_add(&h, STR("Via"), STR("")), ERR_TOO_LARGE);
}

static void test_lists(void **state)
{
        static const struct {
                const char *value;
                bool has_close;
        } cases[] = {
                { "close", true },      { "CLOSE", true },       { "a, close", true },  { "close,a", true },
                { " close ", true },    { "\tclose\t,b", true }, { "close;q=1", true }, { ",,close", true },
                { "", false },          { "closer", false },     { "clo se", false },   { "a;close", false },
                { "\"close\"", false }, { "a,b", false },        { "close x", false },  { "xclose", false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (http_list_has(str_of(cases[i].value), STR("close")) != cases[i].has_close)
                        fail_msg("\"%s\"", cases[i].value);
        assert_false(http_list_has(STR_NULL, STR("close")));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_field_ids),
                cmocka_unit_test(test_methods),
                cmocka_unit_test(test_chars),
                cmocka_unit_test(test_pairs),
                cmocka_unit_test(test_add_find_remove),
                cmocka_unit_test(test_no_injection),
                cmocka_unit_test(test_full),
                cmocka_unit_test(test_lists),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
