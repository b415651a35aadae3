#include "dispatch/ways.h"

#include <stdlib.h>
#include <string.h>

#include "io/tls.h"
#include "proxy/up.h"
#include "proxy/worker.h"

enum {
        SWEEP_MS = 10 * 1000,
        FORGET_MS = 60 * 1000,
        CONNECT_MS = 10 * 1000,
        WAIT_MS = 300 * 1000, /* the request's own time ends it before */
        KEEP_ALIVE_MS = 30 * 1000,
        IDLE_MAX = 8,
        KEY_BYTES = 1 + 2 + sizeof(struct ip) + 256
};

struct way {
        struct upstream upstream;
        struct target target;
        struct list node; /* ways.all: used last comes last */
        mono_ms used;
        size_t key_len;
        char key[KEY_BYTES]; /* its end is the host's name */
};

struct ways {
        struct worker *w;
        struct tls_context *tls, *tls_h2;
        struct map by_key;
        struct list all;
        size_t count;
        struct timer timer;
        struct measure_target target_measure; /* one for all: names of strangers are no labels */
        struct measure_upstream upstream_measure;
};

static struct str key_of(const struct way *way)
{
        return (struct str){ way->key, way->key_len };
}

/* False: no name is that long. */
static bool key_make(struct way *way, bool is_tls, const struct http_authority *to, struct ip source)
{
        char *at = way->key;

        if (to->host.len == 0 || to->host.len > 255)
                return false;
        *at++ = (char)is_tls;
        memcpy(at, &to->port, sizeof(to->port));
        at += sizeof(to->port);
        memcpy(at, &source, sizeof(source));
        at += sizeof(source);
        memcpy(at, to->host.ptr, to->host.len);
        way->key_len = (size_t)(at - way->key) + to->host.len;
        return true;
}

static void way_free(struct ways *w, struct way *way)
{
        map_remove(&w->by_key, key_of(way));
        list_remove(&way->node);
        w->count--;
        free(way);
}

static bool is_in_use(const struct way *way)
{
        const struct target *t = &way->target;

        return t->connections || t->requests_active || !list_is_empty(&t->dials) ||
               !list_is_empty(&t->shared) || !list_is_empty(&t->idle) || way->upstream.line.count;
}

static void on_sweep(struct timer *t)
{
        struct ways *w = CONTAINER_OF(t, struct ways, timer);
        mono_ms now = loop_now(w->w->loop);

        list_for_each_safe(node, &w->all) {
                struct way *way = CONTAINER_OF(node, struct way, node);

                if (now - way->used < FORGET_MS)
                        break;
                if (!is_in_use(way))
                        way_free(w, way);
        }
        timer_set(w->w->loop, t, now + SWEEP_MS);
}

static void way_set(struct ways *w, struct way *way, bool is_tls, const struct http_authority *to,
                    struct ip source)
{
        way->upstream = (struct upstream){ .name = STR("dispatch"),
                                           .targets = &way->target,
                                           .targets_count = 1,
                                           .is_outward = true,
                                           .protocol = is_tls ? PROTOCOL_AUTO : PROTOCOL_H1,
                                           .tls = w->tls,
                                           .tls_h2 = w->tls_h2,
                                           .may_speak_h2 = is_tls,
                                           .waits = { CONNECT_MS, WAIT_MS, WAIT_MS, WAIT_MS },
                                           .keep_alive_ms = KEEP_ALIVE_MS,
                                           .idle_connections_max = IDLE_MAX,
                                           .tries_max = 1,
                                           .measure = w->upstream_measure };
        waitline_init(&way->upstream.line, 0, 0);
        way->target = (struct target){ .upstream = &way->upstream,
                                       .url = STR("dispatch"),
                                       .host = str_from(key_of(way), way->key_len - to->host.len),
                                       .source = source,
                                       .port = to->port,
                                       .is_tls = is_tls,
                                       .seat = { .weight = 1 },
                                       .measure = w->target_measure };
        if (ip_parse(way->target.host, &way->target.ip) != ERR_OK)
                way->target.ip = (struct ip){ 0 };
        up_target_init(&way->target);
}

/* Room for one more: the one that was idle longest goes. */
static bool room_make(struct ways *w)
{
        if (w->count < WAYS_MAX)
                return true;
        list_for_each(node, &w->all) {
                struct way *way = CONTAINER_OF(node, struct way, node);

                if (is_in_use(way))
                        continue;
                way_free(w, way);
                return true;
        }
        return false;
}

struct upstream *ways_get(struct ways *w, bool is_tls, const struct http_authority *to, struct ip source)
{
        struct way asked, *way;

        if (!key_make(&asked, is_tls, to, source))
                return NULL;
        if (!(way = map_find(&w->by_key, key_of(&asked)))) {
                if (!room_make(w) || !(way = calloc(1, sizeof(*way))))
                        return NULL;
                memcpy(way->key, asked.key, asked.key_len);
                way->key_len = asked.key_len;
                if (map_add(&w->by_key, key_of(way), way) != ERR_OK) {
                        free(way);
                        return NULL;
                }
                way_set(w, way, is_tls, to, source);
                list_init(&way->node);
                w->count++;
        }
        list_remove(&way->node);
        list_add_last(&w->all, &way->node);
        way->used = loop_now(w->w->loop);
        return &way->upstream;
}

size_t ways_count(const struct ways *w)
{
        return w->count;
}

struct ways *ways_new(struct worker *worker, struct tls_context *tls, struct tls_context *tls_h2)
{
        struct ways *w = calloc(1, sizeof(*w));

        if (!w)
                return NULL;
        w->w = worker;
        w->tls = tls_context_get(tls);
        w->tls_h2 = tls_context_get(tls_h2);
        map_init(&w->by_key, worker->shared->hash_key, WAYS_MAX);
        list_init(&w->all);
        measure_target_init(worker->shared->metrics, &w->target_measure, STR("dispatch"), STR("dispatch"));
        measure_upstream_init(worker->shared->metrics, &w->upstream_measure, STR("dispatch"));
        timer_init(&w->timer, on_sweep);
        timer_set(worker->loop, &w->timer, loop_now(worker->loop) + SWEEP_MS);
        return w;
}

void ways_free(struct ways *w)
{
        if (!w)
                return;
        timer_clear(&w->timer);
        list_for_each_safe(node, &w->all) {
                struct way *way = CONTAINER_OF(node, struct way, node);

                up_close_idle(&way->target);
                way_free(w, way);
        }
        map_fini(&w->by_key);
        tls_context_put(w->tls);
        tls_context_put(w->tls_h2);
        free(w);
}
