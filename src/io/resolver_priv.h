/*
 * io/resolver_priv.h - the three parts of the resolver: the kept answers (resolver.c), the questions over c-ares
 * (resolver_ares.c), the hosts file (resolver_hosts.c).
 */
#pragma once

#include "base/map.h"
#include "io/resolver.h"
#include "io/timer.h"

struct asker; /* the c-ares half */

enum { RESOLVER_NAME_BYTES_MAX = 253 };

struct answer {
        enum err err; /* ERR_OK: there are addresses */
        struct ip addresses[RESOLVER_ADDRESSES_MAX];
        size_t addresses_count;
        int64_t ttl_ms;
};

/* Told once for each question, perhaps inside asker_ask. */
typedef void asker_answer_fn(void *context, const struct answer *answer);

MUST_USE
enum err asker_new(struct loop *l, struct str servers, int64_t timeout_ms, struct asker **out);
void asker_free(struct asker *a); /* open questions get no answer */
/* `name` is NUL-terminated, borrowed during the call. */
void asker_ask(struct asker *a, const char *name, asker_answer_fn *fn, void *context);

struct hosts {
        struct map names; /* to struct hosts_entry */
        struct hosts_entry *entries;
};

struct hosts_entry {
        struct hosts_entry *next;
        struct answer answer;
        size_t len;
        char name[];
};

/* What cannot be read or understood is left out, as other programs do. */
void hosts_init(struct hosts *h, struct hash_key key);
void hosts_parse(struct hosts *h, struct str text);
void hosts_fini(struct hosts *h);
const struct answer *hosts_find(const struct hosts *h, struct str name); /* in lower case */
