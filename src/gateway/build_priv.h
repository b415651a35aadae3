/*
 * gateway/build_priv.h - what build.c and build_routes.c share.
 */
#pragma once

#include "gateway/build.h"

/* What a builder carries along. */
struct build {
        const struct build_input *in;
        const struct conf *conf;
        struct snapshot *s;
        struct arena *arena;
        struct report *report;
};

/* What names a thing in memory that workers share. */
uint64_t build_key(const struct build *b, struct str text);

struct ip_list build_ip_list(const struct conf_prefixes *p);

/* The file's, the built-in ones, the providers'. Behind the upstreams. Errors as above. */
MUST_USE enum err build_routes(struct build *b);
/* When all else is there: they are counted from here on, and in maintenance where the gateway is. */
void build_routes_finish(struct build *b);
