/*
 * llm/meter.h - counts the AI requests and their tokens, by model and provider; a filter of the AI routes.
 *
 * Looks at answers in passing and changes none; those coded (gzip, deflate, br, zstd) are decoded for the look, 64 MiB of
 * each at most. An answer that is neither JSON nor events, or in a coding not known, is counted without tokens. Labels are bounded: names the operator wrote or a provider lists, METER_MODELS_MAX of them; all else is
 * "other".
 */
#pragma once

#include "llm/catalogue.h"
#include "proxy/filter.h"

enum { METER_MODELS_MAX = 256 };

/* The only place that names a metric of this room; see proxy/measure.h. */
enum llm_metric { LLM_METRIC_REQUESTS, LLM_METRIC_TOKENS, LLM_METRICS };
extern const struct metric llm_metrics[LLM_METRICS];

struct meter_series;

/* The counts of one worker under one snapshot. */
struct meter_book {
        const struct catalogue *catalogue;
        /* private */
        struct meter_series *series; /* METER_MODELS_MAX + 1; made with the first request */
        struct list idle;            /* of struct usage */
        size_t idle_count;
};

/* Conf of the filter. */
struct meter_conf {
        struct meter_book *book;
        enum conf_dialect dialect;
};

void meter_book_init(struct meter_book *b, const struct catalogue *catalogue);
void meter_book_fini(struct meter_book *b);

extern const struct filter meter_filter;       /* reads the usage itself */
extern const struct filter meter_count_filter; /* of routes that find the tokens themselves: counts only */
