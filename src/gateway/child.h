/*
 * gateway/child.h - a process beside the workers that is started again when it dies: later the more often it did.
 */
#pragma once

#include <sys/types.h>

#include "io/mailbox.h"
#include "io/timer.h"

struct supervisor;

struct child {
        struct mailbox mailbox; /* to it, while there is one */
        struct timer restart;   /* its keeper's: starts it again */
        pid_t pid;              /* 0: none */
        uint32_t deaths;        /* in quick succession */
        mono_ms started_at;
};

/* What the new process does with its end of the mailbox. Does not return. */
typedef void child_become_fn(struct supervisor *s, int mailbox_fd);

/* True: it runs and can be told. False: it could not be made, and `restart` is set; or it was killed, and its death follows. */
bool child_start(struct child *c, struct supervisor *s, child_become_fn *become,
                 mailbox_message_fn *on_message);
void child_died(struct child *c);                     /* it is not there any more */
void child_again(struct child *c, struct loop *loop); /* and is wanted: sets `restart` */
void child_end(struct child *c);                      /* killed, where there is one; none is started */

/* Of any process: counts a death in quick succession; and what to wait behind so many of them. */
uint32_t child_deaths(uint32_t before, mono_ms started_at, mono_ms now);
int64_t child_wait_ms(uint32_t deaths);
