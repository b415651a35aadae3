#include "gateway/child.h"

#include <signal.h>
#include <unistd.h>

#include "gateway/supervisor_priv.h"

enum { RETRY_MS = 1000, SHORT_LIFE_MS = 10 * 1000, DOUBLINGS_MAX = 7 };

/* Its death is told by SIGCHLD. */
static void on_gone(struct mailbox *m)
{
        (void)m;
}

bool child_start(struct child *c, struct supervisor *s, child_become_fn *become,
                 mailbox_message_fn *on_message)
{
        int pair[2];
        pid_t pid = -1;

        if (mailbox_pair(pair) == ERR_OK) {
                pid = fork();
                if (pid == 0) {
                        close(pair[0]);
                        become(s, pair[1]);
                        _exit(1);
                }
                close(pair[1]);
                if (pid < 0)
                        close(pair[0]);
        }
        if (pid < 0) {
                timer_set(s->loop, &c->restart, loop_now(s->loop) + RETRY_MS);
                return false;
        }
        c->pid = pid;
        c->started_at = loop_now(s->loop);
        if (mailbox_open(&c->mailbox, s->loop, pair[0], on_message, on_gone) == ERR_OK)
                return true;
        kill(pid, SIGKILL);
        return false;
}

void child_died(struct child *c)
{
        mailbox_close(&c->mailbox);
        c->pid = 0;
}

void child_again(struct child *c, struct loop *loop)
{
        mono_ms now = loop_now(loop);

        c->deaths = child_deaths(c->deaths, c->started_at, now);
        timer_set(loop, &c->restart, now + child_wait_ms(c->deaths));
}

void child_end(struct child *c)
{
        timer_clear(&c->restart);
        if (c->pid)
                kill(c->pid, SIGKILL);
}

uint32_t child_deaths(uint32_t before, mono_ms started_at, mono_ms now)
{
        return now - started_at < SHORT_LIFE_MS ? before + 1 : 0;
}

/* The first death is mended at once. */
int64_t child_wait_ms(uint32_t deaths)
{
        return deaths <= 1
                       ? 0
                       : MIN((int64_t)50 << MIN(deaths, (uint32_t)DOUBLINGS_MAX), (int64_t)RESTART_MS_MAX);
}
