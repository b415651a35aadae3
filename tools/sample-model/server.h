/*
 * server.h - one thread's loop, its connections, and what is counted.
 *
 * Theory of operation. Each thread has its own listener (SO_REUSEPORT) and its own connections. A connection does one
 * thing at a time: it reads a request, or it writes an answer. An answer is bytes in `pending`, a run of `bulk` bytes,
 * or an `answer` whose steps the wheel paces; while any of these is there no further request is read, so that what
 * waits in memory is one answer. A connection that ends goes to `dead` and is freed when the turn is over.
 */
#pragma once

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/pool.h"

#include "answer.h"
#include "http.h"
#include "options.h"
#include "wheel.h"

enum { BODY_BYTES_MAX = 64 * 1024 * 1024, READ_BYTES = 256 * 1024, HISTOGRAM_BOUNDS = 16 };

struct model_counts {
        _Atomic uint64_t running, prompt_tokens, generation_tokens, endings[ENDINGS];
};

/* Written by its own thread, read by all. */
struct counts {
        _Atomic uint64_t connections, connections_open, requests, waiting, running, kv_tokens, bad_requests;
        struct model_counts models[MODELS_MAX + 1]; /* the last is for GET /sse: no model */
        _Atomic uint64_t first_ms_sum, first_counts[HISTOGRAM_BOUNDS + 1];
        _Atomic uint64_t whole_ms_sum, whole_counts[HISTOGRAM_BOUNDS + 1];
};

#define COUNT(w, field, n)                                                                      \
        atomic_store_explicit(&(w)->counts->field,                                              \
                              atomic_load_explicit(&(w)->counts->field, memory_order_relaxed) + \
                                      (uint64_t)(n),                                            \
                              memory_order_relaxed)

struct worker {
        const struct options *options;
        struct counts *counts;
        unsigned number;
        int epoll_fd, wake_fd, listen_fds[LISTENS_MAX + 1];
        unsigned listens_count;
        bool is_stopping;
        int64_t now_ms;
        uint64_t ids;
        struct wheel wheel;
        struct list conns, dead, waiting;
        struct pool *answers;
        struct buf out, events; /* of the connection at work */
        char *read_bytes;
};

struct conn {
        struct worker *worker;
        int fd;
        uint64_t id;
        struct list link;
        struct timer step_timer, trickle_timer;

        bool may_have_more; /* the socket was not read to its end */
        bool is_peer_gone;  /* it closed its side: nobody is left for what takes longer than this turn */
        bool is_closing;    /* once all is written */
        bool keeps_alive, is_http10, is_head_only; /* of the present request */
        unsigned requests_count;

        struct answer *answer;
        bool is_blocked; /* the answer waits for room */
        bool is_stalled; /* silent until the client leaves */
        uint64_t bulk_at, bulk_left;
        struct buf pending;
        size_t pending_at;
        unsigned trickle_ms; /* between the bytes of the next head; 0: none */

        struct buf in, head, body, trailers; /* of a request that came in parts */
        struct http_body reader;
        bool is_in_body, is_sink;
        uint64_t sink_bytes, sink_hash;
};

/* A program-wide set-up; false with a message on stderr. */
bool server_start(const struct options *o);
void server_stop(void); /* ends the threads and frees all */

extern struct worker *server_workers;
extern unsigned server_workers_count;

int64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);

/* Appends to what the connection sends; conn_flush sends it. */
static inline struct buf *conn_out(struct conn *c)
{
        return &c->worker->out;
}
void conn_flush(struct conn *c);
void conn_bulk(struct conn *c, uint64_t length); /* sends that many bytes of the pattern */
void conn_prepare(void);                         /* once, before the threads */
void conn_process(struct conn *c);               /* reads and serves on, as far as it goes */
void conn_close(struct conn *c, bool is_reset);
static inline bool conn_is_closed(const struct conn *c)
{
        return c->fd < 0;
}
/* True while there is something to write: no further request is begun. */
bool conn_is_busy(const struct conn *c);

/* serve.c: answers one request, or begins to. `r` and its slices end with the call. */
void serve(struct conn *c, const struct http_request *r);
void serve_refusal(struct conn *c, unsigned status); /* of what could not be read; the connection closes */
/* The head of an answer with a body of known length; -1: chunked. */
void serve_head(struct conn *c, unsigned status, struct str type, const struct answer *a, int64_t length);
const char *serve_status_text(unsigned status);

/* pace.c: the steps of an answer. */
void pace_begin(struct conn *c, struct answer *a); /* takes it */
void pace_run(struct conn *c);
void pace_abort(struct conn *c);  /* its client left, or a fault ended it */
void pace_resume(struct conn *c); /* there is room again */
void pace_waiting(struct worker *w);

/* stats.c */
void stats_abort(const struct answer *a);
void stats_record(const struct http_request *r);
void stats_write_last(struct buf *out);
void stats_write(struct buf *out);
void stats_write_metrics(const struct options *o, struct buf *out);
void stats_write_request(const struct http_request *r, struct buf *out); /* as JSON members, no braces */
unsigned stats_bound(uint64_t ms);                                       /* the histogram's cell */
void stats_fini(void);

/* The fault for all requests. A spec of no text removes it; false when it is none. */
bool fault_set(struct str spec);
bool fault_find(const struct http_request *r, struct fault *out, struct str *bad);
