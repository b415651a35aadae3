/*
 * io/stream_priv.h - what the plain and the TLS half of a stream share.
 */
#pragma once

#include "io/stream.h"

/* Registers the stream; the descriptor is closed on an error. */
MUST_USE
enum err stream_start(struct stream *s, struct loop *l, int fd, const struct stream_events *events,
                      loop_watch_fn *fn);

/* The socket itself, below TLS. */
MUST_USE
enum err stream_raw_read(struct stream *s, void *bytes, size_t len, size_t *got);
MUST_USE
enum err stream_raw_write(struct stream *s, const struct iovec *parts, int parts_count, size_t *written);

/* Takes the bits of an event into the stream's state; gives what on_ready should be told. */
unsigned stream_note_events(struct stream *s, unsigned events);
