/*
 * http/trace_context.h - traceparent and tracestate: which trace a request belongs to.
 *
 * Source: W3C Trace Context (level 1 recommendation; of level 2 nothing is sent). Strict: what does not fit the grammar is
 * no trace, and a new one begins. Not: whether to believe it, or to sample (proxy/trace.h). Pure, never allocates.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum {
        TRACE_ID_BYTES = 16,
        TRACE_SPAN_ID_BYTES = 8,
        TRACE_PARENT_LEN = 55, /* of the version we write: 00 */
        TRACE_STATE_BYTES_MAX = 512,
        TRACE_STATE_MEMBERS_MAX = 32
};

struct trace_parent {
        uint8_t trace_id[TRACE_ID_BYTES]; /* not all zero */
        uint8_t span_id[TRACE_SPAN_ID_BYTES];
        bool is_sampled;
};

/* A traceparent of version 00, or what of a later one is in its form. ERR_MALFORMED; *out is untouched then. */
MUST_USE enum err trace_parent_parse(struct str text, struct trace_parent *out);

/* "00-…-…-01" with a NUL; a later version's other flags are not passed on. */
struct str trace_parent_format(const struct trace_parent *p, char out[TRACE_PARENT_LEN + 1]);

/* One tracestate field, or several joined by commas. ERR_MALFORMED: not the grammar, a key twice; ERR_TOO_LARGE: over the
 * bounds above. */
MUST_USE enum err trace_state_check(struct str text);
