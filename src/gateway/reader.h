/*
 * gateway/reader.h - a process that reads the configuration's files, so that the supervisor does not.
 *
 * Every process of a gateway is forked from the supervisor, and has what ever was in its memory, freed or not. So a short-lived
 * child reads and checks the files. It gives the supervisor a bundle, in which keys are public halves, and a sealed memory file
 * with the private ones, which the supervisor passes on to the key holder without looking into it (docs/decisions/0047).
 */
#pragma once

#include <sys/types.h>

#include "conf/conf.h"
#include "io/mailbox.h"
#include "io/timer.h"

struct supervisor;
struct reader;

enum reader_task {
        READER_FIRST,  /* the whole configuration; problems to stderr, as text */
        READER_RELOAD, /* the same; problems to the log */
        READER_KEYS,   /* only the keys that the configuration in force names */
        READER_PAIR,   /* the tailnet's own certificate, from tailscaled (tailnetcert.h) */
};

struct reading {
        enum err error;
        struct str problem; /* why, or the first of several reasons; until the callback returns */
        /* where it went well; the callee's */
        struct conf *conf;      /* of READER_FIRST, READER_RELOAD; else NULL */
        int bundle_fd, keys_fd; /* bundle_fd the same, else -1; keys_fd of READER_PAIR: key and chain */
        uint8_t pair_sha256[32];
        int64_t pair_not_after;
};

typedef void reader_fn(struct reader *r, struct reading *what);

/* Embedded in its owner, zero at first. */
struct reader {
        struct supervisor *supervisor;
        enum reader_task task;
        reader_fn *done;
        pid_t pid; /* 0: nothing is being read */
        struct mailbox mailbox;
        struct timer timer;
};

/* Calls `done` once, in a later turn. Not while one is under way. ERR_NO_MEMORY: no process could be made. */
MUST_USE enum err reader_start(struct reader *r, struct supervisor *s, enum reader_task task,
                               reader_fn *done);

void reading_drop(struct reading *what); /* what nobody takes */

/* The configuration of a bundle in a sealed memory file. */
MUST_USE enum err conf_of_bundle(int fd, struct conf **out);
