#include "io/signals.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int watched[] = { SIGHUP, SIGINT, SIGTERM, SIGCHLD, SIGUSR1, SIGUSR2 };

static void watched_set(sigset_t *set)
{
        sigemptyset(set);
        for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
                sigaddset(set, watched[i]);
}

static void on_signal(struct watch *w, unsigned events)
{
        struct signals *s = CONTAINER_OF(w, struct signals, watch);
        struct signalfd_siginfo info;

        while (read(s->watch.fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
                s->fn(s, (int)info.ssi_signo);
}

enum err signals_open(struct signals *s, struct loop *l, signals_fn *fn)
{
        sigset_t set;
        enum err e;

        *s = (struct signals){ .fn = fn, .loop = l, .watch = { .fd = -1 } };
        watched_set(&set);
        signal(SIGPIPE, SIG_IGN);
        if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
                return err_from_errno(errno);
        int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
        if (fd < 0)
                return err_from_errno(errno);
        if ((e = loop_add(l, &s->watch, fd, on_signal)) != ERR_OK)
                close(fd);
        return e;
}

void signals_close(struct signals *s)
{
        sigset_t set;
        int fd = s->watch.fd;

        loop_remove(s->loop, &s->watch);
        close(fd);
        watched_set(&set);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
}

void signals_leave_to_parent(void)
{
        sigset_t set;

        signal(SIGHUP, SIG_IGN);
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        watched_set(&set);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
}
