/*
 * io/signals.h - SIGHUP, SIGINT, SIGTERM, SIGCHLD, SIGUSR1 and SIGUSR2 as events of the loop; SIGPIPE is ignored.
 *
 * One a process. The signals are blocked while it is open, so that none arrives inside other code.
 */
#pragma once

#include <signal.h>

#include "io/loop.h"

struct signals;
typedef void signals_fn(struct signals *s, int number);

struct signals {
        signals_fn *fn;
        /* private */
        struct watch watch;
        struct loop *loop;
};

MUST_USE
enum err signals_open(struct signals *s, struct loop *l, signals_fn *fn);
void signals_close(struct signals *s);

/* In a forked child: the signals have their ordinary effect again, but SIGHUP, SIGINT and SIGTERM are ignored: what a
 * terminal sends to the whole group is the supervisor's to act on. */
void signals_leave_to_parent(void);
