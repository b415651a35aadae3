/*
 * dispatch/figures.h - what is counted of requests sent out, under the predecessor's names, so that its dashboards work.
 *
 * Does:   http_dispatcher_* with its labels, each of bounded values: agents are nodes of ours, methods and error words come from lists,
 *         a status that is none is "none". What the pool knows (counts of agents, addresses) is written when it is asked for, so that
 *         an agent that was removed leaves no series behind there.
 * Thread: the loop's; figures_metrics is constant.
 */
#pragma once

#include "base/metrics.h"
#include "dispatch/dispatcher.h"

enum figure {
        FIGURE_REQUESTS,
        FIGURE_DURATION,
        FIGURE_ERRORS,
        FIGURE_SIZE,
        FIGURE_AGENTS_CONNECTED,
        FIGURE_AGENTS,
        FIGURE_POOL_SIZE,
        FIGURE_POOL_AVAILABLE,
        FIGURE_WEBSOCKETS,
        FIGURE_AGENT_REQUESTS,
        FIGURE_QUEUE,
        FIGURE_UPTIME,
        FIGURES
};

extern const struct metric figures_metrics[FIGURES];

/* One that is over. By the row's own worker. */
void figures_count(struct metrics *m, unsigned worker, const struct dispatch_record *r);

/* What the pool knows now. */
void figures_format(struct dispatcher *d, int64_t uptime_s, struct buf *out);
