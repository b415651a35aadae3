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
        /*
         * Instead of the down side, for an answer whose body it changes: it said so by exchange_change_answer in on_answer.
         * Takes as much of `d` as it has room to work on, gives what it makes by exchange_answer_give, and returns what it
         * took (fewer: the rest is offered again once on_room found room). With is_last all taken, the end is its to say.
         */
        size_t (*on_change)(struct exchange *x, void *state, const struct side_data *d);
        /* The client can take more: gives what is held. True when there is room to work on more. */
        bool (*on_room)(struct exchange *x, void *state);
        /* Nothing more comes from the upstream for now: what is held of a stream goes out. */
        void (*on_flush)(struct exchange *x, void *state);
        /* Answer bytes in passing, as the upstream sent them; must not change them. */
        void (*on_data)(struct exchange *x, void *state, const struct side_data *d);
        /* The exchange is over, however it ended; before it is recorded. */
        void (*on_end)(struct exchange *x, void *state);
};
