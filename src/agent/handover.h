/*
 * agent/handover.h - a new program takes over from the old one without a request lost (SIGUSR2).
 *
 * An agent listens nowhere, so there is nothing to hand over but its place: the new one is started (io/launcher.h), dials links
 * of its own beside the old one's and says so once it has all it can have; the old one lets control and the state folder go, closes
 * its end, and drains: gateways are told on its links to use the others. Should the new one end before, or not be ready within a
 * minute, the old one goes on as if nothing had been asked.
 *
 *   old   idle → waiting → over          the new one's word, its end, or the time
 *   new   dialling → said → service      the old one closed its end: control is ours to speak with
 */
#pragma once

#include "io/launcher.h"
#include "io/timer.h"

struct handover_events {
        /* The new one: whether each link is there that can be. */
        bool (*is_settled)(void *context);
        /* The new one is the service from here on. */
        void (*on_service)(void *context);
        /* The old one: the other serves; let control go inside of the call, and end. */
        void (*on_over)(void *context);
};

/* Embedded in its owner. */
struct handover {
        struct launcher launcher;
        bool is_heir; /* started by another, which is still the service */
        /* private */
        struct mailbox mailbox; /* to the other one */
        struct timer timer;
        struct loop *loop;
        const struct handover_events *events;
        void *context;
        int other_fd;
        bool is_waiting, has_said;
};

void handover_init(struct handover *s); /* first of all; forks */
/* Where it is the heir the questions begin. ERR_NO_MEMORY. */
MUST_USE enum err handover_open(struct handover *s, struct loop *loop, const struct handover_events *events,
                                void *context);
void handover_ask(struct handover *s);     /* SIGUSR2 */
void handover_give_up(struct handover *s); /* we end: whom we started does not begin */
