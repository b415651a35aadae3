/*
 * gateway/meshproc.h - the process that has this gateway's place in the overlay, and dials agents there for workers.
 *
 * It alone has the tunnel's key, which no worker sees, and a private network that leads nowhere but to agents of the document, each at its own
 * addresses (mesh/private.h). Who is called is found there by id; a worker that has fallen can have agents dialled at the one port where they
 * expect gateways, and nothing else.
 */
#pragma once

#include "base/str.h"

enum {
        MESHPROC_ATTEMPTS_MAX = 256,
        MESHPROC_IMPOSSIBLE = 3 /* exit status: this system gives no private network; the log says why */
};

struct meshproc_input {
        int mailbox_fd;
        const char *folder; /* the state folder */
        uint16_t port;      /* of UDP */
};

/* A new process's whole life; gives its exit status. */
int meshproc_run(const struct meshproc_input *in);
