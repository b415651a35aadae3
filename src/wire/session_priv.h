/*
 * wire/session_priv.h - what both ends of the channel share. For this room only.
 */
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "wire/session.h"

/* Texts that wait to be sent, one message each. */
struct wire_queue {
        struct list list; /* of struct wire_queued */
        size_t count;
};
struct wire_queued {
        struct list node;
        enum wire_type type;
        struct buf text;
};
void wire_queue_init(struct wire_queue *q);
MUST_USE enum err wire_queue_add(struct wire_queue *q, const struct wire_message *m);
struct wire_queued *wire_queue_take(struct wire_queue *q); /* NULL: empty */
void wire_queued_free(struct wire_queued *q);              /* free(NULL) is fine */
void wire_queue_clear(struct wire_queue *q);

/* When to ask whether the other end is there, and when it is not. */
struct wire_pulse {
        mono_ms heard, asked;
        int64_t ping_ms;
};
void wire_pulse_begin(struct wire_pulse *p, mono_ms now);
bool wire_pulse_is_dead(const struct wire_pulse *p, mono_ms now);
bool wire_pulse_is_due(struct wire_pulse *p, mono_ms now); /* to ask; then it counts as asked */
mono_ms wire_pulse_deadline(const struct wire_pulse *p);
