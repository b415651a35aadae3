#include "llm/chat_request.h"

#include "llm/conversation.h"
#include "json/reader.h"
#include "json/writer.h"

enum { MAX_TOKENS_DEFAULT = 8192 };

static enum err fault_set(struct chat_fault *fault, uint16_t status, const char *refused, const char *message)
{
        *fault = (struct chat_fault){ status, refused, message };
        return status == 413 ? ERR_TOO_LARGE : ERR_MALFORMED;
}

/* A member that is a string, or absent or null. */
static bool text_get(const struct json_value *root, struct str name, struct arena *a, struct str *out)
{
        const struct json_value *v = json_find(root, name);

        *out = STR("");
        if (!v || json_is(v, JSON_NULL))
                return true;
        if (!json_is(v, JSON_STRING))
                return false;
        *out = arena_copy(a, v->text);
        return true;
}

static bool number_get(const struct json_value *root, struct str name, struct arena *a, struct str *out)
{
        const struct json_value *v = json_find(root, name);

        *out = STR("");
        if (!v || json_is(v, JSON_NULL))
                return true;
        if (!json_is(v, JSON_NUMBER))
                return false;
        *out = arena_copy(a, v->raw);
        return true;
}

static bool is_blank(struct str s)
{
        for (size_t i = 0; i < s.len; i++)
                if (s.ptr[i] != ' ' && s.ptr[i] != '\t' && s.ptr[i] != '\n' && s.ptr[i] != '\r')
                        return false;
        return true;
}

static bool is_session_id(struct str s)
{
        for (size_t i = 0; i < s.len; i++)
                if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
                        return false;
        return s.len <= CHAT_SESSION_ID_MAX;
}

static enum err fields_take(const struct json_value *root, size_t message_bytes_max, struct arena *a,
                            struct chat_request *out, struct chat_fault *fault)
{
        if (!json_is(root, JSON_OBJECT))
                return fault_set(fault, 400, "json", "The body must be a JSON object.");
        if (!text_get(root, STR("message"), a, &out->message) ||
            !text_get(root, STR("session_id"), a, &out->session_id) ||
            !text_get(root, STR("model"), a, &out->model) ||
            !text_get(root, STR("custom_system_prompt"), a, &out->system))
                return fault_set(fault, 400, "field_type",
                                 "message, session_id, model and custom_system_prompt must be strings.");
        if (!number_get(root, STR("temperature"), a, &out->temperature) ||
            !number_get(root, STR("top_p"), a, &out->top_p) ||
            !number_get(root, STR("frequency_penalty"), a, &out->frequency_penalty) ||
            !number_get(root, STR("presence_penalty"), a, &out->presence_penalty) ||
            !number_get(root, STR("max_tokens"), a, &out->max_tokens))
                return fault_set(
                        fault, 400, "field_type",
                        "temperature, top_p, frequency_penalty, presence_penalty and max_tokens must be numbers.");
        if (is_blank(out->message))
                return fault_set(fault, 400, "message_empty", "The message is empty.");
        if (out->message.len > message_bytes_max)
                return fault_set(fault, 413, "message_too_long",
                                 "The message is longer than this gateway takes.");
        if (!is_session_id(out->session_id))
                return fault_set(fault, 400, "session_id",
                                 "session_id must be at most 128 bytes, without control characters.");
        return ERR_OK;
}

enum err chat_request_parse(struct str body, size_t message_bytes_max, struct arena *a,
                            struct chat_request *out, struct chat_fault *fault)
{
        const struct json_value *root;
        struct report ignored;
        struct arena scratch;
        enum err e;

        *out = (struct chat_request){ 0 };
        if (body.len > CHAT_REQUEST_BYTES_MAX)
                return fault_set(fault, 413, "body_too_large", "The body is larger than this API takes.");
        arena_init(&scratch, NULL, 0, CHAT_REQUEST_BYTES_MAX * 16);
        report_init(&ignored, STR_NULL);
        e = json_read_strict(&scratch, body, &ignored, &root) == ERR_OK
                    ? fields_take(root, message_bytes_max, a, out, fault)
                    : fault_set(fault, 400, "json", "The body is not valid JSON.");
        if (e == ERR_OK && a->full)
                e = fault_set(fault, 413, "message_too_long",
                              "The message is longer than this gateway takes.");
        report_fini(&ignored);
        arena_fini(&scratch);
        return e;
}

/* ---- the provider's body ---- */

static void message_write(struct json_writer *w, struct str role, struct str text)
{
        json_write_object_begin(w);
        json_write_key(w, STR("role"));
        json_write_str(w, role);
        json_write_key(w, STR("content"));
        json_write_str(w, text);
        json_write_object_end(w);
}

static void number_write(struct json_writer *w, struct str name, struct str number)
{
        if (number.len == 0)
                return;
        json_write_key(w, name);
        json_write_raw(w, number);
}

static void messages_write(struct json_writer *w, const struct chat_request *r, struct str history,
                           bool has_system)
{
        enum conversation_role role;
        struct str text;

        json_write_key(w, STR("messages"));
        json_write_array_begin(w);
        if (has_system && r->system.len)
                message_write(w, STR("system"), r->system);
        while (conversation_next(&history, &role, &text))
                message_write(w, role == CONVERSATION_USER ? STR("user") : STR("assistant"), text);
        message_write(w, STR("user"), r->message);
        json_write_array_end(w);
}

void chat_body_write(const struct chat_request *r, struct str model, struct str history,
                     enum conf_dialect dialect, bool streams, struct buf *out)
{
        bool is_anthropic = dialect == CONF_ANTHROPIC;
        struct json_writer w;

        json_writer_init(&w, out, JSON_COMPACT);
        json_write_object_begin(&w);
        json_write_key(&w, STR("model"));
        json_write_str(&w, model);
        if (is_anthropic && r->system.len) {
                json_write_key(&w, STR("system"));
                json_write_str(&w, r->system);
        }
        messages_write(&w, r, history, !is_anthropic);
        number_write(&w, STR("temperature"), r->temperature);
        number_write(&w, STR("top_p"), r->top_p);
        if (!is_anthropic) {
                number_write(&w, STR("frequency_penalty"), r->frequency_penalty);
                number_write(&w, STR("presence_penalty"), r->presence_penalty);
        }
        if (r->max_tokens.len) {
                number_write(&w, STR("max_tokens"), r->max_tokens);
        } else if (is_anthropic) { /* required there */
                json_write_key(&w, STR("max_tokens"));
                json_write_int(&w, MAX_TOKENS_DEFAULT);
        }
        json_write_key(&w, STR("stream"));
        json_write_bool(&w, streams);
        if (streams && !is_anthropic) {
                json_write_key(&w, STR("stream_options"));
                json_write_raw(&w, STR("{\"include_usage\":true}"));
        }
        json_write_object_end(&w);
        json_writer_finish(&w);
}
