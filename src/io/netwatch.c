#include "io/netwatch.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGES_BYTES = 8192 };

/* All that waits is taken: one word stands for it. An overrun (ENOBUFS) is news, too. */
static void on_news(struct watch *watch, unsigned events)
{
        struct netwatch *w = CONTAINER_OF(watch, struct netwatch, watch);
        char messages[MESSAGES_BYTES];
        bool is_news = false;

        for (;;) {
                ssize_t n = recv(watch->fd, messages, sizeof(messages), MSG_DONTWAIT);

                if (n <= 0 && errno != ENOBUFS && errno != EINTR)
                        break;
                is_news = true;
        }
        if (is_news)
                w->fn(w);
}

enum err netwatch_start(struct netwatch *w, struct loop *l, netwatch_fn *fn)
{
        struct sockaddr_nl groups = { .nl_family = AF_NETLINK,
                                      .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR };
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
        enum err e = ERR_IO;

        *w = (struct netwatch){ .fn = fn, .loop = l, .watch = { .fd = -1 } };
        if (fd < 0)
                return errno == EACCES || errno == EPERM ? ERR_DENIED : ERR_IO;
        if (bind(fd, (const struct sockaddr *)&groups, sizeof(groups)) != 0 ||
            (e = loop_add(l, &w->watch, fd, on_news)) != ERR_OK) {
                w->watch.fd = -1;
                close(fd);
                return e;
        }
        return ERR_OK;
}

void netwatch_stop(struct netwatch *w)
{
        int fd = w->watch.fd;

        if (!w->loop || fd < 0)
                return;
        loop_remove(w->loop, &w->watch);
        close(fd);
        w->watch.fd = -1;
}
