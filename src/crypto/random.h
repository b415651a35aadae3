/*
 * crypto/random.h - random bytes from the kernel, getrandom(2), and nothing else.
 *
 * Thread: any. Safe after fork, since no state is kept in the process.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Fills `out`. Waits at early boot until the kernel is seeded; never fails (a kernel that refuses ends the program). */
void crypto_random(void *out, size_t len);

uint64_t crypto_random_u64(void);

/* Evenly distributed in 0 to n - 1; n is not 0. */
uint32_t crypto_random_below(uint32_t n);
