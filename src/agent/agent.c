#include "agent/agent.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/allow.h"
#include "agent/build.h"
#include "agent/handover.h"
#include "agent/joined.h"
#include "agent/links.h"
#include "agent/offered.h"
#include "agent/overlay.h"
#include "agent/sender.h"
#include "agent/tell.h"
#include "conf/reach.h"
#include "conf/source.h"
#include "find/docker.h"
#include "find/servers.h"
#include "io/logsink.h"
#include "io/process.h"
#include "io/service.h"
#include "io/signals.h"
#include "io/tls.h"
#include "proxy/health.h"

/*
 * Theory of operation. One process: an agent serves a few machines' services, and what it carries goes over a few links. It
 * listens nowhere. A worker of the proxy has its snapshot from the configuration; its clients are the links that the keeper
 * dials. A reload changes the snapshot under the links, and the list of gateways by its differences. A second, idle process can
 * start the program anew (io/launcher.h), which takes over from this one (handover.h).
 */

/* Its unit does not start it again (RestartPreventExitStatus). */
enum { AGENT_REMOVED = 7 };

struct agent {
        struct worker worker;
        struct shared shared;
        struct loop *loop;
        struct signals signals;
        struct log_sink log, access;
        struct agent_links *links;
        struct agent_overlay overlay; /* joined.is_on */
        struct joined joined;
        struct handover handover;
        struct sender sender;
        struct tell tell;          /* joined.is_on */
        struct conf_source system; /* the own file, while it is read */
        struct conf_reach own;     /* over it: where its files lie */
        struct sandbox_paths reach;
        struct sandbox sandbox;
        struct offered offered; /* over it, where joined.is_on */
        struct health *health;
        struct docker docker;   /* labelled containers */
        struct servers servers; /* of models, on this machine */
        char inference[512];    /* agent.inference, as it is in force */
        struct timer drain_timer;
        const struct agent_options *options;
        uint64_t number;
        bool is_stopping;
        bool is_begun; /* `tell` and `joined` are */
        bool is_drained, is_overlay_over;
        int exit_status;
};

static void report_print(const struct report *r)
{
        struct buf text;

        buf_init(&text, 1 << 20);
        report_format(r, &text);
        fprintf(stderr, "%.*s", STR_FMT(buf_str(&text)));
        buf_fini(&text);
}

/* ---- configurations ---- */

/* ERR_MALFORMED: it is none of the words, and no list of places. */
static enum err inference_read(struct str text, struct server_list *out)
{
        if (str_eq(text, STR("offer"))) {
                server_list_usual(out);
                return ERR_OK;
        }
        return server_list_parse(str_eq(text, STR("off")) ? STR("none") : text, out);
}

static enum err conf_check(const struct agent *a, struct report *r, struct conf **out)
{
        struct server_list places;
        bool is_idle = !(*out)->agent.gateways_count && !a->joined.is_on;

        if (inference_read((*out)->agent.inference, &places) == ERR_OK && !is_idle)
                return ERR_OK;
        if (is_idle)
                report_error(
                        r, 0, 0,
                        "agent.gateways: names no gateway; an agent has nothing else to do than to serve through one");
        else
                report_error(
                        r, 0, 0,
                        "agent.inference: write \"offer\", \"off\", or places as \"ollama=11435,vllm=8001\"; there are "
                        "ollama, llamacpp, vllm, sglang and lmstudio");
        conf_free(*out);
        *out = NULL;
        return ERR_CONFIG;
}

/* Its own file, and below it what control published. */
static enum err conf_read(struct agent *a, struct report *r, struct conf **out)
{
        conf_source_system(&a->system, a->options->config_file, process_wall_ms());
        conf_reach_over(&a->own, &a->system, &a->reach);
        if (a->joined.is_on)
                offered_over(&a->offered, &a->own.source, a->joined.folder);
        enum err e = conf_load(a->joined.is_on ? &a->offered.source : &a->own.source, r, out);
        return e == ERR_OK ? conf_check(a, r, out) : e;
}

static void conf_read_end(struct agent *a)
{
        if (a->joined.is_on)
                offered_fini(&a->offered);
}

/* What control published may have been refused once, or by another version of the program: the own file is served all the same. */
static enum err conf_read_first(struct agent *a, struct conf **out)
{
        struct report report;

        report_init(&report, a->options->config_file);
        enum err e = conf_read(a, &report, out);
        report_print(&report);
        report_fini(&report);
        if (e == ERR_CONFIG && a->joined.is_on && offered_is_on(&a->offered)) {
                fprintf(stderr, "sekisho: starting without what control published\n");
                report_init(&report, a->options->config_file);
                offered_off(&a->offered);
                e = conf_load(&a->offered.source, &report, out);
                report_print(&report);
                report_fini(&report);
        }
        conf_read_end(a);
        return e;
}

static enum err snapshot_make(struct agent *a, struct conf *conf, struct report *r, struct snapshot **out)
{
        const struct agent_build input = { conf, ++a->number, &a->shared, &agent_announce_handler,
                                           &a->sender.ways };

        return agent_build_snapshot(&input, r, out);
}

static const struct conf *conf_now(const struct agent *a)
{
        return a->worker.snap->conf;
}

static void access_log_place(struct agent *a)
{
        const struct conf_log *log = &conf_now(a)->log;
        struct worker *w = &a->worker;
        bool is_on = log->access == CONF_LOG_STDOUT || log->access == CONF_LOG_STDERR;

        log_sink_move(&a->access, log->access == CONF_LOG_STDERR ? STDERR_FILENO : STDOUT_FILENO);
        if (log->access == CONF_LOG_FILE)
                is_on = log_sink_move_file(&a->access, log->access_path.ptr) == ERR_OK;
        w->record_is_combined = log->access_format == CONF_ACCESS_COMBINED;
        w->record_time_at = 0;
        w->record_refused.burst = (unsigned)MIN(log->refused_lines.count, (uint64_t)UINT32_MAX);
        w->record_refused.period_ms = log->refused_lines.period_ms;
        w->write_record = is_on ? log_sink_write : NULL;
        w->record_context = &a->access;
}

/* Without it the rest goes on. */
static void sender_begin(struct agent *a)
{
        enum err e = sender_set(&a->sender, &a->worker);

        if (e != ERR_OK)
                log_error("dispatch_off", LOG_E(e), LOG_C("meaning", "no request is sent out from here"));
}

/* Only for a control: nobody else wants to know. */
static void servers_place(struct agent *a)
{
        struct str inference = conf_now(a)->agent.inference;
        struct server_list places;

        if (!a->joined.is_on || inference_read(inference, &places) != ERR_OK)
                return;
        if (!str_eq(inference, str_of(a->inference))) {
                servers_stop(&a->servers);
                servers_start(&a->servers, &a->worker, &places);
        }
        snprintf(a->inference, sizeof(a->inference), "%.*s", STR_FMT(inference));
}

static void docker_place(struct agent *a);

static void reload(struct agent *a)
{
        struct conf *conf = NULL;
        struct snapshot *snap = NULL;
        struct report report;
        enum err e;

        service_say_reloading();
        report_init(&report, a->options->config_file);
        if ((e = conf_read(a, &report, &conf)) == ERR_OK &&
            (e = snapshot_make(a, conf, &report, &snap)) != ERR_OK)
                conf_free(conf);
        conf_read_end(a);
        for (size_t i = 0; i < report.entries_count; i++)
                if (report.entries[i].severity == REPORT_ERROR)
                        log_error("config_problem", LOG_S("file", report.entries[i].file),
                                  LOG_N("line", report.entries[i].line),
                                  LOG_S("problem", report.entries[i].text));
        if (e == ERR_OK && (e = agent_links_set(a->links, conf)) != ERR_OK)
                snapshot_put(snap);
        joined_said(&a->joined, e, report.entries_count ? report.entries[0].text : STR_NULL);
        report_fini(&report);
        if (e != ERR_OK) {
                log_error("config_reload_refused", LOG_E(e),
                          LOG_C("kept", "the old configuration stays in force"));
        } else {
                health_stop(a->health);
                worker_set_snapshot(&a->worker, snap);
                sender_begin(a);
                a->health = health_start(&a->worker, snap);
                access_log_place(a);
                servers_place(a);
                docker_place(a);
                agent_overlay_read(&a->overlay);
                log_info("config_applied", LOG_N("number", a->number), LOG_S("config", conf->version));
        }
        service_say("READY=1");
}

/* ---- where it may dial ---- */

static bool may_dial(const struct worker *w, const struct target *t, const struct dial_target *to)
{
        const struct conf_agent *c = &((const struct conf *)w->snap->conf)->agent;

        if (t->upstream->is_outward)
                return sender_may_dial(w, t, to);
        const struct agent *a = CONTAINER_OF(w, struct agent, worker);

        if (t->upstream == &a->docker.upstream)
                return true; /* its own word, and nobody else's */
        const struct allow_ask ask = { .host = t->host, .to = to, .is_own = !t->upstream->is_published };

        return allow_may_dial(c->allow, c->allow_count, &ask);
}

/* ---- containers ---- */

static void on_containers(void *context)
{
        struct agent *a = context;

        if (a->is_begun)
                tell_now(&a->tell);
}

static bool may_offer(void *context, const struct label_offer *o)
{
        const struct agent *a = context;
        const struct conf_agent *c = &conf_now(a)->agent;
        const struct dial_target to = { .ip = o->ip, .port = o->port };
        char text[IP_TEXT_MAX];
        const struct allow_ask ask = { .host = ip_format(o->ip, text), .to = &to };

        return allow_may_dial(c->allow, c->allow_count, &ask);
}

static const struct docker_events docker_events = { on_containers, may_offer };

static void docker_place(struct agent *a)
{
        struct str path = conf_now(a)->agent.docker;

        if (!a->joined.is_on || (a->docker.is_started ? str_eq(path, str_of(a->docker.path)) : path.len == 0))
                return;
        docker_stop(&a->docker);
        docker_start(&a->docker, &a->worker, path, &docker_events, a);
        on_containers(a);
}

/* ---- the end ---- */

static void on_drained(struct worker *w)
{
        struct agent *a = CONTAINER_OF(w, struct agent, worker);

        a->is_drained = true;
        if (a->is_overlay_over)
                loop_stop(a->loop);
}

static void on_overlay_released(void *context)
{
        struct agent *a = context;

        a->is_overlay_over = true;
        handover_let_go(&a->handover);
        if (a->is_drained)
                loop_stop(a->loop);
}

static void on_drain_timeout(struct timer *t)
{
        struct agent *a = CONTAINER_OF(t, struct agent, drain_timer);

        log_warning("drain_timeout", LOG_N("connections", pool_taken_count(a->worker.downs)));
        loop_stop(a->loop);
}

/* `is_succeeded`: another process serves in our place, and is the service already. */
static void stop(struct agent *a, bool is_succeeded)
{
        int64_t timeout_ms = a->is_stopping ? 0 : conf_now(a)->gateway.drain_timeout;

        log_info("draining", LOG_N("timeout_ms", timeout_ms));
        timer_set(a->loop, &a->drain_timer, loop_now(a->loop) + timeout_ms);
        if (a->is_stopping)
                return;
        a->is_stopping = true;
        handover_give_up(&a->handover);
        if (!is_succeeded)
                service_say("STOPPING=1");
        agent_links_stop(a->links);
        agent_overlay_stop(&a->overlay, on_overlay_released, a);
        if (a->is_begun)
                tell_stop(&a->tell);
        servers_stop(&a->servers);
        docker_stop(&a->docker);
        health_stop(a->health);
        a->health = NULL;
        sender_stop(&a->sender);
        worker_drain(&a->worker, false);
}

static void on_signal(struct signals *s, int number)
{
        struct agent *a = CONTAINER_OF(s, struct agent, signals);

        switch (number) {
        case SIGHUP:
                if (!a->is_stopping)
                        reload(a);
                break;
        case SIGUSR1: access_log_place(a); break;
        case SIGTERM:
        case SIGINT: stop(a, false); break;
        case SIGUSR2:
                if (!a->is_stopping)
                        handover_ask(&a->handover);
                break;
        default: break;
        }
}

/* ---- control ---- */

static void on_news(void *context)
{
        struct agent *a = context;

        if (!a->is_stopping)
                reload(a);
}

/* With gateways of its own it goes on without a control. */
static void on_refused(void *context)
{
        struct agent *a = context;

        if (a->is_stopping || conf_now(a)->agent.gateways_count)
                return;
        log_error("agent_without_gateways",
                  LOG_C("meaning", "no file names a gateway and no control says what to serve"));
        a->exit_status = joined_is_removed(&a->joined) ? AGENT_REMOVED : 1;
        stop(a, false);
}

static const struct joined_events joined_events = { on_news, on_refused };

static enum err joined_begin(struct agent *a, bool is_heir)
{
        if (!a->joined.is_on)
                return ERR_OK;
        servers_place(a);
        tell_start(&a->tell, &a->joined, a->links, &a->sender, &a->servers, &a->docker, &a->worker);
        a->is_begun = true;
        docker_place(a);
        /* Two with one key would take the tunnel from each other: the one before has ended by then, or says so earlier (on_alone). */
        agent_overlay_start(&a->overlay, &a->worker, a->links, a->joined.folder,
                            (uint16_t)conf_now(a)->agent.overlay,
                            is_heir ? conf_now(a)->gateway.drain_timeout : 0);
        return joined_start(&a->joined, &(struct joined_conf){ .loop = a->loop,
                                                               .join = a->options->join,
                                                               .name = a->options->name,
                                                               .is_heir = is_heir,
                                                               .sandbox = &a->sandbox,
                                                               .events = &joined_events,
                                                               .context = a });
}

/* ---- from one program to the next ---- */

static bool on_settled_asked(void *context, bool needs_none)
{
        const struct agent *a = context;

        return agent_links_are_settled(a->links, needs_none);
}

static bool on_links_asked(void *context)
{
        const struct agent *a = context;

        return agent_links_has_own(a->links);
}

static void on_alone(void *context)
{
        struct agent *a = context;

        agent_overlay_begin(&a->overlay);
}

static void on_service(void *context)
{
        struct agent *a = context;

        if (!a->is_stopping && joined_begin(a, true) != ERR_OK)
                log_error("control_not_asked", LOG_E(ERR_NO_MEMORY));
}

static void on_succeeded(void *context)
{
        struct agent *a = context;

        if (a->is_stopping)
                return;
        stop(a, true);
        if (a->is_begun)
                joined_leave(&a->joined);
}

static const struct handover_events handover_events = { on_settled_asked, on_service, on_alone,
                                                        on_links_asked, on_succeeded };

/* ---- what is within its reach ---- */

/* From here on: its state, the folders of its files, what names and certificates need. A file elsewhere, which a reload may name, takes a
 * new process: SIGUSR2. */
static enum err close_in(struct agent *a)
{
        static const struct sandbox_user same = { 0 };
        const struct conf_log *log = &conf_now(a)->log;
        char own[NODE_PATH_MAX];
        enum err e;

        sandbox_paths_add_system(&a->reach);
        if (a->joined.is_on && node_state_own_folder(a->joined.folder, WIRE_AGENT, own) == ERR_OK)
                sandbox_paths_add(&a->reach, str_of(own), true);
        if (log->access == CONF_LOG_FILE)
                sandbox_paths_add_folder_of(&a->reach, log->access_path, true);
        tls_prepare();
        if ((e = sandbox_fence(SANDBOX_NODE, &same, &a->reach, &a->sandbox)) != ERR_OK)
                return e;
        sandbox_filter(SANDBOX_NODE, &a->sandbox);
        sandbox_log(&a->sandbox, "agent");
        return ERR_OK;
}

/* ---- the beginning ---- */

static enum err start(struct agent *a, struct conf *conf, struct report *r)
{
        struct snapshot *snap = NULL;
        enum err e;

        timer_init(&a->drain_timer, on_drain_timeout);
        if ((e = shared_init(&a->shared, 1)) != ERR_OK || (e = snapshot_make(a, conf, r, &snap)) != ERR_OK) {
                conf_free(conf);
                return e;
        }
        if ((e = loop_new(&a->loop)) != ERR_OK ||
            (e = signals_open(&a->signals, a->loop, on_signal)) != ERR_OK ||
            (e = worker_init(&a->worker, &a->shared, 0, a->loop, snap)) != ERR_OK)
                return e;
        a->worker.on_drained = on_drained;
        a->worker.may_dial = may_dial;
        sender_begin(a);
        log_sink_open(&a->access, -1, a->loop);
        access_log_place(a);
        if (!(a->links = agent_links_new(&a->worker)))
                return ERR_NO_MEMORY;
        if ((e = agent_links_set(a->links, conf)) != ERR_OK)
                return e;
        a->health = health_start(&a->worker, snap);
        if (a->joined.is_on && conf->agent.overlay)
                agent_overlay_open(&a->overlay, a->loop);
        if ((e = close_in(a)) != ERR_OK)
                return e;
        if ((e = handover_open(&a->handover, a->loop, &handover_events, a)) != ERR_OK)
                return e;
        return a->handover.is_heir ? ERR_OK
                                   : joined_begin(a, false); /* control is the other's until it ends */
}

int agent_run(const struct agent_options *options)
{
        static struct agent agent; /* one a process; large, and zero until now */
        struct agent *a = &agent;
        struct conf *conf = NULL;
        struct report report;

        a->options = options;
        handover_init(&a->handover);
        joined_init(&a->joined, options->join);
        enum err e = conf_read_first(a, &conf);
        if (e != ERR_OK) {
                fprintf(stderr, "sekisho: the configuration cannot be used (%s); nothing was started\n",
                        err_text(e));
                return 2;
        }
        log_sink_open(&a->log, STDERR_FILENO, NULL);
        log_setup(log_sink_write, &a->log, process_wall_ms, conf->log.level, conf->log.format);
        process_raise_fd_limit();
        report_init(&report, options->config_file);
        e = start(a, conf, &report);
        report_print(&report);
        report_fini(&report);
        if (e != ERR_OK) {
                fprintf(stderr, "sekisho: the agent cannot start (%s)\n", err_text(e));
                return 1;
        }
        log_info("agent_ready", LOG_N("gateways", conf->agent.gateways_count),
                 LOG_N("services", conf->agent.services_count), LOG_S("config", conf->version));
        service_say("READY=1");
        loop_run(a->loop);
        if (a->is_begun)
                joined_end(&a->joined);
        agent_overlay_free(&a->overlay);
        log_info("agent_stopped", LOG_N("status", a->exit_status));
        log_sink_close(&a->access);
        return a->exit_status;
}
