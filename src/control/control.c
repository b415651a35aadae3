#include "control/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/reach.h"
#include "control/api.h"
#include "control/callers.h"
#include "control/control_priv.h"
#include "control/dispatch.h"
#include "control/events.h"
#include "control/fences.h"
#include "control/hub.h"
#include "control/join.h"
#include "control/lead.h"
#include "crypto/secret.h"
#include "crypto/text.h"
#include "io/file.h"
#include "io/process.h"
#include "io/service.h"
#include "io/tls.h"
#include "node/state.h"
#include "store/keys.h"
#include "store/store.h"

enum {
        STOP_MS = 3000,
        DAY_MS = 24 * 3600 * 1000,
        MINUTE_MS = 60 * 1000,
        WAIT_MS = 1000,
        LAST_TURNS = 10,
        PIN_BYTES = 16
};

/* ---- the configuration ---- */

static enum err empty_read(struct conf_source *s, enum conf_read_kind kind, struct str name,
                           struct conf_text *out)
{
        if (kind != CONF_READ_CONFIG)
                return ERR_NOT_FOUND;
        out->mode = 0600;
        buf_add(&out->bytes, STR("{ \"control\": {} }"));
        return ERR_OK;
}

static enum err conf_find(const struct control_options *options, struct sandbox_paths *reach,
                          struct conf **out)
{
        struct conf_source source;
        struct conf_reach noted;
        struct report report;
        struct buf text;
        enum err e;

        conf_source_system(&source, options->config_file, process_wall_ms());
        if (options->config_file.len == 0)
                source =
                        (struct conf_source){ .read = empty_read, .file = STR("no file"), .now = source.now };
        report_init(&report, options->config_file);
        conf_reach_over(&noted, &source, reach);
        e = conf_load(&noted.source, &report, out);
        buf_init(&text, 1 << 20);
        report_format(&report, &text);
        fprintf(stderr, "%.*s", STR_FMT(buf_str(&text)));
        buf_fini(&text);
        report_fini(&report);
        return e;
}

static bool path_join(char *out, const char *folder, const char *name)
{
        return (size_t)snprintf(out, CONTROL_PATH_BYTES, "%s/%s", folder, name) < CONTROL_PATH_BYTES;
}

/* --state, `control.state`, or where every role of this machine has it. */
static enum err state_find(struct control *c, const struct control_options *options)
{
        struct str given = options->state.len ? options->state : c->conf->control.state;
        enum err e = ERR_OK;

        if (!given.len)
                e = node_state_folder(c->state);
        else if ((size_t)snprintf(c->state, sizeof(c->state), "%.*s", STR_FMT(given)) >= sizeof(c->state))
                e = ERR_TOO_LARGE;
        if (e == ERR_OK)
                e = file_make_folders(c->state, 0700);
        if (e != ERR_OK)
                fprintf(stderr, "sekisho: the state folder %s cannot be used: %s; name another by --state\n",
                        c->state, err_text(e));
        return e;
}

/* What stands in tokens and links. */
static void url_make(struct control *c)
{
        const struct conf_control *conf = &c->conf->control;
        char host[256] = "localhost", place[108];
        struct listen_address bound;

        if (conf->public_url.text.len) {
                snprintf(c->url, sizeof(c->url), "%.*s", STR_FMT(conf->public_url.text));
                return;
        }
        if (gethostname(host, sizeof(host) - 1) != 0 || !*host)
                snprintf(host, sizeof(host), "localhost");
        if (ip_is_loopback(conf->listen.ip))
                snprintf(host, sizeof(host), conf->listen.ip.family == 6 ? "[::1]" : "127.0.0.1");
        if (listen_socket_address(c->listen_fd, &bound, place) != ERR_OK)
                bound.port = conf->listen.port;
        snprintf(c->url, sizeof(c->url), "https://%s:%u", host, bound.port);
}

/* ---- the store ---- */

struct waited {
        struct store_job *job;
        bool is_done;
        enum err err;
};
static struct waited waiting; /* one at a time, before anything is served */

static void waited_done(struct store_job *job, enum err e)
{
        waiting.is_done = true;
        waiting.err = e;
}

enum err control_wait(struct control *c, struct store_job *job)
{
        enum err e;

        waiting = (struct waited){ .job = job };
        job->done = waited_done;
        if ((e = store_submit(c->store, job)) != ERR_OK)
                return e;
        while (!waiting.is_done)
                loop_turn(c->loop, WAIT_MS);
        return waiting.err;
}

static void on_change(void *context)
{
        struct control *c = context;

        if (!c->is_serving)
                return;
        hub_changed(c->hub);
        events_changed(c->events);
}

static enum err store_start(struct control *c)
{
        struct store_options options = { .loop = c->loop, .on_change = on_change, .context = c };
        char path[CONTROL_PATH_BYTES], url[CONTROL_PATH_BYTES + 16];
        struct report report;
        struct buf text;
        enum err e;

        if (c->conf->control.store_url.len)
                snprintf(url, sizeof(url), "%.*s", STR_FMT(c->conf->control.store_url));
        else if (path_join(path, c->state, "control.db"))
                snprintf(url, sizeof(url), "sqlite:%s", path);
        report_init(&report, STR(""));
        e = store_open(str_of(url), &options, &report, &c->store);
        buf_init(&text, 1 << 16);
        report_format(&report, &text);
        fprintf(stderr, "%.*s", STR_FMT(buf_str(&text)));
        buf_fini(&text);
        report_fini(&report);
        if (e != ERR_OK)
                fprintf(stderr, "sekisho: the store cannot be used; nothing was started\n");
        return e;
}

struct secrets_job {
        struct store_job job;
        struct control *control;
        char path[CONTROL_PATH_BYTES];
};

static enum err secrets_run(struct store_job *job, struct store_txn *t)
{
        struct secrets_job *s = CONTAINER_OF(job, struct secrets_job, job);

        return secrets_load(&s->control->secrets, t, &s->control->conf->control, s->path);
}

static enum err secrets_start(struct control *c)
{
        static struct secrets_job job;
        enum err e;

        job = (struct secrets_job){ .job = { .run = secrets_run }, .control = c };
        if (!path_join(job.path, c->state, "control.key"))
                return ERR_TOO_LARGE;
        e = control_wait(c, &job.job);
        if (e == ERR_NOT_FOUND)
                fprintf(stderr,
                        "sekisho: %s is not there, and without it the store's keys cannot be opened; put back the one that "
                        "belongs to this store, or copy it from another control that uses it\n",
                        job.path);
        else if (e == ERR_DENIED)
                fprintf(stderr,
                        "sekisho: %s must be a file of this user that others cannot read; run: chmod 600 %s\n",
                        job.path, job.path);
        else if (e == ERR_MALFORMED)
                fprintf(stderr, "sekisho: %s is no key of this store\n", job.path);
        else if (e != ERR_OK)
                fprintf(stderr, "sekisho: the store's secrets cannot be read: %s %s\n", err_text(e),
                        job.job.reason);
        return e;
}

/* ---- keys that were used ---- */

void control_key_used(struct control *c, int64_t key)
{
        for (size_t i = 0; i < c->keys_used_count; i++)
                if (c->keys_used[i] == key)
                        return;
        if (c->keys_used_count < CONTROL_KEYS_USED_MAX)
                c->keys_used[c->keys_used_count++] = key;
}

struct used_job {
        struct store_job job;
        int64_t keys[CONTROL_KEYS_USED_MAX];
        size_t count;
};

static enum err used_run(struct store_job *job, struct store_txn *t)
{
        struct used_job *u = CONTAINER_OF(job, struct used_job, job);

        for (size_t i = 0; i < u->count; i++) {
                enum err e = store_key_used(t, u->keys[i], store_now(t));

                if (e != ERR_OK && e != ERR_NOT_FOUND)
                        return e;
        }
        return ERR_OK;
}

static void used_done(struct store_job *job, enum err e)
{
        free(CONTAINER_OF(job, struct used_job, job));
}

static void on_minute(struct timer *t)
{
        struct control *c = CONTAINER_OF(t, struct control, minute_timer);
        struct used_job *u = c->keys_used_count ? calloc(1, sizeof(*u)) : NULL;

        timer_set(c->loop, t, loop_now(c->loop) + MINUTE_MS);
        hub_minute(c->hub);
        if (!u)
                return;
        u->job = (struct store_job){ .run = used_run, .done = used_done };
        memcpy(u->keys, c->keys_used, c->keys_used_count * sizeof(*u->keys));
        u->count = c->keys_used_count;
        c->keys_used_count = 0;
        if (store_submit(c->store, &u->job) != ERR_OK)
                free(u);
}

/* ---- serving ---- */

static void on_accept(struct listener *l, int fd)
{
        struct control *c = CONTAINER_OF(l, struct control, listener);

        worker_accept(&c->worker, fd, &c->worker.snap->listens[0], l->peer);
}

static void on_closed_doors(struct worker *w, bool are_closed)
{
        listener_hold(&CONTAINER_OF(w, struct control, worker)->listener, are_closed);
}

/* Fresh certificates of ours, long before the old ones end. */
static void on_day(struct timer *t)
{
        struct control *c = CONTAINER_OF(t, struct control, day_timer);
        struct snapshot *snap;
        struct report report;

        timer_set(c->loop, t, loop_now(c->loop) + DAY_MS);
        hub_day(c->hub);
        report_init(&report, STR(""));
        if (control_snapshot(c, &report, &snap) == ERR_OK)
                worker_set_snapshot(&c->worker, snap);
        else
                log_error("certificates_not_renewed",
                          LOG_C("meaning", "the old ones stay; tried again in a day"));
        report_fini(&report);
}

static void finish(struct control *c)
{
        timer_clear(&c->stop_timer);
        loop_stop(c->loop);
}

static void on_drained(struct worker *w)
{
        finish(CONTAINER_OF(w, struct control, worker));
}

static void on_stop_timeout(struct timer *t)
{
        finish(CONTAINER_OF(t, struct control, stop_timer));
}

static void stop(struct control *c)
{
        if (c->is_stopping) {
                finish(c);
                return;
        }
        c->is_stopping = true;
        service_say("STOPPING=1");
        log_info("control_stopping", LOG_N("connections", pool_taken_count(c->worker.downs)));
        listener_stop(&c->listener);
        close(c->listen_fd);
        timer_clear(&c->day_timer);
        timer_clear(&c->minute_timer);
        timer_set(c->loop, &c->stop_timer, loop_now(c->loop) + STOP_MS);
        hub_stop(c->hub);
        events_stop(c->events);
        worker_drain(&c->worker, false);
}

static void on_signal(struct signals *signals, int number)
{
        struct control *c = CONTAINER_OF(signals, struct control, signals);

        if (number == SIGTERM || number == SIGINT)
                stop(c);
}

static void logs_open(struct control *c)
{
        const struct conf_log *log = &c->conf->log;
        char path[CONTROL_PATH_BYTES];

        log_sink_open(&c->access, -1, c->loop);
        if (log->access == CONF_LOG_STDOUT || log->access == CONF_LOG_STDERR)
                log_sink_move(&c->access, log->access == CONF_LOG_STDOUT ? STDOUT_FILENO : STDERR_FILENO);
        if (log->access == CONF_LOG_FILE) {
                snprintf(path, sizeof(path), "%.*s", STR_FMT(log->access_path));
                if (log_sink_move_file(&c->access, path) != ERR_OK)
                        log_error("access_log_not_opened", LOG_C("path", path));
        }
        c->worker.record_is_combined = log->access_format == CONF_ACCESS_COMBINED;
        c->worker.write_record = log->access == CONF_LOG_OFF ? NULL : log_sink_write;
        c->worker.record_context = &c->access;
}

static enum err listen_open(struct control *c)
{
        const struct listen_address *a = &c->conf->control.listen;
        char text[LISTEN_ADDRESS_TEXT_MAX];
        enum err e = listen_socket_open(a, false, &c->listen_fd);

        if (e != ERR_OK)
                fprintf(stderr, "sekisho: cannot listen on %s: %s\n", listen_address_format(a, text).ptr,
                        e == ERR_EXISTS
                                ? "something listens there already; stop it or choose another control.listen"
                                : err_text(e));
        return e;
}

static enum err worker_start(struct control *c)
{
        struct snapshot *snap;
        struct report report;
        enum err e;

        if ((e = shared_init(&c->shared, 1)) != ERR_OK)
                return e;
        report_init(&report, STR(""));
        e = control_snapshot(c, &report, &snap);
        for (size_t i = 0; i < report.entries_count; i++)
                fprintf(stderr, "sekisho: %.*s\n", STR_FMT(report.entries[i].text));
        report_fini(&report);
        if (e != ERR_OK)
                return e;
        if ((e = worker_init(&c->worker, &c->shared, 0, c->loop, snap)) != ERR_OK)
                return e;
        c->worker.on_closed_doors = on_closed_doors;
        c->worker.is_vouched = callers_is_vouched;
        logs_open(c);
        return listener_start(&c->listener, c->loop, c->listen_fd, on_accept);
}

void control_link_show(struct control *c, char *link, size_t link_size)
{
        uint8_t fingerprint[CERTS_FINGERPRINT_BYTES];
        char pin[CRYPTO_HEX_SIZE(PIN_BYTES)];

        certs_authority_fingerprint(c->secrets.authority, fingerprint);
        crypto_hex_format((struct str){ (const char *)fingerprint, PIN_BYTES }, pin);
        printf("\nNobody owns this control server yet. Open this link within 24 hours to become its owner:\n\n"
               "    %s/setup#%s.%s\n\nor, on a machine with sekisho:\n\n    sekisho login '%s/setup#%s.%s'\n\n",
               c->url, link, pin, c->url, link, pin);
        fflush(stdout);
        crypto_wipe(link, link_size);
}

static enum err start(struct control *c)
{
        enum err e;

        if ((e = loop_new(&c->loop)) != ERR_OK ||
            (e = signals_open(&c->signals, c->loop, on_signal)) != ERR_OK || (e = listen_open(c)) != ERR_OK ||
            (e = fences_raise(c)) != ERR_OK || (e = store_start(c)) != ERR_OK ||
            (e = secrets_start(c)) != ERR_OK)
                return e;
        url_make(c);
        if ((e = lead_new(c, &c->lead)) != ERR_OK)
                return e;
        api_start(c);
        timer_init(&c->stop_timer, on_stop_timeout);
        timer_init(&c->day_timer, on_day);
        timer_init(&c->minute_timer, on_minute);
        if ((e = joins_new(&c->joins)) != ERR_OK || (e = hub_new(c, &c->hub)) != ERR_OK ||
            (e = events_new(c, &c->events)) != ERR_OK || (e = worker_start(c)) != ERR_OK)
                return e;
        if ((e = dispatch_start(c)) != ERR_OK)
                return e;
        c->worker.on_drained = on_drained;
        c->is_serving = true;
        lead_start(c->lead);
        timer_set(c->loop, &c->day_timer, loop_now(c->loop) + DAY_MS);
        timer_set(c->loop, &c->minute_timer, loop_now(c->loop) + MINUTE_MS);
        return ERR_OK;
}

static void end(struct control *c)
{
        for (int i = 0; i < LAST_TURNS; i++) /* what was closed is told, and freed */
                loop_turn(c->loop, 0);
        dispatch_end(c);
        lead_end(c->lead);
        store_close(c->store);
        lead_free(c->lead);
        hub_free(c->hub);
        joins_free(c->joins);
        events_free(c->events);
        log_sink_close(&c->access);
        secrets_fini(&c->secrets);
}

int control_run(const struct control_options *options)
{
        static struct control control; /* one a process; large, and zero until now */
        struct control *c = &control;
        struct conf *conf;
        enum err e;

        if (conf_find(options, &c->reach, &conf) != ERR_OK) {
                fprintf(stderr, "sekisho: the configuration cannot be used; nothing was started\n");
                return 2;
        }
        c->conf = conf;
        c->listen_fd = -1;
        c->started = process_wall_ms();
        log_sink_open(&c->log, STDERR_FILENO, NULL);
        log_setup(log_sink_write, &c->log, process_wall_ms, conf->log.level, conf->log.format);
        process_raise_fd_limit();
        process_forbid_dumps();
        tls_prepare();
        if ((e = state_find(c, options)) != ERR_OK || (e = start(c)) != ERR_OK) {
                log_error("control_not_started", LOG_E(e));
                return e == ERR_NO_MEMORY || e == ERR_IO ? 1 : 2;
        }
        log_info("control_started", LOG_C("url", c->url), LOG_S("store", store_engine(c->store)),
                 LOG_N("epoch", c->secrets.epoch), LOG_N("pid", getpid()));
        lead_link_show(c->lead);
        fences_close(c);
        service_say("READY=1\nSTATUS=Serving %s", c->url);
        loop_run(c->loop);
        end(c);
        log_info("control_stopped", LOG_N("status", c->exit_status));
        return c->exit_status;
}
