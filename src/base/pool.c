#include "base/pool.h"

#include <assert.h>
#include <stdlib.h>

enum { SLAB_BYTES = 64 * 1024 };

struct slab {
        struct slab *next;
        _Alignas(max_align_t) char bytes[];
};

struct free_object {
        struct free_object *next;
};

struct pool {
        size_t object_bytes, objects_max, taken, slab_objects;
        struct free_object *free;
        struct slab *slabs;
        size_t slab_used; /* objects of the newest slab that were handed out at least once */
};

struct pool *pool_new(size_t object_bytes, size_t objects_max)
{
        size_t align = _Alignof(max_align_t);
        struct pool *p = calloc(1, sizeof(*p));

        if (!p)
                return NULL;
        object_bytes = MAX(object_bytes, sizeof(struct free_object));
        p->object_bytes = (object_bytes + align - 1) & ~(align - 1);
        p->objects_max = objects_max;
        p->slab_objects = MAX((size_t)1, MIN(SLAB_BYTES / p->object_bytes, objects_max));
        p->slab_used = p->slab_objects;
        return p;
}

void pool_free(struct pool *p)
{
        if (!p)
                return;
        while (p->slabs) {
                struct slab *slab = p->slabs;
                p->slabs = slab->next;
                MEMORY_UNPOISON(slab->bytes, p->slab_objects * p->object_bytes);
                free(slab);
        }
        free(p);
}

void *pool_take(struct pool *p)
{
        if (p->taken == p->objects_max)
                return NULL;
        if (p->free) {
                struct free_object *object = p->free;
                MEMORY_UNPOISON(object, p->object_bytes);
                p->free = object->next;
                p->taken++;
                return object;
        }
        if (p->slab_used == p->slab_objects) {
                struct slab *slab = malloc(sizeof(*slab) + p->slab_objects * p->object_bytes);
                if (!slab)
                        return NULL;
                slab->next = p->slabs;
                p->slabs = slab;
                p->slab_used = 0;
                MEMORY_POISON(slab->bytes, p->slab_objects * p->object_bytes);
        }
        char *object = p->slabs->bytes + p->object_bytes * p->slab_used++;
        MEMORY_UNPOISON(object, p->object_bytes);
        p->taken++;
        return object;
}

void pool_put(struct pool *p, void *object)
{
        if (!object)
                return;
        assert(p->taken > 0);
        struct free_object *freed = object;
        freed->next = p->free;
        p->free = freed;
        p->taken--;
        MEMORY_POISON(object, p->object_bytes);
}

size_t pool_taken_count(const struct pool *p)
{
        return p->taken;
}

size_t pool_objects_max(const struct pool *p)
{
        return p->objects_max;
}
