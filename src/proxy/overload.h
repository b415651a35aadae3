/*
 * proxy/overload.h - what a worker gives up first when memory or descriptors run short, and what it keeps.
 *
 *   easy → (80 %) shedding: new requests get 503 where memory is short; connections nobody asked anything on go, oldest
 *   first; idle upstream connections go → (90 %) closed: accepting waits
 *
 * What is under way goes on. A level is left five percent below where it began, so that it does not flutter.
 */
#pragma once

#include "io/timer.h"

struct worker;

enum overload_level { OVERLOAD_EASY, OVERLOAD_SHEDDING, OVERLOAD_CLOSED, OVERLOAD_LEVELS };

struct overload {
        enum overload_level memory, descriptors;
        struct timer timer;
};

const char *overload_level_name(enum overload_level level); /* "easy"; static */

/* The level after `level` with `used` of `max` (0: no bound) in use. Pure. */
enum overload_level overload_next(enum overload_level level, uint64_t used, uint64_t max);

/* Looks four times a second, from now on. */
void overload_start(struct worker *w);
void overload_stop(struct worker *w);
/* Once more now: a connection came in, or the limits changed. Cheap but for the memory, which is looked at with `fully`. */
void overload_look(struct worker *w, bool fully);
bool overload_is_closed(const struct worker *w); /* accepting is to wait */
