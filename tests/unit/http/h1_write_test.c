#include "../test.h"

#include <stdio.h>

#include "http/h1_read.h"
#include "http/h1_write.h"

static char memory[65536];
static struct arena arena;
static struct http_field fields[HTTP_FIELDS_MAX];
static const struct h1_limits limits = { 32768, 8192, 200 };

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

static struct http_head parse(struct str text)
{
        struct http_head h = { .fields = fields, .fields_max = ARRAY_SIZE(fields) };
        struct http_refusal refusal;
        size_t scanned = 0;

        assert_err(h1_request_parse(text, &limits, &scanned, &h, &refusal), ERR_OK);
        return h;
}

static struct str joined(const struct h1_vector *v, char *out)
{
        size_t n = 0;

        for (int i = 0; i < v->parts_count; i++) {
                memcpy(out + n, v->parts[i].iov_base, v->parts[i].iov_len);
                n += v->parts[i].iov_len;
        }
        assert_int_equal(n, v->bytes);
        return (struct str){ out, n };
}

#define REQUEST "GET /a HTTP/1.1\r\nHost: a\r\nX-1:  one \r\nX-2: two\r\nX-3: three\r\n\r\n"

static void test_untouched(void **state)
{
        struct str in = STR(REQUEST);
        struct http_head h = parse(in);
        struct h1_vector v = { 0 };
        char out[256];

        arena_reset(&arena);
        assert_err(h1_request_write(&h, STR("/a"), &arena, &v), ERR_OK);
        assert_str(joined(&v, out), in);
        assert_int_equal(v.parts_count, 3);                          /* start line, one range, empty line */
        assert_ptr_equal(v.parts[1].iov_base, h.fields[0].line.ptr); /* not a copy */
}

static void test_added_removed(void **state)
{
        struct http_head h = parse(STR(REQUEST));
        struct h1_vector v = { 0 };
        char out[256];

        arena_reset(&arena);
        http_remove_name(&h, STR("x-2"));
        assert_err(http_add(&h, STR("X-4"), STR("four")), ERR_OK);
        assert_err(http_add(&h, STR("X-5"), STR("")), ERR_OK);
        assert_err(h1_request_write(&h, STR("/b?c"), &arena, &v), ERR_OK);
        assert_str(
                joined(&v, out),
                STR("GET /b?c HTTP/1.1\r\nHost: a\r\nX-1:  one \r\nX-3: three\r\nX-4: four\r\nX-5: \r\n\r\n"));
        assert_int_equal(v.parts_count, 4); /* start line, two ranges, what was added and the end */
}

static void test_many_pieces(void **state)
{
        char text[4096], out[4096], expected[4096];
        int len = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n"),
            want = snprintf(expected, sizeof(expected), "%s", text);

        for (int i = 0; i < 100; i++) {
                len += snprintf(text + len, sizeof(text) - (size_t)len, "X-%d: y\r\n", i);
                if (i % 2)
                        want += snprintf(expected + want, sizeof(expected) - (size_t)want, "X-%d: y\r\n", i);
        }
        len += snprintf(text + len, sizeof(text) - (size_t)len, "\r\n");
        snprintf(expected + want, sizeof(expected) - (size_t)want, "Z: z\r\n\r\n");
        struct http_head h = parse((struct str){ text, (size_t)len });
        for (int i = 0; i < 100; i += 2)
                h.fields[i].is_removed = true;
        assert_err(http_add(&h, STR("Z"), STR("z")), ERR_OK);

        struct h1_vector v = { 0 };
        arena_reset(&arena);
        assert_err(h1_request_write(&h, STR("/"), &arena, &v), ERR_OK);
        assert_true(v.parts_count <= H1_HEAD_PARTS_MAX);
        assert_str(joined(&v, out), str_of(expected));
}

static void test_answer(void **state)
{
        struct http_head h = { .fields = fields, .fields_max = 4, .status = 404 };
        struct h1_vector v = { 0 };
        char out[256];

        arena_reset(&arena);
        assert_err(http_add(&h, STR("Content-Length"), STR("0")), ERR_OK);
        assert_err(h1_response_write(&h, &arena, &v), ERR_OK);
        assert_str(joined(&v, out), STR("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"));
        h.reason = STR("Nicht da");
        v = (struct h1_vector){ 0 };
        assert_err(h1_response_write(&h, &arena, &v), ERR_OK);
        assert_str(joined(&v, out), STR("HTTP/1.1 404 Nicht da\r\nContent-Length: 0\r\n\r\n"));
}

static void test_refused(void **state)
{
        struct http_head h = parse(STR(REQUEST));
        struct h1_vector v = { 0 };

        arena_reset(&arena);
        assert_err(h1_request_write(&h, STR(""), &arena, &v), ERR_MALFORMED);
        assert_err(h1_request_write(&h, STR("/a b"), &arena, &v), ERR_MALFORMED);
        assert_err(h1_request_write(&h, STR("/a\r\nX: y"), &arena, &v), ERR_MALFORMED);
        h.method = HTTP_OTHER;
        h.method_text = STR("GET /x");
        assert_err(h1_request_write(&h, STR("/a"), &arena, &v), ERR_MALFORMED);
        h.status = 200;
        h.reason = STR("O\r\nK");
        assert_err(h1_response_write(&h, &arena, &v), ERR_MALFORMED);
        h.status = 600;
        h.reason = STR("OK");
        assert_err(h1_response_write(&h, &arena, &v), ERR_MALFORMED);
        assert_int_equal(v.parts_count, 0);
}

static void test_no_memory(void **state)
{
        struct http_head h = parse(STR(REQUEST));

        assert_err(http_add(&h, STR("X-4"), STR("four")), ERR_OK);
        for (size_t room = 0; room < 40; room++) {
                char small[64];
                struct arena full;
                struct h1_vector v = { 0 };

                arena_init(&full, small, room, room);
                enum err e = h1_request_write(&h, STR("/a"), &full, &v);
                assert_err(e, room >= 17 + 13 ? ERR_OK : ERR_NO_MEMORY);
                arena_fini(&full);
        }
}

static void test_chunks(void **state)
{
        char head[H1_CHUNK_HEAD_MAX], out[64];
        struct h1_vector v = { 0 };

        assert_str(h1_chunk_head(head, 0), STR("0\r\n"));
        assert_str(h1_chunk_head(head, 26), STR("1a\r\n"));
        assert_str(h1_chunk_head(head, 0xdeadbeef), STR("deadbeef\r\n"));
        assert_str(h1_chunk_head(head, UINT64_MAX), STR("ffffffffffffffff\r\n"));

        arena_reset(&arena);
        assert_err(h1_last_chunk_write(NULL, 0, &arena, &v), ERR_OK);
        assert_str(joined(&v, out), STR("0\r\n\r\n"));
        const struct http_field trailers[] = {
                { .name = STR_INIT("A"), .value = STR_INIT("b") },
                { .name = STR_INIT("C"), .value = STR_INIT("d"), .line = STR_INIT("C:d\r\n") }
        };
        v = (struct h1_vector){ 0 };
        assert_err(h1_last_chunk_write(trailers, 2, &arena, &v), ERR_OK);
        struct str all = joined(&v, out);
        struct http_head h = { .framing = HTTP_BODY_CHUNKED };
        struct h1_body b;
        struct h1_body_part part;
        struct http_refusal refusal;
        h1_body_init(&b, &h);
        assert_err(h1_body_read(&b, all, &part, &refusal), ERR_OK);
        assert_true(part.is_last);
        assert_int_equal(part.trailers_count, 2);
        const struct http_field bad = { .name = STR_INIT("A"), .value = STR_INIT("b\r\nC: d") };
        assert_err(h1_last_chunk_write(&bad, 1, &arena, &v), ERR_MALFORMED);
}

static void test_vector(void **state)
{
        static char text[512];
        struct h1_vector v = { 0 };
        char out[512];

        for (int i = 0; i < 512; i++)
                text[i] = (char)i;
        h1_vector_add(&v, (struct str){ text, 10 });
        h1_vector_add(&v, (struct str){ text + 10, 5 });
        h1_vector_add(&v, STR_NULL);
        assert_int_equal(v.parts_count, 1);
        assert_int_equal(v.bytes, 15);
        for (int i = 0; i < H1_VECTOR_MAX - 1; i++)
                h1_vector_add(&v, (struct str){ text + 20 + 2 * i, 1 });
        assert_int_equal(v.parts_count, H1_VECTOR_MAX);
        assert_false(v.full);
        h1_vector_add(&v, (struct str){ text + 400, 1 });
        assert_true(v.full);
        assert_int_equal(v.bytes, 15 + H1_VECTOR_MAX - 1);

        /* consumed at every step, the rest is always the tail */
        char all[512];
        struct str whole = joined(&v, all);
        for (size_t n = 0; n <= whole.len; n++) {
                struct h1_vector w = v;

                h1_vector_consume(&w, n);
                assert_str(joined(&w, out), str_from(whole, n));
        }
        arena_reset(&arena);
        assert_err(h1_vector_flatten(&v, &arena), ERR_OK);
        assert_int_equal(v.parts_count, 1);
        assert_str(joined(&v, out), whole);
}

/* What is written parses to the same fields, whatever was added and taken away. */
static void test_round_trip(void **state)
{
        uint32_t seed = 7;

        for (int n = 0; n < 2000; n++) {
                char out[8192];
                static struct http_field again_fields[HTTP_FIELDS_MAX];
                struct http_head h = parse(
                        STR("POST /x HTTP/1.1\r\nHost: a\r\nCookie: 1\r\nX-A:b\r\nCookie: 2\r\nVia: c \r\n"
                            "X-D: \r\nX-E: f\r\n\r\n"));
                struct h1_vector v = { 0 };

                arena_reset(&arena);
                for (int i = 0; i < 12; i++) {
                        static const char *const names[] = { "X-A", "Cookie", "Via", "X-New",
                                                             "Content-Type" };

                        seed = seed * 1664525u + 1013904223u;
                        struct str name = str_of(names[seed >> 16 & 3]);
                        struct str value = arena_format(&arena, "%u", (unsigned)seed >> 24);
                        switch (seed >> 8 & 3) {
                        case 0: assert_err(http_add(&h, name, value), ERR_OK); break;
                        case 1: assert_err(http_replace(&h, name, value), ERR_OK); break;
                        case 2: http_remove_name(&h, name); break;
                        default: h.fields[(seed >> 20) % h.fields_count].is_removed = true; break;
                        }
                }
                assert_err(h1_request_write(&h, STR("/y"), &arena, &v), ERR_OK);
                struct http_head again = { .fields = again_fields, .fields_max = ARRAY_SIZE(again_fields) };
                struct http_refusal refusal;
                size_t scanned = 0;
                assert_err(h1_request_parse(joined(&v, out), &limits, &scanned, &again, &refusal), ERR_OK);
                assert_str(again.target, STR("/y"));
                assert_int_equal(again.method, HTTP_POST);
                assert_int_equal(again.bytes, v.bytes);
                uint16_t at = 0;
                for (uint16_t i = 0; i < h.fields_count; i++) {
                        if (h.fields[i].is_removed)
                                continue;
                        assert_true(at < again.fields_count);
                        assert_str(again.fields[at].name, h.fields[i].name);
                        assert_str(again.fields[at].value, h.fields[i].value);
                        assert_int_equal(again.fields[at].id, h.fields[i].id);
                        at++;
                }
                assert_int_equal(at, again.fields_count);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_untouched),   cmocka_unit_test(test_added_removed),
                cmocka_unit_test(test_many_pieces), cmocka_unit_test(test_answer),
                cmocka_unit_test(test_refused),     cmocka_unit_test(test_no_memory),
                cmocka_unit_test(test_chunks),      cmocka_unit_test(test_vector),
                cmocka_unit_test(test_round_trip),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
