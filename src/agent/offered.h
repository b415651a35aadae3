/*
 * agent/offered.h - what control published to this agent, as a source of configuration below its own file.
 *
 * Does:   reads the stored document (node/state.h) and makes of it `upstreams`, `agent.services`, `agent.gateways` and the papers,
 *         whose files' names begin with OFFERED_FOLDER and are read from here. Where its lease is over, `agent.services` is
 *         empty: gateways find only what the own file names. What may be dialled stays the own file's word (agent.allow).
 * Not:    how the document came (agent/joined.h). Blocks; for one conf_load.
 */
#pragma once

#include "base/buf.h"
#include "conf/source.h"
#include "node/state.h"

#define OFFERED_FOLDER "/sekisho.published/"

struct offered {
        struct conf_source source; /* give this to conf_load */
        /* private */
        struct conf_source *inner;
        bool is_on;
        struct node_state state;
        struct buf text;
};

/* Over `inner`, which is kept; `folder`: the state folder. Without a file of its own an agent has an empty one. Where there is no
 * document, or one that cannot be used (said in the log), the source is as `inner`. */
void offered_over(struct offered *o, struct conf_source *inner, const char *folder);
bool offered_is_on(const struct offered *o);
void offered_off(struct offered *o); /* from here on as `inner`: when it was the reason of a refusal */
void offered_fini(struct offered *o);
