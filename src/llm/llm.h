/*
 * llm/llm.h - the AI routes of a gateway: catalogue of models, providers, pass-through and chat.
 *
 * The gateway's builder calls these in this order; a worker starts and stops what runs beside requests.
 */
#pragma once

#include "conf/conf.h"
#include "proxy/worker.h"

struct llm;        /* of one snapshot: hangs on snapshot->llm */
struct llm_shared; /* chat conversations, in memory shared by the workers; made once by the supervisor */

size_t llm_upstreams_count(const struct conf *c); /* providers, each an upstream of one target */
size_t llm_routes_count(void);

/* Builds the catalogue in the snapshot's arena and adds the providers' upstreams to snap->upstreams. */
MUST_USE enum err llm_new(const struct conf *c, struct snapshot *snap, struct shared *shared);
void llm_free(struct llm *l); /* NULL is fine */

/* Adds the built-in AI routes (their `is_builtin`, access, handler) to a table with room for them. */
MUST_USE enum err llm_routes_add(struct snapshot *snap, struct route_table *table);

/* In a worker, when a snapshot comes into force and when it goes: the providers' model lists are asked for. */
void llm_start(struct llm *l, struct worker *w);
void llm_stop(struct llm *l);
