#include "proxy/cache_priv.h"

#include <stdlib.h>

#include "proxy/cache_purges.h"

struct cache *cache_new(struct worker *w, size_t bytes_max)
{
        struct cache *c = calloc(1, sizeof(*c));

        if (!c)
                return NULL;
        c->w = w;
        c->purges_seen = cache_purges_now(w->shared->cache_purges);
        list_init(&c->refreshes);
        for (size_t i = 0; i < CACHE_FLIGHTS_BUCKETS; i++)
                list_init(&c->flights[i]);
        if (!(c->store = cache_store_new(bytes_max, w->shared->hash_key))) {
                free(c);
                return NULL;
        }
        return c;
}

void cache_free(struct cache *c)
{
        if (!c)
                return;
        cache_refresh_cancel_all(c);
        cache_store_free(c->store);
        free(c);
}

void cache_forget(struct cache *c)
{
        if (!c)
                return;
        c->generation++;
        cache_clear(c->store);
}

void cache_follow_purges(struct cache *c)
{
        uint64_t hash;

        while (cache_purges_next(c->w->shared->cache_purges, &c->purges_seen, &hash))
                if (hash == CACHE_PURGE_ALL)
                        cache_forget(c);
                else
                        cache_flight_forget(c, hash);
}

void cache_measure_store(struct cache *c)
{
        struct measure_worker *m = &c->w->measure;

        measure_set(c->w, m->cache_bytes, (int64_t)c->store->bytes);
        measure_set(c->w, m->cache_entries, (int64_t)c->store->entries_count);
        measure_add(c->w, m->cache_evictions, c->store->evictions - c->evictions_counted);
        c->evictions_counted = c->store->evictions;
}

/* ---- what the operator forgets ---- */

struct str cache_key_make(struct arena *a, struct str scheme, struct str host, uint16_t port,
                          struct str target)
{
        if (port == 0)
                port = str_eq_nocase(scheme, STR("https")) ? 443 : 80;
        return arena_format(a, "%.*s://%.*s:%u%.*s", STR_FMT(scheme), STR_FMT(host), port, STR_FMT(target));
}

enum err cache_purge(struct worker *w, struct str url)
{
        size_t colon = str_find(url, STR("://"));
        struct str scheme = str_sub(url, 0, colon);
        struct http_field fields[2];
        struct http_head head = { .method = HTTP_GET, .version_minor = 1, .fields = fields, .fields_max = 2 };
        struct http_target target;
        struct http_refusal refusal;
        struct arena a;
        enum err e = ERR_MALFORMED;

        if (url.len == 0) {
                cache_purges_add(w->shared->cache_purges, CACHE_PURGE_ALL);
                return ERR_OK;
        }
        if (colon == STR_NONE || (!str_eq(scheme, STR("http")) && !str_eq(scheme, STR("https"))))
                return ERR_MALFORMED;
        struct str rest = str_from(url, colon + 3),
                   host = str_sub(rest, 0, MIN(str_find_char(rest, '/'), str_find_char(rest, '?')));
        head.target = str_from(rest, host.len);
        arena_init(&a, NULL, 0, 64 * 1024);
        if (head.target.len && head.target.ptr[0] == '/' && http_set(&head, HTTP_FIELD_HOST, host) == ERR_OK)
                e = http_target_parse(&head, &a, &target, &refusal);
        if (e == ERR_OK) {
                struct str key =
                        cache_key_make(&a, scheme, target.authority.host, target.authority.port, target.text);
                e = key.ptr ? ERR_OK : ERR_NO_MEMORY;
                if (e == ERR_OK)
                        cache_purges_add(w->shared->cache_purges, hash_str(w->shared->hash_key, key));
        }
        arena_fini(&a);
        return e;
}
