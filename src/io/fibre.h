/*
 * io/fibre.h - a call that can be left in its middle and taken up again, on a stack of its own.
 *
 * For a library that knows no "come back later" where we need one: OpenSSL while it wants a signature
 * (docs/decisions/0047). Everything else here is a state machine, and stays one.
 *
 * Thread: of one worker; a fibre goes on in the thread it began in. Never inside another fibre. Stacks have a guard page
 * below them; sanitizers are told of each change. Source: makecontext(3).
 */
#pragma once

#include <stdbool.h>

#include "base/compiler.h"

struct fibre;
typedef void fibre_fn(void *argument);

enum { FIBRES_MAX = 512 }; /* at a time, in this process */

/* NULL: as many as there may be are under way, or memory ran out. */
struct fibre *fibre_new(fibre_fn *fn, void *argument);

/* Runs it until it pauses (false) or its function has returned (true: it is gone). Not from inside a fibre. */
MUST_USE bool fibre_run(struct fibre *f);

/* Inside: back to who called fibre_run; returns when that is called again. */
void fibre_pause(void);

/* The one that runs now; NULL: none does. */
struct fibre *fibre_current(void);
