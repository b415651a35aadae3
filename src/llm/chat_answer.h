/*
 * llm/chat_answer.h - what a provider says, in either dialect and whole or in events, as plain text and counts.
 */
#pragma once

#include "base/buf.h"
#include "conf/conf.h"
#include "http/sse.h"

enum { CHAT_ANSWER_BYTES_MAX = 4 << 20 };

struct chat_answer {
        struct buf text;  /* all of it so far */
        struct buf model; /* as the provider names it */
        uint64_t tokens_in, tokens_out;
        bool is_finished;   /* the provider said that it is through */
        bool is_broken;     /* an error event, or an event that is no JSON */
        struct buf problem; /* the provider's own words for an error */
};

void chat_answer_init(struct chat_answer *a);
void chat_answer_fini(struct chat_answer *a);

/* A whole answer of status 200. ERR_MALFORMED: not in the dialect's shape. */
MUST_USE
enum err chat_answer_read(struct chat_answer *a, struct str body, enum conf_dialect dialect);

/* The message of an error answer, if there is one, into a->problem. */
void chat_answer_read_error(struct chat_answer *a, struct str body);

/* One event of a stream; what it adds to the text is at the end of a->text from the length before. */
void chat_answer_event(struct chat_answer *a, const struct sse_event *event, enum conf_dialect dialect);
