/* From a whole request to its answer: the table of endpoints, and the small ones themselves. */
#include "server.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/escape.h"
#include "base/units.h"
#include "dialect.h"

#define TEXT STR("text/plain; charset=utf-8")
#define JSON STR("application/json")

enum tongue { TONGUE_OPENAI, TONGUE_ANTHROPIC, TONGUE_OLLAMA };

static enum tongue tongue_of(const struct http_request *r)
{
        if (str_has_prefix(r->path, STR("/v1/messages")))
                return TONGUE_ANTHROPIC;
        if (str_has_prefix(r->path, STR("/api/")))
                return TONGUE_OLLAMA;
        return r->anthropic_version.ptr ? TONGUE_ANTHROPIC : TONGUE_OPENAI;
}

const char *serve_status_text(unsigned status)
{
        static const struct {
                unsigned status;
                const char *text;
        } texts[] = {
                { 200, "OK" },
                { 400, "Bad Request" },
                { 401, "Unauthorized" },
                { 403, "Forbidden" },
                { 404, "Not Found" },
                { 405, "Method Not Allowed" },
                { 413, "Content Too Large" },
                { 429, "Too Many Requests" },
                { 500, "Internal Server Error" },
                { 502, "Bad Gateway" },
                { 503, "Service Unavailable" },
                { 529, "Overloaded" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                if (texts[i].status == status)
                        return texts[i].text;
        return "Other";
}

static void add_status_line(struct buf *out, unsigned status)
{
        if (status == 200)
                ADD(out, "HTTP/1.1 200 OK\r\n");
        else
                buf_addf(out, "HTTP/1.1 %u %s\r\n", status, serve_status_text(status));
        ADD(out, "server: sekisho-sample-model\r\n");
}

static void end_head(struct conn *c, struct str type, int64_t length)
{
        struct buf *out = conn_out(c);

        ADD(out, "content-type: ");
        buf_add(out, type);
        if (length >= 0) {
                ADD(out, "\r\ncontent-length: ");
                add_number(out, (uint64_t)length);
                ADD(out, "\r\n");
        } else if (c->is_http10) {
                c->keeps_alive = false;
                ADD(out, "\r\ncache-control: no-cache\r\n");
        } else
                ADD(out, "\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n");
        if (!c->keeps_alive)
                ADD(out, "connection: close\r\n");
        else if (c->is_http10)
                ADD(out, "connection: keep-alive\r\n");
        ADD(out, "\r\n");
}

void serve_head(struct conn *c, unsigned status, struct str type, const struct answer *a, int64_t length)
{
        add_status_line(conn_out(c), status);
        if (a)
                a->dialect->fields(a, conn_out(c));
        end_head(c, type, length);
}

/* A whole answer. `body` may be the worker's `events`. */
static void reply(struct conn *c, unsigned status, struct str type, struct str body)
{
        serve_head(c, status, type, NULL, (int64_t)body.len);
        if (!c->is_head_only)
                buf_add(conn_out(c), body);
        c->is_closing = !c->keeps_alive;
}

static struct buf *fresh(struct conn *c)
{
        buf_clear(&c->worker->events);
        return &c->worker->events;
}

static uint64_t next_id(struct worker *w)
{
        return ++w->ids << 8 | w->number;
}

/* An error in the dialect of the path. `text` is made safe for JSON here. */
static void reply_error(struct conn *c, const struct http_request *r, unsigned status, const char *code,
                        struct str text, const struct fault *f)
{
        struct buf *body = fresh(c), *out = conn_out(c), safe;
        enum tongue tongue = tongue_of(r);
        uint64_t id = next_id(c->worker);

        buf_init(&safe, 4096);
        escape_json(&safe, str_sub(text, 0, 256));
        if (tongue == TONGUE_ANTHROPIC)
                error_body_anthropic(body, status, id, buf_str(&safe));
        else if (tongue == TONGUE_OLLAMA)
                error_body_ollama(body, buf_str(&safe));
        else
                error_body_openai(body, status, code, buf_str(&safe));
        buf_fini(&safe);
        add_status_line(out, status);
        if (tongue != TONGUE_OLLAMA) {
                add_id(out, tongue == TONGUE_ANTHROPIC ? "request-id: req_" : "x-request-id: req_", id);
                ADD(out, "\r\n");
        }
        if (f && f->retry_after)
                buf_addf(out, "retry-after: %u\r\n", f->retry_after);
        if (f && f->should_retry)
                buf_addf(out, "x-should-retry: %s\r\n",
                         f->should_retry == FAULT_RETRY_YES ? "true" : "false");
        end_head(c, JSON, (int64_t)body->len);
        if (!c->is_head_only)
                buf_add(out, buf_str(body));
        c->is_closing = !c->keeps_alive;
}

void serve_refusal(struct conn *c, unsigned status)
{
        COUNT(c->worker, bad_requests, 1);
        c->keeps_alive = false;
        c->is_head_only = c->is_http10 = false;
        reply(c, status, TEXT, status == 413 ? STR("too large\n") : STR("this is no HTTP/1.1 request\n"));
}

struct str options_model_find(const struct options *o, struct str name, unsigned *index)
{
        for (unsigned i = 0; i < o->models_count; i++)
                if (str_match(o->models[i], name)) {
                        *index = i;
                        return name;
                }
        return STR_NULL;
}

/* Parses the body and checks the model. False when an error was answered. */
static bool ask_of(struct conn *c, const struct http_request *r, struct ask *ask, unsigned *model)
{
        if (!ask_parse(r->body, ask)) {
                reply_error(c, r, 400, NULL, STR("We could not parse the JSON body of your request."), NULL);
                return false;
        }
        if (!ask->has_model) {
                reply_error(c, r, 400, NULL, STR("model: Field required"), NULL);
                return false;
        }
        if (!options_model_find(c->worker->options, ask->model, model).ptr) {
                static const char *const before[] = { "The model `", "model: ", "model '" };
                static const char *const after[] = { "` does not exist", "", "' not found" };
                char text[200];

                snprintf(text, sizeof(text), "%s%.*s%s", before[tongue_of(r)],
                         (int)MIN(ask->model.len, (size_t)100), ask->model.ptr, after[tongue_of(r)]);
                reply_error(c, r, 404, "model_not_found", str_of(text), NULL);
                return false;
        }
        return true;
}

static void serve_model(struct conn *c, const struct http_request *r, const struct dialect *d,
                        const struct fault *f)
{
        struct ask ask;
        unsigned model;

        if (!ask_of(c, r, &ask, &model))
                return;
        const char *wrong = d->check(&ask, r, c->worker->options);
        if (wrong) {
                reply_error(c, r, 400, NULL, str_of(wrong), NULL);
                return;
        }
        struct answer *a = pool_take(c->worker->answers);
        if (!a) {
                reply_error(c, r, 503, NULL, STR("out of memory"), NULL);
                return;
        }
        answer_init(a, d, &ask, r, c->worker->options, next_id(c->worker));
        a->model_index = model;
        a->fault = *f;
        pace_begin(c, a);
}

static void serve_chat(struct conn *c, const struct http_request *r, const struct fault *f)
{
        serve_model(c, r, &dialect_chat, f);
}

static void serve_completions(struct conn *c, const struct http_request *r, const struct fault *f)
{
        serve_model(c, r, &dialect_completions, f);
}

static void serve_responses(struct conn *c, const struct http_request *r, const struct fault *f)
{
        serve_model(c, r, &dialect_responses, f);
}

static void serve_messages(struct conn *c, const struct http_request *r, const struct fault *f)
{
        serve_model(c, r, &dialect_messages, f);
}

static void serve_ollama_chat(struct conn *c, const struct http_request *r, const struct fault *f)
{
        serve_model(c, r, &dialect_ollama_chat, f);
}

static void serve_ollama_generate(struct conn *c, const struct http_request *r, const struct fault *f)
{
        serve_model(c, r, &dialect_ollama_generate, f);
}

static void serve_count(struct conn *c, const struct http_request *r, const struct fault *f)
{
        struct ask ask;
        unsigned model;

        (void)f;
        if (!ask_of(c, r, &ask, &model))
                return;
        struct buf *body = fresh(c);
        buf_addf(body, "{\"input_tokens\":%u}", MAX(ask.prompt_tokens, 1u));
        reply(c, 200, JSON, buf_str(body));
}

static void serve_embeddings(struct conn *c, const struct http_request *r, const struct fault *f)
{
        struct ask ask;
        unsigned model;

        (void)f;
        if (!ask_of(c, r, &ask, &model))
                return;
        struct buf *body = fresh(c);
        if (!embeddings_write(&ask, r->body, ask.model, body)) {
                reply_error(c, r, 400, NULL, STR("'$.input' is invalid"), NULL);
                return;
        }
        reply(c, 200, JSON, buf_str(body));
}

static bool is_pattern(struct str name)
{
        return str_find_char(name, '*') != STR_NONE || str_find_char(name, '?') != STR_NONE;
}

static void add_model(struct buf *out, enum tongue tongue, struct str name)
{
        static const char digest[] = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

        buf_add_char(out, '{');
        switch (tongue) {
        case TONGUE_OPENAI:
                add_member(out, "id", name);
                ADD(out,
                    "\"object\":\"model\",\"created\":" SAMPLE_CREATED ",\"owned_by\":\"sekisho-sample\"}");
                break;
        case TONGUE_ANTHROPIC:
                ADD(out, "\"type\":\"model\",");
                add_member(out, "id", name);
                add_member(out, "display_name", name);
                ADD(out, "\"created_at\":\"" SAMPLE_CREATED_TEXT "\"}");
                break;
        case TONGUE_OLLAMA:
                add_member(out, "name", name);
                add_member(out, "model", name);
                add_member(out, "digest", STR(digest));
                ADD(out, "\"modified_at\":\"" SAMPLE_CREATED_TEXT
                         "\",\"size\":4096,\"details\":{\"parent_model\":\"\","
                         "\"format\":\"gguf\",\"family\":\"sample\",\"families\":[\"sample\"],"
                         "\"parameter_size\":\"1K\",\"quantization_level\":\"F32\"}}");
                break;
        }
}

/* The names with commas between; the first and the last of them for Anthropic's page. */
static void add_models(const struct options *o, enum tongue tongue, struct buf *out, struct str *first,
                       struct str *last)
{
        *first = *last = STR_NULL;
        for (unsigned i = 0; i < o->models_count; i++) {
                if (is_pattern(o->models[i]))
                        continue;
                if (first->ptr)
                        buf_add_char(out, ',');
                else
                        *first = o->models[i];
                *last = o->models[i];
                add_model(out, tongue, o->models[i]);
        }
}

static void serve_models(struct conn *c, const struct http_request *r, const struct fault *f)
{
        struct buf *body = fresh(c);
        enum tongue tongue = tongue_of(r);
        struct str first, last;

        (void)f;
        buf_add(body, tongue == TONGUE_OPENAI ? STR("{\"object\":\"list\",\"data\":[") : STR("{\"data\":["));
        add_models(c->worker->options, tongue, body, &first, &last);
        buf_add_char(body, ']');
        if (tongue == TONGUE_ANTHROPIC)
                buf_addf(body, ",\"has_more\":false,\"first_id\":\"%.*s\",\"last_id\":\"%.*s\"",
                         STR_FMT(first), STR_FMT(last));
        buf_add_char(body, '}');
        reply(c, 200, JSON, buf_str(body));
}

static void serve_one_model(struct conn *c, const struct http_request *r, const struct fault *f)
{
        struct str name = str_from(r->path, sizeof("/v1/models/") - 1);
        unsigned index;

        (void)f;
        if (!options_model_find(c->worker->options, name, &index).ptr) {
                reply_error(c, r, 404, "model_not_found", STR("this model does not exist"), NULL);
                return;
        }
        struct buf *body = fresh(c);
        add_model(body, tongue_of(r), name);
        reply(c, 200, JSON, buf_str(body));
}

static void serve_tags(struct conn *c, const struct http_request *r, const struct fault *f)
{
        struct buf *body = fresh(c);
        struct str first, last;

        (void)r, (void)f;
        ADD(body, "{\"models\":[");
        add_models(c->worker->options, TONGUE_OLLAMA, body, &first, &last);
        ADD(body, "]}");
        reply(c, 200, JSON, buf_str(body));
}

static void serve_show(struct conn *c, const struct http_request *r, const struct fault *f)
{
        struct ask ask;
        unsigned model;

        (void)f;
        if (!ask_of(c, r, &ask, &model))
                return;
        reply(c, 200, JSON,
              STR("{\"license\":\"Apache-2.0\",\"modelfile\":\"\",\"parameters\":\"\",\"template\":\"\",\"details\":{"
                  "\"parent_model\":\"\",\"format\":\"gguf\",\"family\":\"sample\",\"families\":[\"sample\"],"
                  "\"parameter_size\":\"1K\",\"quantization_level\":\"F32\"},\"model_info\":{"
                  "\"general.architecture\":\"sample\",\"sample.context_length\":65536},"
                  "\"capabilities\":[\"completion\",\"tools\"]}"));
}

static void serve_version(struct conn *c, const struct http_request *r, const struct fault *f)
{
        (void)r, (void)f;
        reply(c, 200, JSON, STR("{\"version\":\"0.0.0-sekisho-sample\"}"));
}

static void serve_metrics(struct conn *c, const struct http_request *r, const struct fault *f)
{
        struct buf *body = fresh(c);

        (void)r, (void)f;
        stats_write_metrics(c->worker->options, body);
        reply(c, 200, STR("text/plain; version=0.0.4; charset=utf-8"), buf_str(body));
}

static void serve_health(struct conn *c, const struct http_request *r, const struct fault *f)
{
        (void)r, (void)f;
        reply(c, 200, TEXT, STR(""));
}

static void serve_stats(struct conn *c, const struct http_request *r, const struct fault *f)
{
        struct buf *body = fresh(c);

        (void)r, (void)f;
        stats_write(body);
        reply(c, 200, JSON, buf_str(body));
}

static void serve_last(struct conn *c, const struct http_request *r, const struct fault *f)
{
        struct buf *body = fresh(c);

        (void)r, (void)f;
        stats_write_last(body);
        reply(c, 200, JSON, buf_str(body));
}

static void serve_fault(struct conn *c, const struct http_request *r, const struct fault *f)
{
        (void)f;
        if (fault_set(str_eq(r->method, STR("DELETE")) ? STR("") : str_trim(r->body)))
                reply(c, 200, TEXT, STR("ok\n"));
        else
                reply(c, 400, TEXT, STR("no such fault\n"));
}

static void serve_bytes(struct conn *c, const struct http_request *r, const struct fault *f)
{
        struct str text = str_from(r->path, sizeof("/bytes/") - 1);
        uint64_t length;

        if (units_parse_bytes(text, &length) != ERR_OK || length > INT64_MAX) {
                reply(c, 400, TEXT, STR("GET /bytes/NUMBER\n"));
                return;
        }
        serve_head(c, 200, STR("application/octet-stream"), NULL, (int64_t)length);
        if (!c->is_head_only)
                conn_bulk(c, f->kind == FAULT_CUT ? MIN(length, (uint64_t)f->number) : length);
        c->keeps_alive &= f->kind != FAULT_CUT;
        c->is_closing = !c->keeps_alive;
}

static void serve_events(struct conn *c, const struct http_request *r, const struct fault *f)
{
        struct answer *a = pool_take(c->worker->answers);
        struct ask ask;

        if (!a) {
                reply(c, 503, TEXT, STR("out of memory\n"));
                return;
        }
        memset(&ask, 0, sizeof(ask));
        answer_init(a, &dialect_events, &ask, r, c->worker->options, next_id(c->worker));
        a->model_index = MODELS_MAX;
        a->is_stream = true;
        a->tokens = (unsigned)http_number_find(r, "events", 100000000, 10);
        a->interval_ms = (int64_t)http_number_find(r, "interval_ms", 3600000, 0);
        a->delay_ms = (int64_t)http_number_find(r, "delay_ms", 3600000, 0);
        a->event_bytes = (unsigned)http_number_find(r, "size", 1000000, 0);
        a->fault = *f;
        pace_begin(c, a);
}

/* Each event says when it was sent, in nanoseconds of the machine's monotonic clock. */
static void event_token(struct answer *a, unsigned i, struct buf *out)
{
        struct timespec t;
        size_t from = out->len;

        clock_gettime(CLOCK_MONOTONIC, &t);
        buf_addf(out, "data: {\"i\":%u,\"t\":%lld,\"p\":\"", i,
                 (long long)t.tv_sec * 1000000000 + (long long)t.tv_nsec);
        size_t tail = sizeof("\"}\n\n") - 1, used = out->len - from + tail;
        size_t fill = a->event_bytes > used ? a->event_bytes - used : 0;
        char *room = fill ? buf_reserve(out, fill) : NULL;
        if (room) {
                memset(room, 'y', fill);
                buf_added(out, fill);
        }
        ADD(out, "\"}\n\n");
}

static void event_nothing(struct answer *a, struct buf *out)
{
        (void)a, (void)out;
}

static void event_fields(const struct answer *a, struct buf *out)
{
        (void)a, (void)out;
}

const struct dialect dialect_events = {
        .path = "/sse",
        .stream_type = STR_INIT("text/event-stream"),
        .fields = event_fields,
        .whole = event_nothing,
        .open = event_nothing,
        .token = event_token,
        .close = event_nothing,
        .fail = event_nothing,
};

static void serve_echo(struct conn *c, const struct http_request *r, const struct fault *f)
{
        struct buf *body = fresh(c);

        (void)f;
        buf_addf(body, "{\"connection\":%llu,\"request_on_connection\":%u,", (unsigned long long)c->id,
                 c->requests_count);
        stats_write_request(r, body);
        buf_add_char(body, '}');
        if (body->full)
                reply_error(c, r, 413, NULL, STR("too large to echo"), NULL);
        else
                reply(c, 200, JSON, buf_str(body));
}

static void serve_sink(struct conn *c, const struct http_request *r, const struct fault *f)
{
        struct buf *body = fresh(c);

        (void)r, (void)f;
        buf_addf(body, "{\"bytes\":%llu,\"fnv1a\":\"%016llx\"}", (unsigned long long)c->sink_bytes,
                 (unsigned long long)c->sink_hash);
        reply(c, 200, JSON, buf_str(body));
}

static void serve_root(struct conn *c, const struct http_request *r, const struct fault *f)
{
        (void)r, (void)f;
        reply(c, 200, TEXT,
              STR("This is sekisho-sample-model: a stand-in for an inference server, for tests and first steps.\n"
                  "It knows nothing; its words follow from the prompt by a fixed rule.\n"));
}

enum { FOR_CONTROL = 1, FOR_ANYONE = 2, IS_PREFIX = 4, HAS_OWN_CUT = 8 };

static const struct {
        struct str path;
        const char *methods; /* NULL: any */
        unsigned flags;
        void (*serve)(struct conn *c, const struct http_request *r, const struct fault *f);
} routes[] = {
        { STR_INIT("/v1/chat/completions"), "POST", HAS_OWN_CUT, serve_chat },
        { STR_INIT("/v1/messages"), "POST", HAS_OWN_CUT, serve_messages },
        { STR_INIT("/v1/completions"), "POST", HAS_OWN_CUT, serve_completions },
        { STR_INIT("/v1/responses"), "POST", HAS_OWN_CUT, serve_responses },
        { STR_INIT("/v1/embeddings"), "POST", 0, serve_embeddings },
        { STR_INIT("/v1/messages/count_tokens"), "POST", 0, serve_count },
        { STR_INIT("/v1/models"), "GET HEAD", 0, serve_models },
        { STR_INIT("/v1/models/"), "GET HEAD", IS_PREFIX, serve_one_model },
        { STR_INIT("/api/chat"), "POST", HAS_OWN_CUT, serve_ollama_chat },
        { STR_INIT("/api/generate"), "POST", HAS_OWN_CUT, serve_ollama_generate },
        { STR_INIT("/api/tags"), "GET HEAD", 0, serve_tags },
        { STR_INIT("/api/ps"), "GET HEAD", 0, serve_tags },
        { STR_INIT("/api/show"), "POST", 0, serve_show },
        { STR_INIT("/api/version"), "GET HEAD", 0, serve_version },
        { STR_INIT("/metrics"), "GET HEAD", FOR_ANYONE, serve_metrics },
        { STR_INIT("/health"), "GET HEAD", FOR_ANYONE, serve_health },
        { STR_INIT("/stats"), "GET HEAD", FOR_CONTROL, serve_stats },
        { STR_INIT("/last"), "GET HEAD", FOR_CONTROL, serve_last },
        { STR_INIT("/fault"), "PUT DELETE", FOR_CONTROL, serve_fault },
        { STR_INIT("/bytes/"), "GET HEAD POST", IS_PREFIX | HAS_OWN_CUT, serve_bytes },
        { STR_INIT("/sse"), "GET POST", HAS_OWN_CUT, serve_events },
        { STR_INIT("/sink"), "POST PUT", 0, serve_sink },
        { STR_INIT("/headers"), "GET HEAD", 0, serve_echo },
        { STR_INIT("/echo"), NULL, IS_PREFIX, serve_echo },
        { STR_INIT("/"), "GET HEAD", FOR_ANYONE, serve_root },
};

static bool has_word(const char *words, struct str word)
{
        struct str rest = str_of(words), part;

        while (str_split(&rest, ' ', &part))
                if (str_eq(part, word))
                        return true;
        return false;
}

static bool is_let_in(const struct options *o, const struct http_request *r)
{
        if (!o->api_key.len || str_eq(r->api_key, o->api_key))
                return true;
        return str_has_prefix(r->authorization, STR("Bearer ")) &&
               str_eq(str_from(r->authorization, 7), o->api_key);
}

/* True when the fault was the whole answer. */
static bool serve_fault_first(struct conn *c, const struct http_request *r, const struct fault *f,
                              bool has_cut)
{
        enum fault_kind kind = f->kind;

        if (kind >= FAULT_CUT && !has_cut)
                kind = kind == FAULT_CUT_RESET ? FAULT_RESET : FAULT_CLOSE;
        switch (kind) {
        case FAULT_STATUS:
                reply_error(c, r, f->number, NULL, STR("the sample model was told to fail"), f);
                return true;
        case FAULT_RESET: conn_close(c, true); return true;
        case FAULT_CLOSE: conn_close(c, false); return true;
        case FAULT_STALL: c->is_stalled = true; return true;
        case FAULT_GARBAGE:
                ADD(conn_out(c), "\x16\x03\x01 this is not HTTP\r\n\r\n");
                c->is_closing = true;
                return true;
        case FAULT_SLOW_HEAD: c->trickle_ms = f->number; return false;
        default: return false;
        }
}

void serve(struct conn *c, const struct http_request *r)
{
        struct fault fault;
        struct str bad;
        const struct options *o = c->worker->options;

        COUNT(c->worker, requests, 1);
        c->requests_count++;
        c->keeps_alive = r->keep_alive;
        c->is_http10 = str_eq(r->version, STR("HTTP/1.0"));
        c->is_head_only = r->is_head_method;
        for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
                if (!(routes[i].flags & IS_PREFIX ? str_has_prefix(r->path, routes[i].path)
                                                  : str_eq(r->path, routes[i].path)))
                        continue;
                if (routes[i].methods && !has_word(routes[i].methods, r->method)) {
                        reply_error(c, r, 405, NULL, STR("this method is not for this path"), NULL);
                        return;
                }
                if (o->is_recording && !(routes[i].flags & FOR_CONTROL))
                        stats_record(r);
                bool has_fault = !(routes[i].flags & FOR_CONTROL) && fault_find(r, &fault, &bad);
                if (!has_fault)
                        fault = (struct fault){ .kind = FAULT_NONE };
                if (has_fault && bad.ptr) {
                        reply_error(c, r, 400, NULL, STR("x-sample-fault: no such fault"), NULL);
                        return;
                }
                if (serve_fault_first(c, r, &fault, routes[i].flags & HAS_OWN_CUT))
                        return;
                if (!(routes[i].flags & (FOR_ANYONE | FOR_CONTROL)) && !is_let_in(o, r)) {
                        reply_error(c, r, 401, "invalid_api_key", STR("Incorrect API key provided"), NULL);
                        return;
                }
                routes[i].serve(c, r, &fault);
                if (fault.kind == FAULT_SURPLUS && !c->answer)
                        ADD(conn_out(c), "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nsurplus");
                return;
        }
        reply_error(c, r, 404, NULL, STR("there is nothing at this path"), NULL);
}
