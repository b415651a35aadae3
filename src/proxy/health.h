/*
 * proxy/health.h - active checks of upstream targets, by one worker for all; the result stands in shared memory.
 *
 * A target goes down after `health_fall` failures in a row and up after `health_rise` successes. A check is a GET of the
 * health path on a connection of the target's pool.
 */
#pragma once

#include "proxy/worker.h"

struct health;

/* Checks every target of the snapshot that has a health path; NULL when none has, or no memory. Keeps the snapshot. */
struct health *health_start(struct worker *w, struct snapshot *snap);
void health_stop(struct health *h); /* NULL is fine */
