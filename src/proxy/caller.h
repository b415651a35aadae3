/*
 * proxy/caller.h - who a caller is by the private network it comes from (a tailnet): asked outside of the worker, while the
 * exchange waits.
 *
 * The step `authorise` asks where a route wants it. Fails closed: whoever cannot be asked about is nobody. What a request says
 * about its caller is believed in one case only: a Tailscale-User-Login field, where the configuration says that Tailscale's Serve is in
 * front, from this machine, on a connection that is nobody's of the tailnet.
 */
#pragma once

#include "proxy/exchange.h"

enum { CALLER_TAGS_MAX = 32, CALLER_WORD_BYTES_MAX = 320 };

/* A user or a tagged machine; never both. */
struct caller {
        struct str login, node; /* node: the machine's name, may be empty */
        const struct str *tags;
        size_t tags_count;
};

struct caller_question {
        struct list node; /* the asker's */
        struct exchange *x;
        uint32_t number; /* the asker's */
        mono_ms deadline;
        bool is_answered;
        /* private */
        void (*answered)(struct caller_question *q, enum err result, const struct caller *who);
        bool is_again;   /* about a tunnel that is open (revoke.h): memory of its own */
        enum err result; /* ERR_NOT_FOUND: nobody of the tailnet. Others: could not be found out */
        struct caller who;
};

/* Whoever runs the worker brings one; without it nobody is known. */
struct caller_asker {
        /* The peer's address and port, and ours it came to. ERR_TOO_LARGE: too many wait. Else caller_answered comes later. */
        enum err (*ask)(struct caller_asker *a, struct caller_question *q, const struct exchange_origin *o);
        void (*forget)(struct caller_asker *a, struct caller_question *q); /* no answer is wanted any more */
};

/* Once, with borrowed texts (`who` NULL where the result is not ERR_OK); the exchange goes on in a later turn, and may forget other questions now. */
void caller_answered(struct caller_question *q, enum err result, const struct caller *who);

struct str caller_name(const struct caller *who); /* the login or the first tag; never both are there */
const char *caller_result_word(enum err e);       /* the metric's label */

/*
 * Whether it is meant by `entry`: "tag:ci" a tag, letter by letter; "tag:*" every tagged machine; anything else a login, in which '*' of
 * the entry stands for any run and ASCII case does not count.
 */
bool caller_is(const struct caller *c, struct str entry);

/* Part of the step `authorise`: STEP_NEXT: x->caller is somebody of `list`. STEP_WAIT: call it again when it runs on. STEP_DONE: it was
 * refused; with `may_be_unknown` and nothing in x->refused: it is nobody of the network, and was not. */
enum step_result caller_find(struct exchange *x, const struct str *list, size_t count, bool may_be_unknown);
void caller_forget(struct exchange *x); /* the exchange ends */

/* X-Sekisho-Tailnet-Login, -Node and -Tags, for the upstream. */
MUST_USE enum err caller_fields_add(struct exchange *x);
