/*
 * llm/chat_priv.h - what chat.c (the question, the call, a whole answer) and chat_stream.c share.
 */
#pragma once

#include "http/sse.h"
#include "llm/chat.h"
#include "llm/chat_answer.h"
#include "llm/chat_request.h"
#include "proxy/call.h"
#include "proxy/worker.h"

struct chat {
        struct side side; /* the up side of a stream */
        struct exchange *x;
        const struct chat_conf *conf;
        enum conf_dialect dialect;
        struct chat_request request;
        uint8_t key[CONVERSATION_KEY_BYTES];

        struct call call;
        bool is_calling, streams, has_started, is_over;
        bool is_ours; /* the call's answer is an error of our own: no provider could be reached, … */
        uint16_t provider_status;
        struct buf sent; /* the call's body */
        struct buf body; /* a whole answer, or an error's */
        struct chat_answer answer;

        struct sse_reader events;
        struct buf out; /* events on their way to the client */
        size_t out_given;
};

/* Cancels the call and gives all back; the struct itself is in the exchange's arena. */
void chat_fini(struct chat *c);
/* What was said is remembered only when the answer was whole. */
void chat_remember(struct chat *c);
struct str chat_model_used(const struct chat *c);
/* The call is over and no stream has begun. */
void chat_whole_end(struct chat *c, enum err e);

/* ---- chat_stream.c ---- */
/* The provider's head is good: the chat becomes the exchange's up side. */
void chat_stream_start(struct chat *c);
void chat_stream_feed(struct chat *c, struct str bytes);
/* Gives the client what it takes; true when nothing is left. */
bool chat_stream_give(struct chat *c, bool is_last);
/* The call is over, well or not. */
void chat_stream_end(struct chat *c, enum err e);
