#include "io/service.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../test.h"

static int notify_socket(char path[64])
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        char folder[] = "/tmp/service.XXXXXX";
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        assert_non_null(mkdtemp(folder));
        snprintf(path, 64, "%s/notify", folder);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        return fd;
}

static void words_reach_the_manager(void **state)
{
        char path[64], got[600];
        int fd = notify_socket(path);

        setenv("NOTIFY_SOCKET", path, 1);
        service_say("READY=1\nSTATUS=%d workers", 4);
        ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
        assert_int_equal(n, 24);
        assert_memory_equal(got, "READY=1\nSTATUS=4 workers", 24);
        service_say_reloading();
        n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
        assert_true(n > 27);
        assert_memory_equal(got, "RELOADING=1\nMONOTONIC_USEC=", 27);
        service_say_alive();
        n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
        assert_int_equal(n, 10);
        assert_memory_equal(got, "WATCHDOG=1", 10);
        unsetenv("NOTIFY_SOCKET");
        close(fd);
        unlink(path);
        *strrchr(path, '/') = '\0';
        rmdir(path);
}

static void the_watchdog_is_asked_for_by_number_and_pid(void **state)
{
        static const struct {
                const char *why, *usec;
                int pid; /* 0: not said; 1: ours; 2: another's */
                int64_t ms;
        } cases[] = {
                { "not asked for", NULL, 0, 0 },
                { "half of what is asked for", "30000000", 0, 15000 },
                { "for us", "30000000", 1, 15000 },
                { "for another process", "30000000", 2, 0 },
                { "no number", "soon", 1, 0 },
                { "nothing", "0", 1, 0 },
                { "too short to be halved", "1", 1, 1 },
                { "over the bound", "18446744073709551615", 1, 3600 * 1000 },
        };
        char pid[32];

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                unsetenv("WATCHDOG_USEC");
                unsetenv("WATCHDOG_PID");
                if (cases[i].usec)
                        setenv("WATCHDOG_USEC", cases[i].usec, 1);
                snprintf(pid, sizeof(pid), "%d", cases[i].pid == 1 ? getpid() : getppid());
                if (cases[i].pid)
                        setenv("WATCHDOG_PID", pid, 1);
                if (service_watchdog_ms() != cases[i].ms)
                        fail_msg("%s", cases[i].why);
        }
        unsetenv("WATCHDOG_USEC");
        unsetenv("WATCHDOG_PID");
}

static int listening(void)
{
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        return bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0 && listen(fd, 8) == 0 ? fd : -1;
}

/* In a child, where descriptors 3 to 6 may be replaced: a listener, a pipe, a listener, nothing. */
static int takes_in_child(const char *pid_says)
{
        static struct service_socket out[SERVICE_SOCKETS_MAX];
        int a = listening(), b = listening(), pipes[2];
        char pid[32];

        if (a < 0 || b < 0 || pipe(pipes) != 0)
                return 10;
        a = fcntl(a, F_DUPFD, 20);
        b = fcntl(b, F_DUPFD, 20);
        int p = fcntl(pipes[0], F_DUPFD, 20);
        if (dup2(a, 3) != 3 || dup2(p, 4) != 4 || dup2(b, 5) != 5)
                return 11;
        close(6);
        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        setenv("LISTEN_PID", pid_says ? pid_says : pid, 1);
        setenv("LISTEN_FDS", "4", 1);
        setenv("LISTEN_FDNAMES", "web:pipe::late", 1);
        size_t count = service_sockets_take(out);
        if (getenv("LISTEN_FDS") || getenv("LISTEN_PID") || getenv("LISTEN_FDNAMES"))
                return 12;
        if (pid_says)
                return count == 0 ? 0 : 13;
        if (count != 2 || out[0].fd != 3 || strcmp(out[0].name, "web") != 0 || out[1].fd != 5 ||
            strcmp(out[1].name, "") != 0)
                return 14;
        if (out[0].address.ip.family != 4 || out[0].address.port == 0)
                return 15;
        if (!(fcntl(3, F_GETFD) & FD_CLOEXEC) || !(fcntl(3, F_GETFL) & O_NONBLOCK) || fcntl(4, F_GETFD) >= 0)
                return 16;
        return 0;
}

static void child_gives(const char *pid_says, int wanted)
{
        int status;
        pid_t child = fork();

        if (child == 0)
                _exit(takes_in_child(pid_says));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), wanted);
}

static void sockets_are_taken_once_and_by_name(void **state)
{
        child_gives(NULL, 0);
}

static void sockets_of_another_process_are_left(void **state)
{
        child_gives("1", 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(words_reach_the_manager),
                cmocka_unit_test(the_watchdog_is_asked_for_by_number_and_pid),
                cmocka_unit_test(sockets_are_taken_once_and_by_name),
                cmocka_unit_test(sockets_of_another_process_are_left),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
