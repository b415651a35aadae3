/*
 * crypto/sha1.h - SHA-1, for the one place that still asks for it: the WebSocket handshake. Source: FIPS 180-4.
 *
 * Not for anything that must resist an attacker: collisions are cheap. Thread: any.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"

enum { CRYPTO_SHA1_BYTES = 20 };

void crypto_sha1(struct str data, uint8_t out[CRYPTO_SHA1_BYTES]);
