/*
 * Theory of operation. A slab is aligned to its own size, a power of two, so that the slab of an object is found by masking
 * its address. One slab, the front, is taken from until nothing is left in it; the fullest of the others is the next. Those
 * stand in lists by how full they are, in a few levels; only what is put back moves one, from level to level.
 */
#include "base/pool.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/list.h"

enum { SLAB_BYTES_LEAST = 64 * 1024 /* a page, where pages are large */, SLAB_OBJECTS_LEAST = 8, LEVELS = 4 };

struct free_object {
        struct free_object *next;
};

struct slab {
        struct list node;
        const struct pool *pool;
        struct free_object *free;
        uint32_t taken, used; /* used: handed out at least once */
        _Alignas(max_align_t) char bytes[];
};

struct pool {
        const struct pool_source *source;
        size_t object_bytes, objects_max, taken;
        size_t slab_bytes;
        uint32_t slab_objects;
        unsigned level_shift;
        struct slab *front;         /* in no list; NULL: none yet */
        struct list levels[LEVELS]; /* slabs that have an object left */
        struct list full;
        size_t slabs_count;
        size_t empty_count, empty_least; /* but the front; least: since the last trim */
};

/* ---- slabs ---- */

static struct slab *slab_of(const struct pool *p, void *object)
{
        return (struct slab *)((uintptr_t)object & ~(uintptr_t)(p->slab_bytes - 1));
}

static struct slab *slab_new(struct pool *p)
{
        struct slab *s = p->source->take(p->slab_bytes);

        if (!s)
                return NULL;
        *s = (struct slab){ .pool = p };
        list_init(&s->node);
        MEMORY_POISON(s->bytes, p->slab_bytes - sizeof(*s));
        p->slabs_count++;
        return s;
}

static void slab_free(struct pool *p, struct slab *s)
{
        list_remove(&s->node);
        p->slabs_count--;
        MEMORY_UNPOISON(s->bytes, p->slab_bytes - sizeof(*s));
        p->source->give(s, p->slab_bytes);
}

/* ---- which slab is taken from ---- */

static unsigned level_of(const struct pool *p, uint32_t taken)
{
        return taken >> p->level_shift;
}

/* Out of the lists: the fullest of those that have an object left, else a new one. */
static struct slab *fullest(struct pool *p)
{
        struct slab *s = NULL;

        for (unsigned i = LEVELS; !s && i--;)
                s = LIST_FIRST(&p->levels[i], struct slab, node);
        if (!s)
                return slab_new(p);
        list_remove(&s->node);
        if (s->taken == 0) {
                p->empty_count--;
                p->empty_least = MIN(p->empty_least, p->empty_count);
        }
        return s;
}

static struct slab *front_next(struct pool *p)
{
        struct slab *next = fullest(p);

        if (next && p->front)
                list_add(&p->full, &p->front->node);
        if (next)
                p->front = next;
        return next;
}

/* An object of it came back. */
static void slab_place(struct pool *p, struct slab *s)
{
        unsigned level = level_of(p, s->taken);

        if (s->taken + 1 == p->slab_objects || level_of(p, s->taken + 1) != level) {
                list_remove(&s->node);
                list_add(&p->levels[level], &s->node);
        }
        if (s->taken == 0)
                p->empty_count++;
}

/* ---- the pool ---- */

/* The least power of two that holds as many objects as there may be, or some. */
static size_t slab_bytes_for(size_t object_bytes, size_t objects_max)
{
        size_t objects = MAX(MIN(objects_max, (size_t)SLAB_OBJECTS_LEAST), (size_t)1);
        size_t bytes = SLAB_BYTES_LEAST;

        while (bytes - sizeof(struct slab) < objects * object_bytes)
                bytes *= 2;
        return bytes;
}

struct pool *pool_new(size_t object_bytes, size_t objects_max, const struct pool_source *source)
{
        size_t align = _Alignof(max_align_t);
        struct pool *p = calloc(1, sizeof(*p));

        if (!p)
                return NULL;
        object_bytes = MAX(object_bytes, sizeof(struct free_object));
        p->object_bytes = (object_bytes + align - 1) & ~(align - 1);
        p->objects_max = objects_max;
        p->source = source;
        p->slab_bytes = slab_bytes_for(p->object_bytes, objects_max);
        p->slab_objects = (uint32_t)((p->slab_bytes - sizeof(struct slab)) / p->object_bytes);
        while (level_of(p, p->slab_objects - 1) >= LEVELS)
                p->level_shift++;
        for (unsigned i = 0; i < LEVELS; i++)
                list_init(&p->levels[i]);
        list_init(&p->full);
        return p;
}

static void slabs_free(struct pool *p, struct list *slabs)
{
        list_for_each_safe(node, slabs)
                slab_free(p, CONTAINER_OF(node, struct slab, node));
}

void pool_free(struct pool *p)
{
        if (!p)
                return;
        for (unsigned i = 0; i < LEVELS; i++)
                slabs_free(p, &p->levels[i]);
        slabs_free(p, &p->full);
        if (p->front)
                slab_free(p, p->front);
        free(p);
}

void *pool_take(struct pool *p)
{
        struct slab *s = p->front;

        if (p->taken == p->objects_max)
                return NULL;
        if ((!s || s->taken == p->slab_objects) && !(s = front_next(p)))
                return NULL;
        p->taken++;
        s->taken++;
        struct free_object *object = s->free;
        if (object) {
                MEMORY_UNPOISON(object, p->object_bytes);
                s->free = object->next;
                if (s->free) /* it was put back a while ago, and will be asked for its next */
                        __builtin_prefetch(s->free, 1);
                return object;
        }
        char *fresh = s->bytes + p->object_bytes * s->used++;
        MEMORY_UNPOISON(fresh, p->object_bytes);
        return fresh;
}

void pool_put(struct pool *p, void *object)
{
        if (!object)
                return;
        struct slab *s = slab_of(p, object);
        struct free_object *freed = object;

        assert(s->pool == p && s->taken > 0);
        freed->next = s->free;
        s->free = freed;
        p->taken--;
        s->taken--;
        if (s != p->front)
                slab_place(p, s);
        MEMORY_POISON(object, p->object_bytes);
}

void pool_trim(struct pool *p)
{
        size_t count = (p->empty_least + 1) / 2;

        list_for_each_safe(node, &p->levels[0]) {
                struct slab *s = CONTAINER_OF(node, struct slab, node);

                if (count == 0)
                        break;
                if (s->taken)
                        continue;
                slab_free(p, s);
                p->empty_count--;
                count--;
        }
        p->empty_least = p->empty_count;
}

size_t pool_taken_count(const struct pool *p)
{
        return p->taken;
}

size_t pool_objects_max(const struct pool *p)
{
        return p->objects_max;
}

size_t pool_slabs_count(const struct pool *p)
{
        return p->slabs_count;
}
