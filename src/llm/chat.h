/*
 * llm/chat.h - POST /api/v1/chat and /api/v1/chat/stream: the predecessor's chat, by whichever provider has the model.
 *
 * The answer is made from a call of our own (proxy/call.h) that takes the same way as the model APIs: candidates in order,
 * failover before the first byte. Statuses are real; once a stream has begun, an error is an event and a broken connection.
 */
#pragma once

#include "llm/conversation.h"
#include "llm/passthrough.h"
#include "proxy/route.h"

/* handler_conf of the chat routes. */
struct chat_conf {
        const struct catalogue *catalogue;
        struct conversations *conversations; /* NULL: nothing is remembered */
        size_t message_bytes_max;
        struct passthrough openai, anthropic; /* where the calls go */
};

extern const struct handler chat_handler, chat_stream_handler;
