/*
 * proxy/down_h2.h - a client's connection speaking HTTP/2: one side for each of its streams.
 *
 *   stream: open ─list→ exchange ─answered→ released → closed       reset at any point, by either end
 *
 * A stream counts against the connection's limit until nothing of its request is under way any more, whoever reset it.
 * Bodies are taken from the client as the exchange takes them: what it did not take is kept, at most a window of it, and
 * the window is given back once it is gone. No buffer is held while the connection is quiet.
 */
#pragma once

#include "proxy/down.h"

/* The connection is open and speaks HTTP/2. `first` was received already: the client's preface, or its beginning. */
void down_h2_start(struct down *c, struct str first);

/* The worker's task for connections that had many streams reset (down_h2_lane.c). */
void down_h2_lane_run(struct task *t);

extern const size_t down_h2_bytes, down_h2_stream_bytes;
