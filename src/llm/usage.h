/*
 * llm/usage.h - what an answer cost in tokens, read from its bytes in passing.
 *
 * Knows the usage members of OpenAI's chat, completions, embeddings and responses, of Anthropic's messages, whole or
 * as events, and the counts of Ollama's answers, whole or as lines. The last figure said wins: in a stream they are running totals. Figures over USAGE_TOKENS_MAX, and answers that
 * are not what their type says, are passed over. Keeps no byte of the answer beyond one event.
 * Sources: the providers' published API references (OpenAI chat, responses; Anthropic messages, streaming; Ollama API).
 */
#pragma once

#include "base/list.h"
#include "conf/conf.h"
#include "http/sse.h"
#include "json/scanner.h"

enum { USAGE_EVENT_BYTES_MAX = 1 << 20, USAGE_TOKENS_MAX = 1 << 30 };

struct usage {
        uint64_t tokens_in;  /* all of the prompt, what came from a cache too */
        uint64_t tokens_out; /* all that was generated, thinking too */
        bool is_known;       /* a figure was said */
        /* private */
        enum conf_dialect dialect;
        bool is_stream, is_broken;
        uint64_t bytes;
        struct json_scanner scanner;
        struct sse_reader events;
        struct list node; /* of who keeps it for the next answer */
};

/* Allocates nothing; memory for events grows with the first stream and is kept for the next. */
void usage_init(struct usage *u);
void usage_fini(struct usage *u);

/* An answer begins; what an earlier one left is forgotten. */
void usage_begin(struct usage *u, enum conf_dialect dialect, bool is_stream);
void usage_feed(struct usage *u, struct str bytes);
/* The answer is over, whole or not: the figures are set. */
void usage_end(struct usage *u);
