#include "control/api.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "base/log.h"
#include "control/api_replay_priv.h"
#include "control/control_priv.h"
#include "crypto/secret.h"
#include "proxy/reply.h"
#include "proxy/worker.h"
#include "store/idempotency.h"

/*
 * Theory of operation. A call is allocated when its exchange picks it, and holds copies of what it needs of the request: the
 * caller may leave while its job runs in another thread, and then the call is freed when the job is done. `run` writes an
 * answer, or says what is wrong; both are turned into a reply back on the loop's thread. An error takes the transaction
 * back, so that a refused change leaves nothing.
 */

enum { ARENA_BYTES = 512 * 1024, WORK_BYTES = 16 << 20, FAILURES_PER_MINUTE = 30 };

static struct control *the_control;

void api_start(struct control *control)
{
        the_control = control;
}

static void call_free(struct api_call *c)
{
        if (c->x)
                c->x->extra = NULL;
        buf_wipe(&c->answer);
        crypto_wipe((char *)(uintptr_t)c->presented.ptr, c->presented.len);
        crypto_wipe((char *)(uintptr_t)c->body.ptr, c->body.len);
        arena_fini(&c->work);
        arena_fini(&c->arena);
        free(c);
}

/* ---- the job ---- */

static enum err who(struct api_call *c, struct store_txn *t, struct identity_permit *permit)
{
        const char *why = NULL;
        enum err e;

        c->caller = (struct identity_caller){ 0 };
        if (c->route->flags & API_PUBLIC)
                return ERR_OK;
        if (c->presented.len) {
                e = identity_caller_of_key(t, c->presented, &c->work, &c->caller);
                if (e == ERR_DENIED)
                        return api_fail(c, 401, NULL,
                                        "This API key is not known here, or is no longer good.");
                if (e != ERR_OK)
                        return e;
        }
        c->caller.source = c->source;
        unsigned scopes = c->route->scopes ? c->route->scopes : (unsigned)IDENTITY_SCOPES_ALL;
        if (identity_decide(&c->caller, scopes, permit, &why) != ERR_OK)
                return api_fail(c, c->caller.kind == IDENTITY_NOBODY ? 401 : 403, NULL, "%s", why);
        return ERR_OK;
}

static enum err call_run(struct store_job *job, struct store_txn *t)
{
        struct api_call *c = CONTAINER_OF(job, struct api_call, job);
        struct identity_permit permit;
        struct str hash = STR_NULL;
        bool keeps = c->idempotency_key.len && !(c->route->flags & (API_READS | API_PUBLIC));
        enum err e;

        arena_reset(&c->work);
        buf_clear(&c->answer);
        c->has_failed = c->is_replayed = false;
        c->etag[0] = '\0';
        c->location = STR_NULL;
        if ((e = who(c, t, &permit)) != ERR_OK)
                return e;
        if (keeps) {
                e = api_replay_find(c, t, &hash);
                if (e != ERR_OK || c->is_replayed)
                        return e;
        }
        e = c->route->run(c, t, &permit);
        if (e == ERR_OK && keeps)
                e = api_replay_keep(c, t, hash);
        return e == ERR_OK && c->work.full ? ERR_NO_MEMORY : e;
}

/* ---- back on the loop's thread ---- */

static void error_reply(struct api_call *c)
{
        struct reply_field fields[] = { { STR("Content-Type"), STR("application/json") },
                                        { STR("Cache-Control"), STR("no-store") } };
        struct exchange *x = c->x;
        struct buf body;

        buf_init(&body, 8192);
        buf_addf(&body, "{\"error\":{\"type\":\"%s\",\"message\":\"", c->error_type);
        escape_json(&body, str_of(c->message));
        buf_addf(&body, "\",\"request_id\":\"%s\"}}\n", x->id);
        x->refused = "api";
        reply_take(x, c->status, fields, ARRAY_SIZE(fields), &body);
}

void api_answer_now(struct api_call *c)
{
        struct reply_field fields[6] = { { STR("Cache-Control"), STR("no-store") } };
        struct exchange *x = c->x;
        size_t n = 1;

        if (!x) {
                call_free(c);
                return;
        }
        if (c->has_failed) {
                error_reply(c);
                call_free(c);
                return;
        }
        if (c->status != 204)
                fields[n++] = (struct reply_field){ STR("Content-Type"), STR("application/json") };
        if (c->etag[0])
                fields[n++] = (struct reply_field){ STR("ETag"), arena_copy(&x->arena, str_of(c->etag)) };
        if (c->location.len)
                fields[n++] = (struct reply_field){ STR("Location"), arena_copy(&x->arena, c->location) };
        if (c->is_replayed)
                fields[n++] = (struct reply_field){ STR("Idempotency-Replayed"), STR("true") };
        reply_take(x, c->status, fields, n, &c->answer);
        call_free(c);
}

void api_let_go(struct api_call *c)
{
        call_free(c);
}

/* Guessing keys is bounded by address; who has the right one always passes. */
static bool guesses_too_much(struct api_call *c)
{
        struct exchange *x = c->x;
        struct units_rate rate = { FAILURES_PER_MINUTE, 60000 };
        uint64_t key = hash_str(x->w->shared->hash_key,
                                (struct str){ (const char *)&x->client.ip, sizeof(x->client.ip) }) ^
                       UINT64_C(0x9e3779b97f4a7c15);
        int64_t wait_ms;

        if (!x->client.ip.family ||
            gate_pass(x->w->shared->rates, key, &rate, loop_now(x->w->loop), &wait_ms))
                return false;
        reply_will_have(x, "Retry-After", arena_format(&x->arena, "%" PRId64, (wait_ms + 999) / 1000));
        api_fail(c, 429, NULL, "Too many wrong keys from this address. Try again later.");
        return true;
}

static void call_done(struct store_job *job, enum err e)
{
        struct api_call *c = CONTAINER_OF(job, struct api_call, job);

        c->is_running = false;
        if (!c->x) {
                if (e == ERR_OK && !c->has_failed && c->route->flags & API_ENDS)
                        c->route->stream(c);
                else
                        call_free(c);
                return;
        }
        if (e != ERR_OK && !c->has_failed) {
                log_error("api_call_failed", LOG_C("route", c->route->path), LOG_E(e),
                          LOG_C("reason", job->reason));
                if (e == ERR_AGAIN || e == ERR_CLOSED || e == ERR_TIMED_OUT || e == ERR_UNREACHABLE) {
                        reply_will_have(c->x, "Retry-After", STR("1"));
                        api_fail(c, 503, NULL, "The store is busy or not reachable. Try again.");
                } else if (str_find(str_of(job->reason), STR(STORE_FULL_WORDS)) != STR_NONE) {
                        api_fail(
                                c, 507, "store_full",
                                "The disk of control's store is full: nothing was changed. Free some space and try again.");
                } else {
                        api_fail(c, 500, NULL, "The store could not do it: %s. Control's log says more.",
                                 err_text(e));
                }
        }
        if (c->has_failed && c->status == 401) {
                reply_will_have(c->x, "WWW-Authenticate", STR("Bearer realm=\"sekisho control\""));
                if (c->presented.len)
                        guesses_too_much(c);
        }
        if (c->caller.kind == IDENTITY_KEY && !c->has_failed)
                control_key_used(c->control, c->caller.id);
        if (!c->has_failed && c->route->stream)
                c->route->stream(c);
        else
                api_answer_now(c);
}

static void call_start(struct api_call *c)
{
        if (c->route->prepare && !c->route->prepare(c))
                return;
        c->job = (struct store_job){ .run = call_run,
                                     .done = call_done,
                                     .is_read = c->route->flags & API_READS };
        c->is_running = true;
        enum err e = store_submit(c->control->store, &c->job);
        if (e != ERR_OK) {
                c->is_running = false;
                api_fail(c, 503, NULL, "Too many changes wait already. Try again.");
                api_answer_now(c);
        }
}

/* ---- from the exchange ---- */

static const char *base_of(const struct api_route *r)
{
        return r->base ? r->base : "/api/v1";
}

/* "/nodes/{id}/x" against the path below /api/v1: what stands for the braces. */
static void params_find(struct api_call *c, struct str path)
{
        struct str pattern = str_of(c->route->path), a, b;
        unsigned n = 0;

        path = str_from(path, strlen(base_of(c->route)));
        while (str_split(&pattern, '/', &a) && str_split(&path, '/', &b))
                if (a.len && a.ptr[0] == '{' && n < API_PARAMS_MAX)
                        c->params[n++] = arena_copy(&c->arena, b);
}

static struct str source_of(struct exchange *x, struct arena *a)
{
        char text[IP_TEXT_MAX];

        return arena_copy(a, ip_format(x->client.ip, text));
}

static void cancel(struct exchange *x)
{
        struct api_call *c = x->extra;

        if (!c)
                return;
        x->extra = NULL;
        c->x = NULL;
        if (!c->is_running)
                call_free(c);
}

static bool is_json(const struct exchange *x)
{
        struct str type = http_value(&x->request, HTTP_FIELD_CONTENT_TYPE);

        return str_eq_nocase(str_trim(str_sub(type, 0, str_find_char(type, ';'))), STR("application/json"));
}

static void on_body(struct exchange *x, bool is_last)
{
        struct api_call *c = x->extra;

        if (!c || !is_last)
                return;
        char *copy = arena_alloc(&c->arena, x->body.len + 1, 1);
        if (!copy) {
                exchange_refuse(x, 413, "body_too_large", "The body is larger than this API takes.");
                return;
        }
        bodystore_copy(&x->body, copy);
        c->body = (struct str){ copy, x->body.len };
        if (c->body.len && !is_json(x)) {
                exchange_refuse(x, 415, "content_type", "Send the body as Content-Type: application/json.");
                return;
        }
        if (c->body.len == 0)
                c->body = STR("{}");
        call_start(c);
}

static struct str field(struct api_call *c, const char *name)
{
        const struct http_field *f = http_find_name(&c->x->request, str_of(name));

        return f ? arena_copy(&c->arena, f->value) : STR("");
}

static enum step_result pick(struct exchange *x)
{
        struct api_call *c = calloc(1, sizeof(*c));
        bool is_malformed;

        if (!c)
                return exchange_refuse(x, 503, "memory", "Control has no memory for this request.");
        arena_init(&c->arena, NULL, 0, ARENA_BYTES);
        arena_init(&c->work, NULL, 0, WORK_BYTES);
        buf_init_secret(&c->answer, API_ANSWER_MAX);
        c->x = x;
        c->control = the_control;
        c->route = x->route->handler_conf;
        x->extra = c;
        params_find(c, x->target.path);
        c->query = arena_copy(&c->arena, x->target.query);
        c->presented = arena_copy(&c->arena, access_presented(&x->request, &is_malformed));
        c->if_match = field(c, "If-Match");
        c->idempotency_key = field(c, "Idempotency-Key");
        c->source = source_of(x, &c->arena);
        if (is_malformed)
                return exchange_refuse(x, 400, "credentials",
                                       "The request carries more than one credential.");
        if (c->idempotency_key.len > STORE_IDEMPOTENCY_KEY_MAX)
                return exchange_refuse(x, 400, "idempotency", "Idempotency-Key is longer than 200 bytes.");
        if (c->arena.full)
                return exchange_refuse(x, 503, "memory", "Control has no memory for this request.");
        if (c->route->request) {
                exchange_collect(x);
                return STEP_WAIT;
        }
        call_start(c);
        return x->answer_started || x->is_ended ? STEP_DONE : STEP_WAIT;
}

/* Programs are answered in JSON, browsers too. */
static void format_error(struct exchange *x, uint16_t status, const char *type, const char *message,
                         struct buf *out)
{
        buf_addf(out, "{\"error\":{\"type\":\"%s\",\"message\":\"", type);
        escape_json(out, str_of(message));
        buf_addf(out, "\",\"request_id\":\"%s\"}}\n", x->id);
}

const struct handler api_handler = {
        .name = "api", .pick = pick, .on_body = on_body, .cancel = cancel, .format_error = format_error
};

const struct handler api_websocket_handler = { .name = "channel",
                                               .takes_websocket = true,
                                               .forgets_tunnels =
                                                       true, /* api_let_go: the channel is all that is left */
                                               .pick = pick,
                                               .on_body = on_body,
                                               .cancel = cancel,
                                               .format_error = format_error };

struct route *api_route_add(struct route_table *t, const struct api_route *r, struct arena *a)
{
        struct str path = arena_format(a, "%s%s", base_of(r), r->path);
        bool has_params = str_find_char(path, '{') != STR_NONE;
        struct route *out = &t->routes[t->count++];

        *out = (struct route){ .name = arena_format(a, "%s%s", r->tag, r->path),
                               .path = path,
                               .path_kind = has_params ? PATH_PATTERN : PATH_EXACT,
                               .methods = 1u << r->method,
                               .access = { .is_public = true }, /* the handler asks for the key */
                               .handler = r->handler ? r->handler : &api_handler,
                               .handler_conf = r,
                               .body_bytes_max = API_BODY_MAX,
                               .is_builtin = true };
        return out;
}

void api_routes_add(struct route_table *t, const struct api_route *routes, size_t count, struct arena *a)
{
        for (size_t i = 0; i < count; i++)
                api_route_add(t, &routes[i], a);
}
