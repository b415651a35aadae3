/*
 * llm/conversation.h - the short memory of /api/v1/chat: what was said before, per caller and session.
 *
 * In memory shared by the workers, because the next message of a session may reach another one. Bounded in sessions, in
 * bytes and messages of each, in age, and in all (the session unused for longest gives way). One lock, held for copying
 * only; a worker that dies holding it costs the conversations, nothing else. Nothing is written to disk.
 */
#pragma once

#include "base/buf.h"
#include "base/clock.h"
#include "base/compiler.h"

enum { CONVERSATION_KEY_BYTES = 32 };

enum conversation_role { CONVERSATION_USER, CONVERSATION_ASSISTANT };

struct conversation_limits {
        size_t sessions_max, messages_max, bytes_max; /* messages and bytes of one session */
        size_t total_bytes_max;
        int64_t age_ms;
};

struct conversations;

/* One shared mapping, inherited by fork. NULL: no memory. */
MUST_USE
struct conversations *conversations_new(const struct conversation_limits *limits);
void conversations_free(struct conversations *c); /* NULL is fine */

/* Appends what is kept of the session to `out`: records for conversation_next. Nothing for an unknown or aged one. */
void conversation_read(struct conversations *c, const uint8_t key[CONVERSATION_KEY_BYTES], mono_ms now,
                       struct buf *out);

/* Adds a question and its answer; the oldest messages go where the bounds ask for it. */
void conversation_add(struct conversations *c, const uint8_t key[CONVERSATION_KEY_BYTES], mono_ms now,
                      struct str question, struct str answer);

/* Takes one message off the front of *records. */
bool conversation_next(struct str *records, enum conversation_role *role, struct str *text);

size_t conversations_count(struct conversations *c);
