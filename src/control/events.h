/*
 * control/events.h - the stream of changes for people's programs: what the outbox says, as server-sent events.
 *
 * One event a changed row: its sequence number as id, `{"object":"services/sv-…","operation":"update"}` as data, so that a
 * program knows what to read again. A stream that is behind what the outbox still holds gets `reset`.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"

#include <stdint.h>

struct control;
struct events;
struct api_call;

MUST_USE enum err events_new(struct control *control, struct events **out);
void events_free(struct events *e);

void events_changed(struct events *e);
void events_stop(struct events *e); /* ends all streams */

/* A call whose key was good becomes a stream. */
void events_stream(struct api_call *c);
