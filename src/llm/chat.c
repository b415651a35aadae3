#include "llm/chat_priv.h"

#include "crypto/random.h"
#include "crypto/sha256.h"
#include "proxy/reply.h"
#include "json/writer.h"

/*
 * Theory of operation. The body is collected and read; then a call goes out, and this exchange waits. Whole answers come
 * back as one JSON reply. For a stream the chat itself becomes the exchange's up side once the provider's head is good:
 * what its events add to the text is written as events of our own into `out`, from where the client takes them; while
 * the client does not, the call is not read on.
 */

enum { BODY_BYTES_MAX = 16 << 20, REPLY_BYTES_MAX = 8 << 20, EVENT_BYTES_MAX = 1 << 20 };

/* ---- the end ---- */

void chat_fini(struct chat *c)
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
void chat_remember(struct chat *c)
{
        struct exchange *x = c->x;

        x->tokens_in = c->answer.tokens_in;
        x->tokens_out = c->answer.tokens_out;
        if (c->conf->conversations && c->answer.text.len)
                conversation_add(c->conf->conversations, c->key, loop_now(x->w->loop), c->request.message,
                                 buf_str(&c->answer.text));
}

/* ---- a whole answer ---- */

struct str chat_model_used(const struct chat *c)
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
        json_write_str(&w, chat_model_used(c));
        json_write_key(&w, STR("input_tokens"));
        json_write_uint(&w, c->answer.tokens_in);
        json_write_key(&w, STR("output_tokens"));
        json_write_uint(&w, c->answer.tokens_out);
        json_write_object_end(&w);
        json_writer_finish(&w);
        chat_remember(c);
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

void chat_whole_end(struct chat *c, enum err e)
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
                chat_stream_start(c);
}

static size_t on_data(struct call *call, const struct side_data *d)
{
        struct chat *c = CONTAINER_OF(call, struct chat, call);
        size_t len = 0;

        if (c->has_started && !chat_stream_give(c, false))
                return 0; /* the client is slow: so are we */
        for (size_t i = 0; i < d->slices_count; i++) {
                if (c->has_started)
                        chat_stream_feed(c, d->slices[i]);
                else
                        buf_add(&c->body, d->slices[i]);
                len += d->slices[i].len;
        }
        if (c->has_started)
                chat_stream_give(c, false);
        return len;
}

static void on_end(struct call *call, enum err e)
{
        struct chat *c = CONTAINER_OF(call, struct chat, call);

        c->is_calling = false;
        if (c->x->is_ended)
                return;
        if (c->streams)
                chat_stream_end(c, e);
        else
                chat_whole_end(c, e);
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
        struct str caller = arena_format(&c->x->arena, "tailnet %.*s", STR_FMT(c->x->caller_name));
        struct str parts[2] = { t ? (struct str){ (const char *)t->sha256, sizeof(t->sha256) }
                                : c->x->caller_name.len ? caller
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
