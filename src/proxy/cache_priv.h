/*
 * proxy/cache_priv.h - what the files of cache.h share: cache.c (the handler and filter), cache_own.c (one worker's), cache_flight.c (who
 * fetches for whom), cache_serve.c, cache_refresh.c.
 */
#pragma once

#include "proxy/cache.h"
#include "proxy/cache_fill.h"
#include "proxy/worker.h"

enum { CACHE_FLIGHTS_BUCKETS = 64, CACHE_WAITERS_MAX = 1024, CACHE_REFRESHES_MAX = 64 };

struct cache {
        struct worker *w;
        struct cache_store *store;
        struct list flights[CACHE_FLIGHTS_BUCKETS]; /* of struct cached: requests that fetch for others */
        struct list refreshes;
        size_t refreshes_count;
        uint64_t purges_seen;
        uint64_t evictions_counted;
        uint64_t generation; /* counts times everything was forgotten */
};

enum cached_phase { CACHED_NEW, CACHED_WAITS, CACHED_ASKS, CACHED_SERVES };

/* State of the filter and the handler for one exchange. */
struct cached {
        struct exchange *x;
        const struct cache_conf *conf;
        struct cache *cache;
        struct str key;
        enum cached_phase phase;
        bool is_usable; /* may be looked up, and kept */
        bool has_credentials, is_alone, has_waited;
        bool serves_now, serves_broken; /* `entry` is the answer: it was checked, or the upstream failed */
        bool is_validating, is_spoilt;
        const char *forwarded;                       /* why, for Cache-Status */
        struct str if_none_match, if_modified_since; /* the client's */
        struct cache_entry *entry;                   /* counted */
        unix_ms asked;
        uint64_t generation;
        struct cache_fill fill;

        /* fetching for others, or waiting for one */
        struct list flight_node, waiters;
        size_t waiters_count;
        struct cached *leader;
        struct list wait_node;
        struct timer timer;
};

/* Answers from the entry; `status` is Cache-Status' word behind "hit". The exchange has no up side. */
void cache_serve(struct cached *c, struct cache_entry *e, const char *status);

/* Has the entry fetched anew, beside the request that met it. Does nothing where that cannot be. */
void cache_refresh_start(struct cached *c, const struct cache_entry *e);
void cache_refresh_cancel_all(struct cache *cache);

/* The key of another target of the same origin; the pointer is NULL when memory runs out. */
struct str cache_key_of(struct exchange *x, struct str target);

/* ---- cache_unsafe.c ---- */
/* What an unsafe method that went well has changed, everywhere: its own URL, and those its answer names. */
void cache_unsafe_forget(struct cached *c, const struct http_head *answer);

/* ---- cache_own.c ---- */
/* Forgets what other workers, or the operator, said is to be forgotten. */
void cache_follow_purges(struct cache *c);
void cache_measure_store(struct cache *c);

/* ---- cache_flight.c ---- */
/* Waits for the one that fetches this key. False: there is none, or too many wait. */
bool cache_flight_join(struct cached *c);
/* Fetches for those that come meanwhile. */
void cache_flight_lead(struct cached *c);
bool cache_flight_leads(const struct cached *c);
/* The flight is over; `alone`: its answer helps nobody else. */
void cache_flight_land(struct cached *c, bool alone);
/* The leader failed: the first that waits takes its place, with the others behind it. */
void cache_flight_hand_on(struct cached *c);
/* Waits no more, if it did. */
void cache_flight_leave(struct cached *c);
/* Its time to wait is over: it asks by itself. */
void cache_flight_late(struct timer *t);
/* What is kept under this hash, and what is on its way in: that was asked for before. */
void cache_flight_forget(struct cache *c, uint64_t hash);
