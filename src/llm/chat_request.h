/*
 * llm/chat_request.h - what a caller of /api/v1/chat asks, and the body it becomes for a provider.
 *
 * The predecessor's fields; those that have no meaning here (channel, device, mode, …) and unknown ones are passed over,
 * as its clients send them.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "conf/conf.h"

struct chat_request {
        struct str message, session_id, model, system; /* in the arena; empty where not given */
        struct str temperature, top_p, frequency_penalty, presence_penalty,
                max_tokens; /* numbers as written */
};

struct chat_fault {
        uint16_t status;
        const char *refused, *message;
};

enum { CHAT_SESSION_ID_MAX = 128, CHAT_REQUEST_BYTES_MAX = 512 * 1024 };

/* ERR_MALFORMED or ERR_TOO_LARGE with *fault. Texts are in `a`. */
MUST_USE
enum err chat_request_parse(struct str body, size_t message_bytes_max, struct arena *a,
                            struct chat_request *out, struct chat_fault *fault);

/* The provider's body: system text, what was said before (records of conversation.h), the message. */
void chat_body_write(const struct chat_request *r, struct str model, struct str history,
                     enum conf_dialect dialect, bool streams, struct buf *out);
