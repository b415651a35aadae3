/*
 * proxy/datagrams.h - a side whose far end speaks UDP: datagrams to and from the capsules that an exchange carries (http/capsule.h).
 *
 * An exchange is a stream and waits; a datagram does not. What the exchange does not take at once is kept up to DATAGRAMS_QUEUE_BYTES, and
 * what does not fit is lost, as the network would have it: so nobody is held up by a slow end of one flow, neither its reader nor
 * other streams of a link. A capsule that was begun is always finished.
 */
#pragma once

#include "http/capsule.h"
#include "proxy/side.h"

enum {
        DATAGRAMS_QUEUE_BYTES = 128 * 1024,
        DATAGRAMS_ALL_BYTES = 32 << 20 /* of a worker's queues together */
};

/* exchange_request_data or exchange_answer_data. */
typedef size_t datagrams_offer_fn(struct exchange *x, const struct side_data *d);
/* A datagram for the far end. Borrowed until return. */
typedef void datagrams_send_fn(struct side *s, struct str datagram);

/* Embedded in its side's owner. */
struct datagrams {
        struct side *side;
        datagrams_offer_fn *offer;
        datagrams_send_fn *send;
        /* private */
        struct capsule_reader reader;
        struct buf queue;
        size_t *all_bytes; /* the worker's */
        bool is_held;      /* the exchange asks (pull) before it is offered more */
};

/* Nothing is offered before the first datagrams_pull. */
void datagrams_init(struct datagrams *d, struct side *side, size_t *all_bytes, datagrams_offer_fn *offer,
                    datagrams_send_fn *send);
void datagrams_fini(struct datagrams *d);

/* One from the far end. False: there is no room, it is lost. The exchange may be over afterwards. */
bool datagrams_put(struct datagrams *d, struct str datagram);
/* The exchange takes more. */
void datagrams_pull(struct datagrams *d);
bool datagrams_is_empty(const struct datagrams *d);

/* Bytes of the exchange; all are taken. Anything but ERR_OK: they are no capsules, and the flow is over. */
MUST_USE enum err datagrams_take(struct datagrams *d, const struct side_data *data);
