/*
 * agent/tell.h - tells control how links and targets stand and which addresses it sends from, when that changes and once a second at most.
 */
#pragma once

#include "agent/joined.h"
#include "agent/links.h"
#include "agent/sender.h"
#include "find/docker.h"
#include "find/servers.h"

/* Embedded in its owner. */
struct tell {
        struct joined *joined;
        struct agent_links *links;
        const struct sender *sender;
        struct worker *worker;
        const struct servers *servers; /* of models; kept */
        const struct docker *docker;
        struct timer timer;
        struct arena arena; /* of what was told last */
        struct buf last;
};

/* Keeps all; begins in a second. */
void tell_start(struct tell *t, struct joined *j, struct agent_links *links, const struct sender *sender,
                const struct servers *servers, const struct docker *docker, struct worker *w);
void tell_now(struct tell *t);  /* there is news */
void tell_stop(struct tell *t); /* nothing is told from here on */
