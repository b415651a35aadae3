/*
 * io/service.h - what a service manager hands us and hears from us (systemd's protocols, without its library).
 *
 * Words go as datagrams to the socket NOTIFY_SOCKET names (sd_notify(3)); sockets it opened for us begin at descriptor 3,
 * counted by LISTEN_FDS and named by LISTEN_FDNAMES (sd_listen_fds(3)). Where there is no manager, nothing happens.
 */
#pragma once

#include "base/clock.h"
#include "io/listener.h"

enum { SERVICE_SOCKETS_MAX = 64, SERVICE_NAME_BYTES_MAX = 64, SERVICE_WORDS_BYTES_MAX = 512 };

struct service_socket {
        int fd; /* close-on-exec, non-blocking */
        char name[SERVICE_NAME_BYTES_MAX];
        struct listen_address address; /* what it is bound to; `path` points to `place` */
        char place[108];
};

/* Words of sd_notify(3), a line each, as printf makes them: "READY=1\nSTATUS=%s". */
__attribute__((format(printf, 1, 2))) void service_say(const char *format, ...);
void service_say_reloading(void); /* with the clock the protocol asks for */

/* How often the manager wants to hear from us (half of what it asks for); 0: never. */
int64_t service_watchdog_ms(void);
void service_say_alive(void);

/* Listening stream sockets the manager opened. Once a process: the variables are removed, so that no child takes them
 * again. Gives how many were put into `out`; others are closed. */
size_t service_sockets_take(struct service_socket out[SERVICE_SOCKETS_MAX]);
