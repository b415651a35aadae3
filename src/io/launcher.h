/*
 * io/launcher.h - a process beside ours that can start the program that stands in our place, and nothing else.
 *
 * Does:   remembers how we were started before anything changed, and stays outside of what we close ourselves in with
 *         (sandbox.h): what begins anew from within would have every fence of ours, and more after each time.
 * Not:    what the new program is told, nor when we go: that is between it and us.
 *
 * It hears two words, neither of which names a program or an argument: who has taken us over can have the same program started
 * again, as the operator started it.
 */
#pragma once

#include <sys/types.h>

#include "base/compiler.h"
#include "io/mailbox.h"

struct launcher {
        struct mailbox mailbox;
        bool is_there;
        /* private */
        int fd;
};

/*
 * Forks. Call it first of all, with one thread and no loop. The new program finds its end of what launcher_start is given by the
 * number in the environment's `variable` (static). On an error it is not there, and the caller may go on without.
 */
MUST_USE enum err launcher_fork(struct launcher *l, const char *variable);
/* Once there is a loop. Where it is not there: nothing. */
MUST_USE enum err launcher_open(struct launcher *l, struct loop *loop);

/* Starts the program; `fd` stays the caller's. That it could not is seen by the other end of `fd` being closed. ERR_NOT_FOUND: the
 * launcher is not there. */
MUST_USE enum err launcher_start(struct launcher *l, int fd);
/* Kills what it started last, if that still runs. */
void launcher_kill(struct launcher *l);
