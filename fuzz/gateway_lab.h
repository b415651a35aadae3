/*
 * fuzz/gateway_lab.h - a whole gateway worker in one process, between socket pairs: clients on one hand, an upstream on the
 * other, both played by the test.
 *
 * The configuration, the snapshot, the loop and every step are the real ones; only the listener is left out (a client is a
 * socket pair given to worker_accept), and the upstream is a Unix socket in a folder of its own. What reaches the upstream
 * is read with our strict reader as it comes: a byte that is not part of a well-formed request ends the program.
 */
#pragma once

#include "gateway/build.h"

enum { LAB_CLIENTS = 4, LAB_UPSTREAMS = 8, LAB_SEEN_BYTES_MAX = 64 * 1024 };

/* A connection that reached the upstream, and what it said. */
struct lab_upstream {
        int fd;          /* -1: not open */
        struct buf seen; /* not yet read through */
        size_t scanned;
        bool in_body, is_tunnel;
        struct h1_body body;
        uint64_t requests_count;
};

struct lab {
        /* Set by the caller after lab_open, or NULL: told when the worker's code begins and ends to run. */
        void (*watch)(bool is_running);
        struct loop *loop;
        struct shared shared;
        struct llm_shared *llm_shared;
        struct worker worker;
        uint64_t number; /* of the configuration in force */
        char folder[32], path[64];
        int listen_fd;
        int clients[LAB_CLIENTS]; /* -1: not connected */
        struct lab_upstream upstreams[LAB_UPSTREAMS];
};

/* ERR_NO_MEMORY and the like: nothing is left behind. */
MUST_USE enum err lab_open(struct lab *lab);
/* Everything of the worker must be given back by now: lab_hang_up before. */
void lab_close(struct lab *lab);

/* A new client in this place; the one before it is closed. */
void lab_client_connect(struct lab *lab, unsigned client);
void lab_client_send(struct lab *lab, unsigned client, struct str bytes);
/* Reads what is there, at most `max`; each piece must be ours: the first begins with "HTTP/1.1 ". Returns its size. */
size_t lab_client_receive(struct lab *lab, unsigned client, char *out, size_t max);
void lab_client_close(struct lab *lab, unsigned client);

/* Takes waiting connections, reads what came (at most `max` bytes each) and judges it. */
void lab_upstream_receive(struct lab *lab, size_t max);
void lab_upstream_send(struct lab *lab, unsigned upstream, struct str bytes);
void lab_upstream_close(struct lab *lab, unsigned upstream);

/* Puts the same configuration in force again. */
void lab_reload(struct lab *lab);
void lab_turn(struct lab *lab);

/* Closes every far end and turns until the worker holds nothing; ends the program when it still does after many turns. */
void lab_hang_up(struct lab *lab);
