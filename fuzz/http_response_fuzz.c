/*
 * An answer's head, whole and in drops (the first byte chooses the request's method), then its body by the framing found.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "http/h1_read.h"
#include "http/h1_write.h"

enum { FIELDS = 24, MAX_BYTES = 4096 };

static const struct h1_limits limits = { .head_bytes_max = 1024, .target_bytes_max = 128, .lines_max = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void body_check(const struct http_head *h, struct str in)
{
        struct h1_body b;
        struct h1_body_part part;
        struct http_refusal refusal;
        uint64_t bytes = 0;

        h1_body_init(&b, h);
        do {
                if (h1_body_read(&b, in, &part, &refusal) != ERR_OK) {
                        assert(refusal.status == 502);
                        return;
                }
                assert(part.consumed <= in.len);
                for (size_t i = 0; i < part.slices_count; i++)
                        bytes += part.slices[i].len;
                in = str_from(in, part.consumed);
        } while (!part.is_last && part.slices_count == H1_SLICES_MAX);
        assert(bytes == b.bytes);
        if (part.is_last)
                assert(h1_body_end(&b) == ERR_OK);
        if (part.is_last && h->framing == HTTP_BODY_LENGTH)
                assert(bytes == h->content_length);
}

static void write_check(const struct http_head *h)
{
        static char memory[8192];
        struct arena arena;
        struct h1_vector v = { 0 };
        struct http_field fields[FIELDS];
        struct http_head again = { .fields = fields, .fields_max = FIELDS };
        const struct h1_limits wide = { .head_bytes_max = 4096, .target_bytes_max = 1, .lines_max = 16 };
        struct http_refusal refusal;

        arena_init(&arena, memory, sizeof(memory), sizeof(memory));
        enum err e = h1_response_write(h, &arena, &v);
        assert(e == ERR_OK);
        e = h1_vector_flatten(&v, &arena);
        assert(e == ERR_OK);
        e = h1_response_parse((struct str){ v.parts[0].iov_base, v.parts[0].iov_len }, &wide, HTTP_GET,
                              &(size_t){ 0 }, &again, &refusal);
        assert(e == ERR_OK && again.status == h->status && again.fields_count == h->fields_count);
        for (size_t i = 0; i < h->fields_count; i++)
                assert(str_eq(h->fields[i].value, again.fields[i].value));
        arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct http_field fields[FIELDS];
        struct http_head h = { .fields = fields, .fields_max = FIELDS };
        struct http_refusal refusal = { 0 }, first = { 0 };
        size_t scanned = 0;

        if (size < 1 || size > MAX_BYTES)
                return 0;
        enum http_method method = (enum http_method)(data[0] % (HTTP_OTHER + 1));
        struct str in = { (const char *)data + 1, size - 1 };
        enum err drops = ERR_AGAIN;

        for (size_t n = 0; n <= in.len && drops == ERR_AGAIN; n++)
                drops = h1_response_parse(str_sub(in, 0, n), &limits, method, &scanned, &h, &first);
        enum err e = h1_response_parse(in, &limits, method, &(size_t){ 0 }, &h, &refusal);
        if (e == ERR_AGAIN) {
                assert(drops == ERR_AGAIN);
                return 0;
        }
        if (drops == ERR_AGAIN) { /* drops are judged at the end of a head at the latest */
                static char text[MAX_BYTES + 4];

                memcpy(text, in.ptr, in.len);
                memcpy(text + in.len, "\r\n\r\n", 4);
                drops = h1_response_parse((struct str){ text, in.len + 4 }, &limits, method, &scanned, &h,
                                          &first);
                e = h1_response_parse(in, &limits, method, &(size_t){ 0 }, &h, &refusal);
        }
        assert(e == drops);
        if (e != ERR_OK) {
                assert(refusal.status == 502 && strcmp(refusal.reason, first.reason) == 0);
                return 0;
        }
        assert(h.status >= 100 && h.status <= 599);
        body_check(&h, str_from(in, h.bytes));
        write_check(&h);
        return 0;
}
