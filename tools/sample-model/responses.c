/* OpenAI's responses: one item an answer, a message or a function call; events are numbered. */
#include "dialect.h"

static const char *check(const struct ask *ask, const struct http_request *r, const struct options *o)
{
        (void)r, (void)o;
        return ask->has_input ? NULL : "Missing required parameter: 'input'.";
}

static void add_fields(const struct answer *a, struct buf *out)
{
        dialect_chat.fields(a, out);
}

static void begin_event(struct answer *a, const char *type, struct buf *out)
{
        buf_addf(out, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%u,", type, type, a->sequence++);
}

static void add_item_id(const struct answer *a, struct buf *out)
{
        add_id(out, a->is_tool ? "fc_" : "msg_", a->id);
}

static void add_part(const struct answer *a, bool is_filled, struct buf *out)
{
        ADD(out, "{\"type\":\"output_text\",\"text\":\"");
        if (is_filled)
                answer_text(a, out);
        ADD(out, "\",\"annotations\":[],\"logprobs\":[]}");
}

static void add_item(const struct answer *a, bool is_filled, struct buf *out)
{
        ADD(out, "{\"id\":\"");
        add_item_id(a, out);
        ADD(out, "\",");
        add_member(out, "status",
                   !is_filled                   ? STR("in_progress")
                   : a->ending == ENDING_LENGTH ? STR("incomplete")
                                                : STR("completed"));
        if (a->is_tool) {
                ADD(out, "\"type\":\"function_call\",");
                add_id(out, "\"call_id\":\"call_", a->id);
                ADD(out, "\",");
                add_member(out, "name", a->tool_name);
                ADD(out, "\"arguments\":\"");
                if (is_filled)
                        add_quoted(out, (struct str){ a->json, a->json_len });
                ADD(out, "\"}");
                return;
        }
        ADD(out, "\"type\":\"message\",\"role\":\"assistant\",\"content\":[");
        if (is_filled)
                add_part(a, true, out);
        ADD(out, "]}");
}

static void add_usage(const struct answer *a, struct buf *out)
{
        buf_addf(out,
                 "{\"input_tokens\":%u,\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":%u,"
                 "\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":%u}",
                 a->prompt_tokens, a->tokens, a->prompt_tokens + a->tokens);
}

static void add_response(const struct answer *a, bool is_filled, struct buf *out)
{
        bool is_cut = a->ending == ENDING_LENGTH;

        add_id(out, "{\"id\":\"resp_", a->id);
        ADD(out, "\",\"object\":\"response\",\"created_at\":" SAMPLE_CREATED ",");
        add_member(out, "status",
                   !is_filled ? STR("in_progress")
                   : is_cut   ? STR("incomplete")
                              : STR("completed"));
        ADD(out, "\"background\":false,\"error\":null,\"incomplete_details\":");
        buf_add(out, is_filled && is_cut ? STR("{\"reason\":\"max_output_tokens\"}") : STR("null"));
        ADD(out, ",\"instructions\":null,\"max_output_tokens\":null,");
        add_member(out, "model", a->model);
        ADD(out, "\"output\":[");
        if (is_filled)
                add_item(a, true, out);
        ADD(out,
            "],\"parallel_tool_calls\":true,\"previous_response_id\":null,"
            "\"reasoning\":{\"effort\":null,\"summary\":null},\"store\":false,\"temperature\":1.0,"
            "\"text\":{\"format\":{\"type\":\"text\"}},\"tool_choice\":\"auto\",\"tools\":[],\"top_p\":1.0,"
            "\"truncation\":\"disabled\",\"usage\":");
        if (is_filled)
                add_usage(a, out);
        else
                ADD(out, "null");
        ADD(out, ",\"user\":null,\"metadata\":{}}");
}

static void whole(struct answer *a, struct buf *out)
{
        add_response(a, true, out);
}

static void add_event_response(struct answer *a, const char *type, bool is_filled, struct buf *out)
{
        begin_event(a, type, out);
        ADD(out, "\"response\":");
        add_response(a, is_filled, out);
        ADD(out, "}\n\n");
}

static void add_event_item(struct answer *a, const char *type, bool is_filled, struct buf *out)
{
        begin_event(a, type, out);
        ADD(out, "\"output_index\":0,\"item\":");
        add_item(a, is_filled, out);
        ADD(out, "}\n\n");
}

/* Events that are about a place inside the item. */
static void begin_place(struct answer *a, const char *type, struct buf *out)
{
        begin_event(a, type, out);
        ADD(out, "\"item_id\":\"");
        add_item_id(a, out);
        ADD(out, "\",\"output_index\":0,");
        if (!a->is_tool)
                ADD(out, "\"content_index\":0,");
}

static void add_event_part(struct answer *a, const char *type, bool is_filled, struct buf *out)
{
        begin_place(a, type, out);
        ADD(out, "\"part\":");
        add_part(a, is_filled, out);
        ADD(out, "}\n\n");
}

static void begin(struct answer *a, struct buf *out)
{
        add_event_response(a, "response.created", false, out);
        add_event_response(a, "response.in_progress", false, out);
        add_event_item(a, "response.output_item.added", false, out);
        if (!a->is_tool)
                add_event_part(a, "response.content_part.added", false, out);
}

static void token(struct answer *a, unsigned i, struct buf *out)
{
        begin_place(a, a->is_tool ? "response.function_call_arguments.delta" : "response.output_text.delta",
                    out);
        ADD(out, "\"delta\":\"");
        if (a->is_tool) {
                add_quoted(out, answer_piece(a, i));
                ADD(out, "\"}\n\n");
        } else {
                answer_word(a, i, out);
                ADD(out, "\",\"logprobs\":[]}\n\n");
        }
}

static void end(struct answer *a, struct buf *out)
{
        if (a->is_tool) {
                begin_place(a, "response.function_call_arguments.done", out);
                add_member(out, "name", a->tool_name);
                ADD(out, "\"arguments\":\"");
                add_quoted(out, (struct str){ a->json, a->json_len });
                ADD(out, "\"}\n\n");
        } else {
                begin_place(a, "response.output_text.done", out);
                ADD(out, "\"text\":\"");
                answer_text(a, out);
                ADD(out, "\",\"logprobs\":[]}\n\n");
                add_event_part(a, "response.content_part.done", true, out);
        }
        add_event_item(a, "response.output_item.done", true, out);
        add_event_response(a, a->ending == ENDING_LENGTH ? "response.incomplete" : "response.completed", true,
                           out);
}

static void fail(struct answer *a, struct buf *out)
{
        begin_event(a, "error", out);
        ADD(out,
            "\"code\":\"server_error\",\"message\":\"the sample model was told to fail here\",\"param\":null}\n\n");
}

const struct dialect dialect_responses = {
        .path = "/v1/responses",
        .stream_type = STR_INIT("text/event-stream"),
        .check = check,
        .fields = add_fields,
        .whole = whole,
        .open = begin,
        .token = token,
        .close = end,
        .fail = fail,
};
