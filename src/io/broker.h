/*
 * io/broker.h - a network of our own without any privilege: a child process in a private user and network namespace, with the
 * kernel's own TCP/IP stack, a TUN device whose packets are ours, and sockets it hands out.
 *
 * Does:   makes the namespaces and the device, sets up addresses, routes and MTU in there, opens sockets, starts programs.
 * Not:    what the packets are (mesh), DNS of the programs it starts: they see this host's.
 * Thread: any one; calls wait for the child's answer (microseconds). To be started before the process has threads.
 *
 * The child ends with the broker, and the namespace with the last process or socket in it. Source: user_namespaces(7).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/str.h"

enum { BROKER_ARGUMENTS_BYTES_MAX = 16 * 1024 };

struct broker;

/* Why it could not be: for people, what is missing and what to do. */
enum broker_lack {
        BROKER_LACKS_NOTHING,
        BROKER_LACKS_NAMESPACES, /* the system or a container's rules forbid user namespaces */
        BROKER_LACKS_DEVICE,     /* there is no /dev/net/tun */
        BROKER_LACKS_DEVICE_PERMISSION,
        BROKER_LACKS_MEMORY, /* or processes, or descriptors */
};
const char *broker_lack_text(enum broker_lack lack);

/* `device` names the TUN device inside. ERR_UNSUPPORTED, and *lack says why; ERR_MALFORMED: no device name. */
MUST_USE enum err broker_start(struct str device, struct broker **out, enum broker_lack *lack);
void broker_stop(struct broker *b); /* stop(NULL) is fine */

int broker_take_tun(struct broker *b); /* gives the device's descriptor, once */

/* Inside. Errors as of netif.h. */
MUST_USE enum err broker_add_address(struct broker *b, const struct ip_prefix *address);
MUST_USE enum err broker_add_route(struct broker *b, const struct ip_prefix *to); /* through the device */
MUST_USE enum err broker_set_mtu(struct broker *b, uint32_t mtu);
MUST_USE enum err broker_set_up(struct broker *b);

/* A non-blocking, close-on-exec socket of the private network, as socket(2). Gives *fd. */
MUST_USE enum err broker_socket(struct broker *b, int family, int type, int protocol, int *fd);

/* No program is started in there any more, whoever asks: for one who speaks with strangers from here on. */
void broker_forbid_programs(struct broker *b);

/* Are there TCP connections in there that still have something to say or to hear, whoever made them? */
bool broker_has_connections(struct broker *b);

/*
 * Starts a program in there, with our standard input and outputs. Gives *fd, from which one byte can be read when it has ended: its
 * exit code (127: it could not be started; 128 and more: a signal ended it). ERR_TOO_LARGE: more arguments than fit. ERR_DENIED:
 * broker_forbid_programs.
 */
MUST_USE enum err broker_spawn(struct broker *b, const struct str *arguments, size_t arguments_count,
                               int *fd);
