/*
 * gateway/meshclient.h - a worker's side of the overlay process: sees to it that each agent that is there has a link of this worker's over the overlay.
 *
 * An agent is there while it proved itself lately. Where it has no such link one is asked for, again after a second doubling to
 * fifteen. What is got becomes a link like any other (proxy/links.h).
 */
#pragma once

#include "base/map.h"
#include "io/mailbox.h"
#include "proxy/worker.h"

struct meshclient {
        /* private */
        struct worker *worker;
        struct mailbox mailbox;
        bool is_open; /* there is an overlay process */
        struct map agents;
        struct list all;
        struct timer look;
};

/* Takes the channel's descriptor; -1: there is none yet. */
void meshclient_init(struct meshclient *c, struct worker *w, int fd);
/* There is another overlay process. Takes the descriptor. */
void meshclient_channel_set(struct meshclient *c, int fd);
