#include "policy/set.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { BUCKETS_MIN = 256 };

bool policy_set_pool_init(struct policy_set_pool *p, uint32_t bits)
{
        *p = (struct policy_set_pool){ .bits = bits };
        p->words_count = MAX((bits + 63) / 64, 1u);
        p->summary_count = (p->words_count + 63) / 64;
        p->buckets_count = BUCKETS_MIN;
        p->buckets = calloc(p->buckets_count, sizeof(struct policy_set *));
        return p->buckets != NULL;
}

void policy_set_pool_fini(struct policy_set_pool *p)
{
        assert(p->sets_count == 0);
        free(p->buckets);
        *p = (struct policy_set_pool){ 0 };
}

static uint32_t words_hash(const uint64_t *words, size_t count)
{
        uint64_t h = count;

        for (size_t i = 0; i < count; i++)
                h = hash_u64(h ^ words[i]) + 0x9e3779b97f4a7c15ull;
        return (uint32_t)(h ^ h >> 32);
}

static bool buckets_grow(struct policy_set_pool *p)
{
        size_t count = p->buckets_count * 2;
        struct policy_set **buckets = calloc(count, sizeof(struct policy_set *));

        if (!buckets)
                return false;
        for (size_t i = 0; i < p->buckets_count; i++)
                for (struct policy_set *s = p->buckets[i], *next; s; s = next) {
                        next = s->next;
                        s->next = buckets[s->hash & (count - 1)];
                        buckets[s->hash & (count - 1)] = s;
                }
        free(p->buckets);
        p->buckets = buckets;
        p->buckets_count = count;
        return true;
}

const struct policy_set *policy_set_intern(struct policy_set_pool *p, const uint64_t *words)
{
        uint32_t hash = words_hash(words, p->words_count);
        struct policy_set **slot = &p->buckets[hash & (p->buckets_count - 1)], *s;

        for (s = *slot; s; s = s->next)
                if (s->hash == hash &&
                    memcmp(policy_set_words(s), words, p->words_count * sizeof(*words)) == 0) {
                        s->references++;
                        return s;
                }
        if (p->sets_count > p->buckets_count && buckets_grow(p))
                slot = &p->buckets[hash & (p->buckets_count - 1)];
        s = calloc(1, sizeof(*s) + (p->summary_count + p->words_count) * sizeof(*words));
        if (!s)
                return NULL;
        s->references = 1;
        s->hash = hash;
        s->summary_count = p->summary_count;
        memcpy(s->words + p->summary_count, words, p->words_count * sizeof(*words));
        for (uint32_t i = 0; i < p->words_count; i++)
                if (words[i])
                        s->words[i / 64] |= 1ull << (i % 64);
        s->next = *slot;
        *slot = s;
        p->sets_count++;
        return s;
}

const struct policy_set *policy_set_get(const struct policy_set *s)
{
        ((struct policy_set *)s)->references++;
        return s;
}

void policy_set_put(struct policy_set_pool *p, const struct policy_set *set)
{
        struct policy_set *s = (struct policy_set *)set, **at;

        if (!s || --s->references)
                return;
        for (at = &p->buckets[s->hash & (p->buckets_count - 1)]; *at != s; at = &(*at)->next)
                ;
        *at = s->next;
        p->sets_count--;
        free(s);
}
