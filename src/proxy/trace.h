/*
 * proxy/trace.h - the trace a request belongs to: taken over from its client where the route says so, else begun here.
 *
 * One request is two spans: ours (the server's, "span_id") and the upstream's (a client's, "up_span_id"), whose id goes
 * out in traceparent. A stranger's traceparent is never believed: he could make every request a sampled one, or join
 * others' traces. Ids are keyed hashes of a count: unique, and they tell nothing.
 */
#pragma once

#include "http/trace_context.h"
#include "proxy/exchange.h"

/* Part of a snapshot. */
struct trace_conf {
        bool is_on;
        uint32_t one_in; /* so many requests begin one sampled trace; 0: none */
};

/* In the exchange's arena. */
struct trace {
        struct trace_parent own; /* trace, our span, whether it is sampled */
        uint8_t up_span_id[TRACE_SPAN_ID_BYTES], parent_span_id[TRACE_SPAN_ID_BYTES];
        bool has_parent;
};

/*
 * Sets x->trace and the request's traceparent and tracestate. Nothing where tracing is off: the client's fields pass then
 * like any other. ERR_TOO_LARGE, ERR_NO_MEMORY: no room for the fields.
 */
MUST_USE enum err trace_begin(struct exchange *x);

/* Lower-case hexadecimal, as logs and collectors have it. */
enum { TRACE_ID_TEXT_MAX = 2 * TRACE_ID_BYTES + 1 };
struct str trace_id_text(const uint8_t *id, size_t bytes, char out[TRACE_ID_TEXT_MAX]);
