#include "proxy/cache_store.h"

#include <stdlib.h>
#include <string.h>

struct cache_store *cache_store_new(size_t bytes_max, struct hash_key hash_key)
{
        struct cache_store *s = calloc(1, sizeof(*s));

        if (!s)
                return NULL;
        s->bytes_max = bytes_max;
        s->hash_key = hash_key;
        list_init(&s->lru);
        for (size_t i = 0; i < CACHE_BUCKETS; i++)
                list_init(&s->buckets[i]);
        return s;
}

void cache_store_free(struct cache_store *s)
{
        if (!s)
                return;
        cache_clear(s);
        free(s);
}

uint64_t cache_key_hash(const struct cache_store *s, struct str key)
{
        return hash_str(s->hash_key, key);
}

static struct list *bucket_of(struct cache_store *s, uint64_t hash)
{
        return &s->buckets[hash % CACHE_BUCKETS];
}

static void entry_free(struct cache_store *s, struct cache_entry *e)
{
        s->bytes -= e->bytes;
        free(e);
}

static void entry_drop(struct cache_store *s, struct cache_entry *e)
{
        list_remove(&e->bucket_node);
        list_remove(&e->lru_node);
        s->entries_count--;
        e->is_gone = true;
        if (e->uses == 0)
                entry_free(s, e);
}

struct cache_entry *cache_entry_get(struct cache_entry *e)
{
        e->uses++;
        return e;
}

void cache_entry_put(struct cache_store *s, struct cache_entry *e)
{
        if (e && --e->uses == 0 && e->is_gone)
                entry_free(s, e);
}

struct cache_entry *cache_find(struct cache_store *s, struct str key, const struct http_head *request)
{
        struct list *bucket = bucket_of(s, cache_key_hash(s, key));

        list_for_each_safe(node, bucket) {
                struct cache_entry *e = CONTAINER_OF(node, struct cache_entry, bucket_node);

                if (!str_eq(e->key, key) || !cache_vary_matches(e->vary, request))
                        continue;
                list_remove(&e->lru_node);
                list_add(&s->lru, &e->lru_node);
                return e;
        }
        return NULL;
}

void cache_remove(struct cache_store *s, struct str key)
{
        list_for_each_safe(node, bucket_of(s, cache_key_hash(s, key))) {
                struct cache_entry *e = CONTAINER_OF(node, struct cache_entry, bucket_node);

                if (str_eq(e->key, key))
                        entry_drop(s, e);
        }
}

void cache_remove_hash(struct cache_store *s, uint64_t hash)
{
        list_for_each_safe(node, bucket_of(s, hash)) {
                struct cache_entry *e = CONTAINER_OF(node, struct cache_entry, bucket_node);

                if (cache_key_hash(s, e->key) == hash)
                        entry_drop(s, e);
        }
}

void cache_clear(struct cache_store *s)
{
        list_for_each_safe(node, &s->lru)
                entry_drop(s, CONTAINER_OF(node, struct cache_entry, lru_node));
}

bool cache_reserve(struct cache_store *s, size_t len)
{
        while (len > s->bytes_max - MIN(s->bytes, s->bytes_max) && !list_is_empty(&s->lru)) {
                entry_drop(s, CONTAINER_OF(s->lru.prev, struct cache_entry, lru_node));
                s->evictions++;
        }
        if (len > s->bytes_max - MIN(s->bytes, s->bytes_max))
                return false;
        s->bytes += len;
        return true;
}

void cache_unreserve(struct cache_store *s, size_t len)
{
        s->bytes -= len;
}

/* The same variant goes, and the oldest where there are too many of them. */
static void variants_prune(struct cache_store *s, const struct cache_draft *d)
{
        struct cache_entry *last = NULL;
        size_t count = 0;

        list_for_each_safe(node, bucket_of(s, cache_key_hash(s, d->key))) {
                struct cache_entry *e = CONTAINER_OF(node, struct cache_entry, bucket_node);

                if (!str_eq(e->key, d->key))
                        continue;
                if (str_eq(e->vary, d->vary)) {
                        entry_drop(s, e);
                        continue;
                }
                count++;
                last = e;
        }
        if (count >= CACHE_VARIANTS_MAX)
                entry_drop(s, last);
}

static struct str put(char **at, struct str text)
{
        struct str kept = { *at, text.len };

        if (text.len)
                memcpy(*at, text.ptr, text.len);
        *at += text.len;
        return kept;
}

static size_t fields_measure(const struct http_head *h, uint16_t *count)
{
        size_t text = 0;

        *count = 0;
        for (size_t i = 0; i < h->fields_count; i++)
                if (!h->fields[i].is_removed) {
                        text += h->fields[i].name.len + h->fields[i].value.len;
                        ++*count;
                }
        return text;
}

static void entry_fill(struct cache_entry *e, const struct cache_draft *d, char *text)
{
        size_t n = 0;

        e->key = put(&text, d->key);
        e->vary = put(&text, d->vary);
        for (size_t i = 0; i < d->head->fields_count; i++) {
                const struct http_field *f = &d->head->fields[i];

                if (f->is_removed)
                        continue;
                e->fields[n] =
                        (struct http_field){ .name = put(&text, f->name), .value = put(&text, f->value) };
                if (str_eq_nocase(f->name, STR("ETag")))
                        e->etag = e->fields[n].value;
                else if (str_eq_nocase(f->name, STR("Last-Modified")))
                        e->last_modified = e->fields[n].value;
                n++;
        }
        e->body = put(&text, d->body);
}

struct cache_entry *cache_add(struct cache_store *s, const struct cache_draft *d)
{
        uint16_t count;
        size_t text = fields_measure(d->head, &count) + d->key.len + d->vary.len + d->body.len;
        size_t bytes = sizeof(struct cache_entry) + count * sizeof(struct http_field) + text;
        struct cache_entry *e;

        variants_prune(s, d);
        if (!cache_reserve(s, bytes))
                return NULL;
        if (!(e = malloc(bytes))) {
                cache_unreserve(s, bytes);
                return NULL;
        }
        *e = (struct cache_entry){ .status = d->status,
                                   .fields = (struct http_field *)(e + 1),
                                   .fields_count = count,
                                   .age = d->age,
                                   .answered = d->answered,
                                   .bytes = bytes };
        entry_fill(e, d, (char *)(e->fields + count));
        list_add(bucket_of(s, cache_key_hash(s, e->key)), &e->bucket_node);
        list_add(&s->lru, &e->lru_node);
        s->entries_count++;
        return e;
}
