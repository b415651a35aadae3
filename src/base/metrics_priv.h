/*
 * base/metrics_priv.h - the shared mapping, for metrics.c and metrics_handover.c.
 */
#pragma once

#include <stdatomic.h>

#include "base/metrics.h"

enum {
        /* name="value", for each label */
        LABELS_TEXT_MAX = METRIC_LABELS_MAX * (METRIC_LABEL_NAME_MAX + METRIC_LABEL_VALUE_MAX + 4),
};

struct series {
        const struct metric *def; /* same address in every forked worker */
        uint32_t cell, cells_count;
        uint32_t labels_len;
        bool is_rest;                 /* of all that found no place: every label is "other" */
        char labels[LABELS_TEXT_MAX]; /* rendered: name="value",… */
};

typedef _Atomic uint64_t cell;

struct metrics {
        size_t mapping_bytes;
        unsigned workers_count;
        uint32_t cells_max, series_max;
        atomic_int lock; /* process id of its owner, 0 when free */
        _Atomic uint64_t dropped;
        atomic_bool is_given; /* the page stands still at what was given */
        atomic_uint series_count;
        uint32_t cells_count; /* under lock */
        struct series *series;
        cell *cells;
};

/* Rows behind the workers': what was taken over, which counts, and what was given on, which does not. The parent writes both. */
static inline unsigned metrics_row_taken(const struct metrics *m)
{
        return m->workers_count;
}

static inline unsigned metrics_row_given(const struct metrics *m)
{
        return m->workers_count + 1;
}

static inline cell *metrics_cell(const struct metrics *m, unsigned row, uint32_t i)
{
        return &m->cells[(size_t)row * m->cells_max + i];
}

/* The series with these labels as they are rendered, made where it is new; NULL: no place. Takes the lock. */
const struct series *metrics_series_of(struct metrics *m, const struct metric *def, struct str labels);
