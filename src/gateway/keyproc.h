/*
 * gateway/keyproc.h - what the key holder's process does, from its fork to its exit.
 *
 * It alone has the private keys of the listeners' certificates. It is closed in before it gets the first of them, has no
 * socket but those to the supervisor and the workers, and signs what TLS signs in a handshake (io/tls_keys.h), nothing else
 * (docs/decisions/0047).
 */
#pragma once

#include "gateway/board.h"
#include "gateway/watchdog.h"
#include "io/sandbox.h"

struct keyproc_input {
        int mailbox_fd; /* to the supervisor, taken */
        struct sandbox_user user;
        struct board *board;
        const struct watchdog *watchdog;
        unsigned beats_at;
};

/* Runs until the supervisor is gone; returns the exit status. */
int keyproc_run(const struct keyproc_input *in);
