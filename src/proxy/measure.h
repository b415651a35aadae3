/*
 * proxy/measure.h - what the proxy counts: one table of metrics, and the indexes of the series a worker counts often.
 */
#pragma once

#include "base/metrics.h"

struct worker;

enum measure_class { CLASS_1XX, CLASS_2XX, CLASS_3XX, CLASS_4XX, CLASS_5XX, CLASS_NONE, CLASSES };

/* Of one route. */
struct measure_route {
        metric_index by_class[CLASSES], duration;
};

/* Of one upstream target. */
struct measure_target {
        metric_index requests, failures, connects, reuses, retries, ejections, first_byte;
};

/* Of one worker, for all. */
struct measure_worker {
        metric_index connections, accepted, requests_active, bytes_out;
};

void measure_worker_init(struct worker *w);
/* For the snapshot's builder, before a worker has it. */
void measure_route_init(struct metrics *metrics, struct measure_route *m, struct str route);
void measure_target_init(struct metrics *metrics, struct measure_target *m, struct str upstream,
                         struct str target);

/* One refusal of ours; `reason` is a static word. */
void measure_refused(struct worker *w, const char *reason);

void measure_add(struct worker *w, metric_index i, uint64_t n);
void measure_set(struct worker *w, metric_index i, int64_t value);
void measure_route_done(struct worker *w, const struct measure_route *m, uint16_t status,
                        int64_t duration_us);
void measure_first_byte(struct worker *w, const struct measure_target *m, int64_t us);
