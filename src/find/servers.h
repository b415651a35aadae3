/*
 * find/servers.h - asks again and again which servers of models stand on this machine.
 *
 * Each usual place on 127.0.0.1 is asked in turn, by a request of the worker's own (proxy/call.h), all of them within a few seconds. What is
 * found changes `number`. Places that nobody answers at cost a refused connection. Thread: the worker's.
 */
#pragma once

#include "find/server.h"
#include "proxy/call.h"
#include "proxy/upstream.h"

enum { SERVERS_EVERY_MS = 3000, SERVERS_WAIT_MS = 1500 };

/* Embedded in its owner, zero before the start. */
struct servers {
        uint64_t number; /* one more with each change of what was found */
        /* private */
        struct worker *w;
        struct server_list places;
        struct servers_slot {
                struct upstream upstream;
                struct target target;
                bool is_there;
                struct server found;
                struct arena arena; /* of found */
        } slots[SERVER_PLACES_MAX];
        size_t at; /* which is asked */
        struct call call;
        struct buf body;
        struct str server_field;
        char server_text[64];
        struct timer timer;
        bool is_started, is_calling, is_made;
        bool is_ours; /* a gateway answered: what it lists is others' */
};

/* Of `list`, which is copied. Again after a stop: the first question comes late, when nothing refers to the old ones. */
void servers_start(struct servers *s, struct worker *w, const struct server_list *list);
void servers_stop(struct servers *s); /* also before a start */

/* The next that is there, from *at on, which begins as 0; NULL: no more. Borrowed until the loop's next turn. */
const struct server *servers_next(const struct servers *s, size_t *at);
