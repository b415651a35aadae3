/*
 * An event stream, whole and in pieces (the first byte gives their size): the same events and the same counts.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "http/sse.h"

enum { LINE_MAX = 64, DATA_MAX = 128 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note(void *context, const struct sse_event *event)
{
        struct buf *out = context;

        assert(event->type.len > 0 && event->data.len <= DATA_MAX);
        assert(str_find_char(event->type, '\n') == STR_NONE && str_find_char(event->id, '\0') == STR_NONE);
        buf_add(out, event->type);
        buf_add_char(out, '|');
        buf_add(out, event->id);
        buf_add_char(out, '|');
        buf_add(out, event->data);
        buf_add_char(out, '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct sse_reader a, b;
        struct buf whole, pieces;

        if (size < 1)
                return 0;
        struct str in = { (const char *)data + 1, size - 1 };
        size_t piece = 1 + data[0] % 32;

        buf_init(&whole, SIZE_MAX);
        buf_init(&pieces, SIZE_MAX);
        sse_init(&a, LINE_MAX, DATA_MAX);
        sse_init(&b, LINE_MAX, DATA_MAX);
        sse_feed(&a, in, note, &whole);
        for (; in.len; in = str_from(in, piece))
                sse_feed(&b, str_sub(in, 0, piece), note, &pieces);
        assert(str_eq(buf_str(&whole), buf_str(&pieces)));
        assert(a.events_count == b.events_count && a.skipped_count == b.skipped_count);
        sse_fini(&a);
        sse_fini(&b);
        buf_fini(&whole);
        buf_fini(&pieces);
        return 0;
}
