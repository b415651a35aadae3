/*
 * A request's head, three ways: whole, cut once (the first byte says where) and in drops. The verdict and the reason are
 * the same, though for drops it may come as late as the head's end; what is accepted and written again parses to the same fields; an accepted target is a fixed point.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/h1_read.h"
#include "http/h1_write.h"
#include "http/target.h"

enum { FIELDS = 24, MAX_BYTES = 2048 };

static const struct h1_limits limits = { .head_bytes_max = 1024, .target_bytes_max = 128, .lines_max = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct verdict {
        enum err err;
        struct http_refusal refusal;
        struct http_head head;
        struct http_field fields[FIELDS];
};

/* In a copy of its own size, so that one byte too far is seen; the fields of a success point into `in`. */
static void parse(struct str in, size_t *scanned, struct verdict *v)
{
        char *copy = malloc(in.len ? in.len : 1);

        if (in.len)
                memcpy(copy, in.ptr, in.len);
        v->head = (struct http_head){ .fields = v->fields, .fields_max = FIELDS };
        v->err = h1_request_parse((struct str){ copy, in.len }, &limits, scanned, &v->head, &v->refusal);
        if (v->err == ERR_OK)
                v->err = h1_request_parse(in, &limits, &(size_t){ 0 }, &v->head, &v->refusal);
        free(copy);
}

static void same(const struct verdict *a, const struct verdict *b)
{
        assert(a->err == b->err);
        if (a->err == ERR_AGAIN)
                return;
        if (a->err != ERR_OK) {
                assert(a->refusal.status == b->refusal.status &&
                       strcmp(a->refusal.reason, b->refusal.reason) == 0);
                assert(a->refusal.status >= 400);
                return;
        }
        assert(a->head.bytes == b->head.bytes && a->head.fields_count == b->head.fields_count);
        assert(a->head.framing == b->head.framing && a->head.content_length == b->head.content_length);
        assert(a->head.keeps_alive == b->head.keeps_alive && a->head.asks_upgrade == b->head.asks_upgrade);
}

static void fields_same(const struct http_head *a, const struct http_head *b)
{
        assert(a->fields_count == b->fields_count && str_eq(a->method_text, b->method_text));
        for (size_t i = 0; i < a->fields_count; i++) {
                assert(str_eq(a->fields[i].name, b->fields[i].name) &&
                       str_eq(a->fields[i].value, b->fields[i].value));
                assert(a->fields[i].id == b->fields[i].id);
        }
        assert(memcmp(a->first, b->first, sizeof(a->first)) == 0);
}

static void write_check(const struct http_head *h, struct arena *a)
{
        struct h1_vector v = { 0 };
        struct http_target target, again_target;
        struct http_refusal refusal;
        struct http_field fields[FIELDS];
        struct http_head again = { .fields = fields, .fields_max = FIELDS };
        const struct h1_limits wide = { .head_bytes_max = 8192, .target_bytes_max = 4096, .lines_max = 16 };
        enum err e = http_target_parse(h, a, &target, &refusal);

        if (e != ERR_OK) {
                assert(e == ERR_MALFORMED && refusal.status == 400);
                return;
        }
        e = h1_request_write(h, target.text, a, &v);
        assert(e == ERR_OK);
        e = h1_vector_flatten(&v, a);
        assert(e == ERR_OK);
        struct str text = { v.parts[0].iov_base, v.parts[0].iov_len };
        e = h1_request_parse(text, &wide, &(size_t){ 0 }, &again, &refusal);
        /* Written as 1.1, so only what an older version was excused from may be refused now. */
        assert(e == ERR_OK && again.bytes == text.len);
        fields_same(h, &again);
        e = http_target_parse(&again, a, &again_target, &refusal);
        assert(e == ERR_OK && str_eq(target.text, again_target.text) &&
               str_eq(target.path, again_target.path));
        assert(str_eq(target.match, again_target.match) &&
               str_eq(target.authority.host, again_target.authority.host));
        struct str match;
        e = http_path_canonical(str_eq(target.path, STR("*")) ? STR("/") : target.path, a, &match);
        assert(e == ERR_OK && (str_eq(match, target.match) || str_eq(target.path, STR("*"))));
}

/* Byte by byte; when that ends with waiting, an end of the head is put behind to hear the verdict. */
static void parse_in_drops(struct str in, struct verdict *v)
{
        static char text[MAX_BYTES + 4];
        size_t scanned = 0;

        v->err = ERR_AGAIN;
        for (size_t n = 0; n <= in.len && v->err == ERR_AGAIN; n++)
                parse(str_sub(in, 0, n), &scanned, v);
        if (v->err != ERR_AGAIN || in.len == 0)
                return;
        memcpy(text, in.ptr, in.len);
        memcpy(text + in.len, "\r\n\r\n", 4);
        parse((struct str){ text, in.len + 4 }, &scanned, v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static char memory[32768];
        static struct verdict whole, cut, drops;
        struct arena arena;
        size_t scanned = 0;

        if (size < 1)
                return 0;
        struct str in = { (const char *)data + 1, size - 1 };
        size_t at = in.len ? data[0] % (in.len + 1) : 0;

        parse(in, &scanned, &whole);
        scanned = 0;
        parse(str_sub(in, 0, at), &scanned, &cut);
        if (cut.err == ERR_AGAIN)
                parse(in, &scanned, &cut);
        if (cut.err != ERR_AGAIN || whole.err == ERR_OK)
                same(&whole, &cut);
        if (whole.err == ERR_AGAIN || in.len > MAX_BYTES)
                return 0;
        parse_in_drops(in, &drops);
        same(&whole, &drops);
        if (whole.err != ERR_OK)
                return 0;
        assert(whole.head.bytes <= in.len && whole.head.bytes <= limits.head_bytes_max);
        arena_init(&arena, memory, sizeof(memory), sizeof(memory));
        write_check(&whole.head, &arena);
        arena_fini(&arena);
        return 0;
}
