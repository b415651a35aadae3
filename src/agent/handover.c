#include "agent/handover.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/units.h"
#include "io/service.h"

enum { WAIT_MS = 60 * 1000, LOOK_MS = 50 };
enum {
        WORD_READY, /* the new one; its body: its pid, as pid_t */
        WORD_SERVICE, /* the old one: control is yours; where it does not come, the end of the mailbox says so */
        WORD_NO_LINKS /* the old one: gateways reach this agent over the overlay alone */
};

static const char variable[] = "SEKISHO_UPGRADE"; /* the descriptor of a mailbox's end */

static int other_find(void)
{
        const char *said = getenv(variable);
        uint64_t fd;

        if (!said || units_parse_u64(str_of(said), INT16_MAX, &fd) != ERR_OK ||
            fcntl((int)fd, F_SETFD, FD_CLOEXEC) != 0)
                return -1;
        unsetenv(variable);
        return (int)fd;
}

void handover_init(struct handover *s)
{
        s->other_fd = other_find();
        s->is_heir = s->other_fd >= 0;
        if (launcher_fork(&s->launcher, variable) != ERR_OK)
                s->launcher.is_there = false; /* an upgrade is refused then */
}

/* ---- the old one ---- */

static void failed(struct handover *s, const char *why)
{
        mailbox_close(&s->mailbox);
        timer_clear(&s->timer);
        s->is_waiting = false;
        log_error("upgrade_failed", LOG_C("why", why), LOG_C("kept", "the program that runs goes on"));
        service_say("STATUS=The upgrade failed, see the log");
}

static void on_heir_word(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count)
{
        struct handover *s = CONTAINER_OF(m, struct handover, mailbox);
        pid_t pid;

        (void)fds, (void)fds_count;
        if (kind != WORD_READY || body.len != sizeof(pid))
                return;
        memcpy(&pid, body.ptr, sizeof(pid));
        timer_clear(&s->timer);
        s->is_waiting = false;
        log_info("upgrade_done", LOG_N("pid", pid));
        service_say("MAINPID=%d", (int)pid);
        s->events->on_over(s->context);
        s->is_over = true; /* control is the other's from here on */
        if (s->is_let_go || mailbox_send(m, WORD_SERVICE, STR_NULL, NULL, 0) != ERR_OK)
                mailbox_close(m);
}

void handover_let_go(struct handover *s)
{
        if (s->is_over && !s->is_let_go)
                mailbox_close(&s->mailbox);
        s->is_let_go = true;
}

static void on_heir_gone(struct mailbox *m)
{
        struct handover *s = CONTAINER_OF(m, struct handover, mailbox);

        if (s->is_over)
                handover_let_go(s);
        else
                failed(s, "the new program ended before it was ready");
}

static void on_late(struct timer *t)
{
        struct handover *s = CONTAINER_OF(t, struct handover, timer);

        launcher_kill(&s->launcher);
        failed(s, "the new program was not ready in time");
}

void handover_ask(struct handover *s)
{
        int pair[2];
        enum err e;

        if (s->is_waiting || s->is_heir || s->is_beside || s->is_over) {
                log_warning("upgrade_refused", LOG_C("why", "one is under way"));
                return;
        }
        if ((e = mailbox_pair(pair)) == ERR_OK) {
                e = launcher_start(&s->launcher, pair[1]);
                close(pair[1]);
                if (e == ERR_OK)
                        e = mailbox_open(&s->mailbox, s->loop, pair[0], on_heir_word, on_heir_gone);
                else
                        close(pair[0]);
        }
        if (e != ERR_OK) {
                log_error("upgrade_failed", LOG_E(e), LOG_C("kept", "the program that runs goes on"));
                return;
        }
        if (!s->events->has_links(s->context) &&
            mailbox_send(&s->mailbox, WORD_NO_LINKS, STR_NULL, NULL, 0) != ERR_OK)
                log_warning("mailbox_full", LOG_N("kind", WORD_NO_LINKS));
        s->is_waiting = true;
        timer_init(&s->timer, on_late);
        timer_set(s->loop, &s->timer, loop_now(s->loop) + WAIT_MS);
        log_info("upgrade_begun", LOG_C("program", "the one that stands in place of this one now"));
}

void handover_give_up(struct handover *s)
{
        if (!s->is_waiting)
                return;
        launcher_kill(&s->launcher);
        failed(s, "this program was told to end");
}

/* ---- the new one ---- */

/* It let control go, or is no more: in both cases we are it. */
static void serve(struct handover *s)
{
        if (!s->is_heir)
                return;
        timer_clear(&s->timer);
        s->is_heir = false;
        s->events->on_service(s->context);
}

static void on_other_gone(struct mailbox *m)
{
        struct handover *s = CONTAINER_OF(m, struct handover, mailbox);

        serve(s);
        s->is_beside = false;
        s->events->on_alone(s->context);
}

static void on_other_word(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count)
{
        struct handover *s = CONTAINER_OF(m, struct handover, mailbox);

        (void)body, (void)fds, (void)fds_count;
        if (kind == WORD_SERVICE)
                serve(s);
        else if (kind == WORD_NO_LINKS)
                s->needs_none = true;
}

static void on_look(struct timer *t)
{
        struct handover *s = CONTAINER_OF(t, struct handover, timer);
        pid_t pid = getpid();

        if (!s->events->is_settled(s->context, s->needs_none)) {
                timer_set(s->loop, t, loop_now(s->loop) + LOOK_MS);
                return;
        }
        if (!s->has_said && mailbox_send(&s->mailbox, WORD_READY,
                                         (struct str){ (const char *)&pid, sizeof(pid) }, NULL, 0) != ERR_OK)
                log_error("upgrade_not_told", LOG_C("meaning", "the old program goes on beside this one"));
        s->has_said = true;
}

enum err handover_open(struct handover *s, struct loop *loop, const struct handover_events *events,
                       void *context)
{
        enum err e = launcher_open(&s->launcher, loop);

        s->loop = loop;
        s->events = events;
        s->context = context;
        if (e != ERR_OK || !s->is_heir)
                return e;
        if ((e = mailbox_open(&s->mailbox, loop, s->other_fd, on_other_word, on_other_gone)) != ERR_OK)
                return e;
        s->is_beside = true;
        timer_init(&s->timer, on_look);
        timer_set(loop, &s->timer, loop_now(loop) + LOOK_MS);
        return ERR_OK;
}
