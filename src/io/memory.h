/*
 * io/memory.h - how much memory this process has allocated now, and where pools have theirs.
 */
#pragma once

#include <stdint.h>

#include "base/pool.h"

/* Bytes handed out by malloc and not freed, and those of memory_pages. Walks the allocator's free lists: a few times a second, not per request. */
uint64_t memory_allocated_bytes(void);

/* Mappings of their own, which the system has back at once. From any thread. */
extern const struct pool_source memory_pages;
