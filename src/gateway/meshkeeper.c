#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/meshproc.h"
#include "gateway/supervisor_priv.h"
#include "gateway/worker_channel.h"

/*
 * Theory of operation. Where the configuration has the overlay, and this gateway a control, there is one process more, which has the tunnel. It
 * and each worker get the ends of a channel. It lives until the last worker has ended, for what workers have under way may go through it.
 */

enum { RETRY_MS = 1000, SHORT_LIFE_MS = 10 * 1000 };

static bool is_wanted(const struct supervisor *s)
{
        return s->conf->gateway.overlay.port && s->node.is_on && !s->is_stopping && !s->mesh.is_impossible;
}

int meshkeeper_channel(struct supervisor *s, unsigned worker)
{
        return s->mesh.pid ? worker_channel_open(&s->mesh.mailbox, worker, "overlay") : -1;
}

static void workers_connect(struct supervisor *s)
{
        for (unsigned i = 0; i < s->workers_count; i++) {
                int fd = s->places[i].pid ? meshkeeper_channel(s, i) : -1;

                if (fd >= 0 &&
                    mailbox_send(&s->places[i].mailbox, MESSAGE_MESH_CHANNEL, STR_NULL, &fd, 1) != ERR_OK)
                        log_error("overlay_channel_not_opened", LOG_N("worker", i));
                fds_close(&fd, 1);
        }
}

static _Noreturn void become_mesh(struct supervisor *s, int mailbox_fd)
{
        const struct meshproc_input input = { .mailbox_fd = mailbox_fd,
                                              .folder = s->node.folder,
                                              .port = s->mesh.port };

        child_forget(s, NULL);
        envkeeper_fini(&s->environment);
        _exit(meshproc_run(&input));
}

static void on_message(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count)
{
        (void)m, (void)kind, (void)body, (void)fds, (void)fds_count; /* it says nothing */
}

/* Its death is told by SIGCHLD. */
static void on_gone(struct mailbox *m)
{
        (void)m;
}

static void start(struct supervisor *s)
{
        struct meshkeeper *k = &s->mesh;
        int pair[2];
        pid_t pid;

        if (mailbox_pair(pair) != ERR_OK)
                goto fail;
        k->port = (uint16_t)s->conf->gateway.overlay.port;
        pid = fork();
        if (pid == 0) {
                close(pair[0]);
                become_mesh(s, pair[1]);
        }
        close(pair[1]);
        if (pid < 0) {
                close(pair[0]);
                goto fail;
        }
        k->pid = pid;
        k->started_at = loop_now(s->loop);
        if (mailbox_open(&k->mailbox, s->loop, pair[0], on_message, on_gone) == ERR_OK) {
                workers_connect(s);
                return;
        }
        kill(pid, SIGKILL);
        return;

fail:
        log_error("overlay_not_started", LOG_E(ERR_NO_MEMORY));
        timer_set(s->loop, &k->restart, loop_now(s->loop) + RETRY_MS);
}

static void on_restart(struct timer *t)
{
        struct supervisor *s = CONTAINER_OF(t, struct supervisor, mesh.restart);

        if (is_wanted(s) && !s->mesh.pid)
                start(s);
}

void meshkeeper_init(struct supervisor *s)
{
        timer_init(&s->mesh.restart, on_restart);
}

void meshkeeper_follow(struct supervisor *s)
{
        struct meshkeeper *k = &s->mesh;

        if (!is_wanted(s))
                meshkeeper_end(s);
        else if (!k->pid)
                start(s);
        else if (k->port != s->conf->gateway.overlay.port)
                kill(k->pid, SIGKILL); /* the next one has the new port */
        else if (mailbox_send(&k->mailbox, MESSAGE_MESH_READ, STR_NULL, NULL, 0) != ERR_OK)
                log_warning("mailbox_full", LOG_N("kind", MESSAGE_MESH_READ));
}

void meshkeeper_died(struct supervisor *s, int status)
{
        struct meshkeeper *k = &s->mesh;
        mono_ms now = loop_now(s->loop);

        mailbox_close(&k->mailbox);
        k->pid = 0;
        k->is_impossible = WIFEXITED(status) && WEXITSTATUS(status) == MESHPROC_IMPOSSIBLE;
        if (!is_wanted(s))
                return;
        k->deaths = now - k->started_at < SHORT_LIFE_MS ? k->deaths + 1 : 0;
        log_error("overlay_process_died", LOG_N("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
                  LOG_N("status", WIFEXITED(status) ? WEXITSTATUS(status) : 0));
        timer_set(
                s->loop, &k->restart,
                now + (k->deaths <= 1 ? 0 : MIN((int64_t)50 << MIN(k->deaths, 7u), (int64_t)RESTART_MS_MAX)));
}

void meshkeeper_end(struct supervisor *s)
{
        timer_clear(&s->mesh.restart);
        if (s->mesh.pid)
                kill(s->mesh.pid, SIGKILL); /* it keeps nothing */
}
