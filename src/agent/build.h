/*
 * agent/build.h - an agent's configuration as a snapshot of the proxy's: one route a service, found by its id.
 */
#pragma once

#include "conf/conf.h"
#include "proxy/shared.h"
#include "proxy/snapshot.h"

struct agent_build {
        struct conf *conf; /* taken by the snapshot on success */
        uint64_t number;
        struct shared *shared;
        const struct handler *announce; /* hears the gateway's word of which worker a link goes to */
        struct ways *const *ways;       /* of requests sent out; there by the first of them */
};

/* ERR_NO_MEMORY; ERR_CONFIG with the report saying why. */
MUST_USE enum err agent_build_snapshot(const struct agent_build *in, struct report *r, struct snapshot **out);
