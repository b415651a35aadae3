/*
 * gateway/message.h - what the supervisor and its other processes say to each other over their mailboxes (io/mailbox.h).
 */
#pragma once

#include <stdint.h>

#include "base/ip.h"
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
        MESSAGE_HANDOVER, /* struct message_handover; fds: an agent's connection for another worker; and on from the
                             supervisor to that one */
        MESSAGE_FAILED, /* struct message_applied: it could not be built; the old one stays */
        /* supervisor → worker, key holder */
        MESSAGE_CHANNEL, /* struct message_channel; fds: one end of a worker's channel to the key holder (key_message.h) */
        /* supervisor → key holder, which answers with MESSAGE_APPLIED or MESSAGE_FAILED; its first word is MESSAGE_READY */
        MESSAGE_KEYS, /* struct message_applied; fds: the private keys (conf_keys_next) of that configuration */
        /* node process → supervisor (nodeproc.h) */
        MESSAGE_NODE_DOCUMENT, /* struct message_node: stored, to be read; answered with MESSAGE_NODE_APPLIED */
        MESSAGE_NODE_READ,     /* no body: what is stored means something else now; no answer */
        MESSAGE_NODE_APPLIED, /* struct message_read: how it went, and why */
        /* supervisor → node process */
        MESSAGE_NODE_ADDRESSES, /* where agents reach this gateway's TLS listeners: "IP:PORT", a line each; "!TEXT": what could not be opened */
        /* tailnet process → supervisor; MESSAGE_CHANNEL the other way */
        MESSAGE_TAILNET,       /* struct message_tailnet: from now on; again every few seconds */
        MESSAGE_WHOIS_CHANNEL, /* supervisor → worker: as MESSAGE_CHANNEL, to the tailnet process */
        /* supervisor → overlay process; MESSAGE_CHANNEL, too */
        MESSAGE_MESH_READ, /* no body: what is stored may say something else now */
        MESSAGE_MESH_CHANNEL, /* supervisor → worker: as MESSAGE_CHANNEL, to the overlay process (mesh_message.h) */
        /* reader → supervisor (reader.h) */
        MESSAGE_READ, /* struct message_read; fds where it went well: the bundle (only when it read the configuration), the keys or the tailnet's pair */
        /* an old supervisor → the one that took over */
        MESSAGE_METRICS, /* no body; fds: what was counted since the last time, where anything was (base/metrics.h) */
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

struct message_handover {
        uint32_t worker;
};

struct message_applied {
        uint64_t number;
};

struct message_channel {
        uint32_t worker;
};

/* Our place in the tailnet; zeroed before it is filled in, to be compared. */
struct message_tailnet {
        bool is_running;
        struct ip v4, v6; /* family 0: none */
        char certificate
                [256]; /* a host's name that tailscaled gets certificates for; empty: none is offered */
};

struct message_node {
        uint64_t epoch, version;
};

struct message_read {
        int32_t error;  /* enum err */
        char text[256]; /* the first problem; a NUL behind it */
        /* READER_PAIR: what the tailnet's certificate is (tailnetcert.h) */
        uint8_t pair_sha256[32];
        int64_t pair_not_after;
};
