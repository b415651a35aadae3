#include "io/process.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../test.h"

static void counts_the_cpus_it_may_use(void **state)
{
        cpu_set_t old, one;

        assert_int_equal(sched_getaffinity(0, sizeof(old), &old), 0);
        assert_int_equal(process_cpus(), CPU_COUNT(&old));
        CPU_ZERO(&one);
        for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
                if (CPU_ISSET(cpu, &old)) {
                        CPU_SET(cpu, &one);
                        break;
                }
        assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
        assert_int_equal(process_cpus(), 1);
        assert_int_equal(sched_setaffinity(0, sizeof(old), &old), 0);
}

static void reads_the_wall_clock(void **state)
{
        time_t before = time(NULL);
        unix_ms now = process_wall_ms();

        assert_true(now / 1000 >= before && now / 1000 <= time(NULL));
}

static void raises_the_limit_to_the_hard_one(void **state)
{
        struct rlimit limit;

        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = 64;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_int_equal(process_raise_fd_limit(), limit.rlim_max);
        getrlimit(RLIMIT_NOFILE, &limit);
        assert_int_equal(limit.rlim_cur, limit.rlim_max);
}

static void notifies_where_it_is_asked_to(void **state)
{
        char folder[] = "/tmp/notify.XXXXXX", path[64], got[64];
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        process_notify("READY=1"); /* nobody asked: nothing happens */
        assert_non_null(mkdtemp(folder));
        snprintf(path, sizeof(path), "%s/socket", folder);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        setenv("NOTIFY_SOCKET", path, 1);
        process_notify("READY=1");
        unsetenv("NOTIFY_SOCKET");
        ssize_t n = recv(fd, got, sizeof(got), MSG_DONTWAIT);
        assert_int_equal(n, 7);
        assert_memory_equal(got, "READY=1", 7);
        close(fd);
        unlink(path);
        rmdir(folder);
}

static void knows_its_user(void **state)
{
        char name[PROCESS_USER_TEXT_MAX];
        int status;
        pid_t child;

        process_user(name);
        assert_true(strlen(name) > 0);
        if (geteuid() != 0)
                return;
        assert_string_equal(name, "root");
        child = fork();
        if (child == 0)
                _exit(setresuid(987654, 987654, 987654) == 0 && strcmp(process_user(name), "987654") == 0
                              ? 0
                              : 1);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(WEXITSTATUS(status), 0); /* one without a name is a number */
}

static void forbids_dumps(void **state)
{
        int status;
        pid_t child = fork();

        if (child == 0) {
                struct rlimit core;
                process_forbid_dumps();
                getrlimit(RLIMIT_CORE, &core);
                _exit(prctl(PR_GET_DUMPABLE) == 0 && core.rlim_cur == 0 && core.rlim_max == 0 ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(counts_the_cpus_it_may_use),
                cmocka_unit_test(reads_the_wall_clock),
                cmocka_unit_test(raises_the_limit_to_the_hard_one),
                cmocka_unit_test(notifies_where_it_is_asked_to),
                cmocka_unit_test(knows_its_user),
                cmocka_unit_test(forbids_dumps),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
