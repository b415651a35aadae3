#include "control/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "control/control_priv.h"
#include "control/dispatch_history.h"
#include "control/routes_priv.h"
#include "dispatch/dispatcher.h"
#include "dispatch/result.h"
#include "io/tls.h"
#include "proxy/reply.h"
#include "store/dispatches.h"
#include "store/nodes.h"
#include "store/settings.h"
#include "json/reader.h"

/*
 * Theory of operation. A call of /api/execute is judged and read in the store's thread as any call is; then, on the loop's thread, the
 * dispatcher takes over its exchange. The pool is the loop's: what is asked about it is answered there.
 */

static const struct conf_dispatch *conf_of(const struct control *c)
{
        return &c->conf->control.dispatch;
}

struct str dispatch_url(const struct control *c)
{
        return conf_of(c)->allow_count ? str_of(c->url) : STR("");
}

static void on_agent(struct worker *w, struct str agent, bool is_linked)
{
        struct control *c = CONTAINER_OF(w, struct control, worker);

        dispatcher_linked(c->dispatcher, agent, is_linked);
}

static void on_done(void *context, const struct dispatch_record *r)
{
        struct control *c = context;

        dispatch_history_add(c->dispatch_history, r);
}

enum err dispatch_start(struct control *c)
{
        const struct conf_dispatch *conf = conf_of(c);
        const struct dispatcher_conf options = { .rules = { conf->allow, conf->allow_count },
                                                 .agent_requests = (uint32_t)conf->agent_requests,
                                                 .answer_bytes = conf->answer_bytes,
                                                 .on_done = on_done,
                                                 .context = c };
        enum err e;

        if (conf->allow_count == 0)
                return ERR_OK;
        if (!(c->dispatcher = dispatcher_new(&c->worker, &options)))
                return ERR_NO_MEMORY;
        if ((e = dispatch_history_new(c, &c->dispatch_history)) != ERR_OK)
                return e;
        c->worker.on_agent = on_agent;
        return dispatch_history_restore(c->dispatch_history);
}

void dispatch_end(struct control *c)
{
        c->worker.on_agent = NULL;
        dispatch_history_free(c->dispatch_history);
        c->dispatch_history = NULL;
        dispatcher_free(c->dispatcher);
        c->dispatcher = NULL;
}

void dispatch_told(struct control *c, struct str agent, const struct wire_report *report)
{
        size_t count = report ? MIN(report->addresses_count, (size_t)SOURCES_OF_AGENT_MAX) : 0, n = 0;
        struct ip *addresses;

        if (!c->dispatcher || !(addresses = calloc(count + 1, sizeof(*addresses))))
                return;
        for (size_t i = 0; i < count; i++)
                if (ip_parse(report->addresses[i], &addresses[n]) == ERR_OK)
                        n++;
        dispatcher_told(c->dispatcher, agent, STR(""), addresses, n);
        free(addresses);
}

/* ---- /api/execute ---- */

static bool is_on(struct api_call *c)
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

        if (!is_on(c))
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

/* A name becomes the id that the pool knows. */
static enum err agent_resolve(struct api_call *c, struct store_txn *t, const struct identity_permit *permit,
                              struct dispatch_ask *ask)
{
        struct store_node node;
        enum err e;

        if (ask->agent.len == 0)
                return ERR_OK;
        if ((e = agent_find(c, t, identity_permit_org(permit), ask->agent, &node)) != ERR_OK)
                return e;
        ask->agent = id_text(c, node_prefix(&node), node.id);
        return ERR_OK;
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
        if (e == ERR_OK && (e = agent_resolve(c, t, permit, &order->ask)) == ERR_OK) {
                order->ask.agent = arena_copy(&order->arena, order->ask.agent);
                order->caller = arena_copy(&order->arena, identity_permit_caller(permit)->name);
                order->caller_key = (uint64_t)identity_permit_caller(permit)->id;
                c->status = 200;
        }
        if (e != ERR_OK)
                arena_fini(&order->arena);
        return e;
}

static void execute_stream(struct api_call *c)
{
        struct dispatch_order order = *(struct dispatch_order *)c->prepared;
        struct exchange *x = c->x;
        enum err e = dispatcher_execute(c->control->dispatcher, x, &order);

        if (e == ERR_OK) {
                api_let_go(c);
                return;
        }
        arena_fini(&order.arena);
        reply_will_have(x, "Retry-After", STR("1"));
        api_fail(c, e == ERR_TOO_LARGE ? 429 : 503, NULL,
                 e == ERR_TOO_LARGE ? "Too many of your requests wait already. Try again soon."
                                    : "Control has no memory for this request.");
        api_answer_now(c);
}

/* ---- looking ---- */

static API_RUN(dispatch_look)
{
        c->status = 200;
        return ERR_OK;
}

static void counts_write(struct json_writer *w, const struct sources_counts *n)
{
        json_write_member_uint(w, STR("total_agents"), n->agents);
        json_write_member_uint(w, STR("active_agents"), n->linked);
        json_write_member_uint(w, STR("total_ips"), n->addresses);
        json_write_member_uint(w, STR("available_ips"), n->available);
        json_write_member_uint(w, STR("total_requests_processed"), n->requests);
        json_write_member_uint(w, STR("total_failures"), n->failures);
        json_write_member_uint(w, STR("in_flight"), n->in_flight);
}

static void time_write(struct json_writer *w, struct str name, unix_ms when)
{
        char text[UNITS_TIME_TEXT_MAX];

        if (when)
                json_write_member_str(w, name, units_format_time(when, text));
        else
                json_write_member_null(w, name);
}

static void agent_write(struct json_writer *w, const struct source_agent *a)
{
        char text[IP_TEXT_MAX];

        json_write_object_begin(w);
        json_write_member_str(w, STR("agent_id"), a->id);
        json_write_key(w, STR("ip_addresses"));
        json_write_array_begin(w);
        list_for_each(node, &a->addresses)
                if (sources_of(node)->is_told)
                        json_write_str(w, ip_format(sources_of(node)->ip, text));
        json_write_array_end(w);
        json_write_key(w, STR("ipv6_addresses"));
        json_write_array_begin(w);
        list_for_each(node, &a->addresses)
                if (sources_of(node)->is_told && sources_of(node)->ip.family == 6)
                        json_write_str(w, ip_format(sources_of(node)->ip, text));
        json_write_array_end(w);
        time_write(w, STR("last_seen"), a->seen);
        json_write_member_str(w, STR("status"), a->is_linked ? STR("active") : STR("disconnected"));
        json_write_member_uint(w, STR("requests_processed"), a->requests);
        json_write_member_uint(w, STR("failures"), a->failures);
        json_write_member_uint(w, STR("in_flight"), a->in_flight);
        json_write_object_end(w);
}

static void source_write(struct json_writer *w, const struct source *s)
{
        char text[IP_TEXT_MAX];

        json_write_object_begin(w);
        json_write_member_str(w, STR("ip"), ip_format(s->ip, text));
        json_write_member_str(w, STR("agent_id"), s->agent->id);
        time_write(w, STR("last_used"), s->used);
        json_write_member_uint(w, STR("requests_count"), s->requests);
        json_write_member_uint(w, STR("failures"), s->failures);
        json_write_member_str(w, STR("status"),
                              sources_is_available(s) ? STR("available") : STR("unavailable"));
        json_write_object_end(w);
}

typedef void look_fn(struct json_writer *w, struct control *c);

/* Every agent by `write`, in an array of that name. */
static void agents_write(struct json_writer *w, struct control *c)
{
        json_write_key(w, STR("agents"));
        json_write_array_begin(w);
        list_for_each(node, sources_agents(dispatcher_sources(c->dispatcher)))
                agent_write(w, sources_agent_of(node));
        json_write_array_end(w);
}

static void pool_write(struct json_writer *w, struct control *c)
{
        struct sources_counts n = sources_count(dispatcher_sources(c->dispatcher));

        counts_write(w, &n);
        json_write_member_uint(w, STR("waiting"), dispatcher_waiting(c->dispatcher));
        json_write_key(w, STR("ip_pool"));
        json_write_array_begin(w);
        list_for_each(node, sources_agents(dispatcher_sources(c->dispatcher)))
                list_for_each(inner, &sources_agent_of(node)->addresses)
                        source_write(w, sources_of(inner));
        json_write_array_end(w);
}

static void stats_write(struct json_writer *w, struct control *c)
{
        struct sources_counts n = sources_count(dispatcher_sources(c->dispatcher));

        counts_write(w, &n);
        json_write_member_uint(w, STR("waiting"), dispatcher_waiting(c->dispatcher));
        json_write_key(w, STR("agents"));
        json_write_object_begin(w);
        list_for_each(node, sources_agents(dispatcher_sources(c->dispatcher))) {
                json_write_key(w, sources_agent_of(node)->id);
                agent_write(w, sources_agent_of(node));
        }
        json_write_object_end(w);
}

static void look_answer(struct api_call *c, look_fn *write)
{
        struct json_writer w;

        buf_clear(&c->answer);
        json_writer_init(&w, &c->answer, JSON_COMPACT);
        json_write_object_begin(&w);
        write(&w, c->control);
        json_write_object_end(&w);
        json_writer_finish(&w);
        buf_add_char(&c->answer, '\n');
        if (c->answer.full)
                api_fail(c, 503, NULL, "The answer is larger than control gives.");
        api_answer_now(c);
}

static void agents_stream(struct api_call *c)
{
        look_answer(c, agents_write);
}

static void pool_stream(struct api_call *c)
{
        look_answer(c, pool_write);
}

static void stats_stream(struct api_call *c)
{
        look_answer(c, stats_write);
}

/* ---- history, the stored default ---- */

static void dispatch_write(struct json_writer *w, const struct store_dispatch *d)
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
        json_write_key(w, STR("metadata"));
        json_write_object_begin(w);
        json_write_member_str(w, STR("agent_id"), d->agent);
        json_write_member_str(w, STR("source_ip"), d->source);
        time_write(w, STR("timestamp"), d->begun);
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
                dispatch_write(&w, &rows[i]);
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
        uint64_t limit = API_PAGE_DEFAULT, before = 0;
        struct store_dispatch *rows;
        size_t count;
        enum err e;

        if (limit_text.len &&
            (units_parse_u64(limit_text, STORE_DISPATCH_PAGE_MAX, &limit) != ERR_OK || !limit))
                return api_fail(c, 400, NULL, "\"limit\" must be a number from 1 to %d.",
                                STORE_DISPATCH_PAGE_MAX);
        if (before_text.len && units_parse_u64(before_text, INT64_MAX, &before) != ERR_OK)
                return api_fail(c, 400, NULL, "\"before\" must be the \"next\" of the page before.");
        e = store_dispatch_list(t, identity_permit_org(permit), (int64_t)before, (unsigned)limit, &c->work,
                                &rows, &count);
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

#define LOOK(path_, stream_, doc_)                                                              \
        {                                                                                       \
                .method = HTTP_GET, .base = "/api", .path = (path_),                            \
                .scopes = IDENTITY_DISPATCH | IDENTITY_READ, .flags = API_READS, .status = 200, \
                .run = dispatch_look, .prepare = is_on, .stream = (stream_), .tag = "dispatch", \
                .doc = (doc_)                                                                   \
        }

const struct api_route dispatch_table[] = {
        { .method = HTTP_POST,
          .base = "/api",
          .path = "/execute",
          .scopes = IDENTITY_DISPATCH,
          .flags = API_READS,
          .status = 200,
          .run = dispatch_execute,
          .prepare = execute_prepare,
          .stream = execute_stream,
          .request = &ask_schema,
          .request_flags = SCHEMA_IN,
          .tag = "dispatch",
          .doc = "Has an agent send a request from the next address of the pool." },
        LOOK("/agents", agents_stream, "The agents that send requests."),
        LOOK("/pool/status", pool_stream, "The addresses requests are sent from."),
        LOOK("/stats", stats_stream, "Counts of the pool."),
        { .method = HTTP_GET,
          .base = "/api",
          .path = "/history",
          .scopes = IDENTITY_DISPATCH | IDENTITY_READ,
          .flags = API_READS,
          .status = 200,
          .run = dispatch_history_get,
          .prepare = is_on,
          .tag = "dispatch",
          .doc = "Requests that were sent, the newest first." },
        { .method = HTTP_GET,
          .base = "/api",
          .path = "/config/request",
          .scopes = IDENTITY_DISPATCH | IDENTITY_READ,
          .flags = API_READS,
          .status = 200,
          .run = dispatch_default_get,
          .prepare = is_on,
          .tag = "dispatch",
          .doc = "The request whose members stand where a caller says nothing." },
        { .method = HTTP_POST,
          .base = "/api",
          .path = "/config/request",
          .scopes = IDENTITY_ADMIN,
          .status = 200,
          .run = dispatch_default_put,
          .prepare = is_on,
          .request = &ask_schema,
          .request_flags = SCHEMA_IN,
          .tag = "dispatch",
          .doc = "Stores it." },
};
const size_t dispatch_table_count = ARRAY_SIZE(dispatch_table);

/* ---- links ---- */

/* Control shows itself to agents as a gateway of the reserved id "control"; whoever may come is judged by certificate, and what
 * counts for the pool is who is connected as a node. */
enum err dispatch_links_build(struct control *c, struct snapshot *s, struct report *r)
{
        const struct wire_name who = { .kind = WIRE_GATEWAY,
                                       .org = str_of(c->secrets.org),
                                       .id = STR("control") };
        struct buf chain, key;
        enum err e;

        if (conf_of(c)->allow_count == 0)
                return ERR_OK;
        if ((e = control_pair_make(c, &who, STR("link.sekisho.internal"), &chain, &key)) == ERR_OK) {
                const struct tls_certificate certificate = { .cert_pem = buf_str(&chain),
                                                             .key_pem = buf_str(&key),
                                                             .cert_name = STR("the links' certificate"),
                                                             .key_name = STR("its key") };
                const struct tls_server_conf tls = { .certificates = &certificate,
                                                     .certificates_count = 1,
                                                     .offer_h2 = true,
                                                     .client_ca_pem =
                                                             certs_authority_pem(c->secrets.authority),
                                                     .client_required = true };

                e = tls_server_new(&tls, r, &s->links.tls);
        }
        buf_fini(&chain);
        buf_wipe(&key);
        if (e == ERR_OK && node_name_own(s->links.tls, &s->links.own) != ERR_OK)
                e = ERR_CONFIG;
        return e;
}
