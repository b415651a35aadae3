#include "json/writer.h"

#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../test.h"
#include "json/reader.h"

static void sample_write(struct json_writer *w)
{
        json_write_object_begin(w);
        json_write_member_str(w, STR("a\"b"), STR("x\ny"));
        json_write_key(w, STR("list"));
        json_write_array_begin(w);
        json_write_int(w, -1);
        json_write_uint(w, UINT64_MAX);
        json_write_array_begin(w);
        json_write_array_end(w);
        json_write_object_begin(w);
        json_write_object_end(w);
        json_write_array_end(w);
        json_write_member_bool(w, STR("t"), true);
        json_write_member_null(w, STR("z"));
        json_write_member_raw(w, STR("r"), STR("1.50"));
        json_write_object_end(w);
        json_writer_finish(w);
}

static void test_layouts(void **state)
{
        static const struct {
                unsigned indent;
                struct str out;
        } cases[] = {
                { JSON_COMPACT,
                  STR_INIT("{\"a\\\"b\":\"x\\ny\",\"list\":[-1,18446744073709551615,[],{}],\"t\":true,"
                           "\"z\":null,\"r\":1.50}") },
                { 2,
                  STR_INIT(
                          "{\n  \"a\\\"b\": \"x\\ny\",\n  \"list\": [\n    -1,\n    18446744073709551615,\n    [],\n"
                          "    {}\n  ],\n  \"t\": true,\n  \"z\": null,\n  \"r\": 1.50\n}") },
                { JSON_INDENT_TAB,
                  STR_INIT("{\n\t\"a\\\"b\": \"x\\ny\",\n\t\"list\": [\n\t\t-1,\n"
                           "\t\t18446744073709551615,\n\t\t[],\n\t\t{}\n\t],\n\t\"t\": true,\n"
                           "\t\"z\": null,\n\t\"r\": 1.50\n}") },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct json_writer w;
                struct buf b;

                buf_init(&b, 4096);
                json_writer_init(&w, &b, cases[i].indent);
                sample_write(&w);
                assert_false(b.full);
                assert_str(buf_str(&b), cases[i].out);
                buf_fini(&b);
        }
}

static struct str double_text(struct buf *b, double value)
{
        struct json_writer w;

        buf_clear(b);
        json_writer_init(&w, b, JSON_COMPACT);
        json_write_double(&w, value);
        json_writer_finish(&w);
        return buf_str(b);
}

static void test_doubles(void **state)
{
        static const struct {
                double value;
                struct str out;
        } cases[] = {
                { 0, STR_INIT("0") },
                { -0.0, STR_INIT("-0") },
                { 1, STR_INIT("1") },
                { 0.1, STR_INIT("0.1") },
                { 0.3, STR_INIT("0.3") },
                { 1e21, STR_INIT("1e+21") },
                { 1.5e-7, STR_INIT("1.5e-07") },
                { 123456789, STR_INIT("123456789") },
                { NAN, STR_INIT("null") },
                { INFINITY, STR_INIT("null") },
                { -INFINITY, STR_INIT("null") },
        };
        static const double exact[] = { 1.0 / 3,      0.1 + 0.2,          DBL_MAX, DBL_MIN,
                                        DBL_TRUE_MIN, 9007199254740993.0, -1e-300 };
        struct buf b;

        buf_init(&b, 4096);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_str(double_text(&b, cases[i].value), cases[i].out);
        for (size_t i = 0; i < ARRAY_SIZE(exact); i++) {
                double again;

                assert_err(json_number_double(double_text(&b, exact[i]), &again), ERR_OK);
                assert_memory_equal(&again, &exact[i], sizeof(again));
        }
        buf_fini(&b);
}

/* A text read, written and read again is the same tree, in any layout. */
static void test_round_trip(void **state)
{
        static const struct str texts[] = {
                STR_INIT("null"),
                STR_INIT("\"\\u0000\\ud83d\\ude00 \\u2028 \xe9\x96\xa2\xe6\x89\x80 \\/\""),
                STR_INIT("[1e999,-0.0,12345678901234567890123456789]"),
                STR_INIT("{\"\":{\"a\":[[],[{}],[null,true,false]]},\"b\":\"\",\"\\u0001\":1}"),
        };
        static const unsigned indents[] = { JSON_COMPACT, 1, 4, JSON_INDENT_TAB };

        for (size_t i = 0; i < ARRAY_SIZE(texts) * ARRAY_SIZE(indents); i++) {
                const struct json_value *first, *again;
                struct arena arena;
                struct json_writer w;
                struct buf b;

                arena_init(&arena, NULL, 0, 1024 * 1024);
                buf_init(&b, 4096);
                assert_err(json_read_strict(&arena, texts[i % ARRAY_SIZE(texts)], NULL, &first), ERR_OK);
                json_writer_init(&w, &b, indents[i / ARRAY_SIZE(texts)]);
                json_write_value(&w, first);
                json_writer_finish(&w);
                assert_err(json_read_strict(&arena, buf_str(&b), NULL, &again), ERR_OK);
                assert_true(json_eq(first, again));
                buf_fini(&b);
                arena_fini(&arena);
        }
}

/* Any bytes become a string that the strict reader takes. */
static void test_hostile_bytes(void **state)
{
        for (unsigned c = 0; c < 256 * 256; c++) {
                char bytes[2] = { (char)(c >> 8), (char)c };
                const struct json_value *root;
                _Alignas(max_align_t) char room[512];
                struct arena arena;
                struct json_writer w;
                struct buf b;

                arena_init(&arena, room, sizeof(room), sizeof(room));
                buf_init(&b, 256);
                json_writer_init(&w, &b, JSON_COMPACT);
                json_write_str(&w, (struct str){ bytes, 2 });
                json_writer_finish(&w);
                assert_err(json_read_strict(&arena, buf_str(&b), NULL, &root), ERR_OK);
                if (str_is_utf8((struct str){ bytes, 2 }))
                        assert_str(json_str(root), ((struct str){ bytes, 2 }));
                buf_fini(&b);
                arena_fini(&arena);
        }
}

static void test_full(void **state)
{
        for (size_t bytes_max = 0;; bytes_max++) {
                struct json_writer w;
                struct buf b;

                buf_init(&b, bytes_max);
                json_writer_init(&w, &b, JSON_COMPACT);
                sample_write(&w);
                bool fitted = !b.full;
                assert_true(b.len <= bytes_max);
                assert_true(!fitted || (bytes_max >= 70 && b.ptr[b.len - 1] == '}'));
                buf_fini(&b);
                if (fitted)
                        break;
        }
}

static void misuse_value_without_key(struct json_writer *w)
{
        json_write_object_begin(w);
        json_write_null(w);
}

static void misuse_key_in_array(struct json_writer *w)
{
        json_write_array_begin(w);
        json_write_key(w, STR("a"));
}

static void misuse_two_keys(struct json_writer *w)
{
        json_write_object_begin(w);
        json_write_key(w, STR("a"));
        json_write_key(w, STR("b"));
}

static void misuse_end_after_key(struct json_writer *w)
{
        json_write_object_begin(w);
        json_write_key(w, STR("a"));
        json_write_object_end(w);
}

static void misuse_wrong_end(struct json_writer *w)
{
        json_write_object_begin(w);
        json_write_array_end(w);
}

static void misuse_two_values(struct json_writer *w)
{
        json_write_null(w);
        json_write_null(w);
}

static void misuse_not_finished(struct json_writer *w)
{
        json_write_array_begin(w);
        json_writer_finish(w);
}

static void misuse_nothing(struct json_writer *w)
{
        json_writer_finish(w);
}

static void test_misuse_asserts(void **state)
{
        static void (*const cases[])(struct json_writer *) = {
                misuse_value_without_key, misuse_key_in_array, misuse_two_keys,     misuse_end_after_key,
                misuse_wrong_end,         misuse_two_values,   misuse_not_finished, misuse_nothing,
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                int status;
                pid_t pid = fork();

                assert_true(pid >= 0);
                if (pid == 0) {
                        struct json_writer w;
                        struct buf b;

                        signal(SIGABRT, SIG_DFL);
                        if (!freopen("/dev/null", "w", stderr))
                                _exit(1);
                        buf_init(&b, 4096);
                        json_writer_init(&w, &b, JSON_COMPACT);
                        cases[i](&w);
                        _exit(0);
                }
                assert_int_equal(waitpid(pid, &status, 0), pid);
                if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
                        fail_msg("misuse %zu went unnoticed", i);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_layouts),    cmocka_unit_test(test_doubles),
                cmocka_unit_test(test_round_trip), cmocka_unit_test(test_hostile_bytes),
                cmocka_unit_test(test_full),       cmocka_unit_test(test_misuse_asserts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
