/*
 * io/address_priv.h - the kernel's socket addresses and ours.
 */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/ip.h"

union address {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
};

/* Family 0 and port 0 for what is not IP. `port` may be NULL. */
struct ip address_ip(const union address *a, uint16_t *port);

/* Returns the length. `ip` has a family. */
socklen_t address_of_ip(union address *a, struct ip ip, uint16_t port);

/* ERR_TOO_LARGE for a path longer than the kernel takes (107 bytes), ERR_MALFORMED for an empty one or a NUL in it. */
MUST_USE
enum err address_of_path(union address *a, struct str path, socklen_t *len_out);
