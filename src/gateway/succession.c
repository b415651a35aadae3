#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/units.h"
#include "gateway/supervisor_priv.h"
#include "gateway/upgrade.h"
#include "io/process.h"
#include "llm/meter.h"
#include "proxy/measure.h"

/* Both sides of upgrade.h: what the old supervisor does, and what the new one. */

enum {
        DESCRIPTION_BYTES_MAX = 4 << 20,
        METRICS_BYTES_MAX = 16 << 20,
        WAIT_MS = 60 * 1000,
        TELL_FIRST_MS = 500,
        TELL_MS = 5000
};

static const char variable[] = "SEKISHO_UPGRADE"; /* "DESCRIPTION MAILBOX", two descriptors */

/* ---- the program as it was started ---- */

void succession_init(struct supervisor *s)
{
        struct succession *u = &s->succession;

        buf_init(&u->arguments, 1 << 20);
        if (!process_arguments(&u->arguments) || !process_program(u->program, sizeof(u->program)))
                u->program[0] = '\0';
}

/* ---- the old one ---- */

/* A file of what was counted, all of it or since the last time; -1: the new one counts from there without it. */
static int metrics_file(struct supervisor *s, bool is_first)
{
        struct buf text;
        int fd = -1;

        buf_init(&text, METRICS_BYTES_MAX);
        metrics_give(s->shared.metrics, is_first, &text);
        if (text.full || (text.len && mailbox_memfd(buf_str(&text), &fd) != ERR_OK))
                log_warning("metrics_not_handed_over",
                            LOG_C("meaning", "counters of the new program are short of some"));
        buf_fini(&text);
        return fd;
}

static void metrics_tell(struct supervisor *s)
{
        int fd = metrics_file(s, false);

        if (mailbox_send(&s->succession.mailbox, MESSAGE_METRICS, STR_NULL, &fd, fd >= 0) != ERR_OK)
                log_warning("metrics_not_handed_over", LOG_C("meaning", "the new program does not hear"));
        fds_close(&fd, 1);
}

static void on_tell(struct timer *t)
{
        struct supervisor *s = CONTAINER_OF(t, struct supervisor, succession.timer);

        metrics_tell(s);
        timer_set(s->loop, t, loop_now(s->loop) + TELL_MS);
}

void succession_end(struct supervisor *s)
{
        if (s->succession.is_done && s->succession.mailbox.loop)
                metrics_tell(s);
}

static const char *ip_text(struct ip ip, char out[IP_TEXT_MAX])
{
        return ip.family ? ip_format(ip, out).ptr : "-";
}

static void describe(const struct supervisor *s, int metrics_fd, struct buf *out)
{
        char text[UPGRADE_TEXT_BYTES_MAX], address[LISTEN_ADDRESS_TEXT_MAX];

        upgrade_begin(out, s->ticket_keys[0]);
        for (unsigned w = 0; w < s->workers_count; w++)
                for (size_t i = 0; i < s->listens_count; i++)
                        upgrade_add(out, w, s->places[w].fds[i],
                                    listen_address_format(&s->addresses[i], address));
        for (size_t i = 0; i < s->handed_count; i++) {
                const struct service_socket *h = &s->handed[i];
                int n = snprintf(text, sizeof(text), "%s %s", h->name,
                                 listen_address_format(&h->address, address).ptr);
                upgrade_add(out, UPGRADE_HANDED, h->fd,
                            (struct str){ text, (size_t)MIN(n, (int)sizeof(text) - 1) });
        }
        if (metrics_fd >= 0)
                upgrade_add(out, UPGRADE_METRICS, metrics_fd, STR(""));
        if (s->pair.fd >= 0)
                upgrade_add(out, UPGRADE_PAIR, s->pair.fd,
                            (struct str){ (const char *)s->pair.sha256, sizeof(s->pair.sha256) });
        if (s->tailnet.ours.is_running) {
                char v4[IP_TEXT_MAX], v6[IP_TEXT_MAX];
                int n = snprintf(text, sizeof(text), "%s %s", ip_text(s->tailnet.ours.v4, v4),
                                 ip_text(s->tailnet.ours.v6, v6));

                upgrade_add(out, UPGRADE_TAILNET, 0,
                            (struct str){ text, (size_t)MIN(n, (int)sizeof(text) - 1) });
        }
}

static void keep_open(int fd)
{
        if (fd >= 0)
                fcntl(fd, F_SETFD, 0);
}

/* In the child. The variables that were taken out of the environment are put back for the one who reads it next. */
static _Noreturn void become_successor(struct supervisor *s, int description_fd, int metrics_fd,
                                       int mailbox_fd)
{
        char fds[32];

        for (unsigned w = 0; w < s->workers_count; w++)
                for (size_t i = 0; i < s->listens_count; i++)
                        keep_open(s->places[w].fds[i]);
        for (size_t i = 0; i < s->handed_count; i++)
                keep_open(s->handed[i].fd);
        keep_open(description_fd);
        keep_open(metrics_fd);
        keep_open(s->pair.fd);
        keep_open(mailbox_fd);
        snprintf(fds, sizeof(fds), "%d %d", description_fd, mailbox_fd);
        setenv(variable, fds, 1);
        envkeeper_restore(&s->environment);
        process_become(s->succession.program, buf_str(&s->succession.arguments));
        fprintf(stderr, "sekisho: the new program %s cannot be started\n", s->succession.program);
        _exit(127);
}

static void over(struct supervisor *s)
{
        mailbox_close(&s->succession.mailbox);
        timer_clear(&s->succession.timer);
        s->succession.pid = 0;
}

static void failed(struct supervisor *s, const char *why)
{
        log_error("upgrade_failed", LOG_N("pid", s->succession.pid), LOG_C("why", why),
                  LOG_C("kept", "the program that runs goes on"));
        service_say("STATUS=The upgrade failed, see the log");
        metrics_give_undo(s->shared.metrics);
        over(s);
}

/* It is ready: from now on it is the service, and we finish what is under way. */
static void on_successor_message(struct mailbox *m, uint32_t kind, struct str body, int *fds,
                                 size_t fds_count)
{
        struct supervisor *s = CONTAINER_OF(m, struct supervisor, succession.mailbox);

        if (kind != MESSAGE_TAKEN)
                return;
        log_info("upgrade_done", LOG_N("pid", s->succession.pid));
        service_say("MAINPID=%d", (int)s->succession.pid);
        s->succession.pid = 0;
        s->succession.is_done = true;
        timer_clear(&s->succession.timer);
        timer_init(&s->succession.timer, on_tell);
        timer_set(s->loop, &s->succession.timer, loop_now(s->loop) + TELL_FIRST_MS);
        supervisor_drain(s, true);
}

static void on_successor_gone(struct mailbox *m)
{
        struct supervisor *s = CONTAINER_OF(m, struct supervisor, succession.mailbox);

        if (!s->succession.is_done)
                failed(s, "the new program ended before it was ready");
        else
                timer_clear(&s->succession.timer); /* nobody counts on */
}

static void on_slow(struct timer *t)
{
        struct supervisor *s = CONTAINER_OF(t, struct supervisor, succession.timer);

        kill(s->succession.pid, SIGKILL);
        failed(s, "the new program was not ready in time");
}

void upgrade(struct supervisor *s)
{
        struct succession *u = &s->succession;
        struct buf description;
        int pair[2] = { -1, -1 }, fd = -1, metrics_fd;

        if (s->is_stopping || u->pid || !s->was_ready || !u->program[0]) {
                log_warning("upgrade_refused", LOG_C("why", u->pid ? "one is under way" : "not the moment"));
                return;
        }
        metrics_fd = metrics_file(s, true);
        buf_init(&description, DESCRIPTION_BYTES_MAX);
        describe(s, metrics_fd, &description);
        enum err e = description.full ? ERR_NO_MEMORY : mailbox_memfd(buf_str(&description), &fd);
        buf_wipe(&description);
        if (e == ERR_OK && (e = mailbox_pair(pair)) == ERR_OK && (u->pid = fork()) < 0)
                e = ERR_NO_MEMORY;
        if (e == ERR_OK && u->pid == 0)
                become_successor(s, fd, metrics_fd, pair[1]);
        fds_close(&fd, 1);
        fds_close(&metrics_fd, 1);
        fds_close(&pair[1], 1);
        if (e != ERR_OK) {
                u->pid = 0;
                metrics_give_undo(s->shared.metrics);
                fds_close(&pair[0], 1);
                log_error("upgrade_failed", LOG_E(e));
                return;
        }
        log_info("upgrade_begun", LOG_N("pid", u->pid), LOG_C("program", u->program));
        timer_init(&u->timer, on_slow);
        timer_set(s->loop, &u->timer, loop_now(s->loop) + WAIT_MS);
        if (mailbox_open(&u->mailbox, s->loop, pair[0], on_successor_message, on_successor_gone) != ERR_OK)
                on_slow(&u->timer);
}

/* ---- the new one ---- */

/* An address's text as its owner needs it: it lives as long as the description, for ever. */
static void socket_take(struct supervisor *s, const struct upgrade_entry *e)
{
        struct listen_address a;
        size_t i = 0;

        if (e->place >= WORKERS_MAX || listen_address_parse(e->text, &a) != ERR_OK)
                return;
        while (i < s->listens_count && !listen_address_eq(&a, &s->addresses[i]))
                i++;
        if (i == LISTENS_MAX || s->places[e->place].fds[i] >= 0)
                return;
        if (i == s->listens_count)
                s->addresses[s->listens_count++] = a;
        s->places[e->place].fds[i] = e->fd;
}

static void handed_take(struct supervisor *s, const struct upgrade_entry *e)
{
        struct service_socket *h = &s->handed[s->handed_count];
        size_t space = str_find_char(e->text, ' ');

        if (s->handed_count == SERVICE_SOCKETS_MAX || space == STR_NONE ||
            listen_address_parse(str_from(e->text, space + 1), &h->address) != ERR_OK)
                return;
        h->fd = e->fd;
        snprintf(h->name, sizeof(h->name), "%.*s", STR_FMT(str_sub(e->text, 0, space)));
        s->handed_count++;
}

static void pair_take(struct supervisor *s, const struct upgrade_entry *e)
{
        if (e->text.len != sizeof(s->pair.sha256) || s->pair.fd >= 0)
                return;
        memcpy(s->pair.sha256, e->text.ptr, sizeof(s->pair.sha256));
        s->pair.fd = e->fd;
}

/* Until our own process has asked: so the sockets that were handed over stay in use. */
static void tailnet_take(struct supervisor *s, struct str text)
{
        struct message_tailnet *ours = &s->tailnet.ours;
        struct str v4;

        if (!str_split(&text, ' ', &v4))
                return;
        ours->is_running = (ip_parse(v4, &ours->v4) == ERR_OK) | (ip_parse(text, &ours->v6) == ERR_OK);
}

void succession_take(struct supervisor *s)
{
        const char *said = getenv(variable);
        struct str rest = said ? str_of(said) : STR_NULL, word;
        struct upgrade_reader reader;
        struct upgrade_entry entry;
        uint64_t description_fd, mailbox_fd;
        struct str text;

        s->succession.predecessor_fd = s->succession.metrics_fd = -1;
        if (!said || !str_split(&rest, ' ', &word) ||
            units_parse_u64(word, INT16_MAX, &description_fd) != ERR_OK ||
            units_parse_u64(rest, INT16_MAX, &mailbox_fd) != ERR_OK)
                return;
        if (mailbox_map((int)description_fd, DESCRIPTION_BYTES_MAX, &text) == ERR_OK &&
            upgrade_open(&reader, text) == ERR_OK) {
                memcpy(s->ticket_keys[0], reader.ticket_key, sizeof(s->ticket_keys[0]));
                s->ticket_keys_count = 1;
                while (upgrade_next(&reader, &entry)) {
                        if (entry.place == UPGRADE_TAILNET) {
                                tailnet_take(s, entry.text);
                                continue;
                        }
                        if (fcntl(entry.fd, F_SETFD, FD_CLOEXEC) != 0)
                                continue;
                        if (entry.place == UPGRADE_METRICS)
                                s->succession.metrics_fd = entry.fd;
                        else if (entry.place == UPGRADE_PAIR)
                                pair_take(s, &entry);
                        else if (entry.place == UPGRADE_HANDED)
                                handed_take(s, &entry);
                        else
                                socket_take(s, &entry);
                }
                s->succession.predecessor_fd = (int)mailbox_fd;
                fcntl((int)mailbox_fd, F_SETFD, FD_CLOEXEC);
                close((int)description_fd);
        }
        unsetenv(variable);
}

static void metrics_read(struct supervisor *s, int fd)
{
        struct str text;

        if (mailbox_map(fd, METRICS_BYTES_MAX, &text) != ERR_OK)
                return;
        metrics_take(s->shared.metrics, measure_metrics, MEASURES, text);
        metrics_take(s->shared.metrics, llm_metrics, LLM_METRICS, text);
        mailbox_unmap(text);
}

/* While both accept, both pages stand still at what was handed over: nobody who is answered now by one, now by the other sees less. */
void succession_metrics(struct supervisor *s)
{
        struct buf nobodys;

        if (s->succession.metrics_fd < 0)
                return;
        metrics_read(s, s->succession.metrics_fd);
        fds_close(&s->succession.metrics_fd, 1);
        s->succession.metrics_fd = -1;
        buf_init(&nobodys, 1);
        metrics_give(s->shared.metrics, true, &nobodys);
        buf_fini(&nobodys);
}

/* It drains, accepts no more, and counts what it has under way. */
static void on_predecessor_message(struct mailbox *m, uint32_t kind, struct str body, int *fds,
                                   size_t fds_count)
{
        struct supervisor *s = CONTAINER_OF(m, struct supervisor, succession.before);

        if (kind != MESSAGE_METRICS)
                return;
        if (fds_count == 1)
                metrics_read(s, fds[0]);
        if (!s->succession.pid && !s->succession.is_done)
                metrics_give_undo(s->shared.metrics);
}

static void on_predecessor_gone(struct mailbox *m)
{
        struct supervisor *s = CONTAINER_OF(m, struct supervisor, succession.before);

        if (!s->succession.pid && !s->succession.is_done)
                metrics_give_undo(s->shared.metrics);
}

void succession_say_ready(struct supervisor *s)
{
        struct succession *u = &s->succession;

        if (u->predecessor_fd < 0)
                return;
        if (mailbox_open(&u->before, s->loop, u->predecessor_fd, on_predecessor_message,
                         on_predecessor_gone) != ERR_OK ||
            mailbox_send(&u->before, MESSAGE_TAKEN, STR_NULL, NULL, 0) != ERR_OK) {
                metrics_give_undo(s->shared.metrics);
                log_error("upgrade_not_told", LOG_C("meaning", "the old program goes on beside this one"));
        }
        u->predecessor_fd = -1;
}
