/*
 * node/channel.h - the push channel as a node has it: what control wants of this machine, kept up for ever.
 *
 * Does:   connects with our certificate to the control it joined at, or to another that the document names (the section
 *         "controls"), when that one is gone; upgrades to WebSocket, reads documents and changes, checks and stores them, renews the
 *         certificate, tries again when the connection ends. Source: docs/protocol/nodes.md 4.
 * Not:    what a document means: the owner applies it and says how it went.
 * Thread: the loop's; stores documents (blocks for an fsync), so not for a loop that serves visitors.
 */
#pragma once

#include <stdbool.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "io/loop.h"
#include "io/resolver.h"
#include "node/state.h"
#include "wire/message.h"

struct node_channel;

struct node_channel_events {
        /*
         * A newer document, stored already. Answer with node_channel_applied or _refused, here or later; until then no other
         * comes. A refused one is replaced by the one before on disk, too. `is_renewal`: only the lease is longer; it is answered
         * for you.
         */
        void (*on_document)(void *context, struct wire_document *d, bool is_renewal);
        /* Welcomed, or no longer; `why` for the log. */
        void (*on_change)(void *context, bool is_up, const char *why);
        /* Control wants us no more: stop what it published. It is remembered in node.json; nothing more comes. */
        void (*on_gone)(void *context, struct str reason);
        /* SHARED, UNSHARED or ERROR. May be NULL. */
        void (*on_message)(void *context, const struct wire_message *m);
        /* The certificate was renewed; it is stored. May be NULL. */
        void (*on_papers)(void *context);
};

struct node_channel_conf {
        struct loop *loop;
        struct resolver *resolver;
        struct node_state *state; /* joined; kept */
        struct str program;
        struct wire_document *document; /* what is stored and in force, or NULL; shared (counted) */
        const struct node_channel_events *events;
        void *context;
};

/* Connects in a later turn. ERR_CONFIG: the papers in the state are no good; ERR_NO_MEMORY. */
MUST_USE enum err node_channel_new(const struct node_channel_conf *conf, struct node_channel **out);
void node_channel_stop(struct node_channel *c); /* free it after two more turns of the loop */
void node_channel_free(struct node_channel *c); /* free(NULL) is fine */

void node_channel_applied(struct node_channel *c);
void node_channel_refused(struct node_channel *c, struct str reason);

/* REPORT (kept, and said again after each reconnect), SHARE, UNSHARE. ERR_TOO_LARGE: too many wait. */
MUST_USE enum err node_channel_say(struct node_channel *c, const struct wire_message *m);

bool node_channel_is_up(const struct node_channel *c);
/* The address of the control it is connected to, or tried last; borrowed, changes with the next try. */
struct str node_channel_control(const struct node_channel *c);
