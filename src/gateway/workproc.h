/*
 * gateway/workproc.h - what a worker process does, from its fork to its exit.
 */
#pragma once

#include "conf/conf.h"
#include "gateway/watchdog.h"
#include "io/sandbox.h"
#include "io/tls.h"
#include "llm/llm.h"
#include "proxy/worker.h"

struct workproc_input {
        unsigned index;
        struct shared *shared;
        struct llm_shared *llm_shared;
        struct conf *conf; /* taken: this process's copy of the supervisor's */
        uint64_t number;
        const uint8_t (*ticket_keys)[TLS_TICKET_KEY_BYTES]; /* two: the present one, the one before */
        unsigned ticket_keys_count;
        const int *listen_fds; /* this worker's own, in the order of the snapshot's listens; taken */
        size_t listen_fds_count;
        int mailbox_fd; /* taken */
        int keys_fd;    /* the channel to the key holder, taken; -1: there is none now */
        int whois_fd;   /* the channel to the tailnet process, taken; -1: there is none now */
        int mesh_fd;    /* the channel to the overlay process, taken; -1: there is none now */
        int access_fd;  /* the access log's file, taken; -1: there is none */
        struct sandbox_user user;
        const struct watchdog *watchdog;
        struct board *board;
};

/* Runs until drained or the supervisor is gone; returns the exit status. */
int workproc_run(const struct workproc_input *in);
