/*
 * proxy/cache_rules.h - may this answer be kept, for whom, and how long is it fresh. Values in, values out.
 *
 * Source: RFC 9111 (caching), RFC 5861 (stale-while-revalidate, stale-if-error). Stricter than these where it is said:
 * nothing is fresh by guess; Set-Cookie is never kept; a cookie counts as a credential; a coded answer varies by
 * Accept-Encoding whether it says so or not. Seconds are bounded by CACHE_SECONDS_MAX.
 */
#pragma once

#include "base/buf.h"
#include "base/clock.h"
#include "http/head.h"

enum {
        CACHE_SECONDS_MAX = 31536000,
        CACHE_VARY_NAMES_MAX = 8,
        CACHE_VARY_BYTES_MAX = 2048,
        CACHE_ABSENT = -1
};

struct cache_control {
        bool no_store, no_cache, is_private, is_public, must_revalidate, only_if_cached;
        int64_t max_age, s_maxage, stale_while_revalidate, stale_if_error; /* CACHE_ABSENT */
};

/* All Cache-Control fields of a head. A directive said twice: the more careful one. A number that is none is 0. */
void cache_control_read(const struct http_head *head, struct cache_control *out);

/* How a kept answer ages. */
struct cache_age {
        int64_t lifetime_s;
        int64_t initial_s;                                  /* its age when it came; RFC 9111 4.2.3 */
        int64_t stale_while_revalidate_s, stale_if_error_s; /* 0 with must-revalidate */
        bool is_for_all;                                    /* also for requests with credentials */
};

/* NULL: keep it, *out is set. Else the word why not. Times: the request sent, its answer's head received. */
const char *cache_judge(const struct http_head *request, bool has_credentials, const struct http_head *answer,
                        unix_ms asked, unix_ms answered, struct cache_age *out);

int64_t cache_age_now(const struct cache_age *a, unix_ms answered, unix_ms now);

enum cache_state { CACHE_FRESH, CACHE_STALE_USABLE /* while it is asked anew */, CACHE_STALE };
enum cache_state cache_state_of(const struct cache_age *a, unix_ms answered, unix_ms now);
bool cache_serves_on_error(const struct cache_age *a, unix_ms answered, unix_ms now);

/* What the answer varies by, with the request's values: "name:value\n" each. ERR_UNSUPPORTED: by everything, or by more
 * than the bounds. */
MUST_USE enum err cache_vary_make(const struct http_head *request, const struct http_head *answer,
                                  struct buf *out);
bool cache_vary_matches(struct str vary, const struct http_head *request);

/* The client has it: If-None-Match, or without it If-Modified-Since, of the request against the kept answer's values.
 * RFC 9110 13.2.2. */
bool cache_is_not_modified(const struct http_head *request, struct str etag, struct str last_modified,
                           unix_ms now);
