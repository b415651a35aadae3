#include "proxy/record.h"

#include "base/escape.h"
#include "proxy/route.h"
#include "proxy/worker.h"

static const char *const outcome_names[] = {
        [OUTCOME_NONE] = "none",
        [OUTCOME_ANSWERED] = "answered",
        [OUTCOME_REFUSED] = "refused",
        [OUTCOME_CLIENT_LEFT] = "client_left",
        [OUTCOME_UPSTREAM_BROKE] = "upstream_broke",
};

/* The line is built by hand, as it is on the path of every request: no printf. */

static void add_number(struct buf *b, uint64_t value)
{
        char digits[20];
        size_t at = sizeof(digits);

        do {
                digits[--at] = (char)('0' + value % 10);
                value /= 10;
        } while (value);
        buf_add(b, (struct str){ digits + at, sizeof(digits) - at });
}

/* `name` brings its comma, quotes and colon: ",\"status\":". */
static void add_named_number(struct buf *b, struct str name, uint64_t value)
{
        buf_add(b, name);
        add_number(b, value);
}

/* `name` ends with the opening quote: ",\"route\":\"". */
static void add_text(struct buf *b, struct str name, struct str value)
{
        buf_add(b, name);
        escape_json(b, value);
        buf_add_char(b, '"');
}

static void add_address(struct buf *b, struct str name, struct ip ip)
{
        char text[IP_TEXT_MAX];

        if (ip.family)
                add_text(b, name, ip_format(ip, text));
}

/* "12.345" of 12345 µs. */
static void add_ms(struct buf *b, struct str name, int64_t us)
{
        uint64_t positive = us > 0 ? (uint64_t)us : 0;
        char fraction[4] = { '.', (char)('0' + positive / 100 % 10), (char)('0' + positive / 10 % 10),
                             (char)('0' + positive % 10) };

        buf_add(b, name);
        add_number(b, positive / 1000);
        buf_add(b, (struct str){ fraction, sizeof(fraction) });
}

static const char *time_of(struct worker *w)
{
        unix_ms now = loop_wall(w->loop);

        if (now != w->record_time_at) { /* requests of one turn share it */
                if (w->record_is_combined)
                        record_combined_time(now, w->record_time);
                else
                        units_format_time(now, w->record_time);
                w->record_time_at = now;
        }
        return w->record_time;
}

static void add_time(struct worker *w, struct buf *b)
{
        buf_add(b, STR("{\"time\":\""));
        buf_add(b, str_of(time_of(w)));
}

static bool is_wanted(const struct worker *w)
{
        return w->write_record || exporter_wants_lines(w->exporter);
}

static void write_out(struct worker *w, const struct exchange *x)
{
        if (!w->record.full && w->write_record)
                w->write_record(w->record_context, buf_str(&w->record));
        if (!w->record.full)
                exporter_line(w->exporter, buf_str(&w->record), x);
        buf_clear(&w->record);
}

static void write_line(struct worker *w, const struct exchange *x)
{
        buf_add(&w->record, STR("}\n"));
        write_out(w, x);
}

/* Whether a line may be written of what any stranger can cause; what was left out since the last one is counted, and in
 * *left_out. */
static bool refused_pass(struct worker *w, unsigned *left_out)
{
        *left_out = 0;
        if (w->record_refused.burst == 0 || log_limit_pass(&w->record_refused, loop_now(w->loop), left_out))
                return true;
        measure_count(w, MEASURE_LOG_DROPPED, "access", "rate", NULL);
        return false;
}

static void add_upstream(struct buf *b, const struct exchange *x)
{
        if (!x->upstream)
                return;
        add_text(b, STR(",\"upstream\":\""), x->upstream->name);
        if (x->target_in_use)
                add_text(b, STR(",\"target\":\""), x->target_in_use->url);
        if (x->way)
                add_text(b, STR(",\"way\":\""), str_of(x->way));
        if (x->way && x->way_reason)
                add_text(b, STR(",\"way_reason\":\""), str_of(x->way_reason));
        add_named_number(b, STR(",\"attempts\":"), x->attempts);
        if (x->first_byte_us)
                add_ms(b, STR(",\"first_byte_ms\":"), x->first_byte_us - x->up_start_us);
}

static void line_write(const struct exchange *x, int64_t duration_us, unsigned left_out)
{
        struct buf *b = &x->w->record;

        add_time(x->w, b);
        buf_add(b, STR("\",\"event\":\"request\",\"id\":\""));
        buf_add(b, (struct str){ x->id, EXCHANGE_ID_LEN });
        buf_add_char(b, '"');
        add_address(b, STR(",\"client\":\""), x->client.ip);
        if (x->client.ip.family && !ip_eq(x->client.ip, x->origin->peer))
                add_address(b, STR(",\"peer\":\""), x->origin->peer);
        add_text(b, STR(",\"method\":\""), x->request.method_text);
        add_text(b, STR(",\"host\":\""), x->target.authority.host);
        add_text(b, STR(",\"path\":\""), x->target.path); /* without the query: people put secrets there */
        if (x->route)
                add_text(b, STR(",\"route\":\""), x->route->name);
        if (x->token)
                add_text(b, STR(",\"token\":\""), x->token->name);
        if (x->caller_name.len)
                add_text(b, STR(",\"caller\":\""), x->caller_name);
        add_named_number(b, STR(",\"status\":"), x->status);
        add_text(b, STR(",\"outcome\":\""), str_of(outcome_names[x->outcome]));
        if (x->refused)
                add_text(b, STR(",\"reason\":\""), str_of(x->refused));
        add_named_number(b, STR(",\"bytes_in\":"), x->request_bytes);
        add_named_number(b, STR(",\"bytes_out\":"), x->answer_bytes);
        add_ms(b, STR(",\"duration_ms\":"), duration_us);
        add_upstream(b, x);
        if (x->trace) {
                char id[TRACE_ID_TEXT_MAX];

                add_text(b, STR(",\"trace\":\""), trace_id_text(x->trace->own.trace_id, TRACE_ID_BYTES, id));
        }
        if (x->model.len)
                add_text(b, STR(",\"model\":\""), x->model);
        if (x->tokens_in || x->tokens_out) {
                add_named_number(b, STR(",\"tokens_in\":"), x->tokens_in);
                add_named_number(b, STR(",\"tokens_out\":"), x->tokens_out);
        }
        const struct http_field *agent = http_find(&x->request, HTTP_FIELD_USER_AGENT);
        if (agent)
                add_text(b, STR(",\"user_agent\":\""), str_sub(agent->value, 0, 200));
        if (left_out)
                add_named_number(b, STR(",\"left_out\":"), left_out);
        write_line(x->w, x);
}

void record_exchange(struct exchange *x)
{
        unsigned left_out = 0;
        int64_t duration_us;

        if (x->is_internal)
                return;
        /* The turn's reading would hide the time the turn itself took, which is ours. */
        duration_us = loop_clock_us() - x->start_us;
        measure_exchange(x, duration_us, x->waited_us);
        exporter_request(x->w->exporter, x, duration_us);
        if (!is_wanted(x->w) || (x->route && x->route->is_quiet && x->status < 400))
                return;
        if (x->refused && !x->token && !refused_pass(x->w, &left_out))
                return;
        if (!x->w->record_is_combined) {
                line_write(x, duration_us, left_out);
                return;
        }
        record_combined_request(&x->w->record, x, time_of(x->w));
        write_out(x->w, x);
}

void record_refused(struct worker *w, const struct exchange_origin *origin,
                    const struct http_refusal *refusal)
{
        struct buf *b = &w->record;
        unsigned left_out;

        measure_refused(w, refusal->reason);
        if (!is_wanted(w) || !refused_pass(w, &left_out))
                return;
        if (w->record_is_combined) {
                record_combined_refused(b, origin->peer, refusal->status, time_of(w));
                write_out(w, NULL);
                return;
        }
        add_time(w, b);
        buf_add(b, STR("\",\"event\":\"refused\""));
        add_address(b, STR(",\"peer\":\""), origin->peer);
        add_named_number(b, STR(",\"status\":"), refusal->status);
        add_text(b, STR(",\"reason\":\""), str_of(refusal->reason));
        if (left_out)
                add_named_number(b, STR(",\"left_out\":"), left_out);
        write_line(w, NULL);
}
