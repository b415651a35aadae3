/*
 * answer.h - one answer of the sample model, from the request that asked to the last byte.
 *
 * The words follow from the request by a fixed rule: who it is, the last user's first words, then it counts. A token is
 * a word with the space before it. A tool call, or an answer that must be JSON, is cut into pieces of eight bytes.
 * Everything kept here is raw JSON text, so that it goes out as it came in.
 *
 * Thread: one loop's. Lives from the request's end until its last byte is written or its client has left.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/str.h"

#include "ask.h"
#include "fault.h"
#include "http.h"
#include "options.h"

enum { ANSWER_WORDS_MAX = 12, ANSWER_ECHO_MAX = 512, ANSWER_JSON_MAX = 1024, ANSWER_START_MAX = 512 };

enum answer_ending { ENDING_STOP, ENDING_LENGTH, ENDING_TOOL, ENDING_ABORT, ENDINGS };

struct answer;

/* How an answer is put on the wire: one table entry an endpoint. All append to `out`. */
struct dialect {
        const char *path;
        struct str stream_type; /* content-type of its stream */
        bool streams_unasked;   /* Ollama's default */
        /* What the request must have; an error text, or NULL. */
        const char *(*check)(const struct ask *ask, const struct http_request *r, const struct options *o);
        void (*fields)(const struct answer *a, struct buf *out); /* header lines of its own */
        void (*whole)(struct answer *a, struct buf *out);
        void (*open)(struct answer *a, struct buf *out);
        void (*token)(struct answer *a, unsigned i, struct buf *out);
        void (*close)(struct answer *a, struct buf *out);
        void (*fail)(struct answer *a, struct buf *out); /* an error event inside a stream */
};

struct conn;

struct answer {
        const struct dialect *dialect;
        struct conn *conn;
        uint64_t id;
        unsigned model_index;
        bool is_stream, is_tool, is_json, include_usage;
        enum answer_ending ending;
        unsigned prompt_tokens, tokens, step; /* tokens to say, and said */
        int64_t delay_ms, interval_ms, began_ms;
        struct fault fault;

        struct str model, echo[ANSWER_WORDS_MAX]; /* in `texts` */
        unsigned echo_count;
        struct str tool_name; /* in `texts` */
        size_t json_len, texts_len, start_len;
        unsigned sequence;    /* of events, where the dialect numbers them */
        unsigned event_bytes; /* of GET /sse */

        struct list link;             /* of its thread: those that run, or those that wait for a slot */
        char json[ANSWER_JSON_MAX];   /* arguments, or the JSON to say */
        char start[ANSWER_START_MAX]; /* what each token's event begins with */
        char texts[ANSWER_ECHO_MAX + 512];
};

/* Everything but the dialect's own state. `r` may name tokens, delay and interval. */
void answer_init(struct answer *a, const struct dialect *dialect, const struct ask *ask,
                 const struct http_request *r, const struct options *o, uint64_t id);

/* The i-th word, or piece of JSON, as raw JSON text. */
void answer_word(const struct answer *a, unsigned i, struct buf *out);
void answer_text(const struct answer *a, struct buf *out); /* all of them */
struct str answer_piece(const struct answer *a, unsigned i);

/* Keeps what stands in `out` from `from` on as the start of each token's event, and takes it out again. */
void answer_keep_start(struct answer *a, struct buf *out, size_t from);
static inline struct str answer_start(const struct answer *a)
{
        return (struct str){ a->start, a->start_len };
}

/* Appends JSON text as the inside of a JSON string. */
void add_quoted(struct buf *out, struct str raw);
#define ADD(out, lit) buf_add((out), STR(lit))
void add_number(struct buf *out, uint64_t number);

extern const struct dialect dialect_chat, dialect_completions, dialect_responses, dialect_messages,
        dialect_ollama_chat, dialect_ollama_generate, dialect_events;
