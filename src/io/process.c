#include "io/process.h"

#include <pwd.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "io/file.h"

enum { ARGUMENTS_MAX = 64 };

unsigned process_cpus(void)
{
        cpu_set_t set;

        if (sched_getaffinity(0, sizeof(set), &set) != 0)
                return 1;
        int count = CPU_COUNT(&set);
        return count > 0 ? (unsigned)count : 1;
}

unix_ms process_wall_ms(void)
{
        struct timespec t;

        clock_gettime(CLOCK_REALTIME, &t);
        return (unix_ms)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool process_arguments(struct buf *out)
{
        return file_read("/proc/self/cmdline", out) == ERR_OK && out->len > 0;
}

bool process_program(char *out, size_t bytes)
{
        ssize_t n = readlink("/proc/self/exe", out, bytes);

        if (n <= 0 || (size_t)n >= bytes)
                return false;
        out[n] = '\0';
        return true;
}

void process_become(const char *program, struct str arguments)
{
        char *argv[ARGUMENTS_MAX + 1];
        size_t argc = 0;

        for (struct str rest = arguments; rest.len && argc < ARGUMENTS_MAX;) {
                size_t len = strnlen(rest.ptr, rest.len);

                argv[argc++] = (char *)(uintptr_t)rest.ptr;
                rest = str_from(rest, MIN(len + 1, rest.len));
        }
        argv[argc] = NULL;
        execv(program, argv);
}

uint64_t process_raise_fd_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
                return 0;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0)
                return 0;
        return limit.rlim_cur;
}

uint64_t process_fd_limit(void)
{
        struct rlimit limit;

        return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

const char *process_user(char out[PROCESS_USER_TEXT_MAX])
{
        char names[1024];
        struct passwd record, *found = NULL;

        if (getpwuid_r(geteuid(), &record, names, sizeof(names), &found) == 0 && found)
                snprintf(out, PROCESS_USER_TEXT_MAX, "%s", found->pw_name);
        else
                snprintf(out, PROCESS_USER_TEXT_MAX, "%u", (unsigned)geteuid());
        return out;
}

void process_forbid_dumps(void)
{
        struct rlimit none = { 0 };

        setrlimit(RLIMIT_CORE, &none);
        prctl(PR_SET_DUMPABLE, 0);
}

void process_notify(const char *state)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        const char *path = getenv("NOTIFY_SOCKET");
        size_t len = path ? strlen(path) : 0;

        if (len < 2 || len >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
                return;
        memcpy(address.sun_path, path, len);
        if (path[0] == '@') /* an abstract name begins with NUL */
                address.sun_path[0] = '\0';
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return;
        sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
        close(fd);
}
