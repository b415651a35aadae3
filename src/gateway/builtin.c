#include "gateway/builtin.h"

#include "base/units.h"
#include "conf/conf.h"
#include "gateway/board.h"
#include "gateway/linksocket.h"
#include "gateway/version.h"
#include "http/encoding.h"
#include "io/tls.h"
#include "proxy/cache.h"
#include "proxy/reply.h"

enum { PAGE_BYTES_MAX = 16 << 20 };

/* Made per request; the buffer goes to the answer. */
static enum step_result page(struct exchange *x, uint16_t status, struct str type, struct buf *body)
{
        struct reply_field fields[] = { { STR("Content-Type"), type },
                                        { STR("Cache-Control"), STR("no-store") } };

        if (body->full) {
                buf_fini(body);
                return exchange_refuse(x, 503, "memory", "The page does not fit in memory.");
        }
        reply_take(x, status, fields, ARRAY_SIZE(fields), body);
        return STEP_DONE;
}

static enum step_result health_pick(struct exchange *x)
{
        char time[UNITS_TIME_TEXT_MAX];
        const struct conf *c = x->snap->conf;
        struct buf body;

        buf_init(&body, PAGE_BYTES_MAX);
        buf_addf(
                &body,
                "{\"status\":\"ok\",\"service\":\"sekisho\",\"version\":\"%s\",\"timestamp\":\"%s\",\"providers\":%zu}\n",
                SEKISHO_VERSION, units_format_time(loop_wall(x->w->loop), time).ptr, c->providers_count);
        return page(x, 200, STR("application/json"), &body);
}

static enum step_result ready_pick(struct exchange *x)
{
        bool is_ready = !x->w->is_draining;
        struct buf body;

        buf_init(&body, PAGE_BYTES_MAX);
        buf_addf(&body, "{\"status\":\"%s\",\"config\":\"%.*s\"}\n", is_ready ? "ready" : "draining",
                 STR_FMT(x->snap->version));
        return page(x, is_ready ? 200 : 503, STR("application/json"), &body);
}

/* A page under way. */
struct facts {
        enum metrics_form form;
        struct buf *out;
};

static void fact_format(const struct facts *f, enum measure m, struct str label, int64_t value)
{
        metric_family_format(&measure_metrics[m], f->form, f->out);
        metric_value_format(&measure_metrics[m], &label, value, f->out);
}

/* What is known here and counted nowhere. */
static const struct board *board;

void builtin_board_set(const struct board *b)
{
        board = b;
}

static void control_facts(const struct facts *f)
{
        const struct board_control *c = board ? &board->control : NULL;

        if (!c || !atomic_load_explicit(&c->is_on, memory_order_relaxed))
                return;
        fact_format(f, MEASURE_CONTROL_CONNECTED, STR_NULL,
                    atomic_load_explicit(&c->is_connected, memory_order_relaxed));
        fact_format(f, MEASURE_CONTROL_VERSION, STR_NULL,
                    (int64_t)atomic_load_explicit(&c->version, memory_order_relaxed));
        if (atomic_load_explicit(&c->lease_end, memory_order_relaxed))
                fact_format(f, MEASURE_CONTROL_LEASE, STR_NULL,
                            atomic_load_explicit(&c->lease_end, memory_order_relaxed));
}

static void facts_format(struct exchange *x, const struct facts *f)
{
        const struct snapshot *s = x->snap;
        mono_ms now = loop_now(x->w->loop);

        fact_format(f, MEASURE_BUILD_INFO, STR(SEKISHO_VERSION), 1);
        fact_format(f, MEASURE_CONFIG_NUMBER, STR_NULL, (int64_t)s->number);
        fact_format(f, MEASURE_SERIES_DROPPED, STR_NULL,
                    (int64_t)metrics_dropped_count(x->w->shared->metrics));
        fact_format(f, MEASURE_CONNECTIONS_MAX, STR_NULL,
                    (int64_t)s->limits.connections_max * x->w->shared->workers_count);
        fact_format(f, MEASURE_REQUESTS_MAX, STR_NULL, s->limits.requests_max);
        for (size_t i = 0; i < s->listens_count; i++) /* they all present the same ones */
                if (s->listens[i].tls) {
                        fact_format(f, MEASURE_CERTIFICATE_EXPIRY, STR_NULL,
                                    tls_not_after(s->listens[i].tls));
                        break;
                }
        control_facts(f);
        if (s->upstreams_count)
                metric_family_format(&measure_metrics[MEASURE_UPSTREAM_UP], f->form, f->out);
        for (size_t i = 0; i < s->upstreams_count; i++)
                for (size_t j = 0; j < s->upstreams[i]->targets_count; j++) {
                        const struct target *t = &s->upstreams[i]->targets[j];
                        struct str values[] = { s->upstreams[i]->name, t->url };

                        metric_value_format(&measure_metrics[MEASURE_UPSTREAM_UP], values,
                                            standing_is_usable(t->standing, now), f->out);
                }
}

/* OpenMetrics where it is named, and wanted as much as the older form. */
static enum metrics_form metrics_form_of(const struct http_head *request)
{
        struct str accept = http_value(request, HTTP_FIELD_ACCEPT);
        int wanted = http_quality(accept, STR("application/openmetrics-text"));

        return wanted > 0 && wanted >= http_quality(accept, STR("text/plain")) ? METRICS_OPENMETRICS
                                                                               : METRICS_PROMETHEUS;
}

static enum step_result metrics_pick(struct exchange *x)
{
        static const struct str types[] = {
                [METRICS_PROMETHEUS] = STR_INIT("text/plain; version=0.0.4; charset=utf-8"),
                [METRICS_OPENMETRICS] =
                        STR_INIT("application/openmetrics-text; version=1.0.0; charset=utf-8"),
        };
        struct buf body;
        const struct facts f = { metrics_form_of(&x->request), &body };

        buf_init(&body, PAGE_BYTES_MAX);
        facts_format(x, &f);
        metrics_format(x->w->shared->metrics, f.form, &body);
        metrics_format_end(f.form, &body);
        reply_will_have(x, "Vary", STR("Accept"));
        return page(x, 200, types[f.form], &body);
}

static enum step_result status_pick(struct exchange *x)
{
        struct json_writer w;
        struct buf body;

        if (!board)
                return exchange_refuse(x, 404, "no_status", "Nothing is known about the processes here.");
        buf_init(&body, PAGE_BYTES_MAX);
        json_writer_init(&w, &body, 2);
        board_write(board, x->w, loop_wall(x->w->loop), &w);
        json_writer_finish(&w);
        buf_add_char(&body, '\n');
        return page(x, 200, STR("application/json"), &body);
}

static enum step_result config_pick(struct exchange *x)
{
        struct buf body;

        buf_init(&body, PAGE_BYTES_MAX);
        conf_show(x->snap->conf, &body);
        return page(x, 200, STR("application/json"), &body);
}

static const struct handler health_handler = { .name = "health", .pick = health_pick };
static const struct handler ready_handler = { .name = "ready", .pick = ready_pick };
static const struct handler metrics_handler = { .name = "metrics", .pick = metrics_pick };
static const struct handler status_handler = { .name = "status", .pick = status_pick };
static const struct handler config_handler = { .name = "config", .pick = config_pick };

/* DELETE /cache, or /cache?url=http://host/path for one; the URL is all that follows "url=". */
static enum step_result cache_pick(struct exchange *x)
{
        struct str url = x->target.query;

        if (url.len && !str_has_prefix(url, STR("url=")))
                return exchange_refuse(x, 400, "purge",
                                       "Say /cache for all, or /cache?url=http://host/path for one.");
        if (cache_purge(x->w, str_from(url, 4)) != ERR_OK)
                return exchange_refuse(x, 400, "purge", "That is no URL: write it as http://host/path.");
        reply_start(x, 204, NULL, 0, STR(""));
        return STEP_DONE;
}
static const struct handler purge_handler = { .name = "cache", .pick = cache_pick };

#define BUILTIN(name_, path_, handler_)                                                             \
        {                                                                                           \
                .name = STR_INIT(name_), .path = STR_INIT(path_), .path_kind = PATH_EXACT,          \
                .methods = 1u << HTTP_GET, .access = { .is_public = true }, .handler = &(handler_), \
                .is_builtin = true, .is_quiet = true                                                \
        }

static const struct route public_routes[] = {
        BUILTIN("health", "/health", health_handler),
        BUILTIN("health", "/api/v1/health", health_handler),
        BUILTIN("ready", "/ready", ready_handler),
        { .name = STR_INIT("link"),
          .path = STR_INIT("/.sekisho/link"),
          .path_kind = PATH_EXACT,
          .methods = 1u << HTTP_GET,
          .access = { .is_public = true },
          .handler = &linksocket_handler,
          .is_builtin = true },
};

static const struct route admin_routes[] = {
        BUILTIN("admin-metrics", "/metrics", metrics_handler),
        BUILTIN("admin-status", "/status", status_handler),
        { .name = STR_INIT("admin-cache"),
          .path = STR_INIT("/cache"),
          .path_kind = PATH_EXACT,
          .methods = 1u << HTTP_DELETE,
          .access = { .is_public = true },
          .handler = &purge_handler,
          .is_builtin = true },
        BUILTIN("admin-config", "/debug/config", config_handler),
        BUILTIN("admin-health", "/health", health_handler),
        BUILTIN("admin-ready", "/ready", ready_handler),
};

size_t builtin_routes_count(void)
{
        return ARRAY_SIZE(public_routes);
}

void builtin_routes_add(struct route_table *t)
{
        for (size_t i = 0; i < ARRAY_SIZE(public_routes); i++)
                t->routes[t->count++] = public_routes[i];
}

enum err builtin_admin_routes(struct route_table *t, struct arena *a)
{
        t->routes = ARENA_ARRAY(a, struct route, ARRAY_SIZE(admin_routes));
        if (!t->routes)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < ARRAY_SIZE(admin_routes); i++)
                t->routes[t->count++] = admin_routes[i];
        route_table_sort(t);
        return ERR_OK;
}
