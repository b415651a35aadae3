/*
 * proxy/exporter.h - sends what otlp.h makes to a collector, over OTLP/HTTP, beside the requests.
 *
 * A request only appends to a bounded queue when it is over; a timer sends what has gathered as a call of our own
 * (call.h). Full queue, collector away or refusing: dropped and counted (sekisho_export_dropped_total), never waited for.
 * Thread: its worker.
 */
#pragma once

#include "proxy/exchange.h"

struct exporter;

/* Part of a snapshot. */
struct exporter_conf {
        struct upstream *upstream; /* NULL: nothing is exported */
        struct str base_path;      /* before /v1/traces and /v1/logs */
        struct str service, version;
        const struct http_field *fields; /* name and value; sent along */
        size_t fields_count;
        bool sends_logs;
};

/* NULL when memory runs out. Follows the worker's snapshot at each use. */
struct exporter *exporter_new(struct worker *w);
void exporter_free(struct exporter *e); /* what was not sent is lost; NULL is fine */

/* A request is over. Both do nothing unless they should: a sampled trace; logs asked for. */
void exporter_request(struct exporter *e, const struct exchange *x, int64_t duration_us);
void exporter_line(struct exporter *e, struct str line, const struct exchange *x);

bool exporter_wants_lines(const struct exporter *e);

/* Sends what there is now; on_idle is called once nothing is left to send, or the collector failed. Never inside. */
void exporter_finish(struct exporter *e, void (*on_idle)(void *context), void *context);
