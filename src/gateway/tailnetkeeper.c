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

static bool is_wanted(const struct supervisor *s)
{
        return s->conf->gateway.tailnet.is_used && !s->is_stopping;
}

/* ---- channels ---- */

int tailnetkeeper_channel(struct supervisor *s, unsigned worker)
{
        struct tailnetkeeper *k = &s->tailnet;

        return k->child.pid ? worker_channel_open(&k->child.mailbox, worker, "tailnet") : -1;
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

static void become_tailnet(struct supervisor *s, int mailbox_fd)
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
        struct supervisor *s = CONTAINER_OF(m, struct supervisor, tailnet.child.mailbox);

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

static void start(struct supervisor *s)
{
        struct tailnetkeeper *k = &s->tailnet;
        bool is_there;

        snprintf(k->socket, sizeof(k->socket), "%.*s", STR_FMT(s->conf->gateway.tailnet.socket));
        is_there = child_start(&k->child, s, become_tailnet, on_message);
        s->board->tailnet.pid = k->child.pid;
        if (is_there)
                workers_connect(s);
        else
                log_error("tailnet_not_started", LOG_E(ERR_NO_MEMORY));
}

static void on_restart(struct timer *t)
{
        struct supervisor *s = CONTAINER_OF(t, struct supervisor, tailnet.child.restart);

        if (is_wanted(s) && !s->tailnet.child.pid)
                start(s);
}

void tailnetkeeper_init(struct supervisor *s)
{
        timer_init(&s->tailnet.child.restart, on_restart);
}

void tailnetkeeper_follow(struct supervisor *s)
{
        struct tailnetkeeper *k = &s->tailnet;

        if (!is_wanted(s)) {
                tailnetkeeper_end(s);
                return;
        }
        if (!k->child.pid)
                start(s);
        else if (!str_eq(str_of(k->socket), s->conf->gateway.tailnet.socket))
                kill(k->child.pid, SIGKILL); /* the next one has the new name */
}

void tailnetkeeper_died(struct supervisor *s, int status)
{
        struct tailnetkeeper *k = &s->tailnet;

        child_died(&k->child);
        s->board->tailnet.pid = 0;
        if (!is_wanted(s))
                return;
        s->board->tailnet.deaths++;
        log_error("tailnet_process_died", LOG_N("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
                  LOG_N("status", WIFEXITED(status) ? WEXITSTATUS(status) : 0));
        child_again(&k->child, s->loop);
}

void tailnetkeeper_end(struct supervisor *s)
{
        child_end(&s->tailnet.child); /* it keeps nothing */
        if (s->pair.reader.pid)
                kill(s->pair.reader.pid, SIGKILL);
}
