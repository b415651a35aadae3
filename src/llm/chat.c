#include "llm/chat.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/escape.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "llm/chat_answer.h"
#include "llm/chat_request.h"
#include "proxy/call.h"
#include "proxy/reply.h"
#include "proxy/worker.h"
#include "json/writer.h"

/*
 * Theory of operation. The body is collected and read; then a call goes out, and this exchange waits. Whole answers come
 * back as one JSON reply. For a stream the chat itself becomes the exchange's up side once the provider's head is good:
 * what its events add to the text is written as events of our own into `out`, from where the client takes them; while
 * the client does not, the call is not read on.
 */

enum {
        BODY_BYTES_MAX = 16 << 20,
        REPLY_BYTES_MAX = 8 << 20,
        EVENT_BYTES_MAX = 1 << 20,
        SESSION_ID_BYTES = 64
};

struct chat {
        struct side side; /* the up side of a stream */
        struct exchange *x;
        const struct chat_conf *conf;
        enum conf_dialect dialect;
        struct chat_request request;
        uint8_t key[CONVERSATION_KEY_BYTES];

        struct call call;
        bool is_calling, streams, has_started, is_over;
        bool is_ours; /* the call's answer is an error of our own: no provider could be reached, … */
        uint16_t provider_status;
        struct buf sent; /* the call's body */
        struct buf body; /* a whole answer, or an error's */
        struct chat_answer answer;

        struct sse_reader events;
        struct buf out; /* events on their way to the client */
        size_t out_given;
};

static const struct side_ops chat_ops;

/* ---- the end ---- */

static void chat_fini(struct chat *c)
{
        if (c->is_calling)
                call_cancel(&c->call);
        c->is_calling = false;
        if (c->is_over)
                return;
        c->is_over = true;
        buf_fini(&c->sent);
        buf_fini(&c->body);
        buf_fini(&c->out);
        chat_answer_fini(&c->answer);
        sse_fini(&c->events);
}

static void cancel(struct exchange *x)
{
        if (x->extra)
                chat_fini(x->extra); /* the struct itself is in the exchange's arena */
}

/* What was said is remembered only when the answer was whole. */
static void remember(struct chat *c)
{
        struct exchange *x = c->x;

        x->tokens_in = c->answer.tokens_in;
        x->tokens_out = c->answer.tokens_out;
        if (c->conf->conversations && c->answer.text.len)
                conversation_add(c->conf->conversations, c->key, loop_now(x->w->loop), c->request.message,
                                 buf_str(&c->answer.text));
}

/* ---- a whole answer ---- */

static struct str model_used(const struct chat *c)
{
        return c->answer.model.len ? buf_str(&c->answer.model) : c->request.model;
}

static void whole_reply(struct chat *c)
{
        struct reply_field type = { STR("Content-Type"), STR("application/json") };
        struct exchange *x = c->x;
        struct json_writer w;
        struct buf body;

        buf_init(&body, REPLY_BYTES_MAX);
        json_writer_init(&w, &body, JSON_COMPACT);
        json_write_object_begin(&w);
        json_write_key(&w, STR("response"));
        json_write_str(&w, buf_str(&c->answer.text));
        json_write_key(&w, STR("session_id"));
        json_write_str(&w, c->request.session_id);
        json_write_key(&w, STR("model_used"));
        json_write_str(&w, model_used(c));
        json_write_key(&w, STR("input_tokens"));
        json_write_uint(&w, c->answer.tokens_in);
        json_write_key(&w, STR("output_tokens"));
        json_write_uint(&w, c->answer.tokens_out);
        json_write_object_end(&w);
        json_writer_finish(&w);
        remember(c);
        reply_take(x, 200, &type, 1, &body);
}

/* The provider's refusal as ours: what is between us and it (our key, its address) is not the caller's fault. */
static void provider_refused(struct chat *c)
{
        struct exchange *x = c->x;
        uint16_t status = c->provider_status;

        chat_answer_read_error(&c->answer, buf_str(&c->body));
        if (c->is_ours) {
                struct str words = arena_copy(&x->arena, buf_str(&c->answer.problem));
                exchange_refuse(x, status, "providers_failed",
                                words.ptr ? words.ptr : "No provider answered.");
                return;
        }
        if (status == 401 || status == 403 || status == 402) { /* its words may quote a part of our key */
                exchange_refuse(x, 502, "provider_credential",
                                "The provider refused the gateway's credential or account.");
                return;
        }
        if (status < 400)
                status = 502;
        if (status == 529)
                status = 503;
        struct str words = arena_format(&x->arena, "The provider refused (%u): %.*s", c->provider_status,
                                        STR_FMT(buf_str(&c->answer.problem)));
        exchange_refuse(x, status, "provider_refused", words.ptr ? words.ptr : "The provider refused.");
}

static void whole_end(struct chat *c, enum err e)
{
        if (e != ERR_OK || c->body.full)
                exchange_refuse(c->x, 502, "provider_broke", "The provider's answer broke off.");
        else if (c->provider_status != 200)
                provider_refused(c);
        else if (chat_answer_read(&c->answer, buf_str(&c->body), c->dialect) != ERR_OK)
                exchange_refuse(c->x, 502, "provider_malformed",
                                "The provider's answer is not in its API's form.");
        else
                whole_reply(c);
}

/* ---- a stream ---- */

static void event_begin(struct chat *c, struct json_writer *w, const char *type)
{
        buf_add(&c->out, STR("data: "));
        json_writer_init(w, &c->out, JSON_COMPACT);
        json_write_object_begin(w);
        json_write_key(w, STR("type"));
        json_write_str(w, str_of(type));
}

static void event_end(struct chat *c, struct json_writer *w)
{
        json_write_object_end(w);
        json_writer_finish(w);
        buf_add(&c->out, STR("\n\n"));
}

static void event_write(struct chat *c, const char *type, const char *name, struct str value)
{
        struct json_writer w;

        event_begin(c, &w, type);
        if (name) {
                json_write_key(&w, str_of(name));
                json_write_str(&w, value);
        }
        event_end(c, &w);
}

static void content_write(struct chat *c)
{
        struct json_writer w;

        event_begin(c, &w, "content");
        json_write_key(&w, STR("content"));
        json_write_str(&w, buf_str(&c->answer.text));
        json_write_key(&w, STR("model_used"));
        json_write_str(&w, model_used(c));
        json_write_key(&w, STR("input_tokens"));
        json_write_uint(&w, c->answer.tokens_in);
        json_write_key(&w, STR("output_tokens"));
        json_write_uint(&w, c->answer.tokens_out);
        event_end(c, &w);
}

/* Gives the client what it takes; true when nothing is left. */
static bool out_give(struct chat *c, bool is_last)
{
        struct str rest = str_from(buf_str(&c->out), c->out_given);
        struct side_data d = { &rest, rest.len ? 1 : 0, is_last, NULL, 0 };

        if (rest.len || is_last)
                c->out_given += exchange_answer_data(c->x, &d);
        if (c->out_given < c->out.len)
                return false;
        buf_clear(&c->out);
        c->out_given = 0;
        return true;
}

static void stream_start(struct chat *c)
{
        struct http_field fields[16];
        struct http_head head = { .status = 200,
                                  .reason = STR("OK"),
                                  .version_minor = 1,
                                  .framing = HTTP_BODY_CHUNKED,
                                  .keeps_alive = true,
                                  .fields = fields,
                                  .fields_max = ARRAY_SIZE(fields) };

        c->has_started = true;
        c->side = (struct side){ .ops = &chat_ops, .x = c->x };
        c->x->up = &c->side;
        if (http_add(&head, STR("Content-Type"), STR("text/event-stream")) != ERR_OK ||
            http_add(&head, STR("Cache-Control"), STR("no-store")) != ERR_OK)
                return;
        event_write(c, "start", "session_id", c->request.session_id);
        exchange_answer_head(c->x, &head);
        out_give(c, false);
}

static void on_sse(void *context, const struct sse_event *event)
{
        struct chat *c = context;
        size_t before = c->answer.text.len;

        if (c->answer.is_broken)
                return;
        chat_answer_event(&c->answer, event, c->dialect);
        if (c->answer.text.len > before)
                event_write(c, "content_chunk", "text", str_from(buf_str(&c->answer.text), before));
}

static void stream_break(struct chat *c)
{
        struct str words =
                c->answer.problem.len ? buf_str(&c->answer.problem) : STR("The provider's answer broke off.");

        event_write(c, "error", "content", words);
        out_give(c, false);
        exchange_up_reset(c->x, ERR_MALFORMED, false);
}

static void stream_end(struct chat *c, enum err e)
{
        if (!c->has_started) {
                whole_end(c, e); /* an error of the provider's, or an answer that is no stream */
                return;
        }
        if (e != ERR_OK || c->answer.is_broken || !c->answer.is_finished || c->out.full) {
                stream_break(c);
                return;
        }
        remember(c);
        content_write(c);
        event_write(c, "done", NULL, STR_NULL);
        out_give(c, true);
}

/* ---- operations of the up side ---- */

static void op_pull(struct side *s)
{
        struct chat *c = (struct chat *)s;

        if (out_give(c, !c->is_calling) && c->is_calling)
                call_resume(&c->call);
}

static size_t op_data(struct side *s, const struct side_data *d)
{
        return side_data_len(d);
}

static void op_head(struct side *s, struct http_head *head) {}
static void op_flush(struct side *s) {}

static void op_reset(struct side *s, enum err reason)
{
        chat_fini((struct chat *)s);
}

static void op_release(struct side *s)
{
        chat_fini((struct chat *)s);
}

static const struct side_ops chat_ops = {
        .name = "chat",
        .head = op_head,
        .data = op_data,
        .flush = op_flush,
        .pull = op_pull,
        .reset = op_reset,
        .release = op_release,
};

/* ---- the call ---- */

static bool is_event_stream(const struct http_head *head)
{
        struct str type = http_value(head, HTTP_FIELD_CONTENT_TYPE);

        return str_eq_nocase(str_sub(type, 0, 17), STR("text/event-stream"));
}

static void on_head(struct call *call, const struct http_head *head)
{
        struct chat *c = CONTAINER_OF(call, struct chat, call);

        c->provider_status = head->status;
        c->is_ours = call_is_refused(call);
        if (c->streams && head->status == 200 && is_event_stream(head))
                stream_start(c);
}

static size_t on_data(struct call *call, const struct side_data *d)
{
        struct chat *c = CONTAINER_OF(call, struct chat, call);
        size_t len = 0;

        if (c->has_started && !out_give(c, false))
                return 0; /* the client is slow: so are we */
        for (size_t i = 0; i < d->slices_count; i++) {
                if (c->has_started)
                        sse_feed(&c->events, d->slices[i], on_sse, c);
                else
                        buf_add(&c->body, d->slices[i]);
                len += d->slices[i].len;
        }
        if (c->has_started)
                out_give(c, false);
        return len;
}

static void on_end(struct call *call, enum err e)
{
        struct chat *c = CONTAINER_OF(call, struct chat, call);

        c->is_calling = false;
        if (c->x->is_ended)
                return;
        if (c->streams)
                stream_end(c, e);
        else
                whole_end(c, e);
}

static const struct call_events chat_events = { .on_head = on_head, .on_data = on_data, .on_end = on_end };

static enum err call_out(struct chat *c)
{
        const struct http_field fields[] = { { .name = STR_INIT("Content-Type"),
                                               .value = STR_INIT("application/json") } };
        bool is_anthropic = c->dialect == CONF_ANTHROPIC;
        struct call_request request = {
                .method = STR("POST"),
                .target = is_anthropic ? STR("/v1/messages") : STR("/v1/chat/completions"),
                .fields = fields,
                .fields_count = ARRAY_SIZE(fields),
                .body = buf_str(&c->sent),
                .handler = is_anthropic ? &passthrough_anthropic : &passthrough_openai,
                .handler_conf = is_anthropic ? &c->conf->anthropic : &c->conf->openai,
                .retries_posts = true
        };

        return call_start(&c->call, c->x->w, &request, &chat_events);
}

/* ---- the question ---- */

static void first_name(void *context, struct str name, const struct provider *provider)
{
        struct chat *c = context;

        (void)provider;
        if (c->request.model.len == 0 && token_may_use_model(c->x->token, name))
                c->request.model = arena_copy(&c->x->arena, name);
}

/* OpenAI's form where a provider of the model has it, else Anthropic's. */
static enum step_result model_choose(struct chat *c)
{
        struct exchange *x = c->x;
        struct candidate candidates[CANDIDATES_MAX];
        bool is_known;

        if (c->request.model.len == 0)
                catalogue_each(c->conf->catalogue, first_name, c);
        if (c->request.model.len == 0)
                return exchange_refuse(x, 503, "no_model",
                                       "No model is known here yet: no provider has listed one.");
        x->model = c->request.model;
        c->dialect = CONF_OPENAI;
        if (catalogue_find(c->conf->catalogue, c->request.model, CONF_OPENAI, candidates, &is_known) == 0)
                c->dialect = CONF_ANTHROPIC;
        if (!is_known || !token_may_use_model(x->token, c->request.model))
                return exchange_refuse(x, 404, "model_not_found",
                                       "This model does not exist here, or this token may not use it.");
        return STEP_NEXT;
}

/* Nobody reaches another's conversation by naming its session: the key holds the token too. */
static void key_make(struct chat *c)
{
        const struct token *t = c->x->token;
        struct str parts[2] = { t ? (struct str){ (const char *)t->sha256, sizeof(t->sha256) }
                                  : STR("anonymous"),
                                c->request.session_id };
        struct str joined = arena_join(&c->x->arena, parts, 2);

        crypto_sha256(joined, c->key);
}

static void session_name(struct chat *c)
{
        uint8_t r[16];

        if (c->request.session_id.len)
                return;
        crypto_random(r, sizeof(r));
        r[6] = (uint8_t)((r[6] & 0x0f) | 0x40); /* RFC 9562 5.4: version 4 */
        r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
        c->request.session_id = arena_format(
                &c->x->arena, "api:%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14],
                r[15]);
}

static enum step_result ask(struct chat *c)
{
        struct exchange *x = c->x;
        struct buf history;

        session_name(c);
        key_make(c);
        if (x->arena.full)
                return exchange_refuse(x, 503, "memory", "The gateway has no memory for this request.");
        buf_init(&history, BODY_BYTES_MAX);
        if (c->conf->conversations)
                conversation_read(c->conf->conversations, c->key, loop_now(x->w->loop), &history);
        chat_body_write(&c->request, c->request.model, buf_str(&history), c->dialect, c->streams, &c->sent);
        buf_fini(&history);
        c->is_calling = !c->sent.full && call_out(c) == ERR_OK;
        if (!c->is_calling)
                return exchange_refuse(x, 503, "memory", "The gateway has no memory for this request.");
        return STEP_WAIT;
}

static void on_body(struct exchange *x, bool is_last)
{
        struct chat *c = x->extra;
        struct chat_fault fault;
        struct buf body;
        enum err e;

        if (x->body.len > CHAT_REQUEST_BYTES_MAX) {
                exchange_refuse(x, 413, "body_too_large", "The body is larger than this API takes.");
                return;
        }
        if (!is_last)
                return;
        buf_init(&body, CHAT_REQUEST_BYTES_MAX + 1);
        char *copy = buf_reserve(&body, x->body.len + 1);
        if (!copy) {
                exchange_refuse(x, 503, "memory", "The gateway has no memory for this request.");
                return;
        }
        bodystore_copy(&x->body, copy);
        e = chat_request_parse((struct str){ copy, x->body.len }, c->conf->message_bytes_max, &x->arena,
                               &c->request, &fault);
        buf_fini(&body);
        if (e != ERR_OK)
                exchange_refuse(x, fault.status, fault.refused, fault.message);
        else if (model_choose(c) == STEP_NEXT)
                ask(c);
}

static bool is_json(const struct exchange *x)
{
        struct str type = http_value(&x->request, HTTP_FIELD_CONTENT_TYPE);
        struct str media = str_trim(str_sub(type, 0, str_find_char(type, ';')));

        return str_eq_nocase(media, STR("application/json"));
}

static enum step_result pick(struct exchange *x, bool streams)
{
        struct chat *c = ARENA_NEW(&x->arena, struct chat);

        if (!is_json(x))
                return exchange_refuse(x, 415, "content_type",
                                       "Send the body as Content-Type: application/json.");
        if (!c)
                return exchange_refuse(x, 503, "memory", "The gateway has no memory for this request.");
        *c = (struct chat){ .x = x, .conf = x->route->handler_conf, .streams = streams };
        buf_init(&c->sent, BODY_BYTES_MAX * 2);
        buf_init(&c->body, BODY_BYTES_MAX);
        buf_init(&c->out, CHAT_ANSWER_BYTES_MAX * 8);
        chat_answer_init(&c->answer);
        sse_init(&c->events, EVENT_BYTES_MAX, EVENT_BYTES_MAX);
        x->extra = c;
        exchange_collect(x);
        return STEP_WAIT;
}

static enum step_result pick_whole(struct exchange *x)
{
        return pick(x, false);
}

static enum step_result pick_stream(struct exchange *x)
{
        return pick(x, true);
}

const struct handler chat_handler = {
        .name = "chat", .pick = pick_whole, .on_body = on_body, .cancel = cancel
};
const struct handler chat_stream_handler = {
        .name = "chat-stream", .pick = pick_stream, .on_body = on_body, .cancel = cancel
};
