/*
 * dispatch/dispatcher_priv.h - the dispatcher and one request of its, as its files share them.
 */
#pragma once

#include "base/buf.h"
#include "dispatch/dispatcher.h"
#include "dispatch/result.h"
#include "proxy/call.h"
#include "proxy/tally.h"
#include "proxy/worker.h"

enum { TRIES_MAX = 4 };

/* The way to an agent: a target behind its links. */
struct agent_way {
        struct upstream upstream;
        struct target target;
        size_t id_len;
        char id[128];
};

struct dispatcher {
        struct worker *w;
        struct dispatcher_conf conf;
        struct sources *sources;
        struct map ways;     /* of agent_way, by the agent's id */
        struct list waiting; /* of execution.node, who came first */
        size_t waiting_count;
        struct task turn;      /* somebody may have a turn now */
        struct timer pace;     /* or then, by an agent's rate */
        struct tally *callers; /* what each has at a time */
        struct measure_target target_measure;
        struct measure_upstream upstream_measure;
};

struct execution {
        struct side side; /* answers the caller */
        struct dispatcher *d;
        struct dispatch_order order;
        char id[EXCHANGE_ID_LEN + 1];
        int32_t slot; /* of the caller, in callers */

        /* the attempt */
        struct call call;
        bool is_calling;
        struct source *source; /* in flight */
        const struct source *tried[TRIES_MAX];
        unsigned attempts, redirects;
        struct str host;    /* of the request, "example.com:8443" */
        struct list node;   /* while it waits for a turn */
        struct timer timer; /* the request's own time, or the end of its waiting */
        mono_ms deadline;

        /* what came of it */
        unix_ms begun;
        mono_ms begun_at;
        struct str agent_id, agent, source_ip; /* of the last attempt */
        uint16_t status;
        const char *error;
        bool is_cut;         /* by us, for `error` */
        struct str location; /* where a redirect leads that is to be followed */
        struct http_field *fields;
        size_t fields_count;
        struct buf body; /* JSON: of the answer; raw: what the caller has not taken */
        uint64_t answer_bytes;
        struct str asked;    /* the body as its caller sent it */
        struct buf answered; /* for the record: the answer's beginning */

        /* the answer on its way out */
        bool head_is_out, is_whole; /* nothing more comes */
        size_t given;
        bool is_over;
        struct task gone;
};

/* execution_answer.c */
void execution_finish(struct execution *e); /* JSON, with what came of it */
bool execution_raw_head(struct execution *e, const struct http_head *head);
void execution_give(struct execution *e);

/* dispatcher.c: the way to that agent; NULL: no memory. */
struct upstream *dispatcher_way(struct dispatcher *d, struct str agent);
/* Somebody may have a turn: soon, or now. */
void dispatcher_turn(struct dispatcher *d);
void dispatcher_look(struct dispatcher *d);
/* Somebody waits, maybe for an agent's rate. */
void dispatcher_pace(struct dispatcher *d);
/* execution.c: it tries to have its turn; false: it waits on. */
bool execution_begin(struct execution *e);
