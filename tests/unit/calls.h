/*
 * tests/unit/calls.h - makes the n-th fallible call of the code under test fail: allocations, sockets, epoll.
 *
 * A test that links calls_dep has these calls of its own program and of our rooms counted while calls_count_on(true) (not
 * those inside shared libraries); each fails as it fails in life (ECONNRESET, EMFILE, ENOMEM, …). One thread.
 *
 *   for (unsigned n = 1; ; n++) {
 *           calls_fail_at(n);
 *           ... run, with calls_count_on around what is tried ...
 *           if (!calls_failed())
 *                   break;          // fewer than n calls: all were tried
 *   }
 */
#pragma once

#include <stdbool.h>

/* The n-th counted call from now on fails, once; 0: none. */
void calls_fail_at(unsigned n);
void calls_count_on(bool is_on);

/* Which call failed, or NULL when there were fewer. */
const char *calls_failed(void);
