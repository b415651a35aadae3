/*
 * control/dispatch_bodies.h - bodies of requests that were sent out, as history keeps them: sealed.
 *
 * Does:   a row's bodies to boxes under control.key (certs/seal.h) before it is written, and back when it is shown. What a box is for names
 *         the request and the side, so that none can be put in another's place. An empty body has no box.
 * Not:    whether they are kept, and how long (dispatch_history.h); who is shown them (api_dispatch.c).
 * Thread: any; plain functions. `seal` does not change once control has started.
 */
#pragma once

#include "base/arena.h"
#include "certs/seal.h"
#include "store/dispatches.h"

/* The row's bodies become boxes, in the arena. ERR_NO_MEMORY: the row has none any more. */
MUST_USE enum err dispatch_bodies_close(const struct certs_seal *seal, struct arena *a,
                                        struct store_dispatch *row);

/* What was read of the store, back in the clear, in the arena. False: another key's, another row's, or damaged; *out is empty. */
enum dispatch_side { DISPATCH_ASKED, DISPATCH_ANSWERED };
bool dispatch_bodies_open(const struct certs_seal *seal, struct arena *a, const struct store_dispatch *row,
                          enum dispatch_side side, struct str *out);
