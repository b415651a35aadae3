#include "io/memory.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

static _Atomic uint64_t mapped_bytes;

#ifdef WITH_ASAN
/* gcc 12 on Debian has no header for these. The leak checker does not look into mappings by itself. */
size_t __sanitizer_get_current_allocated_bytes(void);
void __lsan_register_root_region(const void *begin, size_t size);
void __lsan_unregister_root_region(const void *begin, size_t size);

static uint64_t malloc_bytes(void)
{
        return __sanitizer_get_current_allocated_bytes();
}

static void leaks_look_into(const void *memory, size_t bytes)
{
        __lsan_register_root_region(memory, bytes);
}

static void leaks_forget(const void *memory, size_t bytes)
{
        __lsan_unregister_root_region(memory, bytes);
}
#else
static uint64_t malloc_bytes(void)
{
        struct mallinfo2 m = mallinfo2();

        return m.uordblks + m.hblkhd;
}

static void leaks_look_into(const void *memory, size_t bytes) {}
static void leaks_forget(const void *memory, size_t bytes) {}
#endif

uint64_t memory_allocated_bytes(void)
{
        return malloc_bytes() + atomic_load_explicit(&mapped_bytes, memory_order_relaxed);
}

/* Twice as much as is needed has an aligned half in it; the rest goes back. */
static void *pages_take(size_t bytes)
{
        char *at = mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (at == MAP_FAILED)
                return NULL;
        size_t before = (size_t)(-(uintptr_t)at & (bytes - 1));
        if (before)
                munmap(at, before);
        munmap(at + before + bytes, bytes - before);
        atomic_fetch_add_explicit(&mapped_bytes, bytes, memory_order_relaxed);
        leaks_look_into(at + before, bytes);
        return at + before;
}

static void pages_give(void *memory, size_t bytes)
{
        leaks_forget(memory, bytes);
        atomic_fetch_sub_explicit(&mapped_bytes, bytes, memory_order_relaxed);
        munmap(memory, bytes);
}

const struct pool_source memory_pages = { .take = pages_take, .give = pages_give };
