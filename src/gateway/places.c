#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/supervisor_priv.h"
#include "gateway/workproc.h"
#include "io/process.h"

static void on_worker_message(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count);
static void on_worker_gone(struct mailbox *m);

void child_forget(struct supervisor *s, const struct place *kept)
{
        signals_leave_to_parent();
        for (unsigned w = 0; w < s->workers_count; w++) {
                if (&s->places[w] != kept)
                        fds_close(s->places[w].fds, s->listens_count);
                if (s->places[w].pid)
                        mailbox_forget(&s->places[w].mailbox);
        }
        if (s->succession.before.loop)
                mailbox_forget(&s->succession.before);
        if (s->succession.mailbox.loop)
                mailbox_forget(&s->succession.mailbox);
        if (s->reader.pid)
                mailbox_forget(&s->reader.mailbox);
        if (s->keyholder.reader.pid)
                mailbox_forget(&s->keyholder.reader.mailbox);
        if (s->keyholder.pid)
                mailbox_forget(&s->keyholder.mailbox);
        if (s->node.child.pid)
                mailbox_forget(&s->node.child.mailbox);
        if (s->tailnet.child.pid)
                mailbox_forget(&s->tailnet.child.mailbox);
        if (s->mesh.child.pid)
                mailbox_forget(&s->mesh.child.mailbox);
        if (s->pair.reader.pid)
                mailbox_forget(&s->pair.reader.mailbox);
        fds_close((int[]){ s->succession.predecessor_fd, s->succession.metrics_fd, s->bundle_fd, s->pair.fd },
                  4);
        if (!kept) {
                fds_close(&s->access_fd, 1);
                for (size_t i = 0; i < s->handed_count; i++)
                        close(s->handed[i].fd);
        }
        if (s->staged.conf)
                fds_close(&s->staged.bundle_fd, 1);
        loop_forget(s->loop);
}

/* In the child: forget what is the supervisor's, and be a worker. */
static _Noreturn void become_worker(struct supervisor *s, struct place *p, int mailbox_fd, int keys_fd,
                                    int whois_fd, int mesh_fd)
{
        int fds[LISTENS_MAX];
        struct workproc_input input = { .index = p->index,
                                        .shared = &s->shared,
                                        .llm_shared = s->llm_shared,
                                        .conf = s->conf,
                                        .number = s->number,
                                        .ticket_keys = s->ticket_keys,
                                        .ticket_keys_count = s->ticket_keys_count,
                                        .listen_fds = fds,
                                        .listen_fds_count = s->listens_count,
                                        .mailbox_fd = mailbox_fd,
                                        .keys_fd = keys_fd,
                                        .whois_fd = whois_fd,
                                        .mesh_fd = mesh_fd,
                                        .access_fd = s->access_fd,
                                        .user = s->user,
                                        .watchdog = &s->watchdog,
                                        .board = s->board };

        memcpy(fds, p->fds, sizeof(fds));
        child_forget(s, p);
        envkeeper_fini(&s->environment);
        _exit(workproc_run(&input));
}

void access_file_open(struct supervisor *s)
{
        const struct conf_log *log = &s->conf->log;

        if (s->access_fd >= 0)
                close(s->access_fd);
        s->access_fd = -1;
        if (log->access == CONF_LOG_FILE && log_file_open(log->access_path.ptr, &s->access_fd) != ERR_OK) {
                s->access_fd = -1;
                log_error("access_log_not_opened", LOG_S("path", log->access_path));
        }
}

enum err worker_start(struct supervisor *s, struct place *p)
{
        int pair[2];
        enum err e = mailbox_pair(pair);

        if (e != ERR_OK)
                return e;
        int keys_fd = keyholder_channel(s, p->index), whois_fd = tailnetkeeper_channel(s, p->index),
            mesh_fd = meshkeeper_channel(s, p->index);
        pid_t pid = fork();
        if (pid < 0) {
                fds_close((int[]){ pair[0], pair[1], keys_fd, whois_fd, mesh_fd }, 5);
                return ERR_NO_MEMORY;
        }
        if (pid == 0) {
                close(pair[0]);
                become_worker(s, p, pair[1], keys_fd, whois_fd, mesh_fd);
        }
        fds_close((int[]){ pair[1], keys_fd, whois_fd, mesh_fd }, 4);
        p->pid = pid;
        p->started_at = loop_now(s->loop);
        p->applied = 0;
        watchdog_begin(&s->watchdog, p->index);
        s->board->rows[p->index].pid = pid;
        s->board->rows[p->index].started_at = process_wall_ms();
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
        int64_t wait_ms;

        mailbox_close(&p->mailbox);
        p->pid = 0;
        p->died_at = now;
        s->running_count--;
        watchdog_forget(&s->watchdog, p->index);
        s->board->rows[p->index].pid = 0;
        s->board->rows[p->index].deaths++;
        atomic_store(&s->board->rows[p->index].connections, 0);
        shared_forget_worker(&s->shared, p->index);
        if (s->is_stopping) {
                if (s->running_count == 0)
                        loop_stop(s->loop);
                return;
        }
        p->deaths = child_deaths(p->deaths, p->started_at, now);
        wait_ms = child_wait_ms(p->deaths);
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

void children_reap(struct supervisor *s)
{
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
                struct place *p = place_of(s, pid);
                if (p)
                        worker_died(s, p, status);
                else if (pid == s->keyholder.pid)
                        keyholder_died(s, status);
                else if (pid == s->node.child.pid)
                        nodekeeper_died(s, status);
                else if (pid == s->tailnet.child.pid)
                        tailnetkeeper_died(s, status);
                else if (pid == s->mesh.child.pid)
                        meshkeeper_died(s, status);
        }
}

static bool all_have(const struct supervisor *s, uint64_t number)
{
        for (unsigned i = 0; i < s->workers_count; i++)
                if (s->places[i].applied != number)
                        return false;
        return true;
}

/* Once, and loudly where the kernel gives less than asked for. */
static void isolation_say(const struct supervisor *s)
{
        const struct sandbox *b = &s->places[0].sandbox;

        sandbox_log(b, "worker");
        if (b->uid == 0)
                log_warning("isolation_missing", LOG_C("part", "user"),
                            LOG_C("meaning",
                                  "workers run as root, without its capabilities; make a user sekisho, "
                                  "or name one in gateway.user"));
}

void ready_look(struct supervisor *s)
{
        if (s->was_ready || !all_have(s, s->number) ||
            (keyholder_is_wanted(s->conf) && s->keyholder.held != s->number))
                return;
        s->was_ready = true;
        for (size_t i = 0; i < s->listens_count; i++) {
                char text[LISTEN_ADDRESS_TEXT_MAX];
                if (!socket_is_open(s->places[0].fds[i]))
                        continue;
                log_info("listening", LOG_S("address", listen_address_format(&s->addresses[i], text)),
                         LOG_B("admin", s->conf->admin.is_on && i + 1 == s->listens_count));
        }
        log_info("gateway_ready", LOG_N("workers", s->workers_count), LOG_B("auth", s->conf->gateway.auth),
                 LOG_N("tokens", s->conf->gateway.tokens_count), LOG_S("config", s->conf->version));
        isolation_say(s);
        succession_say_ready(s);
        service_say("READY=1\nSTATUS=Serving with %u workers, configuration %.*s", s->workers_count,
                    STR_FMT(s->conf->version));
}

/* From one worker to another: nothing of it is read here. An agent whose connection is lost on the way dials again. */
static void hand_on(struct supervisor *s, struct str body, const int *fds, size_t fds_count)
{
        struct message_handover m;

        if (body.len != sizeof(m) || fds_count != 1)
                return;
        memcpy(&m, body.ptr, sizeof(m));
        if (m.worker >= s->workers_count || !s->places[m.worker].pid ||
            mailbox_send(&s->places[m.worker].mailbox, MESSAGE_HANDOVER, body, fds, 1) != ERR_OK)
                log_info("link_not_handed_over", LOG_N("worker", m.worker));
}

static void on_worker_message(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count)
{
        struct place *p = CONTAINER_OF(m, struct place, mailbox);
        struct supervisor *s = p->supervisor;
        struct message_applied applied;

        if (kind == MESSAGE_HANDOVER) {
                hand_on(s, body, fds, fds_count);
                return;
        }

        if (kind == MESSAGE_READY && body.len == sizeof(struct message_ready)) {
                struct message_ready ready;

                memcpy(&ready, body.ptr, sizeof(ready));
                p->sandbox = ready.sandbox;
                applied.number = ready.number;
        } else if (kind != MESSAGE_READY && body.len == sizeof(applied)) {
                memcpy(&applied, body.ptr, sizeof(applied));
        } else {
                return;
        }
        if (kind == MESSAGE_FAILED) {
                log_error("config_not_applied", LOG_N("worker", p->index), LOG_N("number", applied.number));
                reload_over(s, false, STR("a worker could not build it, see the log"));
                return;
        }
        p->applied = applied.number;
        s->board->rows[p->index].number = applied.number;
        s->board->rows[p->index].sandbox = p->sandbox;
        if (kind == MESSAGE_READY && p->died_at) {
                log_info("worker_back", LOG_N("worker", p->index), LOG_N("pid", p->pid),
                         LOG_N("after_ms", loop_now(s->loop) - p->died_at));
                p->died_at = 0;
        }
        if (kind == MESSAGE_READY)
                ready_look(s);
        else if (all_have(s, s->number))
                reload_over(s, true, STR("in force in every worker"));
}

/* Its death is told by SIGCHLD; here only the channel ended. */
static void on_worker_gone(struct mailbox *m)
{
        (void)m;
}

/* ---- all of them ---- */

void places_init(struct supervisor *s)
{
        unsigned wanted = s->conf->gateway.workers ? (unsigned)s->conf->gateway.workers : process_cpus();

        s->workers_count = MIN(wanted, (unsigned)WORKERS_MAX);
        for (unsigned i = 0; i < s->workers_count; i++) {
                struct place *p = &s->places[i];

                p->supervisor = s;
                p->index = i;
                timer_init(&p->restart, on_restart);
        }
}

void workers_kill(struct supervisor *s)
{
        for (unsigned i = 0; i < s->workers_count; i++)
                if (s->places[i].pid)
                        kill(s->places[i].pid, SIGKILL);
}
