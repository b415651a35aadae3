/* OpenAI's chat completions and completions. Source: the reference pages of the API, and what its SDK insists on. */
#include "dialect.h"

void add_id(struct buf *out, const char *prefix, uint64_t id)
{
        char digits[16];

        for (int i = 15; i >= 0; i--, id >>= 4)
                digits[i] = "0123456789abcdef"[id & 15];
        buf_add(out, str_of(prefix));
        buf_add(out, (struct str){ digits, sizeof(digits) });
}

void add_member(struct buf *out, const char *name, struct str raw)
{
        buf_add_char(out, '"');
        buf_add(out, str_of(name));
        ADD(out, "\":\"");
        buf_add(out, raw);
        ADD(out, "\",");
}

static const char *check_chat(const struct ask *ask, const struct http_request *r, const struct options *o)
{
        (void)r, (void)o;
        return ask->has_messages ? NULL : "you must provide a messages parameter";
}

static const char *check_prompt(const struct ask *ask, const struct http_request *r, const struct options *o)
{
        (void)r, (void)o;
        return ask->has_prompt ? NULL : "you must provide a prompt parameter";
}

static void add_fields(const struct answer *a, struct buf *out)
{
        add_id(out, "x-request-id: req_", a->id);
        ADD(out, "\r\nopenai-version: 2020-10-01\r\nopenai-organization: org-sample\r\n"
                 "openai-processing-ms: 1\r\nx-ratelimit-limit-requests: 10000\r\n"
                 "x-ratelimit-remaining-requests: 9999\r\n");
}

static struct str ending(const struct answer *a)
{
        return a->ending == ENDING_TOOL     ? STR("\"tool_calls\"")
               : a->ending == ENDING_LENGTH ? STR("\"length\"")
                                            : STR("\"stop\"");
}

static void add_usage(const struct answer *a, struct buf *out)
{
        ADD(out, "\"usage\":{\"prompt_tokens\":");
        add_number(out, a->prompt_tokens);
        ADD(out, ",\"completion_tokens\":");
        add_number(out, a->tokens);
        ADD(out, ",\"total_tokens\":");
        add_number(out, (uint64_t)a->prompt_tokens + a->tokens);
        ADD(out, ",\"prompt_tokens_details\":{\"cached_tokens\":0},"
                 "\"completion_tokens_details\":{\"reasoning_tokens\":0}}");
}

static void add_head(const struct answer *a, const char *prefix, const char *object, struct buf *out)
{
        add_id(out, prefix, a->id);
        ADD(out, "\",");
        add_member(out, "object", str_of(object));
        ADD(out, "\"created\":" SAMPLE_CREATED ",");
        add_member(out, "model", a->model);
        ADD(out, "\"system_fingerprint\":\"fp_sample\",");
}

static void add_tool_call(const struct answer *a, struct buf *out)
{
        add_id(out, "\"id\":\"call_", a->id);
        ADD(out, "\",\"type\":\"function\",\"function\":{\"name\":\"");
        buf_add(out, a->tool_name);
        ADD(out, "\",\"arguments\":\"");
}

static void chat_whole(struct answer *a, struct buf *out)
{
        add_head(a, "{\"id\":\"chatcmpl-", "chat.completion", out);
        ADD(out, "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
        if (a->is_tool) {
                ADD(out, "null,\"tool_calls\":[{");
                add_tool_call(a, out);
                add_quoted(out, (struct str){ a->json, a->json_len });
                ADD(out, "\"}}]");
        } else {
                buf_add_char(out, '"');
                answer_text(a, out);
                buf_add_char(out, '"');
        }
        ADD(out, ",\"refusal\":null},\"logprobs\":null,\"finish_reason\":");
        buf_add(out, ending(a));
        ADD(out, "}],");
        add_usage(a, out);
        buf_add_char(out, '}');
}

/* The end of a chunk that has a choice. */
static void end_chunk(const struct answer *a, struct str finish, struct buf *out)
{
        ADD(out, "},\"logprobs\":null,\"finish_reason\":");
        buf_add(out, finish);
        ADD(out, "}]");
        if (a->include_usage)
                ADD(out, ",\"usage\":null");
        ADD(out, "}\n\n");
}

static void chat_open(struct answer *a, struct buf *out)
{
        size_t from = out->len;

        add_head(a, "data: {\"id\":\"chatcmpl-", "chat.completion.chunk", out);
        ADD(out, "\"choices\":[{\"index\":0,\"delta\":{");
        answer_keep_start(a, out, from);
        buf_add(out, answer_start(a));
        ADD(out, "\"role\":\"assistant\",\"content\":");
        buf_add(out, a->is_tool ? STR("null") : STR("\"\",\"refusal\":null"));
        end_chunk(a, STR("null"), out);
        if (!a->is_tool)
                return;
        buf_add(out, answer_start(a));
        ADD(out, "\"tool_calls\":[{\"index\":0,");
        add_tool_call(a, out);
        ADD(out, "\"}}]");
        end_chunk(a, STR("null"), out);
}

static void chat_token(struct answer *a, unsigned i, struct buf *out)
{
        buf_add(out, answer_start(a));
        if (a->is_tool) {
                ADD(out, "\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"");
                add_quoted(out, answer_piece(a, i));
                ADD(out, "\"}}]");
        } else {
                ADD(out, "\"content\":\"");
                answer_word(a, i, out);
                buf_add_char(out, '"');
        }
        end_chunk(a, STR("null"), out);
}

static void add_last(const struct answer *a, const char *prefix, const char *object, struct buf *out)
{
        if (a->include_usage) {
                add_head(a, prefix, object, out);
                ADD(out, "\"choices\":[],");
                add_usage(a, out);
                ADD(out, "}\n\n");
        }
        ADD(out, "data: [DONE]\n\n");
}

static void chat_close(struct answer *a, struct buf *out)
{
        buf_add(out, answer_start(a));
        end_chunk(a, ending(a), out);
        add_last(a, "data: {\"id\":\"chatcmpl-", "chat.completion.chunk", out);
}

static void stream_fail(struct answer *a, struct buf *out)
{
        (void)a;
        ADD(out,
            "data: {\"error\":{\"message\":\"the sample model was told to fail here\",\"type\":\"server_error\","
            "\"param\":null,\"code\":null}}\n\n");
}

static void completion_whole(struct answer *a, struct buf *out)
{
        add_head(a, "{\"id\":\"cmpl-", "text_completion", out);
        ADD(out, "\"choices\":[{\"index\":0,\"text\":\"");
        answer_text(a, out);
        ADD(out, "\",\"logprobs\":null,\"finish_reason\":");
        buf_add(out, ending(a));
        ADD(out, "}],");
        add_usage(a, out);
        buf_add_char(out, '}');
}

static void completion_open(struct answer *a, struct buf *out)
{
        size_t from = out->len;

        add_head(a, "data: {\"id\":\"cmpl-", "text_completion", out);
        ADD(out, "\"choices\":[{\"index\":0,\"text\":\"");
        answer_keep_start(a, out, from);
}

static void end_completion(const struct answer *a, struct str finish, struct buf *out)
{
        ADD(out, "\",\"logprobs\":null,\"finish_reason\":");
        buf_add(out, finish);
        ADD(out, "}]");
        if (a->include_usage)
                ADD(out, ",\"usage\":null");
        ADD(out, "}\n\n");
}

static void completion_token(struct answer *a, unsigned i, struct buf *out)
{
        buf_add(out, answer_start(a));
        answer_word(a, i, out);
        end_completion(a, STR("null"), out);
}

static void completion_close(struct answer *a, struct buf *out)
{
        buf_add(out, answer_start(a));
        end_completion(a, ending(a), out);
        add_last(a, "data: {\"id\":\"cmpl-", "text_completion", out);
}

void error_body_openai(struct buf *out, unsigned status, const char *code, struct str text)
{
        const char *type = status == 401   ? "authentication_error"
                           : status == 429 ? "rate_limit_error"
                           : status >= 500 ? "server_error"
                                           : "invalid_request_error";

        ADD(out, "{\"error\":{\"message\":\"");
        buf_add(out, text);
        ADD(out, "\",");
        add_member(out, "type", str_of(type));
        ADD(out, "\"param\":null,\"code\":");
        if (code)
                buf_addf(out, "\"%s\"}}", code);
        else
                ADD(out, "null}}");
}

const struct dialect dialect_chat = {
        .path = "/v1/chat/completions",
        .stream_type = STR_INIT("text/event-stream"),
        .check = check_chat,
        .fields = add_fields,
        .whole = chat_whole,
        .open = chat_open,
        .token = chat_token,
        .close = chat_close,
        .fail = stream_fail,
};

const struct dialect dialect_completions = {
        .path = "/v1/completions",
        .stream_type = STR_INIT("text/event-stream"),
        .check = check_prompt,
        .fields = add_fields,
        .whole = completion_whole,
        .open = completion_open,
        .token = completion_token,
        .close = completion_close,
        .fail = stream_fail,
};
