/*
 * A chunked body, whole and in pieces (the first byte gives their size): the same payload, the same verdict, the same
 * bytes left behind the end. What was read, written as one chunk, reads the same again.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "http/h1_read.h"
#include "http/h1_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
        enum err err;
        const char *reason;
        struct buf payload, trailers;
        size_t consumed;
        bool is_last;
};

static void outcome_fini(struct outcome *o)
{
        buf_fini(&o->payload);
        buf_fini(&o->trailers);
}

static void part_take(struct outcome *o, const struct h1_body_part *part)
{
        for (size_t i = 0; i < part->slices_count; i++)
                buf_add(&o->payload, part->slices[i]);
        for (size_t i = 0; i < part->trailers_count; i++) {
                buf_add(&o->trailers, part->trailers[i].name);
                buf_add(&o->trailers, part->trailers[i].value);
        }
        o->consumed += part->consumed;
        o->is_last = part->is_last;
}

static struct outcome read_body(struct str in, size_t piece)
{
        struct http_head head = { .framing = HTTP_BODY_CHUNKED };
        struct outcome o = { .err = ERR_OK };
        struct h1_body_part part;
        struct http_refusal refusal = { 0 };
        struct h1_body b;
        size_t end = MIN(piece, in.len);

        buf_init(&o.payload, SIZE_MAX);
        buf_init(&o.trailers, SIZE_MAX);
        h1_body_init(&b, &head);
        for (;;) {
                size_t n = end - o.consumed;
                char *window = malloc(n ? n : 1);

                memcpy(window, in.ptr + o.consumed, n);
                o.err = h1_body_read(&b, (struct str){ window, n }, &part, &refusal);
                if (o.err == ERR_OK)
                        part_take(&o, &part);
                free(window);
                o.reason = refusal.reason;
                if (o.err != ERR_OK || o.is_last)
                        break;
                if (part.slices_count == H1_SLICES_MAX)
                        continue;
                if (end == in.len)
                        break;
                end = MIN(end + piece, in.len);
        }
        assert(o.err != ERR_OK || b.bytes == o.payload.len);
        assert((h1_body_end(&b) == ERR_OK) == (o.err == ERR_OK && o.is_last));
        return o;
}

static void rewrite_check(const struct outcome *o)
{
        char head[H1_CHUNK_HEAD_MAX];
        struct buf text;

        buf_init(&text, SIZE_MAX);
        if (o->payload.len) {
                buf_add(&text, h1_chunk_head(head, o->payload.len));
                buf_add(&text, buf_str(&o->payload));
                buf_add(&text, STR("\r\n"));
        }
        buf_add(&text, STR("0\r\n\r\n"));
        struct outcome again = read_body(buf_str(&text), text.len);
        assert(again.err == ERR_OK && again.is_last && again.consumed == text.len);
        assert(str_eq(buf_str(&again.payload), buf_str(&o->payload)));
        outcome_fini(&again);
        buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 1)
                return 0;
        struct str in = { (const char *)data + 1, size - 1 };
        struct outcome whole = read_body(in, MAX(in.len, 1));
        struct outcome pieces = read_body(in, 1 + data[0] % 64);

        assert(whole.err == pieces.err);
        if (whole.err == ERR_OK) {
                assert(whole.is_last == pieces.is_last && whole.consumed == pieces.consumed);
                assert(str_eq(buf_str(&whole.payload), buf_str(&pieces.payload)));
                assert(str_eq(buf_str(&whole.trailers), buf_str(&pieces.trailers)));
                if (whole.is_last)
                        rewrite_check(&whole);
        } else {
                assert(strcmp(whole.reason, pieces.reason) == 0);
        }
        outcome_fini(&whole);
        outcome_fini(&pieces);
        return 0;
}
