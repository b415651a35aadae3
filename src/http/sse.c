#include "http/sse.h"

#include <string.h>

void sse_init(struct sse_reader *r, size_t line_bytes_max, size_t data_bytes_max)
{
        *r = (struct sse_reader){ .at_start = true, .line_bytes_max = line_bytes_max };
        buf_init(&r->line, line_bytes_max);
        buf_init(&r->type, line_bytes_max);
        buf_init(&r->data, data_bytes_max);
        buf_init(&r->id, line_bytes_max);
}

void sse_fini(struct sse_reader *r)
{
        buf_fini(&r->line);
        buf_fini(&r->type);
        buf_fini(&r->data);
        buf_fini(&r->id);
}

/* A part of the event did not fit: better no event than half a one. */
static void spoil(struct sse_reader *r)
{
        r->skipped_count += !r->is_spoiled;
        r->is_spoiled = true;
}

static void set(struct sse_reader *r, struct buf *b, struct str value)
{
        buf_clear(b);
        buf_add(b, value);
        if (b->full) {
                buf_clear(b);
                spoil(r);
        }
}

static void dispatch(struct sse_reader *r, sse_event_fn *fn, void *context)
{
        if (r->has_data && !r->is_spoiled) {
                const struct sse_event event = {
                        .type = r->type.len ? buf_str(&r->type) : STR("message"),
                        .data = buf_str(&r->data),
                        .id = buf_str(&r->id),
                };

                r->events_count++;
                fn(context, &event);
        }
        buf_clear(&r->type);
        buf_clear(&r->data);
        r->has_data = r->is_spoiled = false;
}

static void data_add(struct sse_reader *r, struct str value)
{
        if (r->has_data)
                buf_add_char(&r->data, '\n');
        buf_add(&r->data, value);
        r->has_data = true;
        if (r->data.full)
                spoil(r);
}

/* WHATWG HTML 9.2.6, one line. "retry" is for browsers. */
static void line_read(struct sse_reader *r, struct str line, sse_event_fn *fn, void *context)
{
        if (r->at_start && str_has_prefix(line, STR("\xef\xbb\xbf")))
                line = str_from(line, 3);
        r->at_start = false;
        if (line.len == 0) {
                dispatch(r, fn, context);
                return;
        }
        size_t colon = str_find_char(line, ':');
        struct str name = str_sub(line, 0, colon);
        struct str value = colon == STR_NONE ? STR_NULL : str_from(line, colon + 1);

        if (value.len && value.ptr[0] == ' ')
                value = str_from(value, 1);
        if (str_eq(name, STR("data")))
                data_add(r, value);
        else if (str_eq(name, STR("event")))
                set(r, &r->type, value);
        else if (str_eq(name, STR("id")) && str_find_char(value, '\0') == STR_NONE)
                set(r, &r->id, value);
}

/* Bytes up to the first CR or LF. */
static size_t line_length(struct str bytes)
{
        size_t n = MIN(str_find_char(bytes, '\n'), bytes.len);

        return MIN(str_find_char(str_sub(bytes, 0, n), '\r'), n);
}

/* The line's last bytes and its end are there. */
static void line_end(struct sse_reader *r, struct str tail, sse_event_fn *fn, void *context)
{
        bool fits = !r->is_skipping && tail.len <= r->line_bytes_max - r->line.len;

        if (fits && r->line.len == 0) {
                line_read(r, tail, fn, context);
        } else {
                if (fits)
                        buf_add(&r->line, tail);
                if (!fits || r->line.full) {
                        spoil(r);
                        r->at_start = false;
                } else {
                        line_read(r, buf_str(&r->line), fn, context);
                }
        }
        buf_clear(&r->line);
        r->is_skipping = false;
}

static void line_keep(struct sse_reader *r, struct str part)
{
        if (part.len > r->line_bytes_max - r->line.len)
                r->is_skipping = true;
        if (r->is_skipping) {
                buf_clear(&r->line);
                return;
        }
        buf_add(&r->line, part);
        r->is_skipping = r->line.full;
}

void sse_feed(struct sse_reader *r, struct str bytes, sse_event_fn *fn, void *context)
{
        while (bytes.len) {
                if (r->after_cr && bytes.ptr[0] == '\n') {
                        r->after_cr = false;
                        bytes = str_from(bytes, 1);
                        continue;
                }
                r->after_cr = false;
                size_t n = line_length(bytes);
                if (n == bytes.len) {
                        line_keep(r, bytes);
                        return;
                }
                r->after_cr = bytes.ptr[n] == '\r';
                line_end(r, str_sub(bytes, 0, n), fn, context);
                bytes = str_from(bytes, n + 1);
        }
}
