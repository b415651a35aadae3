#include "wg/ratelimiter.h"

#include <stdlib.h>
#include <string.h>

#include "wg/messages.h"

/*
 * Theory of operation: the table is cut into sets of a few entries; a source's hash names its set. An entry whose bucket
 * has had the time to fill up again holds nothing worth keeping and may be taken over, so there is nothing to sweep.
 */
enum { SETS = 1024, WAYS = 4 };

#define TOKEN_MS  (1000 / WG_SOURCE_RATE)
#define BUCKET_MS (TOKEN_MS * WG_SOURCE_BURST) /* a full bucket, in time */

struct entry {
        uint8_t family;
        uint8_t bytes[8];
        mono_ms since;    /* when `saved` was true */
        int32_t saved_ms; /* time saved up; one handshake costs TOKEN_MS */
};

struct wg_ratelimiter {
        struct hash_key hash_key;
        struct entry sets[SETS][WAYS];
};

struct wg_ratelimiter *wg_ratelimiter_new(struct hash_key hash_key)
{
        struct wg_ratelimiter *r = calloc(1, sizeof(*r));

        if (r)
                r->hash_key = hash_key;
        return r;
}

void wg_ratelimiter_free(struct wg_ratelimiter *r)
{
        free(r);
}

static struct entry *entry_find(struct wg_ratelimiter *r, const struct entry *wanted, mono_ms now)
{
        struct str key = { (const char *)wanted->bytes, sizeof(wanted->bytes) };
        struct entry *set = r->sets[(hash_str(r->hash_key, key) + wanted->family) % SETS], *spare = NULL;

        for (size_t i = 0; i < WAYS; i++) {
                if (set[i].family == wanted->family &&
                    memcmp(set[i].bytes, wanted->bytes, sizeof(set[i].bytes)) == 0)
                        return &set[i];
                if (!set[i].family || now - set[i].since >= BUCKET_MS)
                        spare = &set[i];
        }
        if (spare)
                *spare = *wanted;
        return spare;
}

bool wg_ratelimiter_allow(struct wg_ratelimiter *r, struct ip source, mono_ms now)
{
        struct entry wanted = { .family = source.family, .since = now, .saved_ms = BUCKET_MS };
        memcpy(wanted.bytes, source.bytes, source.family == 4 ? 4 : 8);

        struct entry *e = entry_find(r, &wanted, now);
        if (!e)
                return false;
        mono_ms passed = MIN(now - e->since, (mono_ms)BUCKET_MS);
        e->saved_ms = MIN(e->saved_ms + (int32_t)passed, BUCKET_MS);
        e->since = now;
        if (e->saved_ms < TOKEN_MS)
                return false;
        e->saved_ms -= TOKEN_MS;
        return true;
}
