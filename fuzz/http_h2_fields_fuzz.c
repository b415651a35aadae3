/*
 * A list as a stranger may send it: the first byte says of what kind and whether a body follows; each field is two lengths
 * and its bytes. What is accepted, written for HTTP/1.1, parses there to the same head, and sent on as a list is accepted
 * again with the same fields.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "http/h1_write.h"
#include "http/h2_fields.h"
#include "http/h2_list.h"

enum { FIELDS = 40 };

static const struct h1_limits limits = { .head_bytes_max = 4096, .target_bytes_max = 256, .lines_max = 24 };
static const struct str key = STR_INIT("dGhlIHNhbXBsZSBub25jZQ==");

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_fields(const struct http_head *a, const struct http_head *b)
{
        assert(a->fields_count == b->fields_count);
        for (size_t i = 0; i < a->fields_count; i++) {
                assert(str_eq_nocase(a->fields[i].name, b->fields[i].name));
                assert(str_eq(a->fields[i].value, b->fields[i].value));
                assert(a->fields[i].id == b->fields[i].id);
        }
}

static void request_check(struct http_head *h, struct arena *a)
{
        const struct h1_limits wide = { .head_bytes_max = 16384, .target_bytes_max = 256, .lines_max = 32 };
        struct http_field fields[FIELDS];
        struct http_head again = { .fields = fields, .fields_max = FIELDS };
        struct http_refusal refusal;
        struct h1_vector v = { 0 };
        enum err e = h1_request_write(h, h->target, a, &v);

        assert(e == ERR_OK);
        e = h1_vector_flatten(&v, a);
        assert(e == ERR_OK);
        struct str text = { v.parts[0].iov_base, v.parts[0].iov_len };
        e = h1_request_parse(text, &wide, &(size_t){ 0 }, &again, &refusal);
        assert(e == ERR_OK && again.bytes == text.len);
        same_fields(h, &again);
        assert(again.method == h->method && str_eq(again.target, h->target));
        assert(again.asks_upgrade == h->asks_upgrade);
        if (h->framing != HTTP_BODY_CHUNKED)
                assert(again.framing == h->framing && again.content_length == h->content_length);
}

static void answer_check(struct http_head *h, struct arena *a)
{
        struct h2_section s;
        struct h2_list list;
        struct http_field fields[FIELDS];
        struct http_head again = { .fields = fields, .fields_max = FIELDS };
        struct http_refusal refusal;
        size_t host_count = 0;
        enum err e = h2_list_answer(h, a, &list);

        assert(e == ERR_OK);
        h2_section_init(&s, H2_SECTION_ANSWER, &limits);
        for (size_t i = 0; i < list.count; i++)
                h2_section_add(&s, list.pairs[i].name, list.pairs[i].value);
        e = h2_section_answer(&s, false, HTTP_GET, &again, &refusal);
        assert(e == ERR_OK);
        for (size_t i = 0; i < h->fields_count; i++)
                host_count +=
                        h->fields[i].id == HTTP_FIELD_HOST || h->fields[i].id == HTTP_FIELD_HTTP2_SETTINGS;
        assert(again.fields_count + host_count >= h->fields_count || h->first[HTTP_FIELD_COOKIE]);
        h2_section_fini(&s);
}

static void add_all(struct h2_section *s, const uint8_t *at, const uint8_t *end)
{
        while (end - at >= 2) {
                size_t name_len = MIN((size_t)at[0], (size_t)(end - at - 2));
                size_t value_len = MIN((size_t)at[1], (size_t)(end - at - 2) - name_len);
                const char *bytes = (const char *)at + 2;

                h2_section_add(s, (struct str){ bytes, name_len },
                               (struct str){ bytes + name_len, value_len });
                at += 2 + name_len + value_len;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static char memory[65536];
        struct http_field fields[FIELDS], trailers[H1_TRAILERS_MAX];
        struct http_head h = { .fields = fields, .fields_max = FIELDS };
        struct http_refusal refusal = { 0, NULL };
        struct h2_section s;
        struct arena arena;
        size_t count;

        if (size < 1)
                return 0;
        enum h2_section_kind kind = (enum h2_section_kind)(data[0] % 3);
        bool is_end = data[0] & 4;
        arena_init(&arena, memory, sizeof(memory), sizeof(memory));
        h2_section_init(&s, kind, &limits);
        add_all(&s, data + 1, data + size);
        enum err e = kind == H2_SECTION_REQUEST  ? h2_section_request(&s, is_end, key, &h, &refusal)
                     : kind == H2_SECTION_ANSWER ? h2_section_answer(&s, is_end, HTTP_GET, &h, &refusal)
                                                 : h2_section_trailers(&s, trailers, &count, &refusal);
        if (e != ERR_OK) {
                assert(refusal.reason && refusal.status >= 400);
        } else if (kind == H2_SECTION_REQUEST) {
                request_check(&h, &arena);
        } else if (kind == H2_SECTION_ANSWER && h.status >= 200 && !h.content_length) {
                answer_check(&h, &arena);
        } else if (kind == H2_SECTION_TRAILERS) {
                struct h1_vector v = { 0 };

                e = h1_last_chunk_write(trailers, count, &arena, &v);
                assert(e == ERR_OK);
        }
        h2_section_fini(&s);
        arena_fini(&arena);
        return 0;
}
