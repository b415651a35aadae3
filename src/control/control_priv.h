/*
 * control/control_priv.h - what the files of this room share: the one control of the process.
 */
#pragma once

#include "control/id.h"
#include "control/secrets.h"
#include "io/listener.h"
#include "io/logsink.h"
#include "io/sandbox.h"
#include "io/signals.h"
#include "proxy/worker.h"

struct hub;
struct joins;
struct events;
struct lead;
struct dispatcher;
struct dispatch_history;

enum { CONTROL_URL_BYTES = 300, CONTROL_PATH_BYTES = 4096, CONTROL_KEYS_USED_MAX = 64 };

struct control {
        /* identity; fixed once it serves */
        const struct conf *conf;
        struct secrets secrets;
        char state[CONTROL_PATH_BYTES];
        char url[CONTROL_URL_BYTES]; /* how others reach it */
        unix_ms started;

        /* the process */
        struct loop *loop;
        struct signals signals;
        struct shared shared;
        struct worker worker;
        struct store *store;
        struct log_sink log, access;
        struct listener listener;
        int listen_fd;
        struct timer stop_timer, day_timer, minute_timer;
        bool is_stopping, is_serving;
        struct sandbox_paths reach; /* files it may still read and write (fences.h) */
        struct sandbox sandbox;
        uint64_t snapshots_count;
        int exit_status;

        /* who is there */
        struct lead *lead;
        struct hub *hub;
        struct joins *joins;
        struct events *events;
        struct dispatcher *dispatcher; /* NULL: off */
        struct dispatch_history *dispatch_history;

        /* keys that were used since the last minute */
        int64_t keys_used[CONTROL_KEYS_USED_MAX];
        size_t keys_used_count;
};

/* listen.c: the rules of the listener, with fresh certificates of our own. ERR_CONFIG: the report says what. */
struct report;
MUST_USE enum err control_snapshot(struct control *c, struct report *r, struct snapshot **out);

/* listen.c: a certificate of our own authority for ourselves, of that name in URI form, and its new key. Both are to be given back. */
struct wire_name;
MUST_USE enum err control_pair_make(struct control *c, const struct wire_name *who, struct str host,
                                    struct buf *chain, struct buf *key);

/* control.c: noted, and written to the store once a minute. */
void control_key_used(struct control *c, int64_t key);

/* The one time the link is shown: to who started us, never to the log. Wipes it. */
void control_link_show(struct control *c, char *link, size_t link_size);

/* Runs a job and waits for it: for the start, before anything is served. */
MUST_USE enum err control_wait(struct control *c, struct store_job *job);
