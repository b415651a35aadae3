/*
 * node/join.h - how a machine becomes a node: token, challenge, proof, certificate. Source: docs/protocol/nodes.md 2.
 *
 * Does:   asks control over TLS whose root is the token's, tries again when it cannot be reached, waits for approval, and
 *         writes node.json. A join that waits goes on after a restart, without the token.
 * Thread: the loop's; writes files (blocks for an fsync).
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "io/loop.h"
#include "io/resolver.h"
#include "node/state.h"

struct node_join;

struct node_join_conf {
        struct loop *loop;
        struct resolver *resolver;
        struct node_state *state; /* not joined yet; kept */
        struct str token_url;     /* "skauth-….0123…@https://…"; empty: go on with state->pending */
        struct str name, program; /* name: empty for control's choice. All copied */
        /* Something to tell the operator while it goes on: a try that failed, or that approval is awaited (ERR_AGAIN). */
        void (*on_wait)(void *context, enum err e, struct str text);
        /* ERR_OK: node.json is written, state->papers is it. Else it cannot succeed, and text says why. Not inside _start;
         * the join may be freed two turns later. */
        void (*on_done)(void *context, enum err e, struct str text);
        void *context;
};

/* ERR_MALFORMED: no token, or no https address behind it; ERR_NO_MEMORY. */
MUST_USE enum err node_join_start(const struct node_join_conf *conf, struct node_join **out);
void node_join_stop(struct node_join *j); /* free it after two more turns of the loop */
void node_join_free(struct node_join *j); /* free(NULL) is fine */
