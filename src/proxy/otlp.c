#include "proxy/otlp.h"

#include <inttypes.h>

#include "base/escape.h"
#include "proxy/route.h"
#include "proxy/worker.h"

enum {
        SPAN_KIND_SERVER = 2,
        SPAN_KIND_CLIENT = 3,
        STATUS_ERROR = 2,
        SEVERITY_INFO = 9,
        TEXT_BYTES_MAX = 1024
};

/* ---- attributes ---- */

/* `*is_first` spares the comma once. */
static void attribute_begin(struct buf *out, bool *is_first, const char *key)
{
        buf_addf(out, "%s{\"key\":\"%s\",\"value\":{", *is_first ? "" : ",", key);
        *is_first = false;
}

static void add_text(struct buf *out, bool *is_first, const char *key, struct str value)
{
        if (!value.len)
                return;
        attribute_begin(out, is_first, key);
        buf_add(out, STR("\"stringValue\":\""));
        escape_json(out, str_sub(value, 0, TEXT_BYTES_MAX));
        buf_add(out, STR("\"}}"));
}

static void add_number(struct buf *out, bool *is_first, const char *key, uint64_t value)
{
        attribute_begin(out, is_first, key);
        buf_addf(out, "\"intValue\":\"%" PRIu64 "\"}}", value);
}

/* ---- the frame ---- */

static void resource_begin(struct buf *out, const struct otlp_resource *r, const char *list,
                           const char *scopes, const char *items)
{
        bool is_first = true;

        buf_addf(out, "{\"%s\":[{\"resource\":{\"attributes\":[", list);
        add_text(out, &is_first, "service.name", r->service);
        add_text(out, &is_first, "service.version", r->version);
        add_text(out, &is_first, "service.instance.id", r->instance);
        buf_addf(out, "]},\"%s\":[{\"scope\":{\"name\":\"sekisho.gateway\"},\"%s\":[", scopes, items);
}

void otlp_traces_begin(struct buf *out, const struct otlp_resource *r)
{
        resource_begin(out, r, "resourceSpans", "scopeSpans", "spans");
}

void otlp_logs_begin(struct buf *out, const struct otlp_resource *r)
{
        resource_begin(out, r, "resourceLogs", "scopeLogs", "logRecords");
}

void otlp_end(struct buf *out)
{
        buf_add(out, STR("]}]}]}"));
}

/* ---- spans ---- */

struct span {
        const uint8_t *id, *parent; /* parent NULL: the trace's first */
        int kind;
        int64_t start_us, end_us; /* since 1970 */
};

static void span_begin(struct buf *out, const struct exchange *x, const struct span *s)
{
        char id[TRACE_ID_TEXT_MAX];
        const struct trace *t = x->trace;

        buf_addf(out, "{\"traceId\":\"%s\"", trace_id_text(t->own.trace_id, TRACE_ID_BYTES, id).ptr);
        buf_addf(out, ",\"spanId\":\"%s\"", trace_id_text(s->id, TRACE_SPAN_ID_BYTES, id).ptr);
        if (s->parent)
                buf_addf(out, ",\"parentSpanId\":\"%s\"",
                         trace_id_text(s->parent, TRACE_SPAN_ID_BYTES, id).ptr);
        buf_addf(out,
                 ",\"kind\":%d,\"startTimeUnixNano\":\"%" PRId64 "000\",\"endTimeUnixNano\":\"%" PRId64
                 "000\",\"name\":\"",
                 s->kind, s->start_us, MAX(s->start_us, s->end_us));
        if (x->request.method == HTTP_OTHER) /* of strangers' making: there would be no end of names */
                buf_add(out, STR("HTTP"));
        else
                escape_json(out, x->request.method_text);
}

static void span_end(struct buf *out, const struct exchange *x)
{
        buf_add(out, STR("]"));
        if (x->status >= 500 || !x->answer_started)
                buf_addf(out, ",\"status\":{\"code\":%d}", STATUS_ERROR);
        buf_add(out, STR("}"));
}

static void add_result(struct buf *out, bool *is_first, const struct exchange *x)
{
        if (x->answer_started)
                add_number(out, is_first, "http.response.status_code", x->status);
        if (x->refused)
                add_text(out, is_first, "error.type", str_of(x->refused));
        else if (x->outcome == OUTCOME_CLIENT_LEFT || x->outcome == OUTCOME_UPSTREAM_BROKE)
                add_text(out, is_first, "error.type",
                         x->outcome == OUTCOME_CLIENT_LEFT ? STR("client_left") : STR("upstream_broke"));
}

static void server_span(struct buf *out, const struct exchange *x, int64_t duration_us, int64_t wall_us)
{
        const struct trace *t = x->trace;
        struct span s = { t->own.span_id, t->has_parent ? t->parent_span_id : NULL, SPAN_KIND_SERVER,
                          x->start_us + wall_us, x->start_us + wall_us + duration_us };
        char address[IP_TEXT_MAX];
        bool is_first = true;

        span_begin(out, x, &s);
        if (x->route) {
                buf_add_char(out, ' ');
                escape_json(out, x->route->name);
        }
        buf_add(out, STR("\",\"attributes\":["));
        add_text(out, &is_first, "http.request.method", x->request.method_text);
        add_text(out, &is_first, "url.scheme", x->origin->is_tls ? STR("https") : STR("http"));
        add_text(out, &is_first, "url.path", x->target.path); /* no query: people put secrets there */
        add_text(out, &is_first, "server.address", x->target.authority.host);
        if (x->client.ip.family)
                add_text(out, &is_first, "client.address", ip_format(x->client.ip, address));
        if (x->route)
                add_text(out, &is_first, "http.route", x->route->name);
        add_text(out, &is_first, "user_agent.original",
                 str_sub(http_value(&x->request, HTTP_FIELD_USER_AGENT), 0, 200));
        add_text(out, &is_first, "sekisho.request_id", (struct str){ x->id, EXCHANGE_ID_LEN });
        add_number(out, &is_first, "http.request.body.size", x->request_bytes);
        add_number(out, &is_first, "http.response.body.size", x->answer_bytes);
        add_number(out, &is_first, "sekisho.upstream_us", (uint64_t)MAX(x->waited_us, (int64_t)0));
        add_result(out, &is_first, x);
        span_end(out, x);
}

static void upstream_span(struct buf *out, const struct exchange *x, int64_t duration_us, int64_t wall_us)
{
        const struct trace *t = x->trace;
        int64_t end_us = x->up_end_us ? x->up_end_us : x->start_us + duration_us;
        struct span s = { t->up_span_id, t->own.span_id, SPAN_KIND_CLIENT, x->up_start_us + wall_us,
                          end_us + wall_us };
        bool is_first = true;

        span_begin(out, x, &s);
        buf_add(out, STR("\",\"attributes\":["));
        add_text(out, &is_first, "http.request.method", x->request.method_text);
        if (x->upstream)
                add_text(out, &is_first, "sekisho.upstream", x->upstream->name);
        if (x->target_in_use) {
                add_text(out, &is_first, "server.address", x->target_in_use->host);
                if (x->target_in_use->port)
                        add_number(out, &is_first, "server.port", x->target_in_use->port);
        }
        if (x->attempts > 1)
                add_number(out, &is_first, "http.request.resend_count", (uint64_t)x->attempts - 1);
        add_result(out, &is_first, x);
        span_end(out, x);
}

void otlp_spans(struct buf *out, const struct exchange *x, int64_t duration_us, int64_t wall_us)
{
        server_span(out, x, duration_us, wall_us);
        if (x->attempts == 0)
                return;
        buf_add_char(out, ',');
        upstream_span(out, x, duration_us, wall_us);
}

void otlp_log(struct buf *out, struct str line, const struct exchange *x, int64_t now_wall_us)
{
        char id[TRACE_ID_TEXT_MAX];

        buf_addf(out,
                 "{\"timeUnixNano\":\"%" PRId64 "000\",\"severityNumber\":%d,\"severityText\":\"INFO\""
                 ",\"body\":{\"stringValue\":\"",
                 now_wall_us, SEVERITY_INFO);
        escape_json(out, line);
        buf_add(out, STR("\"}"));
        if (x && x->trace) {
                buf_addf(out, ",\"traceId\":\"%s\"",
                         trace_id_text(x->trace->own.trace_id, TRACE_ID_BYTES, id).ptr);
                buf_addf(out, ",\"spanId\":\"%s\"",
                         trace_id_text(x->trace->own.span_id, TRACE_SPAN_ID_BYTES, id).ptr);
        }
        buf_add_char(out, '}');
}
