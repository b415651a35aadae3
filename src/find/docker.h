/*
 * find/docker.h - labelled containers of this machine, as the Engine tells of them, kept up to date.
 *
 * Asks the Engine's Unix socket two questions and no other: GET /containers/json (those that run and have the label sekisho.host) and GET
 * /events. With each event about a container it looks again; when the stream ends it comes back every second. While
 * the Engine is away nothing is offered once it was away for DOCKER_GONE_MS: it is restarted, or it is gone.
 * Thread: the worker's.
 */
#pragma once

#include "find/engine_events.h"
#include "find/label.h"
#include "proxy/call.h"
#include "proxy/upstream.h"

enum { DOCKER_GONE_MS = 10000, DOCKER_PATH_MAX = 108 };

struct docker_events {
        /* What is offered is another. */
        void (*on_change)(void *context);
        /* The agent's own list: may this be dialled at all? */
        bool (*may_offer)(void *context, const struct label_offer *o);
};

/* Embedded in its owner, zero before the start. */
struct docker {
        const struct label_offer *offers;
        size_t offers_count;
        struct upstream upstream;
        /* private */
        struct worker *w;
        const struct docker_events *events;
        void *context;
        char path[DOCKER_PATH_MAX];
        struct target target;
        struct arena arena; /* of offers */
        struct buf last;    /* what was offered and refused, as text */
        struct call list, stream;
        struct engine_events reader;
        struct buf body;
        struct timer again, gone;
        bool is_started, is_listing, is_streaming, wants_list, is_there, was_said;
};

/* `path`: of the socket. Begins in a while after a stop. */
void docker_start(struct docker *d, struct worker *w, struct str path, const struct docker_events *events,
                  void *context);
void docker_stop(struct docker *d); /* also before a start */
