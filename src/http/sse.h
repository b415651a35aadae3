/*
 * http/sse.h - server-sent events from a stream of bytes. Source: WHATWG HTML 9.2.6 (event stream interpretation).
 *
 * Reads in passing: the caller forwards the bytes itself. A line longer than the bound is skipped and counted.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

struct sse_event {
        struct str type; /* the event field, "message" when absent */
        struct str data; /* data lines joined by '\n' */
        struct str id;
};

typedef void sse_event_fn(void *context, const struct sse_event *event);

struct sse_reader {
        uint64_t events_count, skipped_count;
        /* private */
        struct buf line, type, data, id;
        bool after_cr, is_skipping, at_start, has_data;
};

void sse_init(struct sse_reader *r, size_t line_bytes_max, size_t data_bytes_max);
void sse_fini(struct sse_reader *r);

/* Calls `fn` for each event completed by `bytes`. The event is borrowed until fn returns. */
void sse_feed(struct sse_reader *r, struct str bytes, sse_event_fn *fn, void *context);
