/*
 * io/memory.h - how much memory this process has allocated now.
 */
#pragma once

#include <stdint.h>

/* Bytes handed out by malloc and not freed. Walks the allocator's free lists: a few times a second, not per request. */
uint64_t memory_allocated_bytes(void);
