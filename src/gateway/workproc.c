#include "gateway/workproc.h"

#include <string.h>
#include <unistd.h>

#include "gateway/board.h"
#include "gateway/build.h"
#include "gateway/builtin.h"
#include "gateway/keyclient.h"
#include "gateway/meshclient.h"
#include "gateway/message.h"
#include "gateway/reader.h"
#include "gateway/whoisclient.h"
#include "io/listener.h"
#include "io/logsink.h"
#include "io/mailbox.h"
#include "io/tls.h"
#include "proxy/health.h"
#include "proxy/udp_doors.h"

enum { LISTENERS_MAX = MAILBOX_FDS_MAX - 1, FAREWELL_MS = 2500 };

struct door {
        struct listener listener;
        struct workproc *process;
        size_t index; /* in the snapshot's listens */
        int fd;       /* -1: of datagrams, and the worker's udp_doors have it */
};

struct workproc {
        struct worker worker;
        struct loop *loop;
        struct mailbox mailbox;
        struct keyclient keys;
        struct whoisclient whois;
        struct meshclient mesh;
        struct shared *shared;
        struct llm_shared *llm_shared;
        uint8_t ticket_keys[2][TLS_TICKET_KEY_BYTES]; /* the present one, the one before */
        unsigned ticket_keys_count;
        struct door doors[LISTENERS_MAX];
        size_t doors_count;
        struct udp_doors *udp;
        struct health *health;
        struct log_sink access;        /* the access log; closed where it is off */
        struct journal journal;        /* where it goes there */
        uint64_t access_dropped_count; /* of the sink's, what the metric has */
        struct timer drain_timer, farewell;
        struct heart heart;
        int access_fd; /* the access log's file; -1: it goes elsewhere */
        struct sandbox sandbox;
        struct board_row *row;
        bool is_drained;
        int exit_status;
};

/* ---- the doors ---- */

static void on_accept(struct listener *l, int fd)
{
        struct door *d = CONTAINER_OF(l, struct door, listener);
        struct worker *w = &d->process->worker;

        worker_accept(w, fd, &w->snap->listens[d->index], l->peer);
}

/* The admin's stays open: an operator wants to look. */
static void on_closed_doors(struct worker *w, bool are_closed)
{
        struct workproc *p = CONTAINER_OF(w, struct workproc, worker);

        for (size_t i = 0; i < p->doors_count; i++)
                if (p->doors[i].fd >= 0 && !w->snap->listens[p->doors[i].index].is_admin)
                        listener_hold(&p->doors[i].listener, are_closed);
}

/* A full mailbox: the agent dials again. */
static void on_handover(struct worker *w, unsigned to, int fd)
{
        struct workproc *p = CONTAINER_OF(w, struct workproc, worker);
        const struct message_handover m = { to };

        if (mailbox_send(&p->mailbox, MESSAGE_HANDOVER, (struct str){ (const char *)&m, sizeof(m) }, &fd,
                         1) != ERR_OK)
                log_info("link_not_handed_over", LOG_N("worker", to));
        close(fd);
}

static void doors_close(struct workproc *p)
{
        for (size_t i = 0; i < p->doors_count; i++) {
                if (p->doors[i].fd < 0)
                        continue;
                listener_stop(&p->doors[i].listener);
                close(p->doors[i].fd);
        }
        p->doors_count = 0;
        udp_doors_close(p->udp);
}

/* Takes the descriptors. */
static enum err doors_open(struct workproc *p, const int *fds, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                struct door *d = &p->doors[p->doors_count++];

                const struct listen_conf *listen = &p->worker.snap->listens[i];
                enum err e;

                *d = (struct door){ .process = p, .index = i, .fd = listen->is_datagram ? -1 : fds[i] };
                e = listen->is_datagram ? udp_door_open(p->udp, fds[i], listen)
                                        : listener_start(&d->listener, p->loop, fds[i], on_accept);
                if (e != ERR_OK && !(listen->is_datagram && e == ERR_NOT_FOUND)) /* a place that is kept */
                        return e;
        }
        udp_doors_settle(p->udp);
        return ERR_OK;
}

/* ---- configurations ---- */

static enum err snapshot_make(struct workproc *p, struct conf *conf, uint64_t number, struct snapshot **out)
{
        struct build_input input = { .conf = conf,
                                     .number = number,
                                     .shared = p->shared,
                                     .llm_shared = p->llm_shared,
                                     .signer = &p->keys.signer,
                                     .ticket_key = p->ticket_keys[0],
                                     .ticket_key_before =
                                             p->ticket_keys_count > 1 ? p->ticket_keys[1] : NULL };
        struct report report;
        enum err e;

        report_init(&report, conf->file);
        e = build_snapshot(&input, &report, out);
        for (size_t i = 0; i < report.entries_count && e != ERR_OK; i++)
                log_error("config_not_built", LOG_S("problem", report.entries[i].text));
        report_fini(&report);
        return e;
}

/* What runs beside requests follows the snapshot. */
static void company_start(struct workproc *p)
{
        struct worker *w = &p->worker;

        if (!w->exporter && w->snap->exporter.upstream && !(w->exporter = exporter_new(w)))
                log_error("exporter_not_started", LOG_N("worker", w->index));
        if (w->index == 0)
                p->health = health_start(w, w->snap);
        llm_start(w->snap->llm, w);
}

static void company_stop(struct workproc *p)
{
        health_stop(p->health);
        p->health = NULL;
        llm_stop(p->worker.snap->llm);
}

static void say(struct workproc *p, enum message_kind kind, uint64_t number)
{
        struct message_applied m = { number };

        if (mailbox_send(&p->mailbox, kind, (struct str){ (const char *)&m, sizeof(m) }, NULL, 0) != ERR_OK)
                log_warning("mailbox_full", LOG_N("kind", kind));
}

/* After the sink has written what the turn gathered. */
static void access_log_count(void *context)
{
        struct workproc *p = context;

        for (; p->access_dropped_count < p->access.dropped_count; p->access_dropped_count++)
                measure_count(&p->worker, MEASURE_LOG_DROPPED, "access", "full", NULL);
}

/* What `sekisho status` shows of us. */
static void row_write(void *context)
{
        struct workproc *p = context;

        atomic_store_explicit(&p->row->connections, pool_taken_count(p->worker.downs), memory_order_relaxed);
}

/* Takes `file`, which the supervisor opened: here no file can be. */
static void access_log_place(struct workproc *p, const struct conf_log *log, int file)
{
        bool is_on = log->access != CONF_LOG_OFF;

        log_sink_move(&p->access, -1); /* what was gathered is written where it was to go */
        journal_close(&p->journal);
        if (log->access == CONF_LOG_STDOUT || log->access == CONF_LOG_STDERR)
                log_sink_move(&p->access, log->access == CONF_LOG_STDOUT ? STDOUT_FILENO : STDERR_FILENO);
        if (p->access_fd >= 0)
                close(p->access_fd);
        p->access_fd = file;
        if (log->access == CONF_LOG_FILE && file >= 0)
                log_sink_move(&p->access, file);
        else if (log->access == CONF_LOG_FILE)
                is_on = false; /* the supervisor said why */
        if (log->access == CONF_LOG_JOURNAL) {
                if (journal_open(&p->journal, log->access_path) == ERR_OK)
                        log_sink_move_journal(&p->access, &p->journal);
                else
                        is_on = false;
        }
        p->worker.record_is_combined = log->access_format == CONF_ACCESS_COMBINED;
        p->worker.record_time_at = 0; /* its text has the other form */
        p->worker.record_refused.burst = (unsigned)MIN(log->refused_lines.count, (uint64_t)UINT32_MAX);
        p->worker.record_refused.period_ms = log->refused_lines.period_ms;
        p->worker.write_record = is_on ? log_sink_write : NULL;
        p->worker.record_context = &p->access;
}

static void apply(struct workproc *p, struct str body, int *fds, size_t fds_count)
{
        struct message_apply m;
        struct conf *conf = NULL;
        struct snapshot *snap = NULL;

        size_t doors_at = 1;

        if (body.len != sizeof(m) || fds_count == 0)
                return;
        memcpy(&m, body.ptr, sizeof(m));
        doors_at += m.has_access_file;
        if (conf_of_bundle(fds[0], &conf) != ERR_OK || snapshot_make(p, conf, m.number, &snap) != ERR_OK ||
            fds_count < doors_at || snap->listens_count != fds_count - doors_at) {
                if (snap)
                        snapshot_put(snap);
                else
                        conf_free(conf);
                say(p, MESSAGE_FAILED, m.number);
                return;
        }
        company_stop(p);
        doors_close(p);
        llm_adopt(snap->llm, p->worker.snap->llm);
        worker_set_snapshot(&p->worker, snap);
        if (doors_open(p, fds + doors_at, fds_count - doors_at) != ERR_OK)
                log_error("listeners_not_opened", LOG_N("worker", p->worker.index));
        on_closed_doors(&p->worker, overload_is_closed(&p->worker));
        int access_fd = m.has_access_file ? fds[1] : -1;
        for (size_t i = 1; i < fds_count; i++)
                fds[i] = -1; /* taken */
        access_log_place(p, &conf->log, access_fd);
        company_start(p);
        say(p, MESSAGE_APPLIED, m.number);
}

/* ---- the end ---- */

static void finish(struct workproc *p, int status)
{
        p->exit_status = status;
        loop_stop(p->loop);
}

static void on_exported(void *context)
{
        finish(context, 0);
}

/* What the last requests left for the collector goes out first; the drain timer is the bound of that, too. */
static void on_farewell(struct timer *t)
{
        struct workproc *p = CONTAINER_OF(t, struct workproc, farewell);
        struct worker *w = &p->worker;

        if (w->exporter)
                exporter_finish(w->exporter, on_exported, p);
        else
                finish(p, 0);
}

/* Connections that linger would be reset by our end, and with them a last word that its client has not read. */
static void on_drained(struct worker *w)
{
        struct workproc *p = CONTAINER_OF(w, struct workproc, worker);

        if (p->is_drained)
                return;
        p->is_drained = true;
        timer_init(&p->farewell, on_farewell);
        if (w->is_patient)
                timer_set(p->loop, &p->farewell, loop_now(p->loop) + FAREWELL_MS);
        else
                on_farewell(&p->farewell);
}

static void on_drain_timeout(struct timer *t)
{
        struct workproc *p = CONTAINER_OF(t, struct workproc, drain_timer);

        log_warning("drain_timeout", LOG_N("worker", p->worker.index),
                    LOG_N("connections", pool_taken_count(p->worker.downs)));
        finish(p, 0);
}

static void drain(struct workproc *p, struct str body)
{
        struct message_drain m;

        if (body.len != sizeof(m) || p->worker.is_draining)
                return;
        memcpy(&m, body.ptr, sizeof(m));
        company_stop(p);
        doors_close(p);
        udp_doors_settle(p->udp); /* whoever has the ports next begins the flows anew */
        timer_set(p->loop, &p->drain_timer, loop_now(p->loop) + m.timeout_ms);
        worker_drain(&p->worker, m.is_patient);
}

static void tickets_change(struct workproc *p, struct str key)
{
        const struct snapshot *s = p->worker.snap;

        if (key.len != TLS_TICKET_KEY_BYTES)
                return;
        memcpy(p->ticket_keys[1], p->ticket_keys[0], TLS_TICKET_KEY_BYTES);
        memcpy(p->ticket_keys[0], key.ptr, TLS_TICKET_KEY_BYTES);
        p->ticket_keys_count = 2;
        for (size_t i = 0; i < s->listens_count; i++) /* several share a context: setting it twice is once */
                if (s->listens[i].tls)
                        tls_ticket_key_set(s->listens[i].tls, p->ticket_keys[0]);
}

static void on_message(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count)
{
        struct workproc *p = CONTAINER_OF(m, struct workproc, mailbox);

        if (kind == MESSAGE_APPLY)
                apply(p, body, fds, fds_count);
        else if (kind == MESSAGE_DRAIN)
                drain(p, body);
        else if (kind == MESSAGE_TICKETS)
                tickets_change(p, body);
        else if (kind == MESSAGE_CHANNEL && fds_count == 1) {
                keyclient_channel_set(&p->keys, fds[0]);
                fds[0] = -1;
        } else if (kind == MESSAGE_WHOIS_CHANNEL && fds_count == 1) {
                whoisclient_channel_set(&p->whois, fds[0]);
                fds[0] = -1;
        } else if (kind == MESSAGE_MESH_CHANNEL && fds_count == 1) {
                meshclient_channel_set(&p->mesh, fds[0]);
                fds[0] = -1;
        } else if (kind == MESSAGE_HANDOVER && fds_count == 1) {
                worker_accept_link(&p->worker, fds[0]);
                fds[0] = -1;
        } else if (kind == MESSAGE_REOPEN && fds_count == 1) {
                access_log_place(p, &((const struct conf *)p->worker.snap->conf)->log, fds[0]);
                fds[0] = -1;
        }
}

/* Without a supervisor nobody could stop or reload us. */
static void on_supervisor_gone(struct mailbox *m)
{
        finish(CONTAINER_OF(m, struct workproc, mailbox), 1);
}

int workproc_run(const struct workproc_input *in)
{
        static struct workproc process; /* one a process; large, and zero until now */
        struct workproc *p = &process;
        struct snapshot *snap;

        p->shared = in->shared;
        p->llm_shared = in->llm_shared;
        memcpy(p->ticket_keys, in->ticket_keys, sizeof(p->ticket_keys));
        p->ticket_keys_count = in->ticket_keys_count;
        timer_init(&p->drain_timer, on_drain_timeout);
        if (loop_new(&p->loop) != ERR_OK) {
                log_error("worker_not_started", LOG_N("worker", in->index));
                return 1;
        }
        keyclient_init(&p->keys, p->loop, in->keys_fd);
        whoisclient_init(&p->whois, p->loop, in->whois_fd);
        if (mailbox_open(&p->mailbox, p->loop, in->mailbox_fd, on_message, on_supervisor_gone) != ERR_OK ||
            snapshot_make(p, in->conf, in->number, &snap) != ERR_OK ||
            worker_init(&p->worker, in->shared, in->index, p->loop, snap) != ERR_OK ||
            !(p->udp = udp_doors_new(&p->worker))) {
                log_error("worker_not_started", LOG_N("worker", in->index));
                return 1;
        }
        keyclient_measure(&p->keys, &p->worker);
        meshclient_init(&p->mesh, &p->worker, in->mesh_fd);
        p->worker.callers = &p->whois.asker;
        p->worker.on_drained = on_drained;
        p->worker.on_closed_doors = on_closed_doors;
        p->worker.on_handover = on_handover;
        log_sink_open(&p->access, -1, p->loop);
        p->journal.fd = -1;
        loop_before_wait(p->loop, access_log_count, p);
        p->access_fd = -1;
        access_log_place(p, &in->conf->log, in->access_fd);
        company_start(p);
        if (doors_open(p, in->listen_fds, in->listen_fds_count) != ERR_OK)
                return 1;
        p->row = &in->board->rows[in->index];
        builtin_board_set(in->board);
        loop_before_wait(p->loop, row_write, p);
        heart_start(&p->heart, p->loop, in->watchdog, in->index);
        /* From here on no file, no other program, no other user: what is needed of them was read. */
        tls_prepare();
        if (sandbox_enter(SANDBOX_WORKER, &in->user, &p->sandbox) != ERR_OK) {
                log_error("user_not_changed", LOG_N("worker", in->index), LOG_N("uid", in->user.uid));
                return 1;
        }
        const struct message_ready ready = { in->number, p->sandbox };
        if (mailbox_send(&p->mailbox, MESSAGE_READY, (struct str){ (const char *)&ready, sizeof(ready) },
                         NULL, 0) != ERR_OK)
                return 1;
        loop_run(p->loop);
        exporter_free(p->worker.exporter);
        log_sink_close(&p->access);
        journal_close(&p->journal);
        return p->exit_status;
}
