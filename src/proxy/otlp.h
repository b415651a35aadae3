/*
 * proxy/otlp.h - one request as OpenTelemetry's JSON: its spans, and its line of the access log.
 *
 * Source: the OTLP 1.x specification, "JSON Protobuf Encoding": ids in hexadecimal, 64-bit numbers as texts, enumerations as
 * numbers, names in lowerCamelCase; attribute names of the HTTP semantic conventions 1.x. Pure but for the exchange it reads.
 */
#pragma once

#include "base/buf.h"
#include "proxy/trace.h"

/* What comes before and behind the items of one export, which are separated by ','. */
struct otlp_resource {
        struct str service, version, instance;
};
void otlp_traces_begin(struct buf *out, const struct otlp_resource *r);
void otlp_logs_begin(struct buf *out, const struct otlp_resource *r);
void otlp_end(struct buf *out); /* of either */

/* The server's span, and the upstream's where one was asked. `wall_us` is what turns the loop's clock into the time of day:
 * added to it, it gives microseconds since 1970. */
void otlp_spans(struct buf *out, const struct exchange *x, int64_t duration_us, int64_t wall_us);

/* One line (without its end), of a request's exchange or of none. */
void otlp_log(struct buf *out, struct str line, const struct exchange *x, int64_t now_wall_us);
