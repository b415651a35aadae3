#include "alloc.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/types.h>

/* mmap64: with 64-bit file offsets mmap is another name of it. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset);

static unsigned fail_at, count;
static size_t last_bytes;

void alloc_fail_at(unsigned n)
{
        fail_at = n;
        count = 0;
}

bool alloc_failed(void)
{
        return fail_at && count >= fail_at;
}

unsigned alloc_count(void)
{
        return count;
}

size_t alloc_last_bytes(void)
{
        return last_bytes;
}

static bool is_refused(size_t bytes)
{
        last_bytes = bytes;
        if (++count != fail_at)
                return false;
        errno = ENOMEM;
        return true;
}

void *__wrap_malloc(size_t size)
{
        return is_refused(size) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
        return is_refused(n * size) ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
        return is_refused(size) ? NULL : __real_realloc(old, size);
}

void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
        return is_refused(size) ? MAP_FAILED : __real_mmap64(at, size, protection, flags, fd, offset);
}
