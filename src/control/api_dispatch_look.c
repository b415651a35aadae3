#include "control/api_dispatch.h"
#include "control/control_priv.h"
#include "control/routes_priv.h"
#include "dispatch/dispatcher.h"
#include "dispatch/figures.h"
#include "proxy/reply.h"
#include "proxy/worker.h"

/* ---- looking ---- */

API_RUN(dispatch_look)
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

static void tags_write(struct json_writer *w, struct str tags)
{
        struct str rest = tags, one;

        json_write_key(w, STR("tags"));
        json_write_array_begin(w);
        while (tags.len && str_split(&rest, ',', &one))
                json_write_str(w, one);
        json_write_array_end(w);
}

static void agent_write(struct json_writer *w, const struct source_agent *a)
{
        char text[IP_TEXT_MAX];

        json_write_object_begin(w);
        json_write_member_str(w, STR("agent_id"), a->id);
        json_write_member_str(w, STR("name"), a->name);
        tags_write(w, a->tags);
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
        dispatch_time_write(w, STR("last_seen"), a->seen);
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
        dispatch_time_write(w, STR("last_used"), s->used);
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

void agents_stream(struct api_call *c)
{
        look_answer(c, agents_write);
}

void pool_stream(struct api_call *c)
{
        look_answer(c, pool_write);
}

void stats_stream(struct api_call *c)
{
        look_answer(c, stats_write);
}

/* ---- figures ---- */

void metrics_stream(struct api_call *c)
{
        static const struct reply_field fields[] = { { STR_INIT("Content-Type"),
                                                       STR_INIT("text/plain; version=0.0.4; charset=utf-8") },
                                                     { STR_INIT("Cache-Control"), STR_INIT("no-store") } };
        struct control *control = c->control;
        struct exchange *x = c->x;
        struct buf page;

        buf_init(&page, API_ANSWER_MAX);
        if (control->dispatcher)
                figures_format(control->dispatcher, (loop_wall(control->loop) - control->started) / 1000,
                               &page);
        metrics_format(control->shared.metrics, METRICS_PROMETHEUS, &page);
        metrics_format_end(METRICS_PROMETHEUS, &page);
        api_let_go(c);
        reply_take(x, 200, fields, ARRAY_SIZE(fields), &page);
}
void dispatch_time_write(struct json_writer *w, struct str name, unix_ms when)
{
        char text[UNITS_TIME_TEXT_MAX];

        if (when)
                json_write_member_str(w, name, units_format_time(when, text));
        else
                json_write_member_null(w, name);
}
