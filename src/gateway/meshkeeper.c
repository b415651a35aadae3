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

static bool is_wanted(const struct supervisor *s)
{
        return s->conf->gateway.overlay.port && s->node.is_on && !s->is_stopping && !s->mesh.is_impossible;
}

int meshkeeper_channel(struct supervisor *s, unsigned worker)
{
        return s->mesh.child.pid ? worker_channel_open(&s->mesh.child.mailbox, worker, "overlay") : -1;
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

static void become_mesh(struct supervisor *s, int mailbox_fd)
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

static void start(struct supervisor *s)
{
        struct meshkeeper *k = &s->mesh;

        k->port = (uint16_t)s->conf->gateway.overlay.port;
        if (child_start(&k->child, s, become_mesh, on_message))
                workers_connect(s);
        else
                log_error("overlay_not_started", LOG_E(ERR_NO_MEMORY));
}

static void on_restart(struct timer *t)
{
        struct supervisor *s = CONTAINER_OF(t, struct supervisor, mesh.child.restart);

        if (is_wanted(s) && !s->mesh.child.pid)
                start(s);
}

void meshkeeper_init(struct supervisor *s)
{
        timer_init(&s->mesh.child.restart, on_restart);
}

void meshkeeper_follow(struct supervisor *s)
{
        struct meshkeeper *k = &s->mesh;

        if (!is_wanted(s))
                meshkeeper_end(s);
        else if (!k->child.pid)
                start(s);
        else if (k->port != s->conf->gateway.overlay.port)
                kill(k->child.pid, SIGKILL); /* the next one has the new port */
        else if (mailbox_send(&k->child.mailbox, MESSAGE_MESH_READ, STR_NULL, NULL, 0) != ERR_OK)
                log_warning("mailbox_full", LOG_N("kind", MESSAGE_MESH_READ));
}

void meshkeeper_died(struct supervisor *s, int status)
{
        struct meshkeeper *k = &s->mesh;

        child_died(&k->child);
        k->is_impossible = WIFEXITED(status) && WEXITSTATUS(status) == MESHPROC_IMPOSSIBLE;
        if (!is_wanted(s))
                return;
        log_error("overlay_process_died", LOG_N("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
                  LOG_N("status", WIFEXITED(status) ? WEXITSTATUS(status) : 0));
        child_again(&k->child, s->loop);
}

void meshkeeper_end(struct supervisor *s)
{
        child_end(&s->mesh.child); /* it keeps nothing */
}
