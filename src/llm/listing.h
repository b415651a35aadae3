/*
 * llm/listing.h - what a provider says it serves: written in the configuration, or asked for and kept.
 *
 * A provider is asked when the snapshot comes into force, again every minute, and every five seconds while it does not
 * answer. A list once known stays until a better one comes. Thread: its worker.
 */
#pragma once

#include "conf/conf.h"
#include "proxy/call.h"

enum { LISTING_BODY_BYTES_MAX = 4 << 20, LISTING_NAMES_MAX = 10000 };

struct listing {
        const struct str *names;
        size_t names_count;
        bool is_known; /* false: nobody could be asked yet; the provider may serve anything */
        /* private */
        const struct conf_provider *provider;
        struct upstream *upstream;
        struct worker *w;
        struct arena arena; /* of the names, when they were asked for */
        struct buf body;
        struct timer timer;
        struct call call;
        bool is_calling, is_started;
};

void listing_init(struct listing *l, const struct conf_provider *provider, struct upstream *upstream);
void listing_fini(struct listing *l);

/* Asks, unless the configuration has the list. */
void listing_start(struct listing *l, struct worker *w);
void listing_stop(struct listing *l);

bool listing_has(const struct listing *l, struct str model);
