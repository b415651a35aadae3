/*
 * llm/llm.h - the AI routes of a gateway: catalogue of models, providers, pass-through and chat.
 *
 * The gateway calls these in this order: llm_shared_new before it forks; llm_new and llm_routes_add while a snapshot is
 * built; llm_start and llm_stop in a worker, when a snapshot comes into force and when it goes.
 */
#pragma once

#include "conf/conf.h"
#include "proxy/worker.h"

struct llm;        /* of one snapshot: hangs on snapshot->llm */
struct llm_shared; /* chat conversations, in memory shared by the workers; made once by the supervisor */

MUST_USE
enum err llm_shared_new(const struct conf_limits *limits, struct llm_shared **out);
void llm_shared_free(struct llm_shared *s); /* NULL is fine */

size_t llm_upstreams_count(const struct conf *c); /* providers: each an upstream of one target */
size_t llm_routes_count(void);

/* Builds the catalogue in the snapshot's arena and adds the providers' upstreams to snap->upstreams (which has room).
 * `r` says what is wrong with a provider's TLS. ERR_CONFIG, ERR_NO_MEMORY. */
MUST_USE
enum err llm_new(const struct conf *c, struct snapshot *snap, struct shared *shared, struct llm_shared *chats,
                 struct report *r);
void llm_free(struct llm *l); /* NULL is fine */

/* Adds the built-in AI routes to a table that has room for them. */
MUST_USE
enum err llm_routes_add(struct snapshot *snap, struct route_table *table);

/* Takes over what the worker learned under the snapshot before; between llm_stop of that and llm_start. */
void llm_adopt(struct llm *l, const struct llm *old);
void llm_start(struct llm *l, struct worker *w);
void llm_stop(struct llm *l);
