#include "proxy/worker.h"

#include "io/memory.h"
#include "proxy/cache.h"

#include "proxy/down.h"
#include "proxy/down_h2.h"
#include "proxy/exchange.h"
#include "proxy/greeting.h"
#include "proxy/links.h"
#include "proxy/preface.h"
#include "proxy/revoke.h"
#include "proxy/up.h"
#include "proxy/up_dial.h"
#include "proxy/up_h1.h"
#include "proxy/up_h2.h"
#include "proxy/up_udp.h"

enum { RECORD_BYTES_MAX = 32 * 1024, SERIES_KEYS_BYTES_MAX = 256 * 1024 };

enum err worker_init(struct worker *w, struct shared *shared, unsigned index, struct loop *loop,
                     struct snapshot *snap)
{
        const struct proxy_limits *l = &snap->limits;
        size_t requests_max = MAX(l->connections_max, l->requests_max);

        *w = (struct worker){
                .loop = loop, .index = index, .shared = shared, .connect_failures = { 10, 10000 }
        };
        list_init(&w->down_list);
        list_init(&w->preface_list);
        list_init(&w->greeting_list);
        list_init(&w->udp_list);
        list_init(&w->h2_lane);
        task_init(&w->h2_lane_task, down_h2_lane_run);
        revoke_init(w);
        list_init(&w->up_list);
        list_init(&w->exchange_list);
        buf_init(&w->record, RECORD_BYTES_MAX);
        map_init(&w->series, shared->hash_key, WORKER_SERIES_MAX);
        arena_init(&w->series_keys, NULL, 0, SERIES_KEYS_BYTES_MAX);
        if (l->cache_bytes)
                w->cache = cache_new(w, (size_t)l->cache_bytes);
        encoder_pool_init(&w->encoders, (size_t)l->compression_bytes);
        w->links = links_new(w);
        w->downs = pool_new(down_bytes(), l->connections_max, &memory_pages);
        w->ups = pool_new(up_h1_bytes, (size_t)requests_max * 2, &memory_pages);
        w->dials = pool_new(sizeof(struct up_dial), requests_max, &memory_pages);
        w->h2s = pool_new(up_h2_bytes, requests_max, &memory_pages);
        w->h2_streams = pool_new(up_h2_stream_bytes, (size_t)requests_max * 2, &memory_pages);
        w->exchanges = pool_new(sizeof(struct exchange), requests_max, &memory_pages);
        w->exchange_blocks = pool_new(EXCHANGE_ARENA_FIRST, requests_max, &memory_pages);
        w->down_streams = pool_new(down_h2_stream_bytes, requests_max, &memory_pages);
        w->buffers_small = pool_new(sizeof(struct rbuf) + RBUF_SMALL_BYTES, (size_t)l->connections_max * 2,
                                    &memory_pages);
        w->buffers_large = pool_new(sizeof(struct rbuf) + RBUF_LARGE_BYTES, (size_t)l->connections_max * 2,
                                    &memory_pages);
        if (!w->links || !w->downs || !w->down_streams || !w->ups || !w->dials || !w->h2s || !w->h2_streams ||
            !w->exchanges || !w->exchange_blocks || !w->buffers_small || !w->buffers_large ||
            resolver_new(loop, &snap->names, &w->resolver) != ERR_OK) {
                worker_fini(w);
                return ERR_NO_MEMORY;
        }
        w->snap = snap;
        measure_worker_init(w);
        overload_start(w);
        return ERR_OK;
}

void worker_fini(struct worker *w)
{
        loop_unpost(&w->h2_lane_task);
        timer_clear(&w->callers_timer);
        overload_stop(w);
        resolver_free(w->resolver);
        links_free(w->links);
        cache_free(w->cache);
        encoder_pool_fini(&w->encoders);
        pool_free(w->downs);
        pool_free(w->down_streams);
        pool_free(w->ups);
        pool_free(w->dials);
        pool_free(w->h2s);
        pool_free(w->h2_streams);
        pool_free(w->exchanges);
        pool_free(w->exchange_blocks);
        pool_free(w->buffers_small);
        pool_free(w->buffers_large);
        map_fini(&w->series);
        arena_fini(&w->series_keys);
        buf_fini(&w->record);
        snapshot_put(w->snap);
        *w = (struct worker){ 0 };
}

static void idle_ups_close(struct snapshot *s)
{
        for (size_t i = 0; i < s->upstreams_count; i++)
                for (size_t j = 0; j < s->upstreams[i]->targets_count; j++)
                        up_close_idle(&s->upstreams[i]->targets[j]);
}

void worker_set_snapshot(struct worker *w, struct snapshot *snap)
{
        struct snapshot *old = w->snap;

        w->snap = snap;
        if (!str_eq(old->version, snap->version)) /* other rules, perhaps other upstreams */
                cache_forget(w->cache);
        idle_ups_close(old); /* they keep the old snapshot; those at work close when they are done */
        snapshot_put(old);
        revoke_tunnels(w);
        links_judge(w->links);
        overload_look(w, true);
}

/* Under the last connections are links, here or in another worker: with ours gone nobody waits for anybody. */
void worker_look_drained(struct worker *w)
{
        if (!w->is_draining)
                return;
        if (list_is_empty(&w->down_list)) {
                if (w->on_drained)
                        w->on_drained(w);
        } else if (pool_taken_count(w->downs) == w->carriers_count) {
                links_end(w->links);
        }
}

void worker_drain(struct worker *w, bool is_patient)
{
        w->is_draining = true;
        w->is_patient = is_patient;
        list_for_each_safe(node, &w->down_list)
                down_drain(node);
        if (!is_patient) { /* patiently, what was accepted is served */
                preface_close_all(w);
                greeting_close_all(w);
        }
        idle_ups_close(w->snap);
        up_udp_drain(w);
        links_leave(w->links);
        worker_look_drained(w);
}

void worker_accept(struct worker *w, int fd, const struct listen_conf *listen, struct ip peer)
{
        /* Whoever can send the header can be anyone: it is looked for only where a trusted proxy is connected. */
        if (listen->takes_proxy_protocol && ip_list_has(&w->snap->trusted_proxies, peer))
                preface_open(w, fd, listen);
        else if (greeting_is_needed(w->snap, listen))
                greeting_open(w, fd, listen, NULL);
        else
                down_open(w, fd, listen, NULL);
        overload_look(w, false);
}

void worker_accept_link(struct worker *w, int fd)
{
        links_take(w->links, fd);
}

void worker_pools_trim(struct worker *w)
{
        struct pool *const pools[] = { w->downs,         w->down_streams, w->ups,       w->dials,
                                       w->h2s,           w->h2_streams,   w->exchanges, w->exchange_blocks,
                                       w->buffers_small, w->buffers_large };

        for (size_t i = 0; i < ARRAY_SIZE(pools); i++)
                pool_trim(pools[i]);
}

static struct pool *buffer_pool(struct worker *w, uint32_t cap)
{
        return cap == RBUF_LARGE_BYTES ? w->buffers_large : w->buffers_small;
}

struct rbuf *worker_buffer_take(struct worker *w, bool large)
{
        uint32_t cap = large ? RBUF_LARGE_BYTES : RBUF_SMALL_BYTES;
        struct rbuf *b = pool_take(buffer_pool(w, cap));

        if (b)
                *b = (struct rbuf){ .cap = cap };
        return b;
}

void worker_buffer_put(struct worker *w, struct rbuf *b)
{
        if (b)
                pool_put(buffer_pool(w, b->cap), b);
}
