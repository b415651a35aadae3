/*
 * proxy/filter.h - a feature that looks at or changes what passes: one file, chosen per route when the snapshot is built.
 *
 * A route without data filters passes slices straight through. All functions may be NULL.
 */
#pragma once

#include "proxy/exchange.h"

struct filter {
        const char *name;
        size_t state_bytes; /* zeroed, in the exchange's arena */
        /* Before the request goes up. May refuse with exchange_refuse. */
        enum step_result (*on_request)(struct exchange *x, void *state, const void *conf);
        /* The final answer's head, before it goes down. */
        void (*on_answer)(struct exchange *x, void *state, struct http_head *head);
        /* Answer bytes in passing; must not change them. */
        void (*on_data)(struct exchange *x, void *state, const struct side_data *d);
        /* The exchange is over, however it ended; before it is recorded. */
        void (*on_end)(struct exchange *x, void *state);
};
