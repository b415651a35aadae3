#include "json/scanner.h"

#include <stdio.h>
#include <stdlib.h>

#include "../test.h"
#include "base/buf.h"
#include "json/reader.h"

static const struct str names[] = { STR_INIT("model"), STR_INIT("stream"), STR_INIT("usage"),
                                    STR_INIT("usage.prompt_tokens"), STR_INIT("a.b.c") };

static struct json_scanner scanner;

static enum err scan(struct str body, size_t split, size_t step)
{
        enum err e = ERR_OK;

        json_scanner_reset(&scanner);
        for (size_t at = 0; at < body.len && e == ERR_OK;) {
                size_t n = at < split ? MIN(split - at, body.len) : MIN(step, body.len - at);
                /* A copy of its own, so that the sanitizer sees a read beyond the chunk. */
                char *chunk = malloc(n);
                memcpy(chunk, body.ptr + at, n);
                e = json_scanner_feed(&scanner, (struct str){ chunk, n });
                free(chunk);
                at += n;
        }
        return e == ERR_OK ? json_scanner_end(&scanner) : e;
}

static const struct {
        const char *why;
        struct str body;
        struct str raw[ARRAY_SIZE(names)]; /* the value's bytes; empty: not found */
        struct str text[ARRAY_SIZE(names)];
} found[] = {
        { "plain",
          STR_INIT("{\"model\":\"m-1\",\"stream\":true}"),
          { STR_INIT("\"m-1\""), STR_INIT("true") },
          { STR_INIT("m-1"), STR_INIT("true") } },
        { "space and order",
          STR_INIT(" { \"stream\" : false ,\n\t\"model\" : null }\n"),
          { STR_INIT("null"), STR_INIT("false") },
          { STR_INIT("null"), STR_INIT("false") } },
        { "escapes in the key",
          STR_INIT("{\"\\u006dode\\u006C\":\"x\"}"),
          { STR_INIT("\"x\"") },
          { STR_INIT("x") } },
        { "escapes in the value",
          STR_INIT("{\"model\":\"\\ud83d\\ude00\\n\\u00e9\\\\\"}"),
          { STR_INIT("\"\\ud83d\\ude00\\n\\u00e9\\\\\"") },
          { STR_INIT("\xf0\x9f\x98\x80\n\xc3\xa9\\") } },
        { "UTF-8 in the value",
          STR_INIT("{\"model\":\"\xe9\x96\xa2\xe6\x89\x80 \xc3\xa9 \xf0\x9f\x98\x80\"}"),
          { STR_INIT("\"\xe9\x96\xa2\xe6\x89\x80 \xc3\xa9 \xf0\x9f\x98\x80\"") },
          { STR_INIT("\xe9\x96\xa2\xe6\x89\x80 \xc3\xa9 \xf0\x9f\x98\x80") } },
        { "a number as written",
          STR_INIT("{\"model\":-1.50e+2}"),
          { STR_INIT("-1.50e+2") },
          { STR_INIT("-1.50e+2") } },
        { "deeper keys of that name do not count",
          STR_INIT("{\"x\":{\"model\":\"no\"},\"y\":[{\"model\":1},\"model\"]}"),
          { { 0 } },
          { { 0 } } },
        { "a value of that name does not count",
          STR_INIT("{\"x\":\"model\",\"y\":\"stream\"}"),
          { { 0 } },
          { { 0 } } },
        { "nor in an array at the top", STR_INIT("[{\"model\":1}]"), { { 0 } }, { { 0 } } },
        { "nor does a scalar at the top", STR_INIT("12"), { { 0 } }, { { 0 } } },
        { "a container as a value",
          STR_INIT("{\"model\":[1,{\"model\":2},[]],\"stream\":{\"a\":{}}}"),
          { STR_INIT("[1,{\"model\":2},[]]"), STR_INIT("{\"a\":{}}") },
          { { 0 } } },
        { "path",
          STR_INIT("{\"usage\":{\"x\":[1],\"prompt_tokens\":12,\"y\":{\"prompt_tokens\":3}},\"z\":1}"),
          { { 0 },
            { 0 },
            STR_INIT("{\"x\":[1],\"prompt_tokens\":12,\"y\":{\"prompt_tokens\":3}}"),
            STR_INIT("12") },
          { { 0 }, { 0 }, { 0 }, STR_INIT("12") } },
        { "path through no object",
          STR_INIT("{\"usage\":[{\"prompt_tokens\":12}]}"),
          { { 0 }, { 0 }, STR_INIT("[{\"prompt_tokens\":12}]") },
          { { 0 } } },
        { "path whose parent is null",
          STR_INIT("{\"usage\":null}"),
          { { 0 }, { 0 }, STR_INIT("null") },
          { { 0 }, { 0 }, STR_INIT("null") } },
        { "the last key of a path alone",
          STR_INIT("{\"prompt_tokens\":1,\"x\":{\"usage\":{\"prompt_tokens\":2}}}"),
          { { 0 } },
          { { 0 } } },
        { "three keys",
          STR_INIT("{\"a\":{\"c\":0,\"b\":{\"a\":0,\"c\":\"yes\",\"b\":{}}}}"),
          { { 0 }, { 0 }, { 0 }, { 0 }, STR_INIT("\"yes\"") },
          { { 0 }, { 0 }, { 0 }, { 0 }, STR_INIT("yes") } },
        { "a key with a dot is no path",
          STR_INIT("{\"a.b.c\":1,\"usage.prompt_tokens\":2}"),
          { { 0 } },
          { { 0 } } },
        { "empty key, long key, near keys",
          STR_INIT("{\"\":1,\"modelmodelmodelmodelmodelmodelmodelmodelmodelmodelmodel"
                   "modelmodelmodelmodelmodelmodelmodelmodelmodelmodelmodelmodelmodel"
                   "modelmodelmodelmodelmodelmodelmodelmodelmodelmodelmodelmodelmodel"
                   "\":1,\"mode\":2,\"models\":3,\"Model\":4}"),
          { { 0 } },
          { { 0 } } },
        { "half a pair where nobody watches",
          STR_INIT("{\"p\":\"\\ud83d\",\"model\":\"m\",\"\\udc00\":1}"),
          { STR_INIT("\"m\"") },
          { STR_INIT("m") } },
        { "duplicates nobody watches",
          STR_INIT("{\"p\":1,\"p\":2,\"q\":{\"model\":1,\"model\":2}}"),
          { { 0 } },
          { { 0 } } },
        { "empty object", STR_INIT("{}"), { { 0 } }, { { 0 } } },
};

static void check_found(size_t i, size_t split, size_t step)
{
        struct str body = found[i].body;

        if (scan(body, split, step) != ERR_OK)
                fail_msg("%s, split at %zu: %s", found[i].why, split, scanner.problem.text);
        assert_true(scanner.is_whole);
        for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
                const struct json_field *f = json_scanner_find(&scanner, names[n]);

                if ((f != NULL) != (found[i].raw[n].len != 0))
                        fail_msg("%s, split at %zu: %s", found[i].why, split, names[n].ptr);
                if (!f)
                        continue;
                assert_str(str_sub(body, (size_t)f->start, (size_t)(f->end - f->start)), found[i].raw[n]);
                assert_str(json_field_text(f), found[i].text[n]);
                assert_false(f->is_cut);
        }
}

/* Whole, cut in two at each byte, and byte by byte. */
static void test_found(void **state)
{
        json_scanner_init(&scanner, names, ARRAY_SIZE(names), 0, 0);
        for (size_t i = 0; i < ARRAY_SIZE(found); i++) {
                for (size_t split = 0; split <= found[i].body.len; split++)
                        check_found(i, split, SIZE_MAX);
                check_found(i, 0, 1);
                check_found(i, 0, 3);
        }
}

static void test_refused(void **state)
{
        static const struct {
                const char *why;
                struct str body;
                enum err err;
                const char *culprit;
                uint64_t offset;
        } cases[] = {
                { "twice", STR_INIT("{\"model\":1,\"model\":2}"), ERR_MALFORMED, "model", 11 },
                { "twice, once in escapes", STR_INIT("{\"model\":1,\"mod\\u0065l\":2}"), ERR_MALFORMED,
                  "model", 11 },
                { "a parent twice", STR_INIT("{\"usage\":{},\"usage\":{\"prompt_tokens\":1}}"), ERR_MALFORMED,
                  "usage", 12 },
                { "a part of a path twice", STR_INIT("{\"a\":1,\"a\":{}}"), ERR_MALFORMED, "a.b.c", 7 },
                { "twice below", STR_INIT("{\"a\":{\"b\":{\"c\":1,\"c\":1}}}"), ERR_MALFORMED, "a.b.c", 17 },
                { "half a pair in a watched value", STR_INIT("{\"model\":\"\\ud800\"}"), ERR_MALFORMED, NULL,
                  9 },
                { "empty", STR_INIT(""), ERR_MALFORMED, NULL, 0 },
                { "cut short", STR_INIT("{\"model\":\"m\""), ERR_MALFORMED, NULL, 12 },
                { "cut in a string", STR_INIT("{\"model\":\"m"), ERR_MALFORMED, NULL, 9 },
                { "more after the end", STR_INIT("{\"model\":1} {}"), ERR_MALFORMED, NULL, 12 },
                { "no comma", STR_INIT("{\"a\":1 \"model\":2}"), ERR_MALFORMED, NULL, 7 },
                { "wrong bracket", STR_INIT("{\"x\":[1}}"), ERR_MALFORMED, NULL, 7 },
                { "no comments here", STR_INIT("{/**/}"), ERR_MALFORMED, NULL, 1 },
                { "no comma before the end", STR_INIT("{\"a\":1,}"), ERR_MALFORMED, NULL, 7 },
                { "bad UTF-8 nobody watches", STR_INIT("{\"p\":\"\xff\"}"), ERR_MALFORMED, NULL, 6 },
                { "byte order mark", STR_INIT("\xef\xbb\xbf{}"), ERR_MALFORMED, NULL, 0 },
                { "control in a string", STR_INIT("{\"p\":\"\n\"}"), ERR_MALFORMED, NULL, 5 },
                { "too deep", STR_INIT("[[[[[]]]]]"), ERR_TOO_LARGE, NULL, 4 },
        };

        json_scanner_init(&scanner, names, ARRAY_SIZE(names), 0, 4);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                for (size_t split = 0; split <= cases[i].body.len; split++) {
                        enum err e = scan(cases[i].body, split, 1 + split % 3);

                        if (e != cases[i].err || scanner.problem.at.offset != cases[i].offset)
                                fail_msg("%s, split at %zu: ERR_%s at %llu", cases[i].why, split, err_name(e),
                                         (unsigned long long)scanner.problem.at.offset);
                        assert_non_null(scanner.problem.text);
                        assert_str(scanner.culprit ? scanner.culprit->name : STR_NULL,
                                   str_of(cases[i].culprit));
                        assert_err(json_scanner_feed(&scanner, STR(" ")), ERR_MALFORMED);
                        assert_err(json_scanner_end(&scanner), ERR_MALFORMED);
                }
        }
}

static void test_case_strict(void **state)
{
        static const struct str watched[] = { STR_INIT("model"), STR_INIT("max_tokens"), STR_INIT("o.K") };
        static const struct {
                struct str body;
                bool refused;
        } cases[] = {
                { STR_INIT("{\"Model\":1}"), true },
                { STR_INIT("{\"MODEL\":1,\"model\":1}"), true },
                { STR_INIT("{\"mode\\u004c\":1}"), true },
                { STR_INIT("{\"max_to\\u212aen\\u017f\":1}"), true },
                { STR_INIT("{\"max_to\xe2\x84\xaa"
                           "en\xc5\xbf\":1}"),
                  true },
                { STR_INIT("{\"o\":{\"k\":1}}"), true },
                { STR_INIT("{\"O\":1}"), true },
                { STR_INIT("{\"model\":1,\"max_tokens\":1,\"o\":{\"K\":1,\"MODEL\":1},\"x\":{\"Model\":1}}"),
                  false },
                { STR_INIT(
                          "{\"models\":1,\"max_tokenss\":1,\"odel\":1,\"o.k\":1,\"\":1,\"max_toe\xc5\x80\":1}"),
                  false },
        };

        json_scanner_init(&scanner, watched, ARRAY_SIZE(watched), JSON_SCAN_CASE_STRICT, 0);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if ((scan(cases[i].body, 0, SIZE_MAX) == ERR_MALFORMED) != cases[i].refused)
                        fail_msg("%s", cases[i].body.ptr);
}

/* A value longer than is kept: its place is right all the same. */
static void test_long_value(void **state)
{
        for (size_t len = JSON_FIELD_TEXT_MAX - 1; len <= JSON_FIELD_TEXT_MAX + 1; len++) {
                struct buf b;

                buf_init(&b, 4096);
                buf_add(&b, STR("{\"model\":\""));
                for (size_t i = 0; i < len; i++)
                        buf_add_char(&b, (char)('a' + i % 26));
                buf_add(&b, STR("\"}"));
                json_scanner_init(&scanner, names, 1, 0, 0);
                assert_err(scan(buf_str(&b), 0, 7), ERR_OK);
                const struct json_field *f = json_scanner_find(&scanner, STR("model"));
                assert_int_equal(f->end - f->start, len + 2);
                assert_int_equal(f->is_cut, len > JSON_FIELD_TEXT_MAX);
                assert_str(json_field_text(f),
                           str_sub(buf_str(&b), 10, MIN(len, (size_t)JSON_FIELD_TEXT_MAX)));
                buf_fini(&b);
        }
}

/* Found at once, before the rest of the body has come. */
static void test_early(void **state)
{
        json_scanner_init(&scanner, names, 2, 0, 0);
        assert_err(json_scanner_feed(&scanner, STR("{\"model\":\"m")), ERR_OK);
        assert_null(json_scanner_find(&scanner, STR("model")));
        assert_err(json_scanner_feed(&scanner, STR("1\"")), ERR_OK);
        assert_str(json_field_text(json_scanner_find(&scanner, STR("model"))), STR("m1"));
        assert_false(scanner.is_whole);
        assert_err(json_scanner_feed(&scanner, STR(",\"stream\":1")), ERR_OK);
        assert_null(json_scanner_find(&scanner, STR("stream")));
        assert_err(json_scanner_feed(&scanner, STR("}")), ERR_OK);
        assert_str(json_field_text(json_scanner_find(&scanner, STR("stream"))), STR("1"));
        assert_true(scanner.is_whole);
        assert_err(json_scanner_end(&scanner), ERR_OK);
}

static void join(struct buf *b, const struct str *parts, size_t count)
{
        buf_clear(b);
        for (size_t i = 0; i < count; i++)
                buf_add(b, parts[i]);
}

static void test_slices(void **state)
{
        struct str body = STR(" {\"x\":1.00, \"model\" : \"al\\u0069as\" ,\"y\":[ ]}\n"), out[4];
        struct buf b;

        buf_init(&b, 4096);
        json_scanner_init(&scanner, names, 2, 0, 0);
        assert_err(scan(body, 0, SIZE_MAX), ERR_OK);
        json_field_replace(json_scanner_find(&scanner, STR("model")), body, STR("\"real\""), out);
        join(&b, out, 3);
        assert_str(buf_str(&b), STR(" {\"x\":1.00, \"model\" : \"real\" ,\"y\":[ ]}\n"));

        assert_true(scanner.is_object && !scanner.is_empty);
        json_scanner_insert(&scanner, body, STR("\"n\":0"), out);
        join(&b, out, 4);
        assert_str(buf_str(&b), STR(" {\"n\":0,\"x\":1.00, \"model\" : \"al\\u0069as\" ,\"y\":[ ]}\n"));

        assert_err(scan(STR("{ }"), 0, 1), ERR_OK);
        json_scanner_insert(&scanner, STR("{ }"), STR("\"n\":0"), out);
        join(&b, out, 4);
        assert_str(buf_str(&b), STR("{\"n\":0 }"));
        buf_fini(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_found),       cmocka_unit_test(test_refused),
                cmocka_unit_test(test_case_strict), cmocka_unit_test(test_long_value),
                cmocka_unit_test(test_early),       cmocka_unit_test(test_slices),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
