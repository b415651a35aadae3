/*
 * cli/probe.h - servers of models on this machine (find/server.h), asked once each.
 *
 * Who answers there may be anything: only an answer in the shape of a list of models counts, and what the server is called
 * follows from what it says about itself.
 */
#pragma once

#include "base/arena.h"
#include "cli/client.h"
#include "find/server.h"

/* Asks each place on 127.0.0.1, at most `wait_ms` each; the texts go into the arena. Returns how many were found. */
size_t probe_find(struct client *c, const struct server_list *list, int64_t wait_ms, struct arena *a,
                  struct server out[SERVER_PLACES_MAX]);

/* Asks 127.0.0.1:`port` alone, as an OpenAI-compatible server: its first model, or empty. */
struct str probe_first_model(struct client *c, uint16_t port, int64_t wait_ms, struct arena *a);
