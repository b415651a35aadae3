#include "gateway/gateway.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/conf.h"
#include "conf/source.h"
#include "crypto/random.h"
#include "gateway/envkeeper.h"
#include "gateway/message.h"
#include "gateway/overlay.h"
#include "gateway/version.h"
#include "gateway/workproc.h"
#include "io/listener.h"
#include "io/logsink.h"
#include "io/mailbox.h"
#include "io/process.h"
#include "io/signals.h"
#include "io/tls.h"

/*
 * Theory of operation. The supervisor never touches a client's byte. It reads the configuration, opens one listening
 * socket an address and worker (SO_REUSEPORT, so that the kernel spreads connections), forks the workers and waits: for
 * SIGHUP (read again, hand over), SIGTERM (let them drain), and for their deaths (fork again). A worker inherits the
 * configuration by the fork; a later one comes as a bundle of all texts that were read, so that every worker builds the
 * very configuration that was checked here.
 */

enum { WORKERS_MAX = 64, LISTENS_MAX = MAILBOX_FDS_MAX - 1, RESTART_MS_MAX = 5000 };

struct place { /* where a worker runs */
        struct mailbox mailbox;
        struct supervisor *supervisor;
        struct timer restart;
        unsigned index;
        pid_t pid;       /* 0: none */
        uint32_t deaths; /* in quick succession */
        mono_ms started_at;
        uint64_t applied; /* the configuration it said is in force */
        int fds[LISTENS_MAX];
};

struct supervisor {
        const struct gateway_options *options;
        struct loop *loop;
        struct signals signals;
        struct shared shared;
        struct llm_shared *llm_shared;
        struct log_sink log;
        uint8_t ticket_key[TLS_TICKET_KEY_BYTES];
        struct envkeeper environment;

        struct conf *conf;
        struct buf bundle; /* what it was read from */
        uint64_t number;
        struct listen_address addresses[LISTENS_MAX];
        size_t listens_count;

        struct place places[WORKERS_MAX];
        unsigned workers_count, running_count;
        bool is_stopping, was_ready;
        struct timer kill_timer;
        int exit_status;
};

/* ---- the configuration ---- */

static void report_print(const struct report *r)
{
        struct buf text;

        buf_init(&text, 1 << 20);
        report_format(r, &text);
        fprintf(stderr, "%.*s", STR_FMT(buf_str(&text)));
        buf_fini(&text);
}

/* Reads and checks; on success *conf and *bundle are the caller's. */
static enum err conf_read(struct supervisor *s, struct report *r, struct conf **conf, struct buf *bundle)
{
        struct conf_source system;
        struct overlay overlay;
        struct conf_recorder recorder;
        enum err e;

        conf_source_system(&system, s->options->config_file, process_wall_ms());
        envkeeper_over(&s->environment, &system);
        overlay_init(&overlay, &s->environment.source,
                     s->options->no_auth ? STR("false")
                     : s->options->auth  ? STR("true")
                                         : STR(""));
        conf_recorder_init(&recorder, &overlay.source);
        e = conf_load(&recorder.source, r, conf);
        if (e == ERR_OK) {
                struct str bytes = conf_recorder_bundle(&recorder);

                buf_init(bundle, CONF_BUNDLE_BYTES_MAX);
                buf_add(bundle, bytes);
                if (bytes.len == 0 || bundle->full) {
                        conf_free(*conf);
                        buf_wipe(bundle);
                        e = ERR_NO_MEMORY;
                }
        }
        conf_recorder_fini(&recorder);
        return e;
}

/* gateway.listens, then the admin's: the order of the snapshot. */
static enum err addresses_list(const struct conf *c, struct listen_address out[LISTENS_MAX], size_t *count)
{
        *count = 0;
        if (c->gateway.listens_count + 1 > LISTENS_MAX)
                return ERR_TOO_LARGE;
        for (size_t i = 0; i < c->gateway.listens_count; i++)
                out[(*count)++] = c->gateway.listens[i].address;
        if (c->admin.is_on)
                out[(*count)++] = c->admin.listen;
        return ERR_OK;
}

static bool address_eq(const struct listen_address *a, const struct listen_address *b)
{
        return ip_eq(a->ip, b->ip) && a->port == b->port && str_eq(a->path, b->path);
}

static void bind_failed(const struct listen_address *a, enum err e)
{
        char text[LISTEN_ADDRESS_TEXT_MAX];
        const char *why = e == ERR_EXISTS ? "something listens there already; stop it or choose another port"
                          : e == ERR_DENIED
                                  ? "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE"
                                  : err_text(e);

        fprintf(stderr, "sekisho: cannot listen on %s: %s\n", listen_address_format(a, text).ptr, why);
        log_error("listen_failed", LOG_S("address", listen_address_format(a, text)), LOG_E(e));
}

static void fds_close(int *fds, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
}

static size_t address_find(const struct supervisor *s, const struct listen_address *a)
{
        size_t i = 0;

        while (i < s->listens_count && !address_eq(a, &s->addresses[i]))
                i++;
        return i;
}

/* Sockets with SO_REUSEPORT share a port with any program of the same user that asks for it too; one without does not. */
static enum err is_free(const struct listen_address *a)
{
        int fd;
        enum err e = listen_socket_open(a, false, &fd);

        if (e == ERR_OK)
                close(fd);
        return e;
}

/* Worker w's socket for an address: the one it has, or a new one. A Unix socket cannot be bound twice: all workers accept
 * from the first one's. */
static enum err socket_get(struct supervisor *s, unsigned w, const struct listen_address *a, int first,
                           int *fd)
{
        size_t had = address_find(s, a);

        if (had == s->listens_count && (w == 0 || a->ip.family != 0)) {
                enum err e = w == 0 && a->ip.family != 0 && a->port ? is_free(a) : ERR_OK;

                return e == ERR_OK ? listen_socket_open(a, a->ip.family != 0, fd) : e;
        }
        *fd = fcntl(had < s->listens_count ? s->places[w].fds[had] : first, F_DUPFD_CLOEXEC, 0);
        return *fd < 0 ? ERR_NO_MEMORY : ERR_OK;
}

/* Opens what the new list has and the old has not, keeps what both have, and only then closes what is no longer wanted. */
static enum err sockets_change(struct supervisor *s, const struct listen_address *wanted, size_t wanted_count)
{
        static int fresh[WORKERS_MAX][LISTENS_MAX];
        enum err e = ERR_OK;

        memset(fresh, -1, sizeof(fresh));
        for (size_t i = 0; i < wanted_count && e == ERR_OK; i++) {
                for (unsigned w = 0; w < s->workers_count && e == ERR_OK; w++)
                        e = socket_get(s, w, &wanted[i], fresh[0][i], &fresh[w][i]);
                if (e != ERR_OK)
                        bind_failed(&wanted[i], e);
        }
        for (unsigned w = 0; w < s->workers_count; w++) {
                fds_close(e == ERR_OK ? s->places[w].fds : fresh[w],
                          e == ERR_OK ? s->listens_count : wanted_count);
                if (e == ERR_OK)
                        memcpy(s->places[w].fds, fresh[w], sizeof(fresh[w]));
        }
        if (e == ERR_OK) {
                memcpy(s->addresses, wanted, wanted_count * sizeof(*wanted));
                s->listens_count = wanted_count;
        }
        return e;
}

/* ---- workers ---- */

static void on_worker_message(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count);
static void on_worker_gone(struct mailbox *m);

/* In the child: forget what is the supervisor's, and be a worker. */
static _Noreturn void become_worker(struct supervisor *s, struct place *p, int mailbox_fd)
{
        int fds[LISTENS_MAX];
        struct workproc_input input = { .index = p->index,
                                        .shared = &s->shared,
                                        .llm_shared = s->llm_shared,
                                        .conf = s->conf,
                                        .number = s->number,
                                        .ticket_key = s->ticket_key,
                                        .listen_fds = fds,
                                        .listen_fds_count = s->listens_count,
                                        .mailbox_fd = mailbox_fd };

        memcpy(fds, p->fds, sizeof(fds));
        signals_leave_to_parent();
        for (unsigned w = 0; w < s->workers_count; w++) {
                if (w != p->index)
                        fds_close(s->places[w].fds, s->listens_count);
                if (s->places[w].pid)
                        mailbox_forget(&s->places[w].mailbox);
        }
        loop_forget(s->loop);
        buf_wipe(&s->bundle);
        envkeeper_fini(&s->environment);
        _exit(workproc_run(&input));
}

static enum err worker_start(struct supervisor *s, struct place *p)
{
        int pair[2];
        enum err e = mailbox_pair(pair);

        if (e != ERR_OK)
                return e;
        pid_t pid = fork();
        if (pid < 0) {
                fds_close(pair, 2);
                return ERR_NO_MEMORY;
        }
        if (pid == 0) {
                close(pair[0]);
                become_worker(s, p, pair[1]);
        }
        close(pair[1]);
        p->pid = pid;
        p->started_at = loop_now(s->loop);
        p->applied = 0;
        s->running_count++;
        return mailbox_open(&p->mailbox, s->loop, pair[0], on_worker_message, on_worker_gone);
}

static void on_restart(struct timer *t)
{
        struct place *p = CONTAINER_OF(t, struct place, restart);

        if (!p->supervisor->is_stopping && !p->pid && worker_start(p->supervisor, p) != ERR_OK)
                timer_set(p->supervisor->loop, t, loop_now(p->supervisor->loop) + RESTART_MS_MAX);
}

static struct place *place_of(struct supervisor *s, pid_t pid)
{
        for (unsigned i = 0; i < s->workers_count; i++)
                if (s->places[i].pid == pid)
                        return &s->places[i];
        return NULL;
}

/* The first death is mended at once; one that keeps dying waits longer each time. */
static void worker_died(struct supervisor *s, struct place *p, int status)
{
        mono_ms now = loop_now(s->loop);
        bool was_short = now - p->started_at < 10000;
        int64_t wait_ms;

        mailbox_close(&p->mailbox);
        p->pid = 0;
        s->running_count--;
        shared_forget_worker(&s->shared, p->index);
        if (s->is_stopping) {
                if (s->running_count == 0)
                        loop_stop(s->loop);
                return;
        }
        p->deaths = was_short ? p->deaths + 1 : 0;
        wait_ms = p->deaths <= 1 ? 0 : MIN((int64_t)50 << MIN(p->deaths, 7u), (int64_t)RESTART_MS_MAX);
        log_error("worker_died", LOG_N("worker", p->index),
                  LOG_N("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
                  LOG_N("status", WIFEXITED(status) ? WEXITSTATUS(status) : 0), LOG_N("restart_ms", wait_ms));
        if (!s->was_ready && p->deaths > 2) { /* it never worked: say so instead of trying for ever */
                fprintf(stderr, "sekisho: the workers do not start; the log says why\n");
                s->exit_status = 1;
                loop_stop(s->loop);
                return;
        }
        if (wait_ms == 0)
                on_restart(&p->restart);
        else
                timer_set(s->loop, &p->restart, now + wait_ms);
}

static void children_reap(struct supervisor *s)
{
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
                struct place *p = place_of(s, pid);
                if (p)
                        worker_died(s, p, status);
        }
}

static bool all_have(const struct supervisor *s, uint64_t number)
{
        for (unsigned i = 0; i < s->workers_count; i++)
                if (s->places[i].applied != number)
                        return false;
        return true;
}

static void ready_say(struct supervisor *s)
{
        if (s->was_ready)
                return;
        s->was_ready = true;
        for (size_t i = 0; i < s->listens_count; i++) {
                char text[LISTEN_ADDRESS_TEXT_MAX];
                log_info("listening", LOG_S("address", listen_address_format(&s->addresses[i], text)),
                         LOG_B("admin", s->conf->admin.is_on && i + 1 == s->listens_count));
        }
        log_info("gateway_ready", LOG_N("workers", s->workers_count), LOG_B("auth", s->conf->gateway.auth),
                 LOG_N("tokens", s->conf->gateway.tokens_count), LOG_S("config", s->conf->version));
        process_notify("READY=1");
}

static void on_worker_message(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count)
{
        struct place *p = CONTAINER_OF(m, struct place, mailbox);
        struct supervisor *s = p->supervisor;
        struct message_applied applied;

        if (body.len != sizeof(applied))
                return;
        memcpy(&applied, body.ptr, sizeof(applied));
        if (kind == MESSAGE_FAILED) {
                log_error("config_not_applied", LOG_N("worker", p->index), LOG_N("number", applied.number));
                return;
        }
        p->applied = applied.number;
        if (!all_have(s, s->number))
                return;
        if (kind == MESSAGE_READY)
                ready_say(s);
        else
                log_info("config_applied", LOG_N("number", s->number), LOG_S("config", s->conf->version));
}

/* Its death is told by SIGCHLD; here only the channel ended. */
static void on_worker_gone(struct mailbox *m)
{
        (void)m;
}

/* ---- reload ---- */

static void reload_report(const struct report *r)
{
        for (size_t i = 0; i < r->entries_count; i++) {
                const struct report_entry *entry = &r->entries[i];

                if (entry->severity == REPORT_ERROR)
                        log_error("config_problem", LOG_S("file", entry->file), LOG_N("line", entry->line),
                                  LOG_N("column", entry->column), LOG_S("problem", entry->text));
        }
        log_error("config_reload_refused", LOG_N("errors", r->errors_count),
                  LOG_C("kept", "the old configuration stays in force"));
}

static void hand_over(struct supervisor *s)
{
        struct message_apply m = { s->number };
        int bundle_fd;

        if (mailbox_memfd(buf_str(&s->bundle), &bundle_fd) != ERR_OK) {
                log_error("config_not_handed_over", LOG_E(ERR_NO_MEMORY));
                return;
        }
        for (unsigned i = 0; i < s->workers_count; i++) {
                struct place *p = &s->places[i];
                int fds[MAILBOX_FDS_MAX];

                fds[0] = bundle_fd;
                memcpy(fds + 1, p->fds, s->listens_count * sizeof(int));
                if (p->pid &&
                    mailbox_send(&p->mailbox, MESSAGE_APPLY, (struct str){ (const char *)&m, sizeof(m) }, fds,
                                 s->listens_count + 1) != ERR_OK)
                        log_error("config_not_handed_over", LOG_N("worker", i));
        }
        close(bundle_fd);
}

static void reload(struct supervisor *s)
{
        struct listen_address wanted[LISTENS_MAX];
        struct report report;
        struct conf *conf = NULL;
        struct buf bundle;
        size_t wanted_count;

        report_init(&report, s->options->config_file);
        if (conf_read(s, &report, &conf, &bundle) != ERR_OK) {
                reload_report(&report);
        } else if (addresses_list(conf, wanted, &wanted_count) != ERR_OK ||
                   sockets_change(s, wanted, wanted_count) != ERR_OK) {
                log_error("config_reload_refused", LOG_C("kept", "the old configuration stays in force"));
                conf_free(conf);
                buf_wipe(&bundle);
        } else {
                conf_free(s->conf);
                buf_wipe(&s->bundle);
                s->conf = conf;
                s->bundle = bundle;
                s->number++;
                hand_over(s);
        }
        report_fini(&report);
}

/* ---- the end ---- */

static void stop(struct supervisor *s)
{
        struct message_drain m = { s->conf->gateway.drain_timeout };

        if (s->is_stopping) { /* asked twice: at once */
                m.timeout_ms = 0;
        }
        log_info("draining", LOG_N("timeout_ms", m.timeout_ms));
        s->is_stopping = true;
        timer_set(s->loop, &s->kill_timer, loop_now(s->loop) + m.timeout_ms + 2000);
        for (unsigned i = 0; i < s->workers_count; i++) {
                struct place *p = &s->places[i];

                timer_clear(&p->restart);
                if (p->pid && mailbox_send(&p->mailbox, MESSAGE_DRAIN,
                                           (struct str){ (const char *)&m, sizeof(m) }, NULL, 0) != ERR_OK)
                        kill(p->pid, SIGKILL);
        }
        if (s->running_count == 0)
                loop_stop(s->loop);
}

static void on_kill(struct timer *t)
{
        struct supervisor *s = CONTAINER_OF(t, struct supervisor, kill_timer);

        for (unsigned i = 0; i < s->workers_count; i++)
                if (s->places[i].pid)
                        kill(s->places[i].pid, SIGKILL);
}

static void on_signal(struct signals *signals, int number)
{
        struct supervisor *s = CONTAINER_OF(signals, struct supervisor, signals);

        switch (number) {
        case SIGCHLD: children_reap(s); break;
        case SIGHUP:
                if (!s->is_stopping)
                        reload(s);
                break;
        case SIGTERM:
        case SIGINT: stop(s); break;
        default: break;
        }
}

/* ---- the beginning ---- */

static enum err start(struct supervisor *s)
{
        struct listen_address wanted[LISTENS_MAX];
        size_t wanted_count;
        enum err e;

        if ((e = addresses_list(s->conf, wanted, &wanted_count)) != ERR_OK) {
                fprintf(stderr, "sekisho: more than %d addresses to listen on\n", LISTENS_MAX);
                return e;
        }
        if ((e = sockets_change(s, wanted, wanted_count)) != ERR_OK)
                return e;
        if ((e = shared_init(&s->shared, s->workers_count)) != ERR_OK ||
            (e = llm_shared_new(&s->conf->gateway.limits, &s->llm_shared)) != ERR_OK)
                return e;
        crypto_random(s->ticket_key, sizeof(s->ticket_key));
        for (unsigned i = 0; i < s->workers_count; i++)
                if ((e = worker_start(s, &s->places[i])) != ERR_OK)
                        return e;
        return ERR_OK;
}

static void places_init(struct supervisor *s)
{
        unsigned wanted = s->conf->gateway.workers ? (unsigned)s->conf->gateway.workers : process_cpus();

        s->workers_count = MIN(wanted, (unsigned)WORKERS_MAX);
        for (unsigned i = 0; i < s->workers_count; i++) {
                struct place *p = &s->places[i];

                p->supervisor = s;
                p->index = i;
                timer_init(&p->restart, on_restart);
                memset(p->fds, -1, sizeof(p->fds));
        }
}

int gateway_run(const struct gateway_options *options)
{
        static struct supervisor supervisor; /* one a process; large, and zero until now */
        struct supervisor *s = &supervisor;
        struct report report;

        s->options = options;
        envkeeper_init(&s->environment);
        report_init(&report, options->config_file);
        enum err e = conf_read(s, &report, &s->conf, &s->bundle);
        report_print(&report);
        report_fini(&report);
        if (e != ERR_OK) {
                fprintf(stderr, "sekisho: the configuration cannot be used (%s); nothing was started\n",
                        err_text(e));
                return 2;
        }
        s->number = 1;
        places_init(s);
        timer_init(&s->kill_timer, on_kill);
        log_sink_open(&s->log, STDERR_FILENO, NULL);
        log_setup(log_sink_write, &s->log, process_wall_ms, s->conf->log.level, s->conf->log.format);
        process_raise_fd_limit();
        if (!s->conf->gateway.auth)
                log_warning("auth_off", LOG_C("meaning", "everyone who reaches this gateway may use it"));
        if (loop_new(&s->loop) != ERR_OK || signals_open(&s->signals, s->loop, on_signal) != ERR_OK)
                return 1;
        if ((e = start(s)) != ERR_OK)
                return e == ERR_EXISTS || e == ERR_DENIED ? 2 : 1;
        loop_run(s->loop);
        log_info("gateway_stopped", LOG_N("status", s->exit_status));
        return s->exit_status;
}
