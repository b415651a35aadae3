/*
 * http/sse.h - server-sent events from a stream of bytes. Source: WHATWG HTML 9.2.6 (event stream interpretation).
 *
 * Reads in passing: the caller forwards the bytes itself. An event with a line or data over the bounds is left out as a
 * whole and counted; reading goes on behind it. An event the stream ends in the middle of is none.
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
        size_t line_bytes_max;
        struct buf line, type, data, id;
        bool after_cr, is_skipping, is_spoiled, at_start, has_data;
};

/* Allocates nothing yet; memory grows to at most three lines and the data. */
void sse_init(struct sse_reader *r, size_t line_bytes_max, size_t data_bytes_max);
void sse_fini(struct sse_reader *r);

/* Calls `fn` for each event completed by `bytes`. The event is borrowed until fn returns. */
void sse_feed(struct sse_reader *r, struct str bytes, sse_event_fn *fn, void *context);
