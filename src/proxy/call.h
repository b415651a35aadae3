/*
 * proxy/call.h - a request made by ourselves: health checks, model lists, translations. An exchange whose client is inside.
 *
 * Runs the same exchange as a client's request, from the step `pick`, so that pools, failover and limits are the same.
 * Not logged as a request.
 */
#pragma once

#include "proxy/exchange.h"
#include "proxy/route.h"

struct call;

struct call_events {
        /* The final answer's head. Borrowed until return. An error of our own (no target, broken upstream) arrives as
         * such an answer too; call_is_refused tells. */
        void (*on_head)(struct call *c, const struct http_head *head);
        /* Body bytes; returns how many were taken. After taking fewer, call_resume asks for the rest. May be NULL: dropped. */
        size_t (*on_data)(struct call *c, const struct side_data *d);
        /* Last event: ERR_OK after a whole answer, else how it broke. The memory is the caller's again. Not after call_cancel. */
        void (*on_end)(struct call *c, enum err e);
};

struct call_request {
        struct str method, target;       /* "POST", "/v1/messages" */
        const struct http_field *fields; /* name and value; Content-Length and Host are added */
        size_t fields_count;
        struct str body;               /* borrowed until the end */
        const struct handler *handler; /* NULL: forward_handler with `upstream` */
        const void *handler_conf;      /* lives as long as the snapshot */
        struct upstream *upstream;
        int64_t total_ms; /* 0: none */
        bool retries_posts;
        bool keeps_host; /* `fields` bring the Host that the upstream is to see */
};

/* Embedded in its owner; lives until on_end or call_cancel. */
struct call {
        struct side side;
        const struct call_events *events;
        struct worker *w;
        uint16_t status;
        /* private */
        struct str body;
        size_t body_given;
        bool is_over, head_seen;
        enum err result;
        struct task task;
};

/* Keeps `events`. ERR_NO_MEMORY: no event follows. Else on_end follows, never inside this call; the heads may come inside. */
MUST_USE enum err call_start(struct call *c, struct worker *w, const struct call_request *request,
                             const struct call_events *events);

void call_resume(struct call *c); /* on_data can take more */
void call_cancel(struct call *c); /* the upstream is told; may be over already */

/* True when the answer is an error of our own. */
bool call_is_refused(const struct call *c);
