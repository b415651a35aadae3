/*
 * proxy/down_h1.h - a client's connection speaking HTTP/1.1.
 *
 *   idle ─head→ reading ─exchange→ active ─answered→ flushing → idle | closing
 *
 * Embedded stream, pooled by the worker; no buffer while idle.
 */
#pragma once

#include "proxy/worker.h"

struct down_h1;

/* Who is connected, where a PROXY header said so. */
struct down_peer {
        struct ip ip;
        uint16_t port;
};

/* Takes fd; refuses (closes) when a limit is reached. `peer` NULL: the socket's own. */
void down_h1_open(struct worker *w, int fd, const struct listen_conf *listen, const struct down_peer *peer);

/* Draining: closes the connection when it is idle, else after its answer. */
void down_h1_drain(struct list *node);

extern const size_t down_h1_bytes; /* of the struct, for the pool */
