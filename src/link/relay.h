/*
 * link/relay.h - a relay: carries packets between keys that were told to it, over TLS 1.3, as DERP or WebSocket.
 *
 * Does:   TLS and HTTP's upgrade, proof that a client has its key, forwarding, a bounded queue a client (oldest first out).
 * Not:    reading what it carries (WireGuard's, sealed end to end), telling anybody who else is here.
 * Thread: the loop's.
 *
 * A client is sent what permitted others sent to it, an answer to each ping, and an empty frame a minute; nothing else. What is
 * for somebody who is not here, or not permitted, is dropped and counted. A key that connects again ends its older connection.
 */
#pragma once

#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "io/loop.h"
#include "io/tls.h"
#include "link/permit.h"

struct link_relay;

enum {
        LINK_RELAY_QUEUE_BYTES = 256 * 1024, /* waiting for one client */
        LINK_RELAY_HEAD_BYTES_MAX = 4096,
        LINK_RELAY_LOGIN_MS = 10 * 1000, /* from accept to a proven key */
        LINK_RELAY_KEEPALIVE_MS = 60 * 1000,
        LINK_RELAY_STUCK_MS = 60 * 1000, /* nothing of a full queue could be sent for so long */
};

struct link_relay_conf {
        struct loop *loop;
        struct tls_context *tls; /* shared (counted) */
        size_t clients_max;
};

/* ERR_NO_MEMORY. It knows nobody yet. */
MUST_USE enum err link_relay_new(const struct link_relay_conf *conf, struct link_relay **out);
/* Closes all; to be freed after two more turns of the loop. */
void link_relay_stop(struct link_relay *r);
void link_relay_free(struct link_relay *r); /* free(NULL) is fine */

/* Takes the permits. Clients that are known no more are closed; the others feel nothing. */
void link_relay_set_permit(struct link_relay *r, struct link_permit *permit);

/* Takes a connection just accepted. */
void link_relay_accept(struct link_relay *r, int fd);

#define LINK_RELAY_COUNT_LIST(X)                                                          \
        X(FORWARDED, "forwarded", "packets that went on")                                 \
        X(ABSENT, "absent", "for somebody who is not here")                               \
        X(NOT_PERMITTED, "not_permitted", "between keys that may not talk")               \
        X(DROPPED_OLDEST, "dropped_oldest", "packets that gave way to newer ones")        \
        X(ACCEPTED, "accepted", "connections")                                            \
        X(FULL, "full", "connections closed because there are too many")                  \
        X(BAD_REQUEST, "bad_request", "connections that did not ask for a relay")         \
        X(OLD_TLS, "old_tls", "connections with less than TLS 1.3")                       \
        X(LOGIN_TIMEOUT, "login_timeout", "connections that did not prove a key in time") \
        X(NOT_PROVEN, "not_proven", "connections that do not have the key they named")    \
        X(UNKNOWN_KEY, "unknown_key", "connections of a key nobody told us of")           \
        X(MALFORMED, "malformed", "connections that broke the protocol")                  \
        X(UNKNOWN_FRAME, "unknown_frame", "frames of a type we do not know")              \
        X(REPLACED, "replaced", "connections whose key came again")                       \
        X(STUCK, "stuck", "connections that took nothing any more")

enum link_relay_count {
#define X(name, label, text) LINK_RELAY_##name,
        LINK_RELAY_COUNT_LIST(X)
#undef X
                LINK_RELAY_COUNTS
};

const char *link_relay_count_label(enum link_relay_count which);
uint64_t link_relay_count(const struct link_relay *r, enum link_relay_count which);
size_t link_relay_clients_count(const struct link_relay *r); /* with a proven key */
