/* Anthropic's messages. A tool call stands behind a short text block, as theirs often does. */
#include "dialect.h"

static const char *check(const struct ask *ask, const struct http_request *r, const struct options *o)
{
        if (o->is_strict && !r->anthropic_version.ptr)
                return "anthropic-version: header is required";
        if (!ask->has_max_tokens)
                return "max_tokens: Field required";
        return ask->has_messages ? NULL : "messages: Field required";
}

static void add_fields(const struct answer *a, struct buf *out)
{
        add_id(out, "request-id: req_", a->id);
        ADD(out, "\r\nanthropic-organization-id: org-sample\r\nanthropic-ratelimit-requests-limit: 10000\r\n"
                 "anthropic-ratelimit-requests-remaining: 9999\r\n"
                 "anthropic-ratelimit-requests-reset: " SAMPLE_CREATED_TEXT "\r\n");
}

static struct str ending(const struct answer *a)
{
        return a->ending == ENDING_TOOL     ? STR("tool_use")
               : a->ending == ENDING_LENGTH ? STR("max_tokens")
                                            : STR("end_turn");
}

static void add_usage(const struct answer *a, unsigned output_tokens, struct buf *out)
{
        ADD(out, "\"usage\":{\"input_tokens\":");
        add_number(out, a->prompt_tokens);
        ADD(out, ",\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":");
        add_number(out, output_tokens);
        ADD(out, ",\"service_tier\":\"standard\"}");
}

#define BEFORE_TOOL "I call the tool."

static void begin_message(const struct answer *a, struct buf *out)
{
        add_id(out, "{\"id\":\"msg_", a->id);
        ADD(out, "\",\"type\":\"message\",\"role\":\"assistant\",");
        add_member(out, "model", a->model);
        ADD(out, "\"content\":[");
}

static void add_tool_use(const struct answer *a, struct buf *out)
{
        add_id(out, "{\"type\":\"tool_use\",\"id\":\"toolu_", a->id);
        ADD(out, "\",");
        add_member(out, "name", a->tool_name);
        ADD(out, "\"input\":");
}

static void whole(struct answer *a, struct buf *out)
{
        begin_message(a, out);
        ADD(out, "{\"type\":\"text\",\"text\":\"");
        if (a->is_tool) {
                ADD(out, BEFORE_TOOL "\"},");
                add_tool_use(a, out);
                buf_add(out, (struct str){ a->json, a->json_len });
        } else {
                answer_text(a, out);
                buf_add_char(out, '"');
        }
        ADD(out, "}],");
        add_member(out, "stop_reason", ending(a));
        ADD(out, "\"stop_sequence\":null,");
        add_usage(a, a->tokens, out);
        buf_add_char(out, '}');
}

static void begin_delta(const struct answer *a, struct buf *out)
{
        ADD(out, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":");
        buf_add_char(out, a->is_tool ? '1' : '0');
        if (a->is_tool)
                ADD(out, ",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"");
        else
                ADD(out, ",\"delta\":{\"type\":\"text_delta\",\"text\":\"");
}

static void begin(struct answer *a, struct buf *out)
{
        size_t from = out->len;

        begin_delta(a, out);
        answer_keep_start(a, out, from);
        ADD(out, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":");
        begin_message(a, out);
        ADD(out, "],\"stop_reason\":null,\"stop_sequence\":null,");
        add_usage(a, 1, out);
        ADD(out,
            "}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
            "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n");
        if (!a->is_tool)
                return;
        ADD(out, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
                 "\"delta\":{\"type\":\"text_delta\",\"text\":\"" BEFORE_TOOL "\"}}\n\n"
                 "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
                 "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,"
                 "\"content_block\":");
        add_tool_use(a, out);
        ADD(out, "{}}}\n\n");
}

static void token(struct answer *a, unsigned i, struct buf *out)
{
        buf_add(out, answer_start(a));
        if (a->is_tool)
                add_quoted(out, answer_piece(a, i));
        else
                answer_word(a, i, out);
        ADD(out, "\"}}\n\n");
}

static void end(struct answer *a, struct buf *out)
{
        buf_addf(out, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":%d}\n\n",
                 a->is_tool);
        ADD(out, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{");
        add_member(out, "stop_reason", ending(a));
        buf_addf(out, "\"stop_sequence\":null},\"usage\":{\"output_tokens\":%u}}\n\n", a->tokens);
        ADD(out, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
}

static void fail(struct answer *a, struct buf *out)
{
        (void)a;
        ADD(out, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
                 "\"message\":\"the sample model was told to fail here\"}}\n\n");
}

void error_body_anthropic(struct buf *out, unsigned status, uint64_t id, struct str text)
{
        const char *type = status == 401   ? "authentication_error"
                           : status == 403 ? "permission_error"
                           : status == 404 ? "not_found_error"
                           : status == 413 ? "request_too_large"
                           : status == 429 ? "rate_limit_error"
                           : status == 529 ? "overloaded_error"
                           : status >= 500 ? "api_error"
                                           : "invalid_request_error";

        ADD(out, "{\"type\":\"error\",\"error\":{");
        add_member(out, "type", str_of(type));
        ADD(out, "\"message\":\"");
        buf_add(out, text);
        add_id(out, "\"},\"request_id\":\"req_", id);
        ADD(out, "\"}");
}

const struct dialect dialect_messages = {
        .path = "/v1/messages",
        .stream_type = STR_INIT("text/event-stream"),
        .check = check,
        .fields = add_fields,
        .whole = whole,
        .open = begin,
        .token = token,
        .close = end,
        .fail = fail,
};
