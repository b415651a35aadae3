#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/nodeproc.h"
#include "gateway/supervisor_priv.h"
#include "gateway/version.h"
#include "io/process.h"

/*
 * Theory of operation. A gateway that has joined, or is to, has one process more, which speaks with control. When it has stored a
 * document it says so, and a reload follows like any other: the reader finds the document in the state folder. How that
 * ended goes back, and from there to control. A reload that was under way meanwhile is not taken for the answer.
 */

enum { SHORT_LIFE_MS = 10 * 1000, RETRY_MS = 1000 };

static _Noreturn void become_node(struct supervisor *s, int mailbox_fd)
{
        char name[256] = "";
        struct nodeproc_input input = { .mailbox_fd = mailbox_fd,
                                        .folder = s->node.folder,
                                        .join = s->options->join,
                                        .board = s->board,
                                        .program = STR("sekisho/" SEKISHO_VERSION) };

        child_forget(s, NULL);
        envkeeper_fini(&s->environment);
        if (gethostname(name, sizeof(name) - 1) == 0)
                input.name = str_sub(str_of(name), 0, str_find_char(str_of(name), '.'));
        if (s->options->name.len)
                input.name = s->options->name;
        _exit(nodeproc_run(&input));
}

static void on_message(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count)
{
        struct supervisor *s = CONTAINER_OF(m, struct supervisor, node.mailbox);

        (void)body, (void)fds, (void)fds_count;
        if (s->is_stopping)
                return;
        if (kind == MESSAGE_NODE_DOCUMENT)
                s->node.is_asked = true;
        if (kind == MESSAGE_NODE_DOCUMENT || kind == MESSAGE_NODE_READ)
                reload(s);
}

/* Its death is told by SIGCHLD. */
static void on_gone(struct mailbox *m)
{
        (void)m;
}

static void start(struct supervisor *s)
{
        struct nodekeeper *n = &s->node;
        int pair[2];
        pid_t pid;

        if (mailbox_pair(pair) != ERR_OK)
                goto fail;
        pid = fork();
        if (pid == 0) {
                close(pair[0]);
                become_node(s, pair[1]);
        }
        close(pair[1]);
        if (pid < 0) {
                close(pair[0]);
                goto fail;
        }
        n->pid = pid;
        n->started_at = loop_now(s->loop);
        if (mailbox_open(&n->mailbox, s->loop, pair[0], on_message, on_gone) == ERR_OK)
                return;
        kill(pid, SIGKILL);
        return;

fail:
        log_error("node_not_started", LOG_E(ERR_NO_MEMORY));
        timer_set(s->loop, &n->restart, loop_now(s->loop) + RETRY_MS);
}

static void on_restart(struct timer *t)
{
        struct supervisor *s = CONTAINER_OF(t, struct supervisor, node.restart);

        if (!s->is_stopping && !s->node.pid)
                start(s);
}

void nodekeeper_init(struct supervisor *s)
{
        struct nodekeeper *n = &s->node;

        timer_init(&n->restart, on_restart);
        if (node_state_folder(n->folder) != ERR_OK)
                n->folder[0] = '\0';
        n->is_on = n->folder[0] && (s->options->join.len || node_state_exists(n->folder, WIRE_GATEWAY));
        if (!n->is_on)
                n->folder[0] = '\0';
}

void nodekeeper_start(struct supervisor *s)
{
        if (s->node.is_on)
                start(s);
}

void nodekeeper_died(struct supervisor *s, int status)
{
        struct nodekeeper *n = &s->node;
        mono_ms now = loop_now(s->loop);

        mailbox_close(&n->mailbox);
        n->pid = 0;
        n->is_asked = n->is_read = false;
        if (s->is_stopping)
                return;
        n->deaths = now - n->started_at < SHORT_LIFE_MS ? n->deaths + 1 : 0;
        log_error("node_process_died", LOG_N("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
                  LOG_N("status", WIFEXITED(status) ? WEXITSTATUS(status) : 0));
        timer_set(s->loop, &n->restart,
                  now + MIN((int64_t)50 << MIN(n->deaths, 7u), (int64_t)RESTART_MS_MAX));
}

/* Its folder is let go: another gateway may take over. */
void nodekeeper_end(struct supervisor *s)
{
        timer_clear(&s->node.restart);
        if (s->node.pid)
                kill(s->node.pid, SIGKILL); /* what it writes is whole at any moment */
}

/* A reload begins: it reads what is stored now. */
void nodekeeper_reads(struct supervisor *s)
{
        s->node.is_read = s->node.is_asked;
        s->node.is_asked = false;
}

void nodekeeper_told(struct supervisor *s, bool is_applied, struct str text)
{
        struct message_read m = { .error = is_applied ? ERR_OK : ERR_CONFIG };

        if (!s->node.is_read || !s->node.pid)
                return;
        s->node.is_read = false;
        snprintf(m.text, sizeof(m.text), "%.*s", STR_FMT(text));
        if (mailbox_send(&s->node.mailbox, MESSAGE_NODE_APPLIED, (struct str){ (const char *)&m, sizeof(m) },
                         NULL, 0) != ERR_OK)
                log_error("node_not_told", LOG_B("is_applied", is_applied));
}
