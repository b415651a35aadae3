#include "llm/passthrough.h"

#include <inttypes.h>
#include <stdio.h>

#include "llm/dialect.h"
#include "proxy/links.h"
#include "proxy/reply.h"
#include "proxy/up.h"
#include "proxy/worker.h"
#include "json/scanner.h"
#include "json/writer.h"

/*
 * Theory of operation. The body is collected whole (bounded by limits.modelLookahead) while the scanner looks for the
 * top-level "model": only a whole body shows that there is no second one for the provider to prefer, and only a kept
 * body can be sent to the next provider. Then the candidates are tried in order. Each time the name is replaced in the
 * stored body as the provider calls it, Content-Length follows, the credential and Host are the provider's. No other
 * byte changes.
 */

struct asked {
        struct json_scanner scanner;
        uint64_t scanned;
        struct candidate candidates[CANDIDATES_MAX];
        size_t candidates_count, next;
        struct str path_and_query; /* behind the base path */
        struct target *target;     /* of the present attempt */
        int32_t slot;              /* of the provider's calls at a time, while the attempt lasts */
        bool was_redirected;       /* a provider tried to send us elsewhere */
        bool was_full;             /* a provider has as many calls as it may */
};

enum {
        TRIES_MAX = 7, /* one less than an exchange may: each answer passes `declines` */
        COOL_DOWN_MS_MAX = 60000
};

static const struct str watched[] = { STR_INIT("model") };

static enum step_result bad_body(struct exchange *x, const char *refused, const char *message)
{
        return exchange_refuse(x, 400, refused, message);
}

/* What came since the last look goes through the scanner. */
static enum err scan(struct exchange *x, struct asked *a)
{
        struct str slices[16];
        size_t count;

        while ((count = bodystore_read(&x->body, (size_t)a->scanned, slices, ARRAY_SIZE(slices))) > 0)
                for (size_t i = 0; i < count; i++) {
                        enum err e = json_scanner_feed(&a->scanner, slices[i]);
                        if (e != ERR_OK)
                                return e;
                        a->scanned += slices[i].len;
                }
        return ERR_OK;
}

static struct str query_of(const struct exchange *x)
{
        return str_from(x->target.text, x->target.path.len); /* with its '?' */
}

/* The whole body is here: which model, may the caller use it, who serves it. */
static enum step_result model_find(struct exchange *x, struct asked *a)
{
        const struct passthrough *p = x->route->handler_conf;
        const struct json_field *field = json_scanner_find(&a->scanner, STR("model"));
        bool is_known;

        if (!a->scanner.is_object)
                return bad_body(x, "json", "The body must be a JSON object.");
        if (!field || field->type != JSON_STRING)
                return bad_body(x, "model_missing", "The body needs a \"model\", as a string.");
        if (field->is_cut)
                return bad_body(x, "model_name", "The model's name is too long.");
        x->model = arena_copy(&x->arena, json_field_text(field));
        a->candidates_count = catalogue_find(p->catalogue, x->model, p->dialect, a->candidates, &is_known);
        if (!is_known || !token_may_use_model(x->token, x->model))
                return exchange_refuse(x, 404, "model_not_found",
                                       "This model does not exist here, or this token may not use it.");
        if (a->candidates_count == 0)
                return exchange_refuse(
                        x, 404, "model_dialect",
                        "This model is served here, but not by a provider that speaks this API.");
        candidates_spread(a->candidates, a->candidates_count,
                          x->w->shared->start_random ^ hash_u64(x->w->ids_count << 8 | x->w->index));
        struct str parts[2] = { p->path, query_of(x) };
        a->path_and_query = arena_join(&x->arena, parts, 2);
        return STEP_NEXT;
}

static void on_body(struct exchange *x, bool is_last)
{
        struct asked *a = x->extra;
        enum err e = scan(x, a);

        if (e == ERR_OK && is_last)
                e = json_scanner_end(&a->scanner);
        if (e != ERR_OK && a->scanner.culprit) {
                bad_body(x, "model_twice", "The body names \"model\" more than once.");
                return;
        }
        if (e != ERR_OK) {
                bad_body(x, "json", "The body is not valid JSON.");
                return;
        }
        if (is_last && model_find(x, a) == STEP_NEXT)
                exchange_run_later(x);
}

/* ---- an attempt ---- */

static struct str json_string(struct exchange *x, struct str text)
{
        struct json_writer w;
        struct buf out;

        buf_init(&out, 4096);
        json_writer_init(&w, &out, JSON_COMPACT);
        json_write_str(&w, text);
        json_writer_finish(&w);
        struct str copy = arena_copy(&x->arena, buf_str(&out));
        buf_fini(&out);
        return copy;
}

static enum err body_fit(struct exchange *x, const struct asked *a, struct str model)
{
        const struct json_field *field = json_scanner_find(&a->scanner, STR("model"));

        if (str_eq(model, x->model))
                bodystore_replace(&x->body, 0, 0,
                                  STR_NULL); /* as it came, also after another provider's name */
        else
                bodystore_replace(&x->body, (size_t)field->start, (size_t)(field->end - field->start),
                                  json_string(x, model));
        http_remove(&x->request, HTTP_FIELD_TRANSFER_ENCODING);
        x->request.framing = HTTP_BODY_LENGTH;
        x->request.content_length = bodystore_read_len(&x->body);
        return http_replace(&x->request, STR("Content-Length"),
                            arena_format(&x->arena, "%zu", bodystore_read_len(&x->body)));
}

/* Whatever a caller proves itself with stays here, also where no token is asked for. */
static void credentials_remove(struct http_head *h)
{
        http_remove(h, HTTP_FIELD_AUTHORIZATION);
        http_remove(h, HTTP_FIELD_X_API_KEY);
        http_remove(h, HTTP_FIELD_COOKIE);
        http_remove_name(h, STR("api-key"));
        http_remove_name(h, STR("x-goog-api-key"));
}

static enum err credential_set(struct exchange *x, const struct provider *p)
{
        struct http_head *h = &x->request;
        enum err e = ERR_OK;

        credentials_remove(h);
        if (p->conf->kind == CONF_ANTHROPIC) {
                if (p->conf->api_key.len)
                        e = http_replace(h, STR("x-api-key"), p->conf->api_key);
                if (e == ERR_OK && !http_find_name(h, STR("anthropic-version")))
                        e = http_add(h, STR("anthropic-version"), STR("2023-06-01"));
        } else if (p->authorization.len) {
                e = http_replace(h, STR("Authorization"), p->authorization);
        }
        for (size_t i = 0; e == ERR_OK && i < p->conf->headers_count; i++)
                e = http_replace(h, p->conf->headers[i].name, p->conf->headers[i].value);
        return e;
}

/* Anthropic's paths begin with /v1 whatever the base URL; OpenAI's base URL has it; Ollama's own stand beside that. */
static struct str target_text(struct exchange *x, const struct asked *a, const struct provider *p)
{
        const struct passthrough *conf = x->route->handler_conf;
        struct str base = p->base_path;

        if (str_has_suffix(base, STR("/v1")))
                base.len -= 3;
        struct str parts[3] = { base, conf->dialect == CONF_OLLAMA ? STR("/api") : STR("/v1"),
                                a->path_and_query };

        return arena_join(&x->arena, parts, 3);
}

static enum step_result attempt(struct exchange *x, struct asked *a, const struct candidate *c)
{
        struct target *t = (struct target *)&c->provider->target;

        if (body_fit(x, a, c->model) != ERR_OK || credential_set(x, c->provider) != ERR_OK ||
            http_replace(&x->request, STR("Host"), t->authority) != ERR_OK)
                return exchange_refuse(x, 431, "fields", "The request has too many fields.");
        x->forward_target = target_text(x, a, c->provider);
        if (x->arena.full)
                return exchange_refuse(x, 503, "memory", "The gateway has no memory for this request.");
        x->upstream = (struct upstream *)&c->provider->upstream;
        a->target = t;
        if (up_connect(x, t) != ERR_OK)
                return exchange_refuse(x, 503, "upstream_connections",
                                       "The gateway has no connection left for the provider.");
        return x->is_connecting ? STEP_WAIT : STEP_NEXT;
}

/* Usable providers first, in order; when none is, whichever is left: a doubtful answer is better than none. */
static const struct candidate *candidate_next(struct exchange *x, struct asked *a)
{
        mono_ms now = loop_now(x->w->loop);

        while (a->next < a->candidates_count) {
                const struct candidate *c = &a->candidates[a->next++];
                bool is_last = a->next == a->candidates_count;

                if (is_last ||
                    (standing_is_usable(c->provider->target.standing, now) &&
                     (!c->provider->target.agent.len || links_has(x->w->links, c->provider->target.agent))))
                        return c;
        }
        return NULL;
}

/* One more call for the provider, of all workers together; false when it has as many as it may. */
static bool slot_take(struct exchange *x, struct asked *a, const struct provider *p)
{
        struct shared *shared = x->w->shared;
        uint64_t key = hash_str(shared->hash_key, p->name) ^ 0x6c6c6d2070726f76; /* no token's or address's */
        uint32_t max = (uint32_t)p->conf->max_concurrency;

        if (!max)
                return true;
        a->slot = tally_enter(shared->requests, x->w->index, key, max);
        return a->slot != TALLY_NO_SLOT;
}

static void slot_leave(struct exchange *x, struct asked *a)
{
        tally_leave(x->w->shared->requests, x->w->index, a->slot);
        a->slot = TALLY_NO_SLOT;
}

/* The model's name could not be read, let alone written, in a body that is packed. */
static bool is_packed(const struct exchange *x)
{
        struct str coding = http_value(&x->request, HTTP_FIELD_CONTENT_ENCODING);

        return coding.len && !str_eq_nocase(coding, STR("identity"));
}

static enum step_result begin(struct exchange *x)
{
        struct asked *a;

        if (is_packed(x))
                return exchange_refuse(x, 415, "content_encoding",
                                       "Send the body as it is, without a Content-Encoding.");
        if (!(a = x->extra = ARENA_NEW(&x->arena, struct asked)))
                return exchange_refuse(x, 503, "memory", "The gateway has no memory for this request.");
        a->slot = TALLY_NO_SLOT;
        json_scanner_init(&a->scanner, watched, ARRAY_SIZE(watched), JSON_SCAN_CASE_STRICT, 0);
        exchange_collect(x);
        return STEP_WAIT;
}

static enum step_result refuse(struct exchange *x, const struct asked *a)
{
        if (a->was_redirected)
                return exchange_refuse(x, 502, "provider_redirect",
                                       "The provider answered with a redirect, which is not followed.");
        if (a->was_full) {
                reply_will_have(x, "Retry-After", STR("1"));
                return exchange_refuse(x, 503, "provider_full",
                                       "The model's provider has as many calls as it may. Try again soon.");
        }
        return exchange_refuse(x, x->up_error == ERR_TIMED_OUT ? 504 : 502, "providers_failed",
                               "No provider of this model could be reached.");
}

static enum step_result pick(struct exchange *x)
{
        struct asked *a = x->extra;

        if (!a)
                return begin(x);
        if (x->is_stale_retry && a->target) { /* only the kept connection was stale */
                x->is_stale_retry = false;
                a->next--;
        }
        slot_leave(x, a);
        for (const struct candidate *c; x->attempts < TRIES_MAX && (c = candidate_next(x, a));) {
                if (slot_take(x, a, c->provider))
                        return attempt(x, a, c);
                a->was_full = true;
        }
        return refuse(x, a);
}

static void cancel(struct exchange *x)
{
        if (x->extra)
                slot_leave(x, x->extra);
        up_abandon(x);
}

/* ---- an answer ---- */

/* A provider that says for how long it wants no more is asked last until then; in seconds, as these APIs say it. */
static void cool_down(struct exchange *x, const struct asked *a, const struct http_head *head)
{
        struct standing *s = a->target ? a->target->standing : NULL;
        struct str text = str_trim(http_value(head, HTTP_FIELD_RETRY_AFTER));
        uint64_t seconds;

        if (!s || (head->status != 429 && head->status != 503) || !text.len)
                return;
        switch (units_parse_u64(text, COOL_DOWN_MS_MAX / 1000, &seconds)) {
        case ERR_OK: break;
        case ERR_TOO_LARGE: seconds = COOL_DOWN_MS_MAX / 1000; break;
        default: return; /* a date, or nothing we know */
        }
        mono_ms until = loop_now(x->w->loop) + (mono_ms)seconds * 1000;
        if (atomic_load(&s->ejected_until) < until)
                atomic_store(&s->ejected_until, until);
}

/* An answer that another provider may do better, or that must not go to the caller. */
static bool declines(struct exchange *x, const struct http_head *head)
{
        struct asked *a = x->extra;

        if (!a || !a->target) /* an answer of our own */
                return false;
        if (head->status >= 300 && head->status < 400) {
                a->was_redirected = true;
                return true;
        }
        cool_down(x, a, head);
        if (a->next >= a->candidates_count)
                return false;
        switch (head->status) {
        case 429:
        case 500:
        case 502:
        case 503:
        case 504:
        case 529: return true;
        default: return false;
        }
}

const struct handler passthrough_openai = { .name = "openai",
                                            .pick = pick,
                                            .on_body = on_body,
                                            .cancel = cancel,
                                            .declines = declines,
                                            .format_error = dialect_openai_error };
const struct handler passthrough_anthropic = { .name = "anthropic",
                                               .pick = pick,
                                               .on_body = on_body,
                                               .cancel = cancel,
                                               .declines = declines,
                                               .format_error = dialect_anthropic_error };
const struct handler passthrough_ollama = { .name = "ollama",
                                            .pick = pick,
                                            .on_body = on_body,
                                            .cancel = cancel,
                                            .declines = declines,
                                            .format_error = dialect_ollama_error };
