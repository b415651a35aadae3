/*
 * cli/control_target.h - what stands beside an agent, as people type it: "agent/home:localhost:8080", "home:8080",
 * "home:tcp://localhost:22", "home:unix:/run/app.sock".
 */
#pragma once

#include "base/arena.h"
#include "base/compiler.h"
#include "base/str.h"

/*
 * Whose it is, and the URL that the agent dials; where no scheme is said, that of the service's kind. `agent` points into
 * `to`, `url` into `to` or the arena. False: no agent's name stands before a colon; nothing is written.
 */
MUST_USE bool control_target_split(struct str to, struct str kind, struct arena *a, struct str *agent,
                                   struct str *url);
