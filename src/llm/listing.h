/*
 * llm/listing.h - what a provider says it serves: written in the configuration, or asked for and kept.
 *
 * A provider is asked when the snapshot comes into force, again every minute, and every five seconds while it does not
 * answer. A list once known stays until a better one comes, and goes over into the next snapshot.
 * One behind a link is a box of somebody's, which comes and goes: it is asked every two seconds, has nothing once it did not answer
 * twice, and is asked which forms of call it understands unless that is written (POST /v1/messages with an empty object: who knows the
 * path says what is missing). Thread: its worker.
 */
#pragma once

#include "conf/conf.h"
#include "proxy/call.h"

enum { LISTING_BODY_BYTES_MAX = 4 << 20, LISTING_NAMES_MAX = 10000 };

struct listing {
        const struct str *names;
        size_t names_count;
        bool is_known; /* false: nobody could be asked yet; the provider may serve anything */
        unsigned
                dialects; /* set of conf_dialect: what it understands; all that it may while nobody could be asked */
        /* private */
        const struct conf_provider *provider;
        struct upstream *upstream;
        struct worker *w;
        struct arena arena; /* of the names, when they were asked for */
        struct buf body;
        struct timer timer;
        struct call call;
        bool is_calling, is_started;
        unsigned failures;      /* in a row */
        int question;           /* what is asked at the moment */
        unsigned found;         /* of its dialects, so far */
        mono_ms dialects_since; /* they were found then; 0: not yet */
};

void listing_init(struct listing *l, const struct conf_provider *provider, struct upstream *upstream);
void listing_fini(struct listing *l);

/* Takes over what `old`, of the snapshot before, has learned of the same provider; before the start. */
void listing_adopt(struct listing *l, const struct listing *old);

/* Asks, unless the configuration has the list. */
void listing_start(struct listing *l, struct worker *w);
void listing_stop(struct listing *l);

/* Also by the name that Ollama takes for it: "qwen3" is "qwen3:latest". */
bool listing_has(const struct listing *l, struct str model);
