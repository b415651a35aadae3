/*
 * control/fences.h - control closes itself in (io/sandbox.h), in two steps: it has threads.
 *
 * Within reach stay its state folder, the folders of its configuration's files and the access log's, and what names and certificates need;
 * with PostgreSQL also what libpq reads of its user, and the system's libraries, which the first look-up of a name may load.
 */
#pragma once

#include "control/control_priv.h"
#include "io/sandbox.h"

/* The folders of the configuration's files are in c->reach. Once the listener is open, before the store's threads. ERR_DENIED. */
MUST_USE enum err fences_raise(struct control *c);
/* When nothing is to be started any more: no other call from here on, in any thread. Says so in the log. */
void fences_close(struct control *c);
