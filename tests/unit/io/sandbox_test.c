#include "io/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../test.h"
#include "io/sandbox_priv.h"

static pid_t the_parent; /* known before the fence: asking is refused too */

/* Each gives the call's result. They run in a child that closed itself in. */
static long opens_a_file(void)
{
        return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}
static long makes_a_file(void)
{
        return open("/tmp/sandbox.made", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}
static long lists_a_folder(void)
{
        return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}
static long removes_a_file(void)
{
        return unlink("/etc/passwd.none") < 0 && errno == ENOENT
                       ? syscall(SYS_mkdirat, AT_FDCWD, "/tmp/sandbox.dir", 0700)
                       : -1;
}
static long changes_a_mode(void)
{
        return chmod("/tmp", 0700);
}
static long runs_a_program(void)
{
        char *none[] = { NULL };
        return execve("/bin/true", none, none);
}
static long forks(void)
{
        return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}
static long traces_its_parent(void)
{
        return ptrace(PTRACE_ATTACH, the_parent, NULL, NULL);
}
static long asks_to_be_traced(void)
{
        return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}
static long reads_its_parents_memory(void)
{
        char byte;
        struct iovec here = { &byte, 1 }, there = { &byte, 1 };
        return process_vm_readv(the_parent, &here, 1, &there, 1, 0);
}
static long signals_its_parent(void)
{
        return kill(the_parent, 0);
}
static long signals_its_parents_thread(void)
{
        return syscall(SYS_tgkill, the_parent, the_parent, 0);
}
static long opens_a_raw_socket(void)
{
        return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}
static long opens_a_packet_socket(void)
{
        return socket(AF_PACKET, SOCK_DGRAM, 0);
}
static long opens_a_netlink_socket(void)
{
        return socket(AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE);
}
static long listens(void)
{
        struct sockaddr_in in = { .sin_family = AF_INET };
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        return bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0 ? listen(fd, 1) : -1;
}
static long takes_a_source_address(void)
{
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        return bind(fd, (struct sockaddr *)&in, sizeof(in));
}
static long makes_code(void)
{
        return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1
                                                                                                         : 0;
}
static long turns_data_into_code(void)
{
        void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return mprotect(p, 4096, PROT_READ | PROT_EXEC);
}
static long leaves_its_namespace(void)
{
        return unshare(CLONE_NEWUSER);
}
static long loads_bpf(void)
{
        return syscall(SYS_bpf, 0, NULL, 0);
}
static long goes_round_by_io_uring(void)
{
        return syscall(SYS_io_uring_setup, 8, NULL);
}
static long becomes_another(void)
{
        return setresuid(0, 0, 0);
}
static long takes_keys(void)
{
        return syscall(SYS_keyctl, 0, -3, 1);
}
static long undoes_its_limits(void)
{
        return prctl(PR_SET_DUMPABLE, 1);
}
static long opens_a_stream(void)
{
        return socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}
static long asks_a_name_server(void)
{
        return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}
static long takes_memory(void)
{
        char *p = malloc(1 << 20);
        if (!p)
                return -1;
        p[1 << 19] = 1;
        free(p);
        return 0;
}
static long makes_a_memory_file(void)
{
        return (long)memfd_create("x", MFD_CLOEXEC);
}
static long waits(void)
{
        struct epoll_event event;
        return epoll_wait(epoll_create1(EPOLL_CLOEXEC), &event, 1, 1);
}

/* Folders of the test's own: `mine` may be written to, `beside` be read. */
static char mine[64], beside[64];

static int open_in(const char *folder, const char *name, int flags)
{
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", folder, name);
        return open(path, flags | O_CLOEXEC, 0600);
}
static long reads_within_reach(void)
{
        return open_in(mine, "file", O_RDONLY);
}
static long writes_within_reach(void)
{
        char from[128], to[128];
        int fd = open_in(mine, "new", O_RDWR | O_CREAT | O_TRUNC);

        snprintf(from, sizeof(from), "%s/new", mine);
        snprintf(to, sizeof(to), "%s/newer", mine);
        return fd < 0 || write(fd, "x", 1) != 1 || fsync(fd) != 0 || rename(from, to) != 0 ? -1 : unlink(to);
}
static long reads_beside(void)
{
        return open_in(beside, "file", O_RDONLY);
}
static long writes_beside(void)
{
        return open_in(beside, "file", O_WRONLY);
}
static long follows_a_link(void)
{
        return open_in(mine, "link", O_RDONLY); /* to /etc/passwd */
}
static long clones_anew(void)
{
        struct clone_args {
                uint64_t fields[11];
        } args = { .fields = { [4] = SIGCHLD } };
        long pid = syscall(SYS_clone3, &args, sizeof(args));

        if (pid < 0 && errno == ENOSYS)
                errno = EPERM;
        return pid;
}
static void *nothing(void *context)
{
        return context;
}
static long makes_a_thread(void)
{
        pthread_t thread;

        errno = pthread_create(&thread, NULL, nothing, NULL);
        return errno ? -1 : pthread_join(thread, NULL);
}

enum wanted { WORKS, REFUSED };

static const struct {
        const char *why;
        long (*call)(void);
        enum wanted worker, keys, node, control;
} cases[] = {
        { "reading a file", opens_a_file, REFUSED, REFUSED, REFUSED, REFUSED },
        { "making a file", makes_a_file, REFUSED, REFUSED, REFUSED, REFUSED },
        { "listing a folder", lists_a_folder, REFUSED, REFUSED, REFUSED, REFUSED },
        { "removing a file", removes_a_file, REFUSED, REFUSED, REFUSED, REFUSED },
        { "changing a mode", changes_a_mode, REFUSED, REFUSED, REFUSED, REFUSED },
        { "execve", runs_a_program, REFUSED, REFUSED, REFUSED, REFUSED },
        { "fork", forks, REFUSED, REFUSED, REFUSED, REFUSED },
        { "ptrace of the supervisor", traces_its_parent, REFUSED, REFUSED, REFUSED, REFUSED },
        { "ptrace by the supervisor's user", asks_to_be_traced, REFUSED, REFUSED, REFUSED, REFUSED },
        { "memory of the supervisor", reads_its_parents_memory, REFUSED, REFUSED, REFUSED, REFUSED },
        { "kill", signals_its_parent, REFUSED, REFUSED, REFUSED, REFUSED },
        { "tgkill of another", signals_its_parents_thread, REFUSED, REFUSED, REFUSED, REFUSED },
        { "raw socket", opens_a_raw_socket, REFUSED, REFUSED, REFUSED, REFUSED },
        { "packet socket", opens_a_packet_socket, REFUSED, REFUSED, REFUSED, REFUSED },
        { "netlink", opens_a_netlink_socket, REFUSED, REFUSED, WORKS, WORKS },
        { "a source address", takes_a_source_address, REFUSED, REFUSED, WORKS, WORKS },
        { "a listener of its own", listens, REFUSED, REFUSED, REFUSED, REFUSED },
        { "executable memory", makes_code, REFUSED, REFUSED, REFUSED, REFUSED },
        { "data made executable", turns_data_into_code, REFUSED, REFUSED, REFUSED, REFUSED },
        { "user namespace", leaves_its_namespace, REFUSED, REFUSED, REFUSED, REFUSED },
        { "bpf", loads_bpf, REFUSED, REFUSED, REFUSED, REFUSED },
        { "io_uring", goes_round_by_io_uring, REFUSED, REFUSED, REFUSED, REFUSED },
        { "setresuid", becomes_another, REFUSED, REFUSED, REFUSED, REFUSED },
        { "the kernel's keyring", takes_keys, REFUSED, REFUSED, REFUSED, REFUSED },
        { "prctl", undoes_its_limits, REFUSED, REFUSED, REFUSED, REFUSED },
        { "reading within reach", reads_within_reach, REFUSED, REFUSED, WORKS, WORKS },
        { "writing within reach", writes_within_reach, REFUSED, REFUSED, WORKS, WORKS },
        { "reading in a folder that is read only", reads_beside, REFUSED, REFUSED, WORKS, WORKS },
        { "writing in a folder that is read only", writes_beside, REFUSED, REFUSED, REFUSED, REFUSED },
        { "a link out of its folder", follows_a_link, REFUSED, REFUSED, REFUSED, REFUSED },
        { "a second process by clone3", clones_anew, REFUSED, REFUSED, REFUSED, REFUSED },
        { "a thread", makes_a_thread, REFUSED, REFUSED, REFUSED, WORKS },
        { "a stream to an upstream", opens_a_stream, WORKS, REFUSED, WORKS, WORKS },
        { "a datagram to a name server", asks_a_name_server, WORKS, REFUSED, WORKS, WORKS },
        { "memory", takes_memory, WORKS, WORKS, WORKS, WORKS },
        { "a bundle", makes_a_memory_file, WORKS, REFUSED, WORKS, WORKS },
};

static const struct sandbox_paths *paths_of(enum sandbox_role role)
{
        static struct sandbox_paths paths;

        if (role == SANDBOX_WORKER || role == SANDBOX_KEYS)
                return NULL;
        paths.count = 0;
        sandbox_paths_add(&paths, str_of(mine), true);
        sandbox_paths_add(&paths, str_of(beside), false);
        sandbox_paths_add(&paths, STR("/no/such/folder"), true);
        return &paths;
}

/* How the child ended: its wait status; what it wrote on stderr in `said`. */
static int in_sandbox(enum sandbox_role role, long (*call)(void), char said[512])
{
        const struct sandbox_user same = { 0 };
        int pipes[2], status;
        size_t got = 0;
        ssize_t n;

        the_parent = getpid();
        assert_int_equal(pipe(pipes), 0);
        pid_t child = fork();
        if (child == 0) {
                struct sandbox s;
                dup2(pipes[1], STDERR_FILENO);
                if (role == SANDBOX_CONTROL && makes_a_thread() != 0) /* it has had some */
                        _exit(77);
                if (sandbox_fence(role, &same, paths_of(role), &s) != ERR_OK || !s.has_no_privileges)
                        _exit(77);
                sandbox_filter(role, &s);
                if (!s.has_filter)
                        _exit(77);
                errno = 0;
                if (call() >= 0)
                        _exit(0);
                _exit(errno == EACCES || errno == EPERM ? 1 : 78);
        }
        close(pipes[1]);
        while (got < 511 && (n = read(pipes[0], said + got, 511 - got)) > 0)
                got += (size_t)n;
        said[got] = '\0';
        close(pipes[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        return status;
}

static void check(enum sandbox_role role, size_t i, enum wanted wanted)
{
        char said[512];
        int status = in_sandbox(role, cases[i].call, said);
        bool refused = (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) ||
                       (WIFEXITED(status) && WEXITSTATUS(status) == 1);
        bool worked = WIFEXITED(status) && WEXITSTATUS(status) == 0;

        if (wanted == WORKS ? !worked : !refused)
                fail_msg("role %d, %s: status %x, said %s", (int)role, cases[i].why, (unsigned)status, said);
        if (WIFSIGNALED(status) && !strstr(said, "\"event\":\"call_refused\",\"call\":\""))
                fail_msg("%s: the call was not named: %s", cases[i].why, said);
}

static void folders_make(void)
{
        char path[128];
        int fd;

        snprintf(mine, sizeof(mine), "/tmp/sandbox-mine.XXXXXX");
        snprintf(beside, sizeof(beside), "/tmp/sandbox-beside.XXXXXX");
        assert_non_null(mkdtemp(mine));
        assert_non_null(mkdtemp(beside));
        for (int i = 0; i < 2; i++) {
                assert_true((fd = open_in(i ? mine : beside, "file", O_RDWR | O_CREAT)) >= 0);
                close(fd);
        }
        snprintf(path, sizeof(path), "%s/link", mine);
        assert_int_equal(symlink("/etc/passwd", path), 0);
}

static void folders_remove(void)
{
        static const char *const names[] = { "file", "link" };
        char path[128];

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                snprintf(path, sizeof(path), "%s/%s", mine, names[i]);
                unlink(path);
                snprintf(path, sizeof(path), "%s/%s", beside, names[i]);
                unlink(path);
        }
        assert_int_equal(rmdir(mine), 0);
        assert_int_equal(rmdir(beside), 0);
}

static void a_worker_may_do_this_much(void **state)
{
        folders_make();
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (!SANDBOX_IS_SANITIZED ||
                    cases[i].call != makes_a_thread) /* which it makes with signals blocked */
                        check(SANDBOX_WORKER, i, cases[i].worker);
        char said[512];
        assert_int_equal(in_sandbox(SANDBOX_WORKER, waits, said), 0);
        folders_remove();
}

static void a_key_holder_may_do_less(void **state)
{
        folders_make();
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (!SANDBOX_IS_SANITIZED ||
                    cases[i].call != makes_a_thread) /* which it makes with signals blocked */
                        check(SANDBOX_KEYS, i, cases[i].keys);
        folders_remove();
}

/* With a sanitizer both may do more: it traces threads for its reports. */
static const struct {
        long (*call)(void);
} needs_no_sanitizer[] = { { forks },          { undoes_its_limits }, { clones_anew },
                           { makes_a_thread }, { traces_its_parent }, { asks_to_be_traced } };

static bool is_left_out(long (*call)(void))
{
        for (size_t i = 0; SANDBOX_IS_SANITIZED && i < ARRAY_SIZE(needs_no_sanitizer); i++)
                if (needs_no_sanitizer[i].call == call)
                        return true;
        return false;
}

static void a_node_has_its_folders(void **state)
{
        char said[512];

        folders_make();
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (!is_left_out(cases[i].call)) {
                        check(SANDBOX_NODE, i, cases[i].node);
                        check(SANDBOX_CONTROL, i, cases[i].control);
                }
        assert_int_equal(in_sandbox(SANDBOX_NODE, waits, said), 0);
        assert_int_equal(in_sandbox(SANDBOX_CONTROL, waits, said), 0);
        folders_remove();
}

static void *reads_passwd(void *go)
{
        char byte;

        if (read(*(int *)go, &byte, 1) != 1)
                return (void *)1;
        return (void *)(intptr_t)(open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES ? 0 : 2);
}

/* A thread that was there before the filter has it too, and the fence it was born behind. */
static void threads_are_closed_in_together(void **state)
{
        int status;
        pid_t child = fork();

        if (child == 0) {
                struct sandbox s;
                struct sandbox_paths none = { 0 };
                const struct sandbox_user same = { 0 };
                pthread_t thread;
                void *result;
                int go[2];

                if (pipe(go) != 0 || sandbox_fence(SANDBOX_CONTROL, &same, &none, &s) != ERR_OK ||
                    pthread_create(&thread, NULL, reads_passwd, &go[0]) != 0)
                        _exit(77);
                sandbox_filter(SANDBOX_CONTROL, &s);
                if (!s.has_filter || write(go[1], "x", 1) != 1 || pthread_join(thread, &result) != 0)
                        _exit(78);
                _exit(s.landlock ? (int)(intptr_t)result : 0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

static void the_call_is_named(void **state)
{
        char said[512];
        int status = in_sandbox(SANDBOX_WORKER, traces_its_parent, said);

        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
        if (!strstr(said, "\"call\":\"ptrace\""))
                fail_msg("%s", said);
}

/* The fence of files holds without the filter too. */
static void landlock_alone_keeps_files_away(void **state)
{
        int status;
        pid_t child = fork();

        if (child == 0) {
                prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                if (landlock_enter(SANDBOX_WORKER, NULL) == 0)
                        _exit(50);
                if (open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES)
                        _exit(1);
                if (open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0 ||
                    mkdir("/tmp/sandbox.dir", 0700) == 0)
                        _exit(2);
                _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 50)
                leave_out("a kernel without Landlock");
        assert_int_equal(WEXITSTATUS(status), 0);
}

static void line_of(pid_t pid, const char *name, char out[128])
{
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        FILE *f = fopen(path, "r");
        assert_non_null(f);
        while (fgets(out, 128, f))
                if (strncmp(out, name, strlen(name)) == 0)
                        break;
        fclose(f);
}

static void the_user_changes_and_capabilities_go(void **state)
{
        static const struct {
                const char *name, *wanted;
        } lines[] = {
                { "Uid:", "Uid:\t65534\t65534\t65534\t65534\n" },
                { "Gid:", "Gid:\t65534\t65534\t65534\t65534\n" },
                { "Groups:", "Groups:\t \n" },
                { "CapEff:", "CapEff:\t0000000000000000\n" },
                { "CapPrm:", "CapPrm:\t0000000000000000\n" },
                { "CapInh:", "CapInh:\t0000000000000000\n" },
                { "CapBnd:", "CapBnd:\t0000000000000000\n" },
                { "CapAmb:", "CapAmb:\t0000000000000000\n" },
                { "NoNewPrivs:", "NoNewPrivs:\t1\n" },
                { "Seccomp:", "Seccomp:\t2\n" },
        };
        const struct sandbox_user nobody = { true, 65534, 65534 };
        int pipes[2], status;
        char byte, line[128];

        if (geteuid() != 0)
                leave_out("needs root, to have a user to leave");
        assert_int_equal(pipe(pipes), 0);
        pid_t child = fork();
        if (child == 0) {
                struct sandbox s;
                bool ok = sandbox_enter(SANDBOX_WORKER, &nobody, &s) == ERR_OK && s.has_new_user &&
                          s.uid == 65534 && s.has_no_capabilities && s.has_no_dumps;
                if (write(pipes[1], ok ? "y" : "n", 1) == 1)
                        for (;;)
                                usleep(1000);
                _exit(1);
        }
        assert_int_equal(read(pipes[0], &byte, 1), 1);
        assert_int_equal(byte, 'y');
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                line_of(child, lines[i].name, line);
                assert_string_equal(line, lines[i].wanted);
        }
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        close(pipes[0]);
        close(pipes[1]);
}

static void users_are_found_by_name(void **state)
{
        struct sandbox_user user;

        assert_int_equal(sandbox_user_find("root", &user), ERR_OK);
        assert_true(user.is_set && user.uid == 0);
        assert_int_equal(sandbox_user_find("nobody-has-this-name", &user), ERR_NOT_FOUND);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_worker_may_do_this_much),
                cmocka_unit_test(a_key_holder_may_do_less),
                cmocka_unit_test(a_node_has_its_folders),
                cmocka_unit_test(threads_are_closed_in_together),
                cmocka_unit_test(the_call_is_named),
                cmocka_unit_test(landlock_alone_keeps_files_away),
                cmocka_unit_test(the_user_changes_and_capabilities_go),
                cmocka_unit_test(users_are_found_by_name),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
