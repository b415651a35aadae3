/*
 * agent/overlay.h - the agent's place in the overlay: calls gateways by UDP, and takes the connections that they make to it there.
 *
 * The tunnel is in a private network of this process (mesh/private.h): nothing else of this machine is reached through it. A connection from the
 * address of a gateway is taken for one of that gateway's, which then has to prove that it is (link/keeper.h); others are closed. An agent
 * calls each gateway at the addresses of its document, in turn until it answers.
 * Thread: the loop's.
 */
#pragma once

#include "agent/links.h"
#include "io/listener.h"
#include "mesh/private.h"
#include "node/overlay.h"

enum {
        AGENT_OVERLAY_PORT = 8443 /* where gateways find it inside; gateway/mesh_message.h */
};

struct agent_overlay_gateway;

/* Embedded in its owner; zero before it is opened. */
struct agent_overlay {
        /* private */
        struct mesh_private *private; /* NULL: not in the overlay */
        struct worker *worker;
        struct agent_links *links;
        const char *folder;
        uint16_t port;
        bool is_started, is_stopped;
        void (*on_released)(void *context);
        void *context;
        mono_ms idle_at; /* stopped: when the last link that came over it was seen */
        struct listener listener;
        int listen_fd;
        struct node_overlay stored;
        struct agent_overlay_gateway *gateways; /* as `stored` has them */
        struct timer look;
};

/* Before the process closes itself in. That it cannot be is said in the log, and the agent goes on without. */
void agent_overlay_open(struct agent_overlay *o, struct loop *l);
/* Begins `after_ms` from now; keeps `folder`, the state folder. The UDP port of gateways that do not say theirs. */
void agent_overlay_start(struct agent_overlay *o, struct worker *w, struct agent_links *links,
                         const char *folder, uint16_t port, int64_t after_ms);
/* What is stored may say something else now. */
void agent_overlay_read(struct agent_overlay *o);
/* Where its beginning was put off: there is nothing any more to wait for. */
void agent_overlay_begin(struct agent_overlay *o);
/*
 * No connection is taken any more; those that are there go on. `on_released` once, when the last of them has ended and what it said last
 * has had its time to arrive: the tunnel is gone then. Inside of the call where there are none.
 */
void agent_overlay_stop(struct agent_overlay *o, void (*on_released)(void *context), void *context);
void agent_overlay_free(struct agent_overlay *o); /* when the process ends */
