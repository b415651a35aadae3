/*
 * llm/catalogue.h - which provider serves a model, and in which order they are tried. Built with the snapshot.
 */
#pragma once

#include "conf/conf.h"
#include "llm/listing.h"
#include "proxy/upstream.h"

struct snapshot;
struct shared;

struct provider {
        const struct conf_provider *conf;
        struct str name, base_path; /* "" or "/v1": as the base URL has it, without the last '/' */
        struct upstream upstream;   /* of one target */
        struct target target;
        struct str authorization; /* "Bearer KEY", or empty */
        struct listing listing;   /* what it serves */
};

/* One provider that may take a request, and what it calls the model. */
struct candidate {
        const struct provider *provider;
        struct str model;
        uint64_t weight, priority; /* those of equal priority share the requests */
};

enum { CANDIDATES_MAX = 32 };

struct catalogue {
        const struct conf *conf;
        struct provider *providers;
        size_t providers_count;
};

/* In `a`, with the providers' upstreams added to snap->upstreams. ERR_CONFIG (TLS, in the report), ERR_NO_MEMORY. */
MUST_USE
enum err catalogue_build(struct catalogue *c, const struct conf *conf, struct snapshot *snap,
                         struct shared *shared, struct arena *a, struct report *r);

void catalogue_fini(struct catalogue *c);

/* What the snapshot before knew of the same providers; before they are asked. */
void catalogue_adopt(struct catalogue *c, const struct catalogue *old);

/* Every name a caller may use and that is known, some of them more than once: the exact names of `models`, what the
 * providers of a pattern list, or without `models` what all providers list; and what those list that control published. */
typedef void catalogue_fn(void *context, struct str name, const struct provider *provider);
void catalogue_each(const struct catalogue *c, catalogue_fn *fn, void *context);

/* The providers of `model` that understand `dialect`, best first; returns how many. *is_known: the model is served, if only
 * in another dialect. Those that control published come behind the operator's own, and share what they have in common. */
size_t catalogue_find(const struct catalogue *c, struct str model, enum conf_dialect dialect,
                      struct candidate out[CANDIDATES_MAX], bool *is_known);

/* Puts candidates of equal priority in an order drawn by weight: each comes first as often as its share says. `draw` is a
 * number that differs from request to request. */
void candidates_spread(struct candidate *candidates, size_t count, uint64_t draw);

/* The name a model is counted under: what the operator wrote or `provider` (may be NULL) lists, else "other". */
struct str catalogue_label(const struct catalogue *c, struct str model, const struct provider *provider);
