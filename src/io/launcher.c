#include "io/launcher.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/process.h"
#include "io/signals.h"

enum { LAUNCHER_START, LAUNCHER_KILL }; /* with one descriptor; with none */

enum { ARGUMENTS_BYTES_MAX = 1 << 20, PROGRAM_BYTES_MAX = 4096 };

/* ---- in the launcher ---- */

static struct {
        struct loop *loop;
        struct signals signals;
        struct mailbox mailbox;
        struct buf arguments;
        char program[PROGRAM_BYTES_MAX];
        const char *variable;
        pid_t started; /* 0: none that runs */
} self;

static void program_start(int fd)
{
        char number[16];
        pid_t pid = fork();

        if (pid > 0)
                self.started = pid;
        if (pid != 0)
                return;
        fcntl(fd, F_SETFD, 0);
        snprintf(number, sizeof(number), "%d", fd);
        setenv(self.variable, number, 1);
        /* Signals stay blocked, so that none is lost before the program listens for them. */
        process_become(self.program, buf_str(&self.arguments));
        fprintf(stderr, "sekisho: the new program %s cannot be started\n", self.program);
        _exit(127);
}

static void on_word(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count)
{
        (void)m, (void)body;
        if (kind == LAUNCHER_START && fds_count == 1)
                program_start(fds[0]);
        else if (kind == LAUNCHER_KILL && self.started)
                kill(self.started, SIGKILL);
}

static void on_end(struct mailbox *m)
{
        (void)m;
        loop_stop(self.loop);
}

static void on_signal(struct signals *s, int number)
{
        pid_t pid;

        (void)s;
        while (number == SIGCHLD && (pid = waitpid(-1, NULL, WNOHANG)) > 0)
                if (pid == self.started)
                        self.started = 0;
}

/* Of ours it keeps the environment and the three descriptors everyone has. */
static _Noreturn void serve(int fd, const char *variable)
{
        self.variable = variable;
        if (fd > 3)
                close_range(3, (unsigned)fd - 1, 0);
        close_range((unsigned)fd + 1, ~0U, 0);
        process_forbid_dumps();
        buf_init(&self.arguments, ARGUMENTS_BYTES_MAX);
        if (!process_arguments(&self.arguments) || !process_program(self.program, sizeof(self.program)) ||
            loop_new(&self.loop) != ERR_OK || signals_open(&self.signals, self.loop, on_signal) != ERR_OK ||
            mailbox_open(&self.mailbox, self.loop, fd, on_word, on_end) != ERR_OK)
                _exit(1);
        loop_run(self.loop);
        _exit(0);
}

/* ---- in who asks ---- */

static void on_gone(struct mailbox *m)
{
        CONTAINER_OF(m, struct launcher, mailbox)->is_there = false;
}

static void on_answer(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count)
{
        (void)m, (void)kind, (void)body, (void)fds, (void)fds_count;
}

enum err launcher_fork(struct launcher *l, const char *variable)
{
        int pair[2];
        enum err e = mailbox_pair(pair);

        *l = (struct launcher){ .fd = -1 };
        if (e != ERR_OK)
                return e;
        pid_t pid = fork();
        if (pid == 0)
                serve(pair[1], variable);
        close(pair[1]);
        if (pid < 0) {
                close(pair[0]);
                return ERR_NO_MEMORY;
        }
        l->fd = pair[0];
        return ERR_OK;
}

enum err launcher_open(struct launcher *l, struct loop *loop)
{
        if (l->fd < 0)
                return ERR_OK;
        enum err e = mailbox_open(&l->mailbox, loop, l->fd, on_answer, on_gone);

        l->fd = -1;
        l->is_there = e == ERR_OK;
        return e;
}

enum err launcher_start(struct launcher *l, int fd)
{
        return l->is_there ? mailbox_send(&l->mailbox, LAUNCHER_START, STR_NULL, &fd, 1) : ERR_NOT_FOUND;
}

void launcher_kill(struct launcher *l)
{
        if (l->is_there && mailbox_send(&l->mailbox, LAUNCHER_KILL, STR_NULL, NULL, 0) != ERR_OK)
                l->is_there = false;
}
