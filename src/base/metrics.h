/*
 * base/metrics.h - counters, gauges and histograms in memory shared by the workers of one program.
 *
 * Each worker has its own row of cells and is their only writer, so that counting takes no lock and no atomic
 * read-modify-write; a reader sums the rows. A series (a definition with its label values) is found or made once, when
 * a snapshot is built, and then counted by its index. The directory of series is shared too, so that every worker can
 * render all. It is bounded: past series_max a new series becomes the definition's series without labels (its place is
 * taken together with the first labelled one, so a definition with labels needs one more), and metrics_dropped_count
 * says how often.
 *
 * Text: Prometheus exposition format 0.0.4, or OpenMetrics 1.0.0.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

enum {
        METRIC_LABELS_MAX = 4,
        METRIC_LABEL_NAME_MAX = 32,
        METRIC_LABEL_VALUE_MAX = 64,
        METRIC_BOUNDS_MAX = 20,
        METRIC_SERIES_DEFAULT = 4096
};

/* Static, one a metric; the address is its identity. */
struct metric {
        enum metric_kind kind;
        const char *name; /* "sekisho_requests_total" */
        const char *help;
        const char *labels[METRIC_LABELS_MAX]; /* names; NULL after the last */
        /* Histogram only: upper bounds and their count, in the unit that is observed; `unit` divides for output
         * (observe microseconds, unit 1e6, and the page shows seconds). */
        const uint64_t *bounds;
        size_t bounds_count;
        double unit;
        uint32_t series_max; /* more than so many count as "other"; 0: METRIC_SERIES_DEFAULT */
};

struct metrics;
typedef uint32_t metric_index;

/* Rows for `workers_count`, in one shared mapping that children inherit by fork. NULL when memory runs out. */
MUST_USE struct metrics *metrics_new(unsigned workers_count, size_t cells_max, size_t series_max);
void metrics_free(struct metrics *m);

/*
 * The index of the series, made where it is new. `values` has as many entries as the definition has labels (NULL when
 * it has none); they are copied, cut at METRIC_LABEL_VALUE_MAX bytes. Any worker, at any time; takes a lock that the
 * counting functions never take. Past the definition's bound, or the mapping's, it is the series whose every label is
 * "other", so that sums stay right.
 */
metric_index metrics_series(struct metrics *m, const struct metric *def, const struct str *values);

/* By the row's own worker only. */
void metrics_add(struct metrics *m, unsigned worker, metric_index i, uint64_t n);
void metrics_set(struct metrics *m, unsigned worker, metric_index i, int64_t value);
void metrics_move(struct metrics *m, unsigned worker, metric_index i, int64_t by); /* a gauge, up or down */
void metrics_observe(struct metrics *m, unsigned worker, const struct metric *def, metric_index i,
                     uint64_t value);

/* Gauges of a worker that died must not be counted for ever: zeroes them. */
void metrics_forget_gauges(struct metrics *m, unsigned worker);

/* The process `pid` has died: if it held the lock of metrics_series, gives it back. For the parent that reaped it. */
void metrics_unlock_dead(struct metrics *m, int pid);

/* The sum over workers. */
uint64_t metrics_value(const struct metrics *m, metric_index i);
uint64_t metrics_dropped_count(const struct metrics *m);

/*
 * A program that takes over goes on counting where the one before it was. The old one gives a text of its counters and histograms
 * (not its gauges): `is_first` all of them, and from then on its page stands still at that, so that nobody who reads first one
 * program's and then the other's sees less; later what came since. By the parent of the workers only, at both ends. Lines of
 * metrics that are not among `defs`, or have other bounds there, are passed over. `out` full: nothing of it may be used.
 */
void metrics_give(struct metrics *m, bool is_first, struct buf *out);
void metrics_give_undo(struct metrics *m); /* nobody took it: the page goes on */
void metrics_take(struct metrics *m, const struct metric *defs, size_t count, struct str text);

enum metrics_form { METRICS_PROMETHEUS, METRICS_OPENMETRICS };

/* A page is this, what metric_family_format and metric_value_format add before or behind, and metrics_format_end. */
void metrics_format(const struct metrics *m, enum metrics_form form, struct buf *out);
void metrics_format_end(enum metrics_form form, struct buf *out);

/* What is known where the page is made, and counted nowhere: a family's two lines, then one line a value. */
void metric_family_format(const struct metric *def, enum metrics_form form, struct buf *out);
void metric_value_format(const struct metric *def, const struct str *values, int64_t value, struct buf *out);

/* Rows of the reference manual's table, Markdown: name, kind, labels, meaning. */
void metrics_manual_format(const struct metric *defs, size_t count, struct buf *out);
