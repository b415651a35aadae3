/*
 * io/loop_priv.h - what the room's own files share of a loop.
 */
#pragma once

#include "io/loop.h"

struct wheel;

struct wheel *loop_wheel(struct loop *l);

/* The watched descriptor gets another watch in place of `from`, with one system call. */
MUST_USE
enum err loop_move(struct loop *l, struct watch *from, struct watch *to, loop_watch_fn *fn);

/* Level-triggered for what is wanted, anew or in place of what was; for libraries that keep sockets of their own. */
MUST_USE
enum err loop_want_level(struct loop *l, struct watch *w, int fd, loop_watch_fn *fn, bool reads, bool writes);

/* Connections that are being read to their end after a lingering close (linger.c). */
struct list *loop_lingers(struct loop *l);
unsigned *loop_lingers_count(struct loop *l);

/* 16 KiB for gathering small vectors into one TLS record, made at the first use; NULL when memory runs out. Its content
 * is nobody's after the call that used it. */
enum { LOOP_SCRATCH_BYTES = 16 * 1024 };
char *loop_scratch(struct loop *l);
