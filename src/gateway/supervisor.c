#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crypto/random.h"
#include "gateway/supervisor_priv.h"
#include "io/process.h"

/*
 * Theory of operation. The supervisor never touches a client's byte, nor a private key. It has the configuration read by a
 * child (reader.h), opens one listening socket an address and worker (SO_REUSEPORT, so that the kernel spreads connections),
 * forks the key holder and the workers and waits: for SIGHUP (read again, hand over), SIGTERM (let them drain), and for their
 * deaths (fork again). A worker inherits the configuration by the fork; a later one comes as a bundle of all texts that were
 * read, so that every worker builds the very configuration that was checked.
 */

/* ---- the end ---- */

void supervisor_drain(struct supervisor *s, bool is_patient)
{
        struct message_drain m = { s->conf->gateway.drain_timeout, is_patient };

        if (s->is_stopping) { /* asked twice: at once */
                m.timeout_ms = 0;
        }
        log_info("draining", LOG_N("timeout_ms", m.timeout_ms));
        s->is_stopping = true;
        nodekeeper_end(s);
        if (s->running_count == 0) {
                tailnetkeeper_end(s);
                meshkeeper_end(s);
        }
        if (!s->succession.is_done)
                service_say("STOPPING=1\nSTATUS=Finishing what is under way, at most %lld s",
                            (long long)(m.timeout_ms / 1000));
        watchdog_set(&s->watchdog, 0);
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

        workers_kill(s);
}

/* Its loop stands still: it is killed, and its death is mended like any other. */
static void on_stuck(void *context, unsigned place, int64_t silent_ms)
{
        struct supervisor *s = context;
        struct place *p = &s->places[place];

        if (place == KEYHOLDER_BEATS_AT) {
                keyholder_stuck(s, silent_ms);
                return;
        }
        log_error("worker_stuck", LOG_N("worker", place), LOG_N("pid", p->pid),
                  LOG_N("silent_ms", silent_ms));
        if (p->pid)
                kill(p->pid, SIGKILL);
}

/* A key that is stolen opens the sessions of a day, not of a year. */
static void on_tickets(struct timer *t)
{
        struct supervisor *s = CONTAINER_OF(t, struct supervisor, tickets_timer);

        memcpy(s->ticket_keys[1], s->ticket_keys[0], TLS_TICKET_KEY_BYTES);
        crypto_random(s->ticket_keys[0], TLS_TICKET_KEY_BYTES);
        s->ticket_keys_count = 2;
        for (unsigned i = 0; i < s->workers_count; i++) {
                struct place *p = &s->places[i];

                if (p->pid &&
                    mailbox_send(&p->mailbox, MESSAGE_TICKETS,
                                 (struct str){ (const char *)s->ticket_keys[0], TLS_TICKET_KEY_BYTES }, NULL,
                                 0) != ERR_OK)
                        log_error("tickets_not_changed", LOG_N("worker", i));
        }
        timer_set(s->loop, t, loop_now(s->loop) + s->conf->gateway.ticket_rotation);
}

static void on_alive(struct timer *t)
{
        struct supervisor *s = CONTAINER_OF(t, struct supervisor, alive_timer);

        service_say_alive();
        timer_set(s->loop, t, loop_now(s->loop) + service_watchdog_ms());
}

/* Somebody has moved the file of the access log away. */
static void logs_reopen(struct supervisor *s)
{
        access_file_open(s);
        for (unsigned i = 0; i < s->workers_count; i++)
                if (s->places[i].pid && s->access_fd >= 0 &&
                    mailbox_send(&s->places[i].mailbox, MESSAGE_REOPEN, STR_NULL, &s->access_fd, 1) != ERR_OK)
                        log_error("access_log_not_reopened", LOG_N("worker", i));
        log_info("access_log_reopened", LOG_N("workers", s->running_count));
}

static void on_signal(struct signals *signals, int number)
{
        struct supervisor *s = CONTAINER_OF(signals, struct supervisor, signals);

        switch (number) {
        case SIGCHLD: children_reap(s); break;
        case SIGHUP:
                if (!s->is_stopping) {
                        reload(s);
                        tailnetpair_ask(s);
                }
                break;
        case SIGUSR1: logs_reopen(s); break;
        case SIGTERM:
        case SIGINT: supervisor_drain(s, false); break;
        case SIGUSR2: upgrade(s); break;
        default: break;
        }
}

/* ---- the beginning ---- */

/* Whom workers become; nobody is asked about it who is not root. */
static enum err user_find(struct supervisor *s)
{
        struct str name = s->conf->gateway.user;

        if (geteuid() != 0)
                return ERR_OK;
        if (name.len == 0) {
                if (sandbox_user_find("sekisho", &s->user) != ERR_OK)
                        s->user = (struct sandbox_user){ 0 }; /* isolation_say warns */
                return ERR_OK;
        }
        char text[256];
        snprintf(text, sizeof(text), "%.*s", STR_FMT(name));
        if (sandbox_user_find(text, &s->user) == ERR_OK)
                return ERR_OK;
        fprintf(stderr,
                "sekisho: gateway.user: there is no user \"%s\" here; make one (useradd --system %s)\n", text,
                text);
        return ERR_NOT_FOUND;
}

/* Before the workers: its keys are on their way when the first of them asks. */
static enum err keys_start(struct supervisor *s, int keys_fd)
{
        enum err e = ERR_OK;

        if (keyholder_is_wanted(s->conf) && (e = keyholder_start(s, keys_fd)) == ERR_OK)
                e = keyholder_give(s, s->number, keys_fd);
        close(keys_fd);
        return e;
}

static enum err start(struct supervisor *s, int keys_fd)
{
        struct listen_address wanted[LISTENS_MAX];
        size_t wanted_count;
        enum err e;

        if ((e = addresses_list(s, s->conf, wanted, &wanted_count)) != ERR_OK) {
                fprintf(stderr, "sekisho: more than %d addresses to listen on\n", LISTENS_MAX);
                return e;
        }
        if ((e = user_find(s)) != ERR_OK || (e = sockets_change(s, s->conf, wanted, wanted_count)) != ERR_OK)
                return e;
        access_file_open(s);
        if ((e = shared_init(&s->shared, s->workers_count)) != ERR_OK ||
            (e = llm_shared_new(&s->conf->gateway.limits, &s->llm_shared)) != ERR_OK)
                return e;
        succession_metrics(s);
        /* Fewer workers than the one before us had: nobody would accept from theirs. */
        for (size_t i = s->workers_count; i < ARRAY_SIZE(s->places); i++)
                fds_close(s->places[i].fds, LISTENS_MAX);
        if (!(s->board = board_new(s->workers_count, process_wall_ms())))
                return ERR_NO_MEMORY;
        if ((e = watchdog_init(&s->watchdog, s->loop, on_stuck, s)) != ERR_OK)
                return e;
        watchdog_set(&s->watchdog, s->conf->gateway.watchdog);
        if (service_watchdog_ms())
                timer_set(s->loop, &s->alive_timer, loop_now(s->loop));
        if (s->ticket_keys_count == 0)
                crypto_random(s->ticket_keys[0], sizeof(s->ticket_keys[0]));
        s->ticket_keys_count = 1;
        timer_set(s->loop, &s->tickets_timer, loop_now(s->loop) + s->conf->gateway.ticket_rotation);
        if ((e = keys_start(s, keys_fd)) != ERR_OK)
                return e;
        for (unsigned i = 0; i < s->workers_count; i++)
                if ((e = worker_start(s, &s->places[i])) != ERR_OK)
                        return e;
        return ERR_OK;
}

static struct reading first; /* what the reader found before the start */

static void on_first_read(struct reader *r, struct reading *what)
{
        first = *what;
        loop_stop(r->supervisor->loop);
}

int gateway_run(const struct gateway_options *options)
{
        static struct supervisor supervisor; /* one a process; large, and zero until now */
        struct supervisor *s = &supervisor;
        enum err e;

        s->options = options;
        s->access_fd = s->bundle_fd = s->pair.fd = -1;
        for (size_t i = 0; i < ARRAY_SIZE(s->places); i++)
                memset(s->places[i].fds, -1, sizeof(s->places[i].fds));
        succession_init(s);
        succession_take(s);
        if (s->handed_count == 0)
                s->handed_count = service_sockets_take(s->handed);
        envkeeper_init(&s->environment);
        nodekeeper_init(s);
        if (nodekeeper_first(s) != ERR_OK)
                return 1;
        if (loop_new(&s->loop) != ERR_OK ||
            reader_start(&s->reader, s, READER_FIRST, on_first_read) != ERR_OK)
                return 1;
        loop_run(s->loop);
        if (first.error == ERR_CONFIG && nodekeeper_completes(s)) {
                if (reader_start(&s->reader, s, READER_FIRST, on_first_read) != ERR_OK)
                        return 1;
                loop_run(s->loop);
        }
        if (first.error != ERR_OK) {
                fprintf(stderr, "sekisho: the configuration cannot be used (%s); nothing was started\n",
                        err_text(first.error));
                return 2;
        }
        s->conf = first.conf;
        s->bundle_fd = first.bundle_fd;
        s->number = 1;
        places_init(s);
        keyholder_init(s);
        tailnetkeeper_init(s);
        tailnetpair_init(s);
        meshkeeper_init(s);
        timer_init(&s->kill_timer, on_kill);
        timer_init(&s->alive_timer, on_alive);
        timer_init(&s->tickets_timer, on_tickets);
        log_sink_open(&s->log, STDERR_FILENO, NULL);
        log_setup(log_sink_write, &s->log, process_wall_ms, s->conf->log.level, s->conf->log.format);
        process_raise_fd_limit();
        if (!s->conf->gateway.auth)
                log_warning("auth_off", LOG_C("meaning", "everyone who reaches this gateway may use it"));
        if (signals_open(&s->signals, s->loop, on_signal) != ERR_OK)
                return 1;
        if ((e = start(s, first.keys_fd)) != ERR_OK)
                return e == ERR_EXISTS || e == ERR_DENIED || e == ERR_NOT_FOUND ? 2 : 1;
        nodekeeper_start(s);
        tailnetkeeper_follow(s);
        tailnetpair_follow(s);
        meshkeeper_follow(s);
        loop_run(s->loop);
        keyholder_end(s);
        tailnetkeeper_end(s);
        meshkeeper_end(s);
        succession_end(s);
        log_info("gateway_stopped", LOG_N("status", s->exit_status));
        return s->exit_status;
}
