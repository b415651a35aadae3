/*
 * proxy/settle.h - what an exchange gives back once it is a tunnel: all but what its record will say.
 *
 * A WebSocket lives for hours after a request of milliseconds. When the 101 is out, the words of the request that the
 * record needs move into one small block; the arena and the client's buffer go back to their pools.
 */
#pragma once

#include "proxy/exchange.h"

struct settled;

/* Does nothing when the exchange is no plain tunnel (its handler, unless it says that it does not, or a filter of its own may look at the
 * request), or when memory runs out. The answer's head has been sent. */
void exchange_settle(struct exchange *x);
