#include "proxy/cache_priv.h"

#include <stdlib.h>

#include "proxy/call.h"

enum { ARENA_BYTES_MAX = 128 * 1024, FIELDS_MAX = 28, TOTAL_MS = 60000 };

/* A call of our own that fetches what a client was given stale. Heap: it outlives the client's exchange. */
struct refresh {
        struct call call;
        struct cache *cache;
        struct list node; /* cache.refreshes */
        struct snapshot *snap;
        struct arena arena;
        struct http_head request;
        struct str key;
        bool has_credentials;
        uint64_t body_bytes_max, generation;
        struct cache_entry *entry; /* counted */
        struct cache_fill fill;
        unix_ms asked;
};

static void refresh_free(struct refresh *r)
{
        struct cache *cache = r->cache;

        cache_fill_drop(&r->fill);
        cache_entry_put(cache->store, r->entry);
        list_remove(&r->node);
        cache->refreshes_count--;
        snapshot_put(r->snap);
        arena_fini(&r->arena);
        free(r);
}

static void on_head(struct call *call, const struct http_head *head)
{
        struct refresh *r = CONTAINER_OF(call, struct refresh, call);
        struct cache_question q = { .store = r->cache->store,
                                    .key = r->key,
                                    .request = &r->request,
                                    .has_credentials = r->has_credentials,
                                    .asked = r->asked,
                                    .now = loop_wall(r->cache->w->loop),
                                    .body_bytes_max = r->body_bytes_max };

        if (call_is_refused(call) || head->status >= 500 || r->generation != r->cache->generation)
                return; /* the old one stays as long as it may */
        if (head->status == 304) {
                if (!cache_freshen(&q, r->entry, head, &r->arena))
                        cache_remove(r->cache->store, r->key);
                measure_count(r->cache->w, MEASURE_CACHE, "revalidated", NULL, NULL);
                return;
        }
        if (cache_fill_begin(&r->fill, &q, head, &r->arena))
                cache_remove(r->cache->store, r->key);
}

static size_t on_data(struct call *call, const struct side_data *d)
{
        struct refresh *r = CONTAINER_OF(call, struct refresh, call);

        if (r->fill.is_open && r->generation == r->cache->generation)
                cache_fill_data(&r->fill, d);
        return side_data_len(d);
}

static void on_end(struct call *call, enum err e)
{
        refresh_free(CONTAINER_OF(call, struct refresh, call));
}

static const struct call_events events = { .on_head = on_head, .on_data = on_data, .on_end = on_end };

static bool is_under_way(const struct cache *cache, struct str key)
{
        list_for_each(node, &cache->refreshes)
                if (str_eq(CONTAINER_OF(node, struct refresh, node)->key, key))
                        return true;
        return false;
}

/* The client's request as it would go up, with the question whether what is kept still holds. */
static enum err request_make(struct refresh *r, const struct exchange *x, const struct cache_entry *e)
{
        struct http_head *h = &r->request;
        enum err error = ERR_OK;

        *h = (struct http_head){ .method = HTTP_GET,
                                 .fields = ARENA_ARRAY(&r->arena, struct http_field, FIELDS_MAX),
                                 .fields_max = FIELDS_MAX };
        for (size_t i = 0; error == ERR_OK && h->fields && i < x->request.fields_count; i++) {
                const struct http_field *f = &x->request.fields[i];

                if (!f->is_removed && !str_has_prefix(f->name, STR("If-")))
                        error = http_add(h, arena_copy(&r->arena, f->name), arena_copy(&r->arena, f->value));
        }
        http_remove_name(h, STR("If-None-Match"));
        http_remove_name(h, STR("If-Modified-Since"));
        if (error == ERR_OK && e->etag.len)
                error = http_add(h, STR("If-None-Match"), arena_copy(&r->arena, e->etag));
        if (error == ERR_OK && e->last_modified.len)
                error = http_add(h, STR("If-Modified-Since"), arena_copy(&r->arena, e->last_modified));
        return r->arena.full || !h->fields ? ERR_NO_MEMORY : error;
}

/* call.h takes fields without holes. */
static size_t fields_close_up(struct http_head *h)
{
        size_t n = 0;

        for (size_t i = 0; i < h->fields_count; i++)
                if (!h->fields[i].is_removed)
                        h->fields[n++] = h->fields[i];
        return n;
}

void cache_refresh_start(struct cached *c, const struct cache_entry *e)
{
        struct exchange *x = c->x;
        struct cache *cache = c->cache;
        struct refresh *r;

        /* The call runs under the snapshot in force: an upstream of an older one may go before it does. */
        if (x->snap != cache->w->snap || cache->refreshes_count >= CACHE_REFRESHES_MAX ||
            is_under_way(cache, c->key) || !(r = calloc(1, sizeof(*r))))
                return;
        r->cache = cache;
        r->snap = snapshot_get(x->snap);
        r->generation = cache->generation;
        r->has_credentials = c->has_credentials;
        r->body_bytes_max = c->conf->object_bytes_max;
        arena_init(&r->arena, NULL, 0, ARENA_BYTES_MAX);
        list_add(&cache->refreshes, &r->node);
        cache->refreshes_count++;
        r->key = arena_copy(&r->arena, c->key);
        r->entry = cache_entry_get((struct cache_entry *)(uintptr_t)e);
        r->asked = loop_wall(cache->w->loop);
        if (request_make(r, x, e) != ERR_OK) {
                refresh_free(r);
                return;
        }
        struct call_request request = { .method = STR("GET"),
                                        .target = arena_copy(&r->arena, x->forward_target),
                                        .fields = r->request.fields,
                                        .fields_count = fields_close_up(&r->request),
                                        .upstream = x->route->upstream,
                                        .total_ms = TOTAL_MS,
                                        .keeps_host = x->route->preserve_host };
        if (r->arena.full || call_start(&r->call, cache->w, &request, &events) != ERR_OK)
                refresh_free(r);
}

void cache_refresh_cancel_all(struct cache *cache)
{
        list_for_each_safe(node, &cache->refreshes) {
                struct refresh *r = CONTAINER_OF(node, struct refresh, node);

                call_cancel(&r->call);
                refresh_free(r);
        }
}
