#include "io/service.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "io/process.h"

enum { FIRST_FD = 3 };

void service_say(const char *format, ...)
{
        char words[SERVICE_WORDS_BYTES_MAX];
        va_list args;

        va_start(args, format);
        vsnprintf(words, sizeof(words), format, args);
        va_end(args);
        process_notify(words);
}

void service_say_reloading(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        service_say("RELOADING=1\nMONOTONIC_USEC=%lld",
                    (long long)now.tv_sec * 1000000 + (long long)now.tv_nsec / 1000);
}

/* A number in the environment; 0 when it is not one, or not there. */
static uint64_t number_of(const char *name)
{
        const char *text = getenv(name);
        uint64_t value;

        return text && units_parse_u64(str_of(text), UINT64_MAX, &value) == ERR_OK ? value : 0;
}

/* Meant for us, not for a parent that was started with the same environment? */
static bool is_ours(const char *name)
{
        return number_of(name) == (uint64_t)getpid();
}

int64_t service_watchdog_ms(void)
{
        uint64_t wanted_us = number_of("WATCHDOG_USEC");

        if (wanted_us == 0 || (getenv("WATCHDOG_PID") && !is_ours("WATCHDOG_PID")))
                return 0;
        return (int64_t)MAX(MIN(wanted_us / 2000, (uint64_t)3600 * 1000), (uint64_t)1);
}

void service_say_alive(void)
{
        process_notify("WATCHDOG=1");
}

static struct str next_name(struct str *names)
{
        size_t colon = str_find_char(*names, ':');
        struct str name = str_sub(*names, 0, colon == STR_NONE ? names->len : colon);

        *names = colon == STR_NONE ? STR_NULL : str_from(*names, colon + 1);
        return name;
}

static bool socket_take(int fd, struct str name, struct service_socket *out)
{
        int flags = fcntl(fd, F_GETFL);

        *out = (struct service_socket){ .fd = fd };
        if (flags < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
            listen_socket_address(fd, &out->address, out->place) != ERR_OK) {
                close(fd);
                return false;
        }
        snprintf(out->name, sizeof(out->name), "%.*s", STR_FMT(name));
        return true;
}

size_t service_sockets_take(struct service_socket out[SERVICE_SOCKETS_MAX])
{
        const char *listed = getenv("LISTEN_FDNAMES");
        char *copy = listed ? strdup(listed) : NULL;
        struct str names = copy ? str_of(copy) : STR_NULL;
        uint64_t wanted = is_ours("LISTEN_PID") ? number_of("LISTEN_FDS") : 0;
        size_t count = 0;

        for (uint64_t i = 0; i < MIN(wanted, (uint64_t)SERVICE_SOCKETS_MAX); i++) {
                struct str name = next_name(&names);
                if (socket_take(FIRST_FD + (int)i, name, &out[count])) {
                        if (out[count].address.ip.family == 0)
                                out[count].address.path = str_of(out[count].place);
                        count++;
                }
        }
        free(copy);
        unsetenv("LISTEN_PID");
        unsetenv("LISTEN_FDS");
        unsetenv("LISTEN_FDNAMES");
        return count;
}
