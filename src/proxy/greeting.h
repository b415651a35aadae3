/*
 * proxy/greeting.h - a connection of a TLS listener whose first message is awaited: it says who is to end it.
 *
 *   awaited → an agent's: links.h, here or in another worker
 *           → passed on unopened: pass.h
 *           → a visitor's, as is whatever cannot be read: TLS ends here, and says best what is wrong
 *
 * Read without touching it (io/peek.h, io/hello.h), within limits.tls_ms. A ClientHello may come in any pieces; one that is longer than
 * PEEK_BYTES_MAX, has no name, or hides the true one (ECH) is judged by the name that can be seen, or ends here.
 */
#pragma once

#include "proxy/down.h"

struct greeting;

/* Takes fd. `peer` NULL: the socket's own, and then it may be an agent's. */
void greeting_open(struct worker *w, int fd, const struct listen_conf *listen, const struct down_peer *peer);
/* The inside of a WebSocket of an agent's: a link, or it is closed. Takes fd. */
void greeting_open_link(struct worker *w, int fd);
/* True when somebody but visitors may come in there. */
bool greeting_is_needed(const struct snapshot *s, const struct listen_conf *listen);
void greeting_close_all(struct worker *w);
