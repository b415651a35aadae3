/*
 * proxy/worker.h - what one worker process owns. What it shares with the others is in shared.h.
 */
#pragma once

#include "base/buf.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"
#include "base/pool.h"
#include "http/encoder.h"
#include "http/h1_read.h"
#include "http/h1_write.h"
#include "io/resolver.h"
#include "io/timer.h"
#include "proxy/measure.h"
#include "proxy/overload.h"
#include "proxy/record_combined.h"
#include "proxy/shared.h"
#include "proxy/snapshot.h"

enum { RBUF_SMALL_BYTES = 16 * 1024, RBUF_LARGE_BYTES = 64 * 1024, WORKER_SERIES_MAX = 2048 };

/* A receive buffer: from a pool while bytes are in flight. */
struct rbuf {
        uint32_t cap, len; /* len bytes are filled, of them those before pos are done with */
        uint32_t pos;
        char bytes[];
};

struct caller_asker;

struct worker {
        /* identity */
        struct loop *loop;
        unsigned index;
        struct shared *shared;
        struct resolver *resolver;
        struct snapshot *snap; /* in force; a new exchange shares it */
        bool is_draining;
        bool is_patient; /* while draining: an idle HTTP/1.1 connection stays until its next request is answered */

        /* memory; bounded by the snapshot's limits when the worker starts */
        struct pool *downs, *down_streams, *ups, *dials, *h2s, *h2_streams, *exchanges, *exchange_blocks,
                *buffers_small, *buffers_large;
        struct encoder_pool encoders;
        struct links *links; /* of agents */
        struct cache *cache; /* NULL: nothing is kept */

        /* scratch of the turn: nothing lives in it across calls of the loop */
        struct h1_vector down_vector, up_vector;
        struct h1_body_part part;
        struct http_field scratch_fields[HTTP_FIELDS_MAX];

        /* what is open */
        struct list down_list, up_list, exchange_list;
        struct list h2_lane; /* clients' connections of HTTP/2 that others do not wait for */
        struct task h2_lane_task;
        struct list preface_list;  /* connections whose PROXY header is awaited */
        struct list greeting_list; /* TLS connections whose first message is awaited */
        size_t prefaces_count, greetings_count;
        size_t carriers_count; /* clients' connections that are nothing but the way of an agent's link, here or in another worker */
        struct list udp_list;    /* flows to targets (up_udp.c) */
        size_t udp_queued_bytes; /* datagrams that wait for their exchanges (datagrams.h) */

        /* out of here: a line of the access log */
        void (*write_record)(void *context, struct str line);
        void *record_context;
        struct buf record;
        bool record_is_combined;
        struct exporter *exporter;       /* whoever runs the worker makes it; may be NULL */
        struct log_limit record_refused; /* lines strangers can cause; burst 0: no bound */
        unix_ms record_time_at;
        char record_time[MAX((int)UNITS_TIME_TEXT_MAX, (int)RECORD_COMBINED_TIME_MAX)];
        struct overload overload;
        /* called when accepting is to wait, and when it goes on */
        void (*on_closed_doors)(struct worker *w, bool are_closed);
        /* An agent got its first link to this worker, or lost its last. May be NULL. */
        void (*on_agent)(struct worker *w, struct str agent, bool is_linked);
        /* A connection that another worker is to have: passed on before TLS began. Takes fd. NULL: closed. */
        void (*on_handover)(struct worker *w, unsigned to, int fd);
        /* called when draining and the last connection is gone */
        void (*on_drained)(struct worker *w);

        /* False: that address is not to be dialled for this target; asked of each one right before. NULL: all may be. */
        /* Whether what this peer says of its client is believed, beside trusted proxies'; before anything else of the request is. NULL:
         * nobody's. */
        bool (*is_vouched)(const struct worker *w, const struct exchange *x);
        bool (*may_dial)(const struct worker *w, const struct target *t, const struct dial_target *to);

        struct caller_asker *callers; /* NULL: nobody is known by the network */
        struct timer callers_timer;   /* while tunnels of its callers are open */

        struct log_limit connect_failures; /* any stranger's request can cause one */

        /* statistics */
        struct measure_worker measure;
        struct map series; /* metric and label values → metric index + 1 (measure.c) */
        struct arena series_keys;
        uint64_t ids_count;
};

MUST_USE enum err worker_init(struct worker *w, struct shared *shared, unsigned index, struct loop *loop,
                              struct snapshot *snap);
void worker_fini(struct worker *w);

/* Puts a new snapshot in force: connections stay, exchanges under way keep theirs. Takes `snap`. */
void worker_set_snapshot(struct worker *w, struct snapshot *snap);

/* Stops taking new requests: idle connections close now (patiently: with the answer
 * to their next request, so that none is lost on its way), others after their answer. on_drained follows. */
void worker_drain(struct worker *w, bool is_patient);
/* A connection ended, or became a carrier. */
void worker_look_drained(struct worker *w);

/* An accepted connection from a listener of this worker; takes fd. */
struct listen_conf;
void worker_accept(struct worker *w, int fd, const struct listen_conf *listen, struct ip peer);

/* An agent's connection that another worker accepted for this one; takes fd. */
void worker_accept_link(struct worker *w, int fd);

/* At a steady pace: what a burst took and nobody needed since goes back to the system. */
void worker_pools_trim(struct worker *w);

struct rbuf *worker_buffer_take(struct worker *w, bool large); /* NULL when the pool is used up */
void worker_buffer_put(struct worker *w, struct rbuf *b);      /* NULL is fine */
