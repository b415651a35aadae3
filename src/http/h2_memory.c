#include "http/h2_memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

enum { STEP = 64, CLASSES = 16 }; /* up to 1 KiB, the block's own head included */

struct block {
        size_t class;                        /* CLASSES: of malloc */
        size_t bytes;                        /* without this head */
        _Alignas(max_align_t) char memory[]; /* at least a link, while it is free */
};

/* What a free block holds in place of its memory. */
struct link {
        struct block *next;
};

static _Thread_local struct block *kept[CLASSES];
static _Thread_local size_t kept_bytes;

static struct block *block_of(void *memory)
{
        return CONTAINER_OF((char *)memory, struct block, memory[0]);
}

static struct link *link_of(struct block *b)
{
        return (struct link *)(void *)b->memory;
}

static struct block *block_new(size_t class, size_t whole)
{
        struct block *b = malloc(whole);

        if (b) {
                b->class = class;
                b->bytes = whole - sizeof(*b);
        }
        return b;
}

static void *take(size_t bytes, void *context)
{
        size_t whole;

        if (__builtin_add_overflow(bytes, sizeof(struct block), &whole))
                return NULL;
        size_t class = (whole - 1) / STEP;
        struct block *b;
        if (class >= CLASSES) {
                b = block_new(CLASSES, whole);
        } else if (!kept[class]) {
                b = block_new(class, (class + 1) * STEP);
        } else {
                b = kept[class];
                kept[class] = link_of(b)->next;
                kept_bytes -= (class + 1) * STEP;
        }
        return b ? b->memory : NULL;
}

static void give(void *memory, void *context)
{
        if (!memory)
                return;
        struct block *b = block_of(memory);
        size_t whole = sizeof(*b) + b->bytes;

        if (b->class == CLASSES || kept_bytes + whole > H2_MEMORY_KEPT_MAX) {
                free(b);
                return;
        }
        link_of(b)->next = kept[b->class];
        kept[b->class] = b;
        kept_bytes += whole;
}

static void *take_zeroed(size_t count, size_t size, void *context)
{
        size_t bytes;
        void *memory = __builtin_mul_overflow(count, size, &bytes) ? NULL : take(bytes, context);

        if (memory)
                memset(memory, 0, bytes);
        return memory;
}

static void *retake(void *memory, size_t bytes, void *context)
{
        if (memory && block_of(memory)->bytes >= bytes)
                return memory;
        void *larger = take(bytes, context);

        if (memory && larger) {
                memcpy(larger, memory, block_of(memory)->bytes);
                give(memory, context);
        }
        return larger;
}

nghttp2_mem *h2_memory_keeping(void)
{
        static nghttp2_mem doors = { NULL, take, give, take_zeroed, retake };

        return &doors;
}

#ifdef WITH_ASAN
nghttp2_mem *h2_memory(void)
{
        return NULL;
}

void *h2_memory_take(size_t bytes)
{
        return malloc(bytes);
}

void h2_memory_give(void *memory)
{
        free(memory);
}
#else
nghttp2_mem *h2_memory(void)
{
        return h2_memory_keeping();
}

void *h2_memory_take(size_t bytes)
{
        return take(bytes, NULL);
}

void h2_memory_give(void *memory)
{
        give(memory, NULL);
}
#endif
