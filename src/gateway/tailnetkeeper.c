#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/supervisor_priv.h"
#include "gateway/tailnetproc.h"
#include "gateway/worker_channel.h"

/*
 * Theory of operation. Where the configuration asks for the tailnet there is one process more, which alone speaks with tailscaled. It and
 * each worker get one end of a channel. It tells our addresses there, and the listeners of the tailnet follow. While it is gone workers
 * hear of nobody.
 */

enum { RETRY_MS = 1000, SHORT_LIFE_MS = 10 * 1000 };

static bool is_wanted(const struct supervisor *s)
{
        return s->conf->gateway.tailnet.is_used && !s->is_stopping;
}

/* ---- channels ---- */

int tailnetkeeper_channel(struct supervisor *s, unsigned worker)
{
        struct tailnetkeeper *k = &s->tailnet;

        return k->pid ? worker_channel_open(&k->mailbox, worker, "tailnet") : -1;
}

static void workers_connect(struct supervisor *s)
{
        for (unsigned i = 0; i < s->workers_count; i++) {
                int fd = s->places[i].pid ? tailnetkeeper_channel(s, i) : -1;

                if (fd >= 0 &&
                    mailbox_send(&s->places[i].mailbox, MESSAGE_WHOIS_CHANNEL, STR_NULL, &fd, 1) != ERR_OK)
                        log_error("tailnet_channel_not_opened", LOG_N("worker", i));
                fds_close(&fd, 1);
        }
}

/* ---- the process ---- */

static _Noreturn void become_tailnet(struct supervisor *s, int mailbox_fd)
{
        const struct tailnetproc_input input = { .mailbox_fd = mailbox_fd,
                                                 .socket = str_of(s->tailnet.socket),
                                                 .user = s->user,
                                                 .board = s->board };

        child_forget(s, NULL);
        envkeeper_fini(&s->environment);
        _exit(tailnetproc_run(&input));
}

static void on_message(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count)
{
        struct supervisor *s = CONTAINER_OF(m, struct supervisor, tailnet.mailbox);

        (void)fds, (void)fds_count;
        if (kind != MESSAGE_TAILNET || body.len != sizeof(s->tailnet.ours) || s->is_stopping)
                return;
        const struct message_tailnet before = s->tailnet.ours;

        memcpy(&s->tailnet.ours, body.ptr, sizeof(s->tailnet.ours));
        s->tailnet.ours.certificate[sizeof(s->tailnet.ours.certificate) - 1] = '\0';
        board_tailnet_set(s->board, &s->tailnet.ours);
        reload_addresses(s);
        if (s->tailnet.ours.is_running &&
            (!before.is_running || strcmp(before.certificate, s->tailnet.ours.certificate) != 0))
                tailnetpair_ask(s);
}

/* Its death is told by SIGCHLD. */
static void on_gone(struct mailbox *m)
{
        (void)m;
}

static void start(struct supervisor *s)
{
        struct tailnetkeeper *k = &s->tailnet;
        int pair[2];
        pid_t pid;

        if (mailbox_pair(pair) != ERR_OK)
                goto fail;
        snprintf(k->socket, sizeof(k->socket), "%.*s", STR_FMT(s->conf->gateway.tailnet.socket));
        pid = fork();
        if (pid == 0) {
                close(pair[0]);
                become_tailnet(s, pair[1]);
        }
        close(pair[1]);
        if (pid < 0) {
                close(pair[0]);
                goto fail;
        }
        k->pid = s->board->tailnet.pid = pid;
        k->started_at = loop_now(s->loop);
        if (mailbox_open(&k->mailbox, s->loop, pair[0], on_message, on_gone) == ERR_OK) {
                workers_connect(s);
                return;
        }
        kill(pid, SIGKILL);
        return;

fail:
        log_error("tailnet_not_started", LOG_E(ERR_NO_MEMORY));
        timer_set(s->loop, &k->restart, loop_now(s->loop) + RETRY_MS);
}

static void on_restart(struct timer *t)
{
        struct supervisor *s = CONTAINER_OF(t, struct supervisor, tailnet.restart);

        if (is_wanted(s) && !s->tailnet.pid)
                start(s);
}

void tailnetkeeper_init(struct supervisor *s)
{
        timer_init(&s->tailnet.restart, on_restart);
}

void tailnetkeeper_follow(struct supervisor *s)
{
        struct tailnetkeeper *k = &s->tailnet;

        if (!is_wanted(s)) {
                tailnetkeeper_end(s);
                return;
        }
        if (!k->pid)
                start(s);
        else if (!str_eq(str_of(k->socket), s->conf->gateway.tailnet.socket))
                kill(k->pid, SIGKILL); /* the next one has the new name */
}

void tailnetkeeper_died(struct supervisor *s, int status)
{
        struct tailnetkeeper *k = &s->tailnet;
        mono_ms now = loop_now(s->loop);

        mailbox_close(&k->mailbox);
        k->pid = s->board->tailnet.pid = 0;
        if (!is_wanted(s))
                return;
        s->board->tailnet.deaths++;
        k->deaths = now - k->started_at < SHORT_LIFE_MS ? k->deaths + 1 : 0;
        log_error("tailnet_process_died", LOG_N("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
                  LOG_N("status", WIFEXITED(status) ? WEXITSTATUS(status) : 0));
        timer_set(
                s->loop, &k->restart,
                now + (k->deaths <= 1 ? 0 : MIN((int64_t)50 << MIN(k->deaths, 7u), (int64_t)RESTART_MS_MAX)));
}

void tailnetkeeper_end(struct supervisor *s)
{
        timer_clear(&s->tailnet.restart);
        if (s->tailnet.pid)
                kill(s->tailnet.pid, SIGKILL); /* it keeps nothing */
        if (s->pair.reader.pid)
                kill(s->pair.reader.pid, SIGKILL);
}
