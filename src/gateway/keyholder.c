#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/keyproc.h"
#include "gateway/supervisor_priv.h"
#include "gateway/worker_channel.h"
#include "io/process.h"

/*
 * Theory of operation. The supervisor starts the key holder, passes it the memory file with the keys, and gives it and each
 * worker one end of a channel. It never maps that file. When the key holder dies a new one is started at once and the keys'
 * files are read again; workers keep what they had asked, and ask the new one.
 */

enum { PATIENCE_MS = 10 * 1000, RETRY_MS = 1000 };

static void on_message(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count);

bool keyholder_is_wanted(const struct conf *c)
{
        return c->gateway.certificates_count > 0;
}

/* ---- channels ---- */

int keyholder_channel(struct supervisor *s, unsigned worker)
{
        struct keyholder *k = &s->keyholder;

        return k->pid ? worker_channel_open(&k->mailbox, worker, "keys") : -1;
}

void keyholder_connect(struct supervisor *s)
{
        for (unsigned i = 0; i < s->workers_count; i++) {
                const struct message_channel m = { i };
                int fd = s->places[i].pid ? keyholder_channel(s, i) : -1;

                if (fd >= 0 && mailbox_send(&s->places[i].mailbox, MESSAGE_CHANNEL,
                                            (struct str){ (const char *)&m, sizeof(m) }, &fd, 1) != ERR_OK)
                        log_error("key_channel_not_opened", LOG_N("worker", i));
                fds_close(&fd, 1);
        }
}

/* ---- beginning ---- */

static _Noreturn void become_keyholder(struct supervisor *s, int mailbox_fd)
{
        const struct keyproc_input input = { .mailbox_fd = mailbox_fd,
                                             .user = s->user,
                                             .board = s->board,
                                             .watchdog = &s->watchdog,
                                             .beats_at = KEYHOLDER_BEATS_AT };

        child_forget(s, NULL);
        envkeeper_fini(&s->environment);
        _exit(keyproc_run(&input));
}

/* Its death is told by SIGCHLD. */
static void on_gone(struct mailbox *m) {}

enum err keyholder_start(struct supervisor *s, int keys_fd)
{
        struct keyholder *k = &s->keyholder;
        int pair[2];
        enum err e = mailbox_pair(pair);

        if (e != ERR_OK)
                return e;
        timer_clear(&k->restart);
        pid_t pid = fork();
        if (pid < 0) {
                fds_close(pair, 2);
                return ERR_NO_MEMORY;
        }
        if (pid == 0) {
                fds_close((int[]){ pair[0], keys_fd }, 2);
                become_keyholder(s, pair[1]);
        }
        close(pair[1]);
        k->pid = pid;
        k->held = 0;
        k->started_at = loop_now(s->loop);
        watchdog_begin(&s->watchdog, KEYHOLDER_BEATS_AT);
        s->board->keys.pid = pid;
        s->board->keys.started_at = process_wall_ms();
        return mailbox_open(&k->mailbox, s->loop, pair[0], on_message, on_gone);
}

enum err keyholder_give(struct supervisor *s, uint64_t number, int keys_fd)
{
        const struct message_applied m = { number };
        struct keyholder *k = &s->keyholder;
        enum err e = k->pid ? mailbox_send(&k->mailbox, MESSAGE_KEYS,
                                           (struct str){ (const char *)&m, sizeof(m) }, &keys_fd, 1)
                            : ERR_CLOSED;

        if (e == ERR_OK)
                timer_set(s->loop, &k->patience, loop_now(s->loop) + PATIENCE_MS);
        return e;
}

void keyholder_stuck(struct supervisor *s, int64_t silent_ms)
{
        log_error("key_holder_stuck", LOG_N("pid", s->keyholder.pid), LOG_N("silent_ms", silent_ms));
        if (s->keyholder.pid)
                kill(s->keyholder.pid, SIGKILL);
}

/* It does not say what became of its keys. */
static void on_patience(struct timer *t)
{
        keyholder_stuck(CONTAINER_OF(t, struct supervisor, keyholder.patience), PATIENCE_MS);
}

static void ready_say(struct supervisor *s, const struct sandbox *b)
{
        log_info("key_holder_ready", LOG_N("pid", s->keyholder.pid), LOG_N("uid", b->uid),
                 LOG_B("no_new_privileges", b->has_no_privileges),
                 LOG_B("no_capabilities", b->has_no_capabilities), LOG_B("no_dumps", b->has_no_dumps),
                 LOG_B("seccomp", b->has_filter), LOG_N("landlock", b->landlock),
                 LOG_B("locked_memory", atomic_load(&s->board->keys.is_locked)));
}

static void on_held(struct supervisor *s, uint64_t number)
{
        struct keyholder *k = &s->keyholder;

        timer_clear(&k->patience);
        k->held = number;
        log_info("keys_held", LOG_N("number", number), LOG_N("keys", atomic_load(&s->board->keys.keys)));
        if (k->died_at) {
                log_info("key_holder_back", LOG_N("pid", k->pid),
                         LOG_N("after_ms", loop_now(s->loop) - k->died_at));
                k->died_at = 0;
        }
        if (number > s->number)
                reload_keys_held(s, true);
        else
                ready_look(s);
}

static void on_message(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count)
{
        struct supervisor *s = CONTAINER_OF(m, struct supervisor, keyholder.mailbox);
        struct message_applied applied;
        struct message_ready ready;

        if (kind == MESSAGE_READY && body.len == sizeof(ready)) {
                memcpy(&ready, body.ptr, sizeof(ready));
                s->board->keys.sandbox = ready.sandbox;
                ready_say(s, &ready.sandbox);
        } else if (kind == MESSAGE_APPLIED && body.len == sizeof(applied)) {
                memcpy(&applied, body.ptr, sizeof(applied));
                on_held(s, applied.number);
        } else if (kind == MESSAGE_FAILED && body.len == sizeof(applied)) {
                memcpy(&applied, body.ptr, sizeof(applied));
                timer_clear(&s->keyholder.patience);
                if (applied.number > s->number)
                        reload_keys_held(s, false);
        }
}

/* ---- its death ---- */

static void on_keys_read(struct reader *r, struct reading *what)
{
        struct supervisor *s = r->supervisor;
        struct keyholder *k = &s->keyholder;

        bool is_given = what->error == ERR_OK && keyholder_give(s, s->number, what->keys_fd) == ERR_OK;

        reading_drop(what);
        if (is_given) {
                keyholder_connect(s);
                return;
        }
        if (what->error != ERR_OK)
                log_error("keys_not_read", LOG_S("problem", what->problem),
                          LOG_C("meaning", "no handshake with these certificates until they can be"));
        if (!s->is_stopping)
                timer_set(s->loop, &k->restart, loop_now(s->loop) + RETRY_MS);
}

/* A new one, unless there is one that only waits for its keys. */
static void on_restart(struct timer *t)
{
        struct supervisor *s = CONTAINER_OF(t, struct supervisor, keyholder.restart);
        struct keyholder *k = &s->keyholder;

        if (s->is_stopping || k->reader.pid)
                return;
        if ((!k->pid && keyholder_start(s, -1) != ERR_OK) ||
            reader_start(&k->reader, s, READER_KEYS, on_keys_read) != ERR_OK)
                timer_set(s->loop, t, loop_now(s->loop) + RETRY_MS);
}

void keyholder_died(struct supervisor *s, int status)
{
        struct keyholder *k = &s->keyholder;
        mono_ms now = loop_now(s->loop);
        int64_t wait_ms;

        mailbox_close(&k->mailbox);
        timer_clear(&k->patience);
        k->pid = 0;
        k->died_at = now;
        watchdog_forget(&s->watchdog, KEYHOLDER_BEATS_AT);
        s->board->keys.pid = 0;
        s->board->keys.deaths++;
        if (s->is_stopping)
                return;
        k->deaths = child_deaths(k->deaths, k->started_at, now);
        wait_ms = child_wait_ms(k->deaths);
        log_error("key_holder_died", LOG_N("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
                  LOG_N("status", WIFEXITED(status) ? WEXITSTATUS(status) : 0), LOG_N("restart_ms", wait_ms));
        if (!s->was_ready && k->deaths > 2) {
                log_error("key_holder_not_started", LOG_N("deaths", k->deaths));
                s->exit_status = 1;
                loop_stop(s->loop);
                return;
        }
        reload_keys_held(s, false);
        if (wait_ms == 0)
                on_restart(&k->restart);
        else
                timer_set(s->loop, &k->restart, now + wait_ms);
}

void keyholder_init(struct supervisor *s)
{
        timer_init(&s->keyholder.restart, on_restart);
        timer_init(&s->keyholder.patience, on_patience);
}

void keyholder_end(struct supervisor *s)
{
        struct keyholder *k = &s->keyholder;

        if (!k->pid)
                return;
        kill(k->pid, SIGKILL);
        waitpid(k->pid, NULL, 0);
        k->pid = 0;
}
