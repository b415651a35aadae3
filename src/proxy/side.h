/*
 * proxy/side.h - either end of an exchange: five operations, the same for every protocol.
 *
 * The exchange calls these; what happens at the end comes back by the exchange_* events of exchange.h. An operation never
 * calls an event from inside, but `pull`, which is the request to do so; a failure found in one is told in a later turn.
 */
#pragma once

#include "base/err.h"
#include "http/head.h"

struct exchange;
struct side;

/* A piece of a body. Slices are borrowed until the call returns. */
struct side_data {
        const struct str *slices;
        size_t slices_count;
        bool is_last; /* nothing follows; a message without body is one empty last piece */
        const struct http_field *trailers; /* with is_last */
        size_t trailers_count;
};

static inline size_t side_data_len(const struct side_data *d)
{
        size_t len = 0;

        for (size_t i = 0; i < d->slices_count; i++)
                len += d->slices[i].len;
        return len;
}

struct side_ops {
        const char *name; /* "h1", "reply", …: for the log */
        /*
         * Starts the message: a request on the up side, an answer on the down side (also 1xx, any number of times
         * before the final one). Borrows the head until the `data` or `flush` that follows in the same turn.
         */
        void (*head)(struct side *s, struct http_head *head);
        /*
         * Gives body bytes; returns how many payload bytes were taken. Fewer than offered: no more until
         * exchange_up_room or exchange_down_room says so, then offer the rest again. is_last counts once all are taken.
         */
        size_t (*data)(struct side *s, const struct side_data *d);
        /* Sends what `head` gathered, when no data is there to go with it. */
        void (*flush)(struct side *s);
        /* The far end can take more: offer now what is there (by an event from inside), and read on. */
        void (*pull)(struct side *s);
        /* Anything but a clean end: the far end must not take it for one. The exchange is no longer referred to. */
        void (*reset)(struct side *s, enum err reason);
        /* The exchange is over, cleanly on this side: forget it; keep or close the connection as it stands. */
        void (*release)(struct side *s);
        /*
         * Down sides that lend the exchange memory (its origin, the bytes of the request's head): the exchange reads none
         * of it any more. Comes once for each exchange, also after reset; until then the side stays. NULL: lends none.
         */
        void (*let_go)(struct side *s);
};

/* Embedded as the first member of what implements it. */
struct side {
        const struct side_ops *ops;
        struct exchange *x; /* NULL between exchanges */
        bool has_room;      /* would take at least one more byte */
};
