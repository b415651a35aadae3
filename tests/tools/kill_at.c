/*
 * kill_at N COMMAND... - runs a program and kills it (SIGKILL) on its way into its N-th system call that others can see the effect of
 * (files, sockets), in whichever of its threads. Counting begins with SIGUSR1 and ends with SIGUSR2, which says what was counted; N 0
 * only counts. SIGTERM kills the program at once; when kill_at is gone, so is the program. What it says goes to standard error:
 * "kill_at: killed in fdatasync", "kill_at: counted pwrite64 fdatasync", "kill_at: ended 2".
 *
 * With --unfinished the call is begun and the program killed before it returns: so a call that was done, and an answer nobody heard.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NAMES_MAX = 4096, MOMENT_US = 50 * 1000 };

static const struct {
        long number;
        const char *name;
} counted[] = {
        { SYS_write, "write" },         { SYS_pwrite64, "pwrite64" },   { SYS_writev, "writev" },
        { SYS_pwritev, "pwritev" },     { SYS_fsync, "fsync" },         { SYS_fdatasync, "fdatasync" },
        { SYS_ftruncate, "ftruncate" }, { SYS_fallocate, "fallocate" }, { SYS_openat, "openat" },
        { SYS_sendto, "sendto" },       { SYS_sendmsg, "sendmsg" },     { SYS_unlinkat, "unlinkat" },
        { SYS_renameat2, "renameat2" },
#ifdef SYS_unlink
        { SYS_unlink, "unlink" },       { SYS_rename, "rename" },
#endif
};

static volatile sig_atomic_t wants_begin, wants_end, wants_kill;

static void on_signal(int number)
{
        if (number == SIGUSR1)
                wants_begin = 1;
        else if (number == SIGUSR2)
                wants_end = 1;
        else if (number == SIGTERM)
                wants_kill = 1;
}

static const char *name_of(long number)
{
        for (size_t i = 0; i < sizeof(counted) / sizeof(*counted); i++)
                if (counted[i].number == number)
                        return counted[i].name;
        return NULL;
}

static pid_t start(char **command)
{
        pid_t pid = fork();

        if (pid == 0) {
                if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
                        _exit(126);
                raise(SIGSTOP);
                execv(command[0], command);
                _exit(127);
        }
        return pid;
}

/* Its first stop, however long that takes: the timer goes on meanwhile. */
static bool stops(pid_t pid, int *status)
{
        pid_t who;

        while ((who = waitpid(pid, status, 0)) < 0 && errno == EINTR)
                continue;
        return who == pid && WIFSTOPPED(*status);
}

static void signals_take(void)
{
        struct sigaction action = { .sa_handler = on_signal }; /* no SA_RESTART: the wait ends */
        const struct itimerval moment = { { 0, MOMENT_US }, { 0, MOMENT_US } };

        sigaction(SIGUSR1, &action, NULL);
        sigaction(SIGUSR2, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
        sigaction(SIGALRM, &action, NULL); /* a signal just before the wait is seen a moment later */
        setitimer(ITIMER_REAL, &moment, NULL);
}

struct counting {
        bool is_on, is_unfinished, is_last_begun;
        unsigned long seen, wanted;
        pid_t last; /* the thread whose call is the last one */
        const char *names[NAMES_MAX];
};

/* True: it is time to kill. */
static bool on_call(struct counting *c, pid_t thread)
{
        struct __ptrace_syscall_info info = { 0 };
        const char *name;

        if (!c->is_on || ptrace(PTRACE_GET_SYSCALL_INFO, thread, (void *)sizeof(info), &info) <= 0)
                return false;
        if (c->is_last_begun)
                return thread == c->last && info.op == PTRACE_SYSCALL_INFO_EXIT;
        if (info.op != PTRACE_SYSCALL_INFO_ENTRY || !(name = name_of((long)info.entry.nr)))
                return false;
        if (c->seen < NAMES_MAX)
                c->names[c->seen] = name;
        if (++c->seen != c->wanted)
                return false;
        fprintf(stderr, "kill_at: killed in %s\n", name);
        c->is_last_begun = true;
        c->last = thread;
        return !c->is_unfinished;
}

static void look_at_signals(struct counting *c)
{
        if (wants_begin) {
                wants_begin = 0;
                c->is_on = true;
                c->seen = 0;
                fprintf(stderr, "kill_at: counting\n");
        }
        if (wants_end) {
                wants_end = 0;
                c->is_on = false;
                fprintf(stderr, "kill_at: counted");
                for (unsigned long i = 0; i < c->seen && i < NAMES_MAX; i++)
                        fprintf(stderr, " %s", c->names[i]);
                fprintf(stderr, "\n");
        }
}

/* The signal that the stopped thread gets when it goes on. */
static int signal_of(int status)
{
        int number = WSTOPSIG(status);

        if (number == (SIGTRAP | 0x80) || status >> 16 != 0 || number == SIGSTOP)
                return 0;
        return number;
}

int main(int count, char **arguments)
{
        struct counting c = { 0 };
        int status, first = 1;

        if (count > first && strcmp(arguments[first], "--unfinished") == 0) {
                c.is_unfinished = true;
                first++;
        }
        if (count < first + 2) {
                fprintf(stderr, "usage: kill_at [--unfinished] N COMMAND...\n");
                return 2;
        }
        for (const char *digit = arguments[first]; *digit >= '0' && *digit <= '9'; digit++)
                c.wanted = 10 * c.wanted + (unsigned long)(*digit - '0');
        signals_take();
        pid_t pid = start(arguments + first + 1), thread;

        if (pid < 0 || !stops(pid, &status) ||
            ptrace(PTRACE_SETOPTIONS, pid, NULL,
                   (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE |
                            PTRACE_O_TRACEEXEC)) != 0) {
                fprintf(stderr, "kill_at: not permitted to trace\n");
                return 77;
        }
        ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
        for (;;) {
                look_at_signals(&c);
                if (wants_kill)
                        kill(pid, SIGKILL);
                thread = waitpid(-1, &status, __WALL);
                if (thread < 0 && errno == EINTR)
                        continue;
                if (thread < 0)
                        return 1;
                if (thread == pid && (WIFEXITED(status) || WIFSIGNALED(status))) {
                        fprintf(stderr, "kill_at: ended %d\n",
                                WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
                        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
                }
                if (!WIFSTOPPED(status))
                        continue;
                if (WSTOPSIG(status) == (SIGTRAP | 0x80) && on_call(&c, thread)) {
                        kill(pid, SIGKILL);
                        continue;
                }
                ptrace(PTRACE_SYSCALL, thread, NULL, (void *)(intptr_t)signal_of(status));
        }
}
