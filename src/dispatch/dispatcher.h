/*
 * dispatch/dispatcher.h - the side that keeps the pool: takes requests of callers, has agents send them, answers.
 *
 *   waiting for a turn → calling an agent → (another address) → answering → over
 *
 * Does:   an address for each request, the call over the agent's link, another address where nothing was sent or doing it twice does no
 *         harm, redirects where they are asked for (each judged anew), the answer in JSON or as raw bytes; a bound on what waits, on
 *         how long, and on what one caller and one agent have at a time and in a time.
 * Not:    who the caller is and may do; history (told by on_done).
 * Thread: the worker's. Source: docs/protocol/dispatch.md.
 */
#pragma once

#include "dispatch/ask.h"
#include "dispatch/rules.h"
#include "dispatch/sources.h"
#include "proxy/exchange.h"

struct dispatcher;

/* One that is over, for history and counts. Borrowed until the call returns. */
struct dispatch_record {
        struct str id, caller, method, url, agent_id, agent, source_ip;
        uint16_t status;   /* 0: no answer came */
        const char *error; /* a word: "timeout", "unreachable", …; NULL: none */
        unix_ms begun;
        int64_t duration_ms;
        uint64_t answer_bytes;
        unsigned attempts;
        struct str asked, answered; /* the bodies, each up to body_bytes_kept */
        uint64_t asked_bytes;       /* of the whole */
};

struct dispatcher_conf {
        struct dispatch_rules rules;
        uint32_t agent_requests, caller_requests;  /* at a time; a caller's waiting ones too */
        struct units_rate agent_rate, caller_rate; /* count 0: none */
        size_t waiting_max;
        int64_t waiting_ms;     /* for a turn */
        uint64_t answer_bytes;  /* held of one answer */
        size_t body_bytes_kept; /* for the record, of each body; 0: nothing */
        void (*on_done)(void *context, const struct dispatch_record *r);
        void *context;
};

/* Keeps what `conf` points to. NULL: no memory. */
MUST_USE struct dispatcher *dispatcher_new(struct worker *w, const struct dispatcher_conf *conf);
void dispatcher_free(struct dispatcher *d); /* when no request is under way; NULL is fine */

struct sources *dispatcher_sources(struct dispatcher *d);
size_t dispatcher_waiting(const struct dispatcher *d);

/* An agent's addresses, all it has; none when its channel is gone. */
void dispatcher_told(struct dispatcher *d, struct str id, const struct ip *addresses, size_t count);
/* What its owner calls it; tags with commas. */
void dispatcher_named(struct dispatcher *d, struct str id, struct str name, struct str tags);
/* It is no agent any more: what is under way ends as it may. */
void dispatcher_removed(struct dispatcher *d, struct str id);
void dispatcher_linked(struct dispatcher *d, struct str id, bool is_linked);

/* What is to be sent. */
struct dispatch_order {
        struct arena arena; /* of all below; taken */
        struct dispatch_ask ask;
        struct str caller;   /* the key's name, for the record */
        uint64_t caller_key; /* told apart by this */
        bool is_raw;         /* the body as it is, not JSON */
};

enum dispatch_start {
        DISPATCH_STARTED,
        DISPATCH_CALLER_RATE, /* above the caller's rate: *wait_ms until the next would pass */
        DISPATCH_CALLER_BUSY, /* the caller has as many at a time as it may */
        DISPATCH_NO_MEMORY
};

/* Becomes the side that answers x, whose body has been read, and takes the order's arena. Not DISPATCH_STARTED: nothing was taken. */
MUST_USE enum dispatch_start dispatcher_execute(struct dispatcher *d, struct exchange *x,
                                                struct dispatch_order *order, int64_t *wait_ms);
