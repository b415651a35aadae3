/*
 * io/netwatch.h - tells when addresses of this host come and go. Source: rtnetlink(7), RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR.
 *
 * What changed is not said: whoever hears it looks at all of them (io/netif.h). Needs no privilege. Thread: the loop's.
 */
#pragma once

#include "io/loop.h"

struct netwatch;
typedef void netwatch_fn(struct netwatch *w);

/* Embedded in its owner. */
struct netwatch {
        netwatch_fn *fn;
        /* private */
        struct loop *loop;
        struct watch watch;
};

/* ERR_DENIED, ERR_NO_MEMORY, ERR_IO: nothing will be told, and netwatch_stop is fine. */
MUST_USE enum err netwatch_start(struct netwatch *w, struct loop *l, netwatch_fn *fn);
void netwatch_stop(struct netwatch *w);
