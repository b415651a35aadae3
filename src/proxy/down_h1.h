/*
 * proxy/down_h1.h - a client's connection speaking HTTP/1.1.
 *
 *   idle ─head→ reading ─exchange→ active ─answered→ flushing → idle | closing
 *
 * No buffer while idle.
 */
#pragma once

#include "proxy/down.h"

/* The connection is open: speaks HTTP/1.1 from here on. */
void down_h1_start(struct down *c);

/* The same, but all it says is one byte stream, passed on by origin.raw: what an upgrade is after its 101, from the first byte. */
void down_h1_start_raw(struct down *c);

extern const size_t down_h1_bytes;
