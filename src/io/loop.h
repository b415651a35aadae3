/*
 * io/loop.h - one event loop: watches on descriptors, posted tasks, and the turn's clock.
 *
 * A turn: wait → read the clock once → deliver events → fire due timers → run posted tasks → run `before_wait`.
 * Thread: owned by one worker; nothing here locks. Source: epoll(7), edge-triggered.
 */
#pragma once

#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/list.h"

struct loop;
struct watch;
struct task;

enum loop_events {
        LOOP_READ = 1 << 0,   /* there may be something to read, or the end */
        LOOP_WRITE = 1 << 1,  /* there may be room to write */
        LOOP_HANGUP = 1 << 2, /* the peer will send no more (RDHUP) or is gone (HUP) */
        LOOP_ERROR = 1 << 3,  /* a socket error is waiting: the next read or write gives it */
        LOOP_GONE = 1 << 4,   /* with one of the two above: both directions are over (HUP, reset) */
};

typedef void loop_watch_fn(struct watch *w, unsigned events);
typedef void loop_task_fn(struct task *t);

/* Embedded in its owner; one registration for both directions, edge-triggered: act until ERR_AGAIN. */
struct watch {
        loop_watch_fn *fn;
        int fd; /* -1 while not watched */
};

/* Embedded in its owner. */
struct task {
        struct list node;
        loop_task_fn *fn;
};

MUST_USE
enum err loop_new(struct loop **out);
void loop_free(struct loop *l); /* no watch, timer or task may be left; free(NULL) is fine */

/* In a forked child: gives up the parent's loop, whose watches stay the parent's. Nothing of it may be used any more. */
void loop_forget(struct loop *l);

void loop_run(struct loop *l); /* until loop_stop; the turn in which it was called is finished */
void loop_stop(struct loop *l);

/* One turn that waits at most `wait_ms`, MONO_NEVER for no bound (for tests and a supervisor that has its own wait). */
void loop_turn(struct loop *l, mono_ms wait_ms);

mono_ms loop_now(const struct loop *l);    /* monotonic, as read at the start of this turn */
int64_t loop_now_us(const struct loop *l); /* monotonic microseconds, likewise; for latency figures */
unix_ms loop_wall(struct loop *l);         /* wall clock, read when it is first asked for in a turn */
int64_t loop_clock_us(void);               /* read now: only where the turn's reading is too coarse */

/* Keeps `w` until loop_remove. The descriptor stays the caller's. */
MUST_USE
enum err loop_add(struct loop *l, struct watch *w, int fd, loop_watch_fn *fn);
/* Level-triggered and for reading only: listeners, where accepting stops at a bound and goes on in the next turn. */
MUST_USE
enum err loop_add_level(struct loop *l, struct watch *w, int fd, loop_watch_fn *fn);
/* Before the descriptor is closed. Events of this turn not yet delivered to `w` are dropped. May be removed already
 * (fd -1). */
void loop_remove(struct loop *l, struct watch *w);

void task_init(struct task *t, loop_task_fn *fn);
/* Runs once, after this turn's events; when posted by a task, in the next turn. Posting a posted task changes nothing. */
void loop_post(struct loop *l, struct task *t);
void loop_unpost(struct task *t);

/* Called before each wait, in the order of registration (at most 8): flush what was gathered in the turn. */
void loop_before_wait(struct loop *l, void (*fn)(void *context), void *context);
void loop_before_wait_remove(struct loop *l, void (*fn)(void *context), void *context);
