/*
 * tests/unit/alloc.h - makes the n-th allocation of the code under test fail.
 *
 * A test that links alloc_dep has malloc, calloc, realloc and mmap of its own program and of our rooms counted (not
 * those inside the C library or other shared libraries). One thread.
 *
 *   for (unsigned n = 1; ; n++) {
 *           alloc_fail_at(n);
 *           ... run; it must say so and leave nothing behind ...
 *           if (!alloc_failed())
 *                   break;          // it took fewer than n allocations: all were tried
 *   }
 *   alloc_fail_at(0);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The n-th allocation from now on fails, once; 0: none. Starts the count anew. */
void alloc_fail_at(unsigned n);

/* True when the allocation named last did happen, and so failed. */
bool alloc_failed(void);

/* Allocations since alloc_fail_at, and the bytes asked for by the last of them. */
unsigned alloc_count(void);
size_t alloc_last_bytes(void);
