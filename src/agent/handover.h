/*
 * agent/handover.h - a new program takes over from the old one without a request lost (SIGUSR2).
 *
 * An agent listens nowhere, so there is nothing to hand over but its place: the new one is started (io/launcher.h), dials links
 * of its own beside the old one's and says so once it has all it can have; the old one lets control and the state folder go, says so,
 * and drains: gateways are told on its links to use the others. Should the new one end before, or not be ready within a
 * minute, the old one goes on as if nothing had been asked. What two cannot have at once and the old one needs to drain, it lets go
 * when it has: its end of the mailbox closes.
 *
 *   old   idle → waiting → over → free       the new one's word, its end, or the time; handover_let_go
 *   new   dialling → said → service → alone  control is ours to speak with; and all else, too
 */
#pragma once

#include "io/launcher.h"
#include "io/timer.h"

struct handover_events {
        /* The new one: whether each link is there that can be. `needs_none`: the old one has none of its own either. */
        bool (*is_settled)(void *context, bool needs_none);
        /* The new one is the service from here on. */
        void (*on_service)(void *context);
        /* The new one, after that: the old one holds nothing any more. */
        void (*on_alone)(void *context);
        /* The old one: whether it has links of its own. */
        bool (*has_links)(void *context);
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
        bool is_waiting, has_said, needs_none;
        bool is_let_go, is_over; /* of the old one */
        bool is_beside;          /* the new one: the old one's end is open */
};

void handover_init(struct handover *s); /* first of all; forks */
/* Where it is the heir the questions begin. ERR_NO_MEMORY. */
MUST_USE enum err handover_open(struct handover *s, struct loop *loop, const struct handover_events *events,
                                void *context);
void handover_ask(struct handover *s); /* SIGUSR2 */
/* The old one: it holds nothing any more that two cannot have at once. At any time, once is enough. */
void handover_let_go(struct handover *s);
void handover_give_up(struct handover *s); /* we end: whom we started does not begin */
