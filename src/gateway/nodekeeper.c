#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/nodeproc.h"
#include "gateway/supervisor_priv.h"
#include "gateway/version.h"
#include "io/netif.h"
#include "io/process.h"

/*
 * Theory of operation. A gateway that has joined, or is to, has one process more, which speaks with control. When it has stored a
 * document it says so, and a reload follows like any other: the reader finds the document in the state folder. How that
 * ended goes back, and from there to control. A reload that was under way meanwhile is not taken for the answer.
 */

enum { HOST_ADDRESSES_MAX = 32 };

static _Noreturn void become_node(struct supervisor *s, int mailbox_fd, bool is_first)
{
        char name[256] = "";
        struct nodeproc_input input = { .mailbox_fd = mailbox_fd,
                                        .folder = s->node.folder,
                                        .join = s->options->join,
                                        .board = is_first ? board_new(1, process_wall_ms()) : s->board,
                                        .program = STR("sekisho/" SEKISHO_VERSION),
                                        .ends_with_document = is_first };

        if (!is_first) {
                child_forget(s, NULL);
        } else {
                log_sink_open(&s->log, STDERR_FILENO, NULL);
                log_setup(log_sink_write, &s->log, process_wall_ms, LOG_INFO, LOG_JSON);
        }
        envkeeper_fini(&s->environment);
        if (gethostname(name, sizeof(name) - 1) == 0)
                input.name = str_sub(str_of(name), 0, str_find_char(str_of(name), '.'));
        if (s->options->name.len)
                input.name = s->options->name;
        _exit(input.board ? nodeproc_run(&input) : 1);
}

static void on_message(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count)
{
        struct supervisor *s = CONTAINER_OF(m, struct supervisor, node.child.mailbox);

        (void)body, (void)fds, (void)fds_count;
        if (s->is_stopping)
                return;
        if (kind == MESSAGE_NODE_DOCUMENT)
                s->node.is_asked = true;
        if (kind == MESSAGE_NODE_DOCUMENT || kind == MESSAGE_NODE_READ)
                reload(s);
}

/* ---- where agents reach us ---- */

static bool is_every(struct ip ip)
{
        return ip_eq(ip, (struct ip){ .family = ip.family });
}

static void address_add(struct buf *out, const struct listen_address *a)
{
        char text[LISTEN_ADDRESS_TEXT_MAX];

        buf_add(out, listen_address_format(a, text));
        buf_add_char(out, '\n');
}

/* A listener of every address has those of the host's interfaces. */
static void addresses_add(struct buf *out, const struct listen_address *a)
{
        struct ip hosts[HOST_ADDRESSES_MAX];
        size_t count;

        if (!is_every(a->ip)) {
                address_add(out, a);
                return;
        }
        count = netif_addresses(hosts, ARRAY_SIZE(hosts));
        for (size_t i = 0; i < count; i++)
                if (hosts[i].family == 4 || a->ip.family == 6)
                        address_add(out, &(struct listen_address){ .ip = hosts[i], .port = a->port });
}

/* What control has listened on and another program has, or we may not: sockets.c keeps its place and has said why in the log. */
static void problems_add(const struct supervisor *s, struct buf *out)
{
        const struct conf_gateway *g = &s->conf->gateway;
        char text[LISTEN_ADDRESS_TEXT_MAX];

        for (size_t i = 0; i < g->listens_count && i < s->listens_count; i++)
                if (g->listens[i].is_published && !socket_is_open(s->places[0].fds[i]))
                        buf_addf(
                                out,
                                "!%.*s of the service %.*s cannot be listened on: its log says why (listen_failed)\n",
                                STR_FMT(listen_address_format(&g->listens[i].address, text)),
                                STR_FMT(g->listens[i].upstream_name));
}

static void addresses_say(struct supervisor *s)
{
        const struct conf_gateway *g = &s->conf->gateway;
        struct buf text;

        buf_init(&text, MAILBOX_BODY_BYTES_MAX);
        for (size_t i = 0; i < g->listens_count; i++)
                if (g->listens[i].is_tls && i < s->listens_count && s->addresses[i].ip.family)
                        addresses_add(&text, &s->addresses[i]);
        if (g->overlay.port && !s->mesh.is_impossible)
                buf_addf(&text, "=%llu\n", (unsigned long long)g->overlay.port);
        problems_add(s, &text);
        if (text.full ||
            mailbox_send(&s->node.child.mailbox, MESSAGE_NODE_ADDRESSES, buf_str(&text), NULL, 0) != ERR_OK)
                log_error("node_not_told", LOG_N("listeners", g->listens_count));
        buf_fini(&text);
}

static void become_lasting(struct supervisor *s, int mailbox_fd)
{
        become_node(s, mailbox_fd, false);
}

static void start(struct supervisor *s)
{
        if (child_start(&s->node.child, s, become_lasting, on_message))
                addresses_say(s);
        else
                log_error("node_not_started", LOG_E(ERR_NO_MEMORY));
}

static void on_restart(struct timer *t)
{
        struct supervisor *s = CONTAINER_OF(t, struct supervisor, node.child.restart);

        if (!s->is_stopping && !s->node.child.pid)
                start(s);
}

void nodekeeper_init(struct supervisor *s)
{
        struct nodekeeper *n = &s->node;

        timer_init(&n->child.restart, on_restart);
        if (node_state_folder(n->folder) != ERR_OK)
                n->folder[0] = '\0';
        n->is_on = n->folder[0] && (s->options->join.len || node_state_exists(n->folder, WIRE_GATEWAY));
        if (!n->is_on)
                n->folder[0] = '\0';
}

/* The same process, before there is anything to serve: it ends with the first document. */
static enum err fetch(struct supervisor *s)
{
        int pair[2], status = 0;
        pid_t pid;
        enum err e;

        if ((e = mailbox_pair(pair)) != ERR_OK)
                return e;
        if ((pid = fork()) == 0) {
                close(pair[0]);
                become_node(s, pair[1], true);
        }
        close(pair[1]);
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                continue;
        close(pair[0]);
        return pid > 0 && status == 0 ? ERR_OK : ERR_DENIED;
}

/* A successor has what its predecessor served, who holds the state folder until it is let go: to wait for that would be to wait for ever. */
static bool may_fetch(const struct supervisor *s)
{
        return s->node.is_on && s->succession.predecessor_fd < 0;
}

enum err nodekeeper_first(struct supervisor *s)
{
        if (!may_fetch(s) || access(s->options->config_file.ptr, F_OK) == 0 || fetch(s) == ERR_OK)
                return ERR_OK;
        fprintf(stderr,
                "sekisho: there is no configuration file and no control that says what to serve; nothing was started\n");
        return ERR_DENIED;
}

bool nodekeeper_completes(struct supervisor *s)
{
        char own[NODE_PATH_MAX], path[NODE_PATH_MAX + sizeof("/document.json")];

        if (!may_fetch(s) || node_state_own_folder(s->node.folder, WIRE_GATEWAY, own) != ERR_OK)
                return false;
        snprintf(path, sizeof(path), "%s/document.json", own);
        if (access(path, F_OK) == 0) /* it was read, and did not help */
                return false;
        fprintf(stderr, "sekisho: control is asked first, which may have what is missing\n");
        return fetch(s) == ERR_OK;
}

void nodekeeper_start(struct supervisor *s)
{
        if (s->node.is_on)
                start(s);
}

void nodekeeper_died(struct supervisor *s, int status)
{
        struct nodekeeper *n = &s->node;

        child_died(&n->child);
        n->is_asked = n->is_read = false;
        if (s->is_stopping)
                return;
        log_error("node_process_died", LOG_N("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
                  LOG_N("status", WIFEXITED(status) ? WEXITSTATUS(status) : 0));
        child_again(&n->child, s->loop);
}

/* Its folder is let go: another gateway may take over. */
void nodekeeper_end(struct supervisor *s)
{
        child_end(&s->node.child); /* what it writes is whole at any moment */
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

        if (s->node.child.pid && is_applied)
                addresses_say(s);
        if (!s->node.is_read || !s->node.child.pid)
                return;
        s->node.is_read = false;
        snprintf(m.text, sizeof(m.text), "%.*s", STR_FMT(text));
        if (mailbox_send(&s->node.child.mailbox, MESSAGE_NODE_APPLIED,
                         (struct str){ (const char *)&m, sizeof(m) }, NULL, 0) != ERR_OK)
                log_error("node_not_told", LOG_B("is_applied", is_applied));
}
