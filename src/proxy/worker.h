/*
 * proxy/worker.h - what one worker process owns, and what it shares with the others.
 */
#pragma once

#include <stdatomic.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"
#include "base/pool.h"
#include "http/h1_read.h"
#include "http/h1_write.h"
#include "io/resolver.h"
#include "io/timer.h"
#include "proxy/gate.h"
#include "proxy/measure.h"
#include "proxy/snapshot.h"
#include "proxy/standing.h"
#include "proxy/tally.h"

enum { RBUF_SMALL_BYTES = 16 * 1024, RBUF_LARGE_BYTES = 64 * 1024, WORKER_REASONS_MAX = 256 };

/* Made once by the supervisor before it forks; the mappings are shared, the rest is the same in every worker. */
struct shared {
        unsigned workers_count;
        struct metrics *metrics;
        struct gate *rates;
        struct tally *connections; /* by client address */
        struct tally *requests;    /* all under one key, and by token */
        struct standings *standings;
        struct hash_key hash_key; /* random; the same in every worker */
        uint64_t start_random;    /* for request ids */
};

MUST_USE enum err shared_init(struct shared *s, unsigned workers_count);
void shared_fini(struct shared *s);
/* What a dead worker had counted is given back. By the supervisor. */
void shared_forget_worker(struct shared *s, unsigned worker);

/* A receive buffer: from a pool while bytes are in flight. */
struct rbuf {
        uint32_t cap, len; /* len bytes are filled, of them those before pos are done with */
        uint32_t pos;
        char bytes[];
};

struct worker {
        /* identity */
        struct loop *loop;
        unsigned index;
        struct shared *shared;
        struct resolver *resolver;
        struct snapshot *snap; /* in force; a new exchange shares it */
        bool is_draining;

        /* memory; bounded by the snapshot's limits when the worker starts */
        struct pool *downs, *ups, *exchanges, *buffers_small, *buffers_large;

        /* scratch of the turn: nothing lives in it across calls of the loop */
        struct h1_vector down_vector, up_vector;
        struct h1_body_part part;
        struct http_field scratch_fields[256];

        /* what is open */
        struct list down_list, up_list, exchange_list;
        size_t downs_count;

        /* out of here: a line of the access log */
        void (*write_record)(void *context, struct str line);
        void *record_context;
        struct buf record;
        unix_ms record_time_at;
        char record_time[UNITS_TIME_TEXT_MAX];
        /* called when draining and the last connection is gone */
        void (*on_drained)(struct worker *w);

        /* statistics */
        struct measure_worker measure;
        struct map reasons; /* static word → metric index + 1 */
        uint64_t ids_count;
};

MUST_USE enum err worker_init(struct worker *w, struct shared *shared, unsigned index, struct loop *loop,
                              struct snapshot *snap);
void worker_fini(struct worker *w);

/* Puts a new snapshot in force: connections stay, exchanges under way keep theirs. Takes `snap`. */
void worker_set_snapshot(struct worker *w, struct snapshot *snap);

/* Stops taking new requests: idle connections close now, others after their answer. on_drained follows. */
void worker_drain(struct worker *w);

/* An accepted connection from a listener of this worker; takes fd. */
struct listen_conf;
void worker_accept(struct worker *w, int fd, const struct listen_conf *listen);

struct rbuf *worker_buffer_take(struct worker *w, bool large); /* NULL when the pool is used up */
void worker_buffer_put(struct worker *w, struct rbuf *b);      /* NULL is fine */
