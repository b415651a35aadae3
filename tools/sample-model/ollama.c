/* Ollama's chat and generate: a stream of JSON lines, unless the request says no. */
#include "dialect.h"

static const char *check_chat(const struct ask *ask, const struct http_request *r, const struct options *o)
{
        (void)r, (void)o;
        return ask->has_messages ? NULL : "messages are required";
}

static const char *check_none(const struct ask *ask, const struct http_request *r, const struct options *o)
{
        (void)ask, (void)r, (void)o;
        return NULL;
}

static void add_fields(const struct answer *a, struct buf *out)
{
        (void)a, (void)out;
}

static void begin_line(const struct answer *a, struct buf *out)
{
        buf_add_char(out, '{');
        add_member(out, "model", a->model);
        ADD(out, "\"created_at\":\"" SAMPLE_CREATED_TEXT "\",");
}

static void add_call(const struct answer *a, struct buf *out)
{
        ADD(out, "\"tool_calls\":[{\"function\":{");
        add_member(out, "name", a->tool_name);
        ADD(out, "\"arguments\":");
        buf_add(out, (struct str){ a->json, a->json_len });
        ADD(out, "}}]");
}

static void add_done(const struct answer *a, struct buf *out)
{
        buf_addf(
                out,
                "\"done\":true,\"done_reason\":\"%s\",\"total_duration\":1000000,\"load_duration\":1000,"
                "\"prompt_eval_count\":%u,\"prompt_eval_duration\":1000,\"eval_count\":%u,\"eval_duration\":1000}",
                a->ending == ENDING_LENGTH ? "length" : "stop", a->prompt_tokens, a->tokens);
}

static void chat_whole(struct answer *a, struct buf *out)
{
        begin_line(a, out);
        ADD(out, "\"message\":{\"role\":\"assistant\",\"content\":\"");
        if (!a->is_tool)
                answer_text(a, out);
        buf_add_char(out, '"');
        if (a->is_tool) {
                buf_add_char(out, ',');
                add_call(a, out);
        }
        ADD(out, "},");
        add_done(a, out);
}

static void begin_nothing(struct answer *a, struct buf *out)
{
        (void)a, (void)out;
}

/* Ollama does not cut a call's arguments: they come whole, once. */
static void chat_token(struct answer *a, unsigned i, struct buf *out)
{
        if (a->is_tool && i > 0)
                return;
        begin_line(a, out);
        ADD(out, "\"message\":{\"role\":\"assistant\",\"content\":\"");
        if (a->is_tool) {
                ADD(out, "\",");
                add_call(a, out);
        } else {
                answer_word(a, i, out);
                buf_add_char(out, '"');
        }
        ADD(out, "},\"done\":false}\n");
}

static void chat_end(struct answer *a, struct buf *out)
{
        begin_line(a, out);
        ADD(out, "\"message\":{\"role\":\"assistant\",\"content\":\"\"},");
        add_done(a, out);
        buf_add_char(out, '\n');
}

static void generate_whole(struct answer *a, struct buf *out)
{
        begin_line(a, out);
        ADD(out, "\"response\":\"");
        answer_text(a, out);
        ADD(out, "\",\"context\":[1,2,3],");
        add_done(a, out);
}

static void generate_token(struct answer *a, unsigned i, struct buf *out)
{
        begin_line(a, out);
        ADD(out, "\"response\":\"");
        answer_word(a, i, out);
        ADD(out, "\",\"done\":false}\n");
}

static void generate_end(struct answer *a, struct buf *out)
{
        begin_line(a, out);
        ADD(out, "\"response\":\"\",\"context\":[1,2,3],");
        add_done(a, out);
        buf_add_char(out, '\n');
}

static void fail(struct answer *a, struct buf *out)
{
        (void)a;
        ADD(out, "{\"error\":\"the sample model was told to fail here\"}\n");
}

void error_body_ollama(struct buf *out, struct str text)
{
        ADD(out, "{\"error\":\"");
        buf_add(out, text);
        ADD(out, "\"}");
}

const struct dialect dialect_ollama_chat = {
        .path = "/api/chat",
        .stream_type = STR_INIT("application/x-ndjson"),
        .streams_unasked = true,
        .check = check_chat,
        .fields = add_fields,
        .whole = chat_whole,
        .open = begin_nothing,
        .token = chat_token,
        .close = chat_end,
        .fail = fail,
};

const struct dialect dialect_ollama_generate = {
        .path = "/api/generate",
        .stream_type = STR_INIT("application/x-ndjson"),
        .streams_unasked = true,
        .check = check_none,
        .fields = add_fields,
        .whole = generate_whole,
        .open = begin_nothing,
        .token = generate_token,
        .close = generate_end,
        .fail = fail,
};
