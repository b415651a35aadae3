/*
 * assembly/upstream.h - configured upstreams as a snapshot's.
 */
#pragma once

#include "conf/conf.h"
#include "proxy/shared.h"
#include "proxy/snapshot.h"

struct assembly {
        struct snapshot *s; /* its arena is used; upstreams has room */
        struct shared *shared;
        struct report *report;
};

/* Fills `u` and adds it to the snapshot's. `c` lives as long as the snapshot. ERR_NO_MEMORY; ERR_CONFIG with the report saying why. */
MUST_USE enum err assembly_upstream(const struct assembly *a, const struct conf_upstream *c,
                                    struct upstream *u);

/* The TLS contexts of all upstreams of a snapshot, whoever made them. */
void assembly_upstreams_put(struct snapshot *s);
