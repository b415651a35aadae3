#include "io/memory.h"

#include <malloc.h>

#include "base/compiler.h"

#ifdef WITH_ASAN
#include <stddef.h>

size_t __sanitizer_get_current_allocated_bytes(void); /* gcc 12 on Debian has no header for it */

uint64_t memory_allocated_bytes(void)
{
        return __sanitizer_get_current_allocated_bytes();
}
#else
uint64_t memory_allocated_bytes(void)
{
        struct mallinfo2 m = mallinfo2();

        return m.uordblks + m.hblkhd;
}
#endif
