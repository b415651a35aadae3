/*
 * ask.h - what a request to a model asks for, in one pass over its body, whatever the dialect.
 *
 * The slices are raw JSON text (see walk.h) and point into the body.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

enum { ASK_PROPERTIES_MAX = 8 };

/* A property of the tool's parameters, or of the schema the answer must keep to. */
struct ask_property {
        struct str name, type;
        struct str choice; /* the first of its enum, as JSON text; empty when it has none */
};

struct ask_schema {
        struct ask_property properties[ASK_PROPERTIES_MAX];
        unsigned count;
};

struct ask_message {
        bool is_user, is_result; /* a result is what a tool gave back */
        struct str text;         /* its last text */
};

struct ask {
        struct str model;
        bool has_model, has_messages, has_input, has_prompt, has_max_tokens;
        bool has_stream, stream, include_usage, base64;
        bool has_tools, tool_forced, tool_refused, wants_json;
        unsigned tokens_max, dimensions; /* 0 when not named */
        unsigned prompt_tokens;          /* one a word of the texts */
        struct ask_message last;
        struct str tool_name;
        struct ask_schema tool, answer;
};

/* False when the body is not one JSON object. */
bool ask_parse(struct str body, struct ask *out);

/* Words of a raw JSON string. */
unsigned ask_words_count(struct str raw);
