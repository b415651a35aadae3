/*
 * gateway/whoisclient.h - a worker's side of the tailnet process: whose callers are, and the exchanges that wait for it.
 *
 * The number of questions is bounded, and each has a deadline. When the tailnet process is gone whoever waits, or asks, hears that
 * nobody can be asked: nobody is let in meanwhile.
 */
#pragma once

#include "io/timer.h"
#include "proxy/caller.h"

enum { WHOISCLIENT_WAITING_MAX = 1024 };

struct whoisclient {
        struct caller_asker asker; /* for the worker */
        /* private */
        struct loop *loop;
        struct watch watch; /* fd -1: there is no tailnet process now */
        struct list waiting;
        unsigned waiting_count;
        uint32_t number;
        struct timer look;
};

/* Takes the channel's descriptor; -1: there is none yet. */
void whoisclient_init(struct whoisclient *c, struct loop *l, int fd);
/* There is another tailnet process. Takes the descriptor. */
void whoisclient_channel_set(struct whoisclient *c, int fd);
