/*
 * gateway/message.h - what the supervisor and a worker say to each other over their mailbox (io/mailbox.h).
 */
#pragma once

#include <stdint.h>

#include "io/sandbox.h"

enum message_kind {
        /* supervisor → worker */
        MESSAGE_APPLY, /* struct message_apply; fds: the bundle, the access log's file where there is one, then the listening
                          sockets in the snapshot's order */
        MESSAGE_TICKETS, /* TLS_TICKET_KEY_BYTES: the key of session tickets from now on */
        MESSAGE_DRAIN,   /* struct message_drain: finish what is under way, then exit */
        MESSAGE_REOPEN,  /* fds: the access log's new file, the old one was moved away */
        /* worker → supervisor */
        MESSAGE_READY,   /* struct message_ready: accepts, with that configuration, closed in as it says */
        MESSAGE_APPLIED, /* struct message_applied: the new configuration is in force */
        MESSAGE_TAKEN,   /* no body; a new supervisor to the old one: my workers are ready (upgrade.h) */
        MESSAGE_FAILED,  /* struct message_applied: it could not be built; the old one stays */
};

struct message_apply {
        uint64_t number;
        bool has_access_file;
};

struct message_ready {
        uint64_t number;
        struct sandbox sandbox;
};

struct message_drain {
        int64_t timeout_ms;
        bool is_patient; /* an idle connection stays until its next request is answered */
};

struct message_applied {
        uint64_t number;
};
