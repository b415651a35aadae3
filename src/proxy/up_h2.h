/*
 * proxy/up_h2.h - a connection to an upstream target speaking HTTP/2: many exchanges at a time, each on a stream.
 *
 *   open → draining (GOAWAY, reload, worker ends) → closing
 *
 * A target has few of them: a second is made when the first has no free stream. The connection may be one that was dialled,
 * or any open stream that somebody else accepted (an agent that dials in and serves): who speaks first does not matter to it.
 * Theory of what is retried: a stream the target says it never looked at (REFUSED_STREAM, above a GOAWAY's last one) may go
 * again whatever its method; one that a lost connection took with it only when that does no harm.
 */
#pragma once

#include "proxy/exchange.h"
#include "proxy/upstream.h"

struct stream;
struct up_dial;
struct up_h2;

/*
 * Makes a connection of `t` from what `d` connected, or from an open stream (moved, see stream_move; on an error it stays the
 * caller's). `snap` owns the target and is shared. `is_probe`: not to be used until the peer has shown that it speaks HTTP/2; told by up_probed.
 */
MUST_USE enum err up_h2_start(struct up_dial *d, bool is_probe);
MUST_USE enum err up_h2_adopt(struct worker *w, struct snapshot *snap, struct target *t, struct stream *from);

/*
 * The same for a connection that serves many targets, of any snapshot: an agent's link. Exchanges begin on it with their own
 * target in target_in_use. `stand_in` is the connection's own, of no snapshot; it and `link` live until link_closed (links.h), which
 * comes last.
 */
struct link;
MUST_USE enum err up_h2_adopt_link(struct worker *w, struct target *stand_in, struct link *link,
                                   struct stream *from, struct up_h2 **out);
/* No new streams; closes when the last one ends. */
void up_h2_leave(struct up_h2 *h);
/* Now; its streams fail. */
void up_h2_cut(struct up_h2 *h);
uint32_t up_h2_streams_count(const struct up_h2 *h);
bool up_h2_is_leaving(const struct up_h2 *h);

/* A connection of `t` with a free stream, or NULL. A WebSocket asks for one that takes tunnels, or does not yet know. */
struct up_h2 *up_h2_find(const struct target *t, bool needs_tunnel);
/* True when a connection of `t` has said that it takes no tunnels. */
bool up_h2_refuses_tunnels(const struct target *t);
size_t up_h2_count(const struct target *t);

/* Opens a stream for x: exchange_start_up is called inside; or lets it wait for the peer's settings (x->is_connecting). */
MUST_USE enum err up_h2_begin(struct up_h2 *h, struct exchange *x);

/* No new streams; idle connections close now. */
void up_h2_drain(struct target *t);

extern const size_t up_h2_bytes, up_h2_stream_bytes; /* for the pools */
