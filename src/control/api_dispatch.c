#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/api_dispatch.h"
#include "control/control_priv.h"
#include "control/dispatch.h"
#include "control/dispatch_bodies.h"
#include "control/routes_priv.h"
#include "crypto/text.h"
#include "dispatch/dispatcher.h"
#include "proxy/reply.h"
#include "store/dispatches.h"
#include "store/settings.h"
#include "json/reader.h"

/*
 * Theory of operation. A call of /api/execute is judged and read in the store's thread as any call is; then, on the loop's thread, the
 * dispatcher takes over its exchange. The pool is the loop's: what is asked about it is answered there.
 */

/* ---- /api/execute ---- */

bool dispatch_is_on(struct api_call *c)
{
        if (c->control->dispatcher)
                return true;
        api_fail(
                c, 404, NULL,
                "Nothing is sent out from here: control's file allows no destination (control.dispatch.allow).");
        api_answer_now(c);
        return false;
}

static bool execute_prepare(struct api_call *c)
{
        const struct http_field *accept = http_find_name(&c->x->request, STR("Accept"));
        struct dispatch_order *order = ARENA_NEW(&c->arena, struct dispatch_order);

        if (!dispatch_is_on(c))
                return false;
        if (!order) {
                api_fail(c, 503, NULL, "Control has no memory for this request.");
                api_answer_now(c);
                return false;
        }
        order->is_raw = accept && str_eq_nocase(str_trim(accept->value), STR("application/octet-stream"));
        c->prepared = order;
        return true;
}

#define DEFAULT_SETTING STR("dispatch.request")

/* The stored request whose members stand where a caller says nothing; empty: none. */
static enum err default_read(struct api_call *c, struct store_txn *t, int64_t org, struct str *out)
{
        struct store_setting setting;
        enum err e = store_setting_by_name(t, org, DEFAULT_SETTING, &c->work, &setting);

        *out = e == ERR_OK ? setting.value : STR("");
        return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static API_RUN(dispatch_execute)
{
        struct dispatch_order *order = c->prepared;
        const struct json_value *root, *defaults = NULL;
        struct str stored;
        struct buf problem;
        enum err e;

        arena_fini(&order->arena);
        arena_init(&order->arena, NULL, 0, 64 << 20);
        buf_init(&problem, 1024);
        /* What is read points into the body: the order outlives the call. */
        struct str body = arena_copy(&order->arena, c->body);
        e = body.ptr ? default_read(c, t, identity_permit_org(permit), &stored) : ERR_NO_MEMORY;
        if (e == ERR_OK && stored.len)
                e = json_read_strict(&order->arena, arena_copy(&order->arena, stored), NULL, &defaults);
        if (e == ERR_OK)
                e = json_read_strict(&order->arena, body, NULL, &root);
        if (e == ERR_MALFORMED || e == ERR_TOO_LARGE)
                e = api_fail(c, 400, NULL, "The body is no JSON.");
        else if (e == ERR_OK && (e = dispatch_ask_read(root, defaults, &order->arena, &order->ask,
                                                       &problem)) == ERR_MALFORMED)
                e = api_fail(c, 400, NULL, "%.*s", STR_FMT(buf_str(&problem)));
        buf_fini(&problem);
        if (e == ERR_OK) {
                order->caller = arena_copy(&order->arena, identity_permit_caller(permit)->name);
                order->caller_key = (uint64_t)identity_permit_caller(permit)->id;
                c->status = 200;
        }
        if (e != ERR_OK)
                arena_fini(&order->arena);
        return e;
}

static void refused(struct api_call *c, enum dispatch_start start, int64_t wait_ms)
{
        static const struct {
                uint16_t status;
                const char *message;
        } rows[] = {
                [DISPATCH_CALLER_RATE] = { 429,
                                           "This key sends more requests than control.dispatch.callerRate allows." },
                [DISPATCH_CALLER_BUSY] = { 429,
                                           "This key has as many requests under way as control.dispatch.callerRequests "
                                           "allows. Try again when some have ended." },
                [DISPATCH_NO_MEMORY] = { 503, "Control has no memory for this request." },
        };

        reply_will_have(
                c->x, "Retry-After",
                arena_format(&c->x->arena, "%lld", (long long)MAX((wait_ms + 999) / 1000, (int64_t)1)));
        api_fail(c, rows[start].status, NULL, "%s", rows[start].message);
        api_answer_now(c);
}

static void execute_stream(struct api_call *c)
{
        struct dispatch_order *order = c->prepared;
        int64_t wait_ms = 0;
        enum dispatch_start start;

        if (!c->x) { /* the caller left meanwhile: it was never a request */
                arena_fini(&order->arena);
                api_let_go(c);
                return;
        }
        start = dispatcher_execute(c->control->dispatcher, c->x, order, &wait_ms);
        if (start == DISPATCH_STARTED) {
                api_let_go(c);
                return;
        }
        arena_fini(&order->arena);
        refused(c, start, wait_ms);
}

/* The predecessor's agents knock here; they are told what to do instead. */
static API_RUN(agent_register)
{
        return api_fail(
                c, 410, NULL,
                "Agents do not register by a call here: they join with a key of their own. Make a token with `sekisho "
                "node invite agent` and start the machine with `sekisho agent --join TOKEN`.");
}

/* ---- history, the stored default ---- */

enum { BODIES_PAGE_MAX = 20 }; /* two of 64 KiB each, each byte six of JSON: no more than an answer may be */

/* As text where it is, else as base64; null where its box cannot be opened. */
static void body_write(struct api_call *c, struct json_writer *w, const struct store_dispatch *d,
                       enum dispatch_side side)
{
        const char *prefix = side == DISPATCH_ASKED ? "request_" : "";
        int64_t whole_bytes = side == DISPATCH_ASKED ? d->asked_bytes : d->answer_bytes;
        struct str body;
        bool is_open = dispatch_bodies_open(&c->control->secrets.seal, &c->work, d, side, &body);
        bool is_text = str_is_utf8(body);
        char name[32], *text = is_text ? NULL : malloc(CRYPTO_BASE64_SIZE(body.len));

        snprintf(name, sizeof(name), "%sbody", prefix);
        json_write_key(w, str_of(name));
        if (is_open && is_text)
                json_write_str(w, body);
        else if (text)
                json_write_str(w, crypto_base64_format(body, text));
        else
                json_write_null(w);
        free(text);
        snprintf(name, sizeof(name), "%sbody_encoding", prefix);
        json_write_member_str(w, str_of(name),
                              !is_open  ? STR("unreadable")
                              : is_text ? STR("text")
                                        : STR("base64"));
        snprintf(name, sizeof(name), "%sbody_is_cut", prefix);
        json_write_member_bool(w, str_of(name), is_open && (int64_t)body.len < whole_bytes);
}

static void dispatch_write(struct api_call *c, struct json_writer *w, const struct store_dispatch *d)
{
        json_write_object_begin(w);
        json_write_member_int(w, STR("id"), d->id);
        json_write_member_str(w, STR("request_id"), d->request);
        json_write_member_bool(w, STR("success"), d->error.len == 0);
        json_write_key(w, STR("status_code"));
        if (d->status)
                json_write_int(w, d->status);
        else
                json_write_null(w);
        json_write_key(w, STR("error"));
        if (d->error.len)
                json_write_str(w, d->error);
        else
                json_write_null(w);
        json_write_member_str(w, STR("method"), d->method);
        json_write_member_str(w, STR("url"), d->url);
        json_write_member_str(w, STR("caller"), d->caller);
        json_write_member_int(w, STR("answer_bytes"), d->answer_bytes);
        if (d->has_bodies) {
                body_write(c, w, d, DISPATCH_ASKED);
                body_write(c, w, d, DISPATCH_ANSWERED);
        }
        json_write_key(w, STR("metadata"));
        json_write_object_begin(w);
        json_write_member_str(w, STR("agent_id"), d->agent);
        json_write_member_str(w, STR("source_ip"), d->source);
        dispatch_time_write(w, STR("timestamp"), d->begun);
        json_write_member_int(w, STR("duration_ms"), d->duration_ms);
        json_write_member_int(w, STR("attempts"), d->attempts);
        json_write_object_end(w);
        json_write_object_end(w);
}

static enum err history_write(struct api_call *c, const struct store_dispatch *rows, size_t count,
                              bool has_more)
{
        struct json_writer w;

        buf_clear(&c->answer);
        json_writer_init(&w, &c->answer, JSON_COMPACT);
        json_write_object_begin(&w);
        json_write_key(&w, STR("history"));
        json_write_array_begin(&w);
        for (size_t i = 0; i < count; i++)
                dispatch_write(c, &w, &rows[i]);
        json_write_array_end(&w);
        json_write_key(&w, STR("next"));
        if (has_more)
                json_write_int(&w, rows[count - 1].id);
        else
                json_write_null(&w);
        json_write_object_end(&w);
        json_writer_finish(&w);
        buf_add_char(&c->answer, '\n');
        c->status = 200;
        return c->answer.full ? ERR_NO_MEMORY : ERR_OK;
}

static API_RUN(dispatch_history_get)
{
        struct str limit_text = api_query(c, "limit"), before_text = api_query(c, "before");
        bool wants_bodies = str_eq(api_query(c, "bodies"), STR("true"));
        uint64_t limit_max = wants_bodies ? BODIES_PAGE_MAX : STORE_DISPATCH_PAGE_MAX, before = 0;
        uint64_t limit = MIN((uint64_t)API_PAGE_DEFAULT, limit_max);
        struct store_dispatch *rows;
        size_t count;
        enum err e;

        if (limit_text.len && (units_parse_u64(limit_text, limit_max, &limit) != ERR_OK || !limit))
                return api_fail(c, 400, NULL, "\"limit\" must be a number from 1 to %d%s.", (int)limit_max,
                                wants_bodies ? " with bodies" : "");
        if (wants_bodies && !(identity_permit_caller(permit)->scopes & (IDENTITY_DISPATCH | IDENTITY_ADMIN)))
                return api_fail(c, 403, NULL, "Bodies are shown to keys of the scope dispatch.");
        if (before_text.len && units_parse_u64(before_text, INT64_MAX, &before) != ERR_OK)
                return api_fail(c, 400, NULL, "\"before\" must be the \"next\" of the page before.");
        e = store_dispatch_list(t, identity_permit_org(permit), (int64_t)before, (unsigned)limit, &c->work,
                                &rows, &count);
        if (e == ERR_OK && wants_bodies)
                e = store_dispatch_bodies(t, &c->work, rows, count);
        return e == ERR_OK ? history_write(c, rows, count, count == limit) : e;
}

static API_RUN(dispatch_default_get)
{
        struct str text;
        enum err e = default_read(c, t, identity_permit_org(permit), &text);

        if (e != ERR_OK)
                return e;
        if (text.len == 0)
                return api_fail(c, 404, NULL,
                                "No default request is stored: POST one to /api/config/request.");
        buf_clear(&c->answer);
        buf_add(&c->answer, text);
        buf_add_char(&c->answer, '\n');
        c->status = 200;
        return ERR_OK;
}

/* It must be a request that could be sent as it is. */
static API_RUN(dispatch_default_put)
{
        struct store_change *change;
        const struct json_value *root;
        struct dispatch_ask ask;
        struct buf problem;
        enum err e = json_read_strict(&c->work, c->body, NULL, &root);

        if (e == ERR_MALFORMED || e == ERR_TOO_LARGE)
                return api_fail(c, 400, NULL, "The body is no JSON.");
        buf_init(&problem, 1024);
        if (e == ERR_OK && (e = dispatch_ask_read(root, NULL, &c->work, &ask, &problem)) == ERR_MALFORMED)
                e = api_fail(c, 400, NULL, "%.*s", STR_FMT(buf_str(&problem)));
        buf_fini(&problem);
        if (e != ERR_OK)
                return e;
        change = change_begin(t, permit, "dispatch.default");
        if ((e = store_setting_put(change, identity_permit_org(permit), DEFAULT_SETTING, c->body, STR(""))) !=
                    ERR_OK ||
            (e = store_change_finish(change)) != ERR_OK)
                return e;
        buf_clear(&c->answer);
        buf_add(&c->answer, STR("{\"status\":\"success\",\"message\":\"The default request is stored.\"}\n"));
        c->status = 200;
        return ERR_OK;
}

/* What is sent is read by dispatch/ask.h; this only says that there is a body. */
static const struct schema ask_schema = { "DispatchRequest", 1, NULL, 0, "docs/protocol/dispatch.md" };

static const struct api_parameter history_query[] = {
        { "limit", "requests of a page, 1 to 1000; 100 when not given" },
        { "before", "the `next` of the page before" },
        { "bodies",
          "`true`: with the bodies that are kept (control.dispatch.historyBodies), 20 requests a page at most; needs the "
          "scope `dispatch`" },
        { NULL },
};

#define LOOK(path_, stream_, doc_)                                                                   \
        {                                                                                            \
                .method = HTTP_GET, .base = "/api", .path = (path_),                                 \
                .scopes = IDENTITY_DISPATCH | IDENTITY_READ, .flags = API_READS | API_AT_GATEWAYS,   \
                .status = 200, .run = dispatch_look, .prepare = dispatch_is_on, .stream = (stream_), \
                .tag = "dispatch", .doc = (doc_)                                                     \
        }

const struct api_route dispatch_table[] = {
        { .method = HTTP_POST,
          .base = "/api",
          .path = "/execute",
          .scopes = IDENTITY_DISPATCH,
          .flags = API_READS | API_ENDS | API_AT_GATEWAYS,
          .status = 200,
          .run = dispatch_execute,
          .prepare = execute_prepare,
          .stream = execute_stream,
          .request = &ask_schema,
          .request_flags = SCHEMA_IN,
          .tag = "dispatch",
          .doc = "Has an agent send a request from the next address of the pool." },
        { .method = HTTP_DELETE,
          .base = "/api",
          .path = "/agents/{id}",
          .scopes = IDENTITY_NODES,
          .status = 200,
          .run = agent_remove,
          .prepare = dispatch_is_on,
          .tag = "dispatch",
          .doc = "Removes an agent for good, by id or name: its addresses leave the pool, its key opens nothing any more." },
        { .method = HTTP_POST,
          .base = "/api",
          .path = "/agents/register",
          .flags = API_PUBLIC | API_READS,
          .status = 410,
          .run = agent_register,
          .tag = "dispatch",
          .doc = "Agents join with a token instead (sekisho agent --join); the answer says so." },
        LOOK("/agents", agents_stream, "The agents that send requests."),
        LOOK("/pool/status", pool_stream, "The addresses requests are sent from."),
        LOOK("/stats", stats_stream, "Counts of the pool."),
        { .method = HTTP_GET,
          .base = "",
          .path = "/metrics",
          .scopes = IDENTITY_READ,
          .flags = API_READS,
          .status = 200,
          .run = dispatch_look,
          .stream = metrics_stream,
          .tag = "status",
          .doc = "Control's figures as Prometheus reads them, with a key of scope read as its bearer token." },
        { .method = HTTP_GET,
          .base = "/api",
          .path = "/history",
          .scopes = IDENTITY_DISPATCH | IDENTITY_READ,
          .flags = API_READS | API_AT_GATEWAYS,
          .status = 200,
          .query = history_query,
          .run = dispatch_history_get,
          .prepare = dispatch_is_on,
          .tag = "dispatch",
          .doc = "Requests that were sent, the newest first." },
        { .method = HTTP_GET,
          .base = "/api",
          .path = "/config/request",
          .scopes = IDENTITY_DISPATCH | IDENTITY_READ,
          .flags = API_READS | API_AT_GATEWAYS,
          .status = 200,
          .run = dispatch_default_get,
          .prepare = dispatch_is_on,
          .tag = "dispatch",
          .doc = "The request whose members stand where a caller says nothing." },
        { .method = HTTP_POST,
          .base = "/api",
          .path = "/config/request",
          .scopes = IDENTITY_ADMIN,
          .status = 200,
          .run = dispatch_default_put,
          .prepare = dispatch_is_on,
          .request = &ask_schema,
          .request_flags = SCHEMA_IN,
          .tag = "dispatch",
          .doc = "Stores it." },
};
const size_t dispatch_table_count = ARRAY_SIZE(dispatch_table);
