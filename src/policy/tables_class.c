/* Classes: machines and users with the same identities share the units those give them. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "policy/tables_priv.h"

enum { BUCKETS_MIN = 1024 };

struct policy_classes *policy_classes_new(void)
{
        struct policy_classes *c = calloc(1, sizeof(*c));

        if (!c)
                return NULL;
        c->references = 1;
        c->buckets_count = BUCKETS_MIN;
        if (!(c->buckets = calloc(c->buckets_count, sizeof(struct policy_class *)))) {
                free(c);
                return NULL;
        }
        return c;
}

void policy_classes_put(struct policy_tables *t)
{
        struct policy_classes *c = t->classes;

        if (!c || --c->references)
                return;
        free(c->buckets);
        free(c);
}

static uint32_t subjects_hash(const struct policy_subjects *s)
{
        uint64_t h = s->count;

        for (size_t i = 0; i < s->count; i++)
                h = hash_u64(h ^ s->items[i]) + 0x9e3779b97f4a7c15ull;
        return (uint32_t)(h ^ h >> 32);
}

static const struct policy_set *units_of(struct policy_work *w, const struct policy_index *index,
                                         const struct policy_subjects *subjects)
{
        struct policy_units *u = w->t->units;

        memset(w->words, 0, u->words_count * sizeof(*w->words));
        for (size_t i = 0; i < subjects->count; i++)
                for (uint32_t n = index->starts[subjects->items[i]];
                     n < index->starts[subjects->items[i] + 1]; n++)
                        policy_words_add(w->words, index->lists[n]);
        return policy_set_intern(&u->pool, w->words);
}

/* Above the network, "*" is everybody who has an identity. */
static const struct policy_set *asker_units(struct policy_work *w, const struct policy_set *src)
{
        struct policy_units *u = w->t->units;

        for (size_t i = 0; i < u->words_count; i++)
                w->words[i] = policy_set_words(src)[i] | u->src_any[i] | u->src_all[i];
        return policy_set_intern(&u->pool, w->words);
}

static struct policy_class *class_new(struct policy_work *w, const struct policy_subjects *subjects,
                                      uint32_t hash)
{
        struct policy_units *u = w->t->units;
        struct policy_class *c = calloc(1, sizeof(*c));

        if (!c)
                return NULL;
        c->references = 1;
        c->hash = hash;
        c->subjects.count = subjects->count;
        c->subjects.items = malloc((subjects->count ? subjects->count : 1) * sizeof(*subjects->items));
        if (c->subjects.items) {
                if (subjects->count)
                        memcpy(c->subjects.items, subjects->items,
                               subjects->count * sizeof(*subjects->items));
                c->src = units_of(w, &u->src_by_subject, subjects);
                c->dst = units_of(w, &u->dst_by_subject, subjects);
        }
        if (c->src)
                c->asker = asker_units(w, c->src);
        if (c->src && c->dst && c->asker)
                return c;
        policy_set_put(&u->pool, c->asker);
        policy_set_put(&u->pool, c->src);
        policy_set_put(&u->pool, c->dst);
        policy_subjects_fini(&c->subjects);
        free(c);
        return NULL;
}

static void buckets_grow(struct policy_classes *c)
{
        size_t count = c->buckets_count * 2;
        struct policy_class **buckets = calloc(count, sizeof(struct policy_class *));

        if (!buckets)
                return;
        for (size_t i = 0; i < c->buckets_count; i++)
                for (struct policy_class *e = c->buckets[i], *next; e; e = next) {
                        next = e->next;
                        e->next = buckets[e->hash & (count - 1)];
                        buckets[e->hash & (count - 1)] = e;
                }
        free(c->buckets);
        c->buckets = buckets;
        c->buckets_count = count;
}

struct policy_class *policy_class_find(struct policy_work *w, const struct policy_subjects *subjects)
{
        struct policy_classes *classes = w->t->classes;
        uint32_t hash = subjects_hash(subjects);
        struct policy_class *c = classes->buckets[hash & (classes->buckets_count - 1)];

        for (; c; c = c->next)
                if (c->hash == hash && c->subjects.count == subjects->count &&
                    memcmp(c->subjects.items, subjects->items, subjects->count * sizeof(*subjects->items)) ==
                            0) {
                        c->references++;
                        return c;
                }
        if (!(c = class_new(w, subjects, hash))) {
                w->no_memory = true;
                return NULL;
        }
        if (classes->count++ > classes->buckets_count)
                buckets_grow(classes);
        struct policy_class **slot = &classes->buckets[hash & (classes->buckets_count - 1)];
        c->next = *slot;
        *slot = c;
        return c;
}

void policy_class_put(struct policy_tables *t, struct policy_class *c)
{
        struct policy_class **at;

        if (!c || --c->references)
                return;
        for (at = &t->classes->buckets[c->hash & (t->classes->buckets_count - 1)]; *at != c;
             at = &(*at)->next)
                ;
        *at = c->next;
        t->classes->count--;
        policy_set_put(&t->units->pool, c->src);
        policy_set_put(&t->units->pool, c->dst);
        policy_set_put(&t->units->pool, c->asker);
        policy_subjects_fini(&c->subjects);
        free(c);
}
