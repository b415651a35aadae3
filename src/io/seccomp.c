#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <syscall_names.h> /* made by tools/syscall_names */
#include <unistd.h>

#include "io/sandbox_priv.h"

/*
 * Theory of operation. The table below is the whole of what a process may ask for; it was found by running the stories
 * under strace, on gcc's and clang's builds. Everything else raises SIGSYS, whose handler names the call on stderr and
 * lets the signal end the process. The handler cannot be changed afterwards: rt_sigaction is not in the table. Conditions
 * look at an argument's lower half, which is all the kernel looks at for those in the table.
 */

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

enum {
        CONTROL = 1 << SANDBOX_CONTROL,
        FILES = 1 << SANDBOX_NODE | CONTROL,
        WORKER = 1 << SANDBOX_WORKER | FILES,
        KEYS = 1 << SANDBOX_KEYS,
        BOTH = WORKER | KEYS,
        FILELESS = 1 << SANDBOX_WORKER | KEYS,
        VALUES_MAX = 12
};

/* (argument & mask) must be one of the values. */
struct condition {
        uint8_t argument, values_count;
        uint32_t mask;
        uint32_t values[VALUES_MAX];
};

struct rule {
        int number;
        unsigned roles;
        struct condition conditions[2]; /* values_count 0: none */
        uint16_t error; /* 0: allowed; else it fails with that, and the caller has another way */
};

/* clang-format off */
#define ALLOW(name, roles_) { .number = SYS_##name, .roles = (roles_) }
#define ALLOW_IF(name, roles_, ...) { .number = SYS_##name, .roles = (roles_), .conditions = { __VA_ARGS__ } }
#define FAILS(name, roles_, error_) { .number = SYS_##name, .roles = (roles_), .error = (error_) }
#define ONE_OF(argument_, mask_, ...) \
        { .argument = (argument_), .mask = (mask_), .values = { __VA_ARGS__ }, \
          .values_count = sizeof((uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t) }

static const struct rule rules[] = {
        /* each request */
        ALLOW(read, BOTH), ALLOW(write, BOTH), ALLOW(readv, BOTH), ALLOW(writev, BOTH),
        ALLOW(recvmsg, BOTH), ALLOW(sendmsg, BOTH), ALLOW(recvfrom, BOTH), ALLOW(sendto, BOTH),
        ALLOW(epoll_pwait, BOTH), ALLOW(epoll_ctl, BOTH), ALLOW(close, BOTH),
#ifdef SYS_epoll_wait
        ALLOW(epoll_wait, BOTH), ALLOW(poll, BOTH),
#endif
        ALLOW(accept4, WORKER), ALLOW(shutdown, BOTH), ALLOW(connect, WORKER),
        ALLOW(getsockopt, WORKER), ALLOW(setsockopt, WORKER), ALLOW(getsockname, WORKER), ALLOW(getpeername, WORKER),
        ALLOW_IF(socket, FILELESS & WORKER, ONE_OF(0, UINT32_MAX, AF_UNIX, AF_INET, AF_INET6), ONE_OF(1, 0xf, SOCK_STREAM, SOCK_DGRAM)),
        ALLOW_IF(fcntl, FILELESS, ONE_OF(1, UINT32_MAX, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, F_GET_SEALS, F_ADD_SEALS)),
        ALLOW_IF(ioctl, FILELESS & WORKER, ONE_OF(1, UINT32_MAX, FIONREAD, FIONBIO, TIOCOUTQ)),
        ALLOW_IF(ioctl, FILES, ONE_OF(1, UINT32_MAX, FIONREAD, FIONBIO, TIOCOUTQ, TCGETS, SIOCGIFINDEX, SIOCGIFNAME)),
        ALLOW_IF(socketpair, WORKER, ONE_OF(0, UINT32_MAX, AF_UNIX)), ALLOW(recvmmsg, WORKER), ALLOW(sendmmsg, WORKER), ALLOW(ppoll, BOTH), ALLOW(epoll_create1, WORKER),
        /* memory; nothing of it may be run */
        ALLOW_IF(mmap, BOTH, ONE_OF(2, PROT_EXEC, 0)), ALLOW_IF(mprotect, BOTH, ONE_OF(2, PROT_EXEC, 0)),
        ALLOW(munmap, BOTH), ALLOW(mremap, BOTH), ALLOW(brk, BOTH),
        ALLOW_IF(madvise, BOTH, ONE_OF(2, UINT32_MAX, MADV_DONTNEED, MADV_FREE, MADV_NOHUGEPAGE, MADV_HUGEPAGE,
                                       MADV_DONTDUMP, MADV_DODUMP, MADV_WIPEONFORK)),
        ALLOW_IF(futex, BOTH, ONE_OF(1, 0x7f, FUTEX_WAIT, FUTEX_WAKE, FUTEX_WAIT_BITSET, FUTEX_LOCK_PI, FUTEX_UNLOCK_PI,
                                     FUTEX_WAKE_BITSET)),
        /* bundles and spilled bodies: anonymous files, open ones */
        ALLOW(memfd_create, WORKER), ALLOW(fstat, BOTH), ALLOW(newfstatat, BOTH), ALLOW(lseek, BOTH), ALLOW(ftruncate, WORKER),
        ALLOW(pread64, BOTH), ALLOW(pwrite64, WORKER),
        /* time and chance */
        ALLOW(clock_gettime, BOTH), ALLOW(gettimeofday, BOTH), ALLOW(clock_nanosleep, BOTH), ALLOW(nanosleep, BOTH),
        ALLOW(getrandom, BOTH), ALLOW(sysinfo, BOTH), ALLOW(getrusage, BOTH), ALLOW(sched_yield, BOTH),
        /* itself */
        ALLOW_IF(prlimit64, BOTH, ONE_OF(0, UINT32_MAX, 0)), ALLOW(getpid, BOTH), ALLOW(gettid, BOTH), ALLOW(getuid, BOTH), ALLOW(geteuid, BOTH), ALLOW(getgid, BOTH),
        ALLOW(getegid, BOTH), ALLOW(rt_sigprocmask, BOTH), ALLOW(rt_sigreturn, BOTH), ALLOW(restart_syscall, BOTH),
        ALLOW(exit, BOTH), ALLOW(exit_group, BOTH),
        /* files in the folders that Landlock leaves them */
        ALLOW(openat, FILES), ALLOW(mkdirat, FILES), ALLOW(unlinkat, FILES), ALLOW(renameat, FILES), ALLOW(renameat2, FILES),
        ALLOW(linkat, FILES), ALLOW(readlinkat, FILES), ALLOW(faccessat, FILES), ALLOW(faccessat2, FILES), ALLOW(statx, FILES),
        ALLOW(getdents64, FILES), ALLOW(fsync, FILES), ALLOW(fdatasync, FILES), ALLOW(flock, FILES), ALLOW(fchmod, FILES),
        ALLOW(fchown, FILES), ALLOW(fallocate, FILES), ALLOW(statfs, FILES), ALLOW(fstatfs, FILES), ALLOW(getcwd, FILES), ALLOW(uname, FILES),
        ALLOW(umask, FILES), ALLOW(pwritev, FILES), ALLOW(preadv, FILES), ALLOW(dup, FILES), ALLOW(eventfd2, FILES),
        ALLOW_IF(fcntl, FILES, ONE_OF(1, UINT32_MAX, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, F_GET_SEALS, F_ADD_SEALS, F_GETLK,
                                      F_SETLK, F_SETLKW)),
#if !SANDBOX_IS_SANITIZED
        ALLOW_IF(prctl, FILES, ONE_OF(0, UINT32_MAX, PR_SET_NAME, PR_GET_DUMPABLE)),
        ALLOW_IF(clone, CONTROL, ONE_OF(0, CLONE_THREAD, CLONE_THREAD)),
#endif
#ifdef SYS_readlink
        ALLOW(readlink, FILES), ALLOW(open, FILES), ALLOW(stat, FILES), ALLOW(lstat, FILES), ALLOW(access, FILES), ALLOW(mkdir, FILES),
        ALLOW(unlink, FILES), ALLOW(rename, FILES), ALLOW(link, FILES), ALLOW(rmdir, FILES),
#endif
        /* a source address is taken, interfaces are asked for and watched; raw without a capability is netlink's only */
        ALLOW(bind, FILES),
        ALLOW_IF(socket, FILES, ONE_OF(0, UINT32_MAX, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK),
                 ONE_OF(1, 0xf, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW)),
        /* threads, and what a database's library asks */
        FAILS(clone3, CONTROL, ENOSYS),
        ALLOW(set_robust_list, CONTROL), ALLOW(rseq, CONTROL), ALLOW(sched_getaffinity, CONTROL), ALLOW(sched_getparam, CONTROL),
        ALLOW(sched_getscheduler, CONTROL), ALLOW(getppid, CONTROL), ALLOW(utimensat, CONTROL),
#if SANDBOX_IS_SANITIZED /* a report looks at these; Landlock refuses what they name */
        ALLOW(openat, BOTH), ALLOW(readlinkat, BOTH), ALLOW(sigaltstack, BOTH), ALLOW(rt_sigaction, BOTH),
        ALLOW(sched_getaffinity, BOTH),
#ifdef SYS_readlink
        ALLOW(readlink, BOTH), ALLOW(open, BOTH), ALLOW(stat, BOTH),
#endif
        /* leaks are looked for at the end, by a thread that traces the others */
        ALLOW(clone, FILES), ALLOW(ptrace, FILES), ALLOW(wait4, FILES), ALLOW(prctl, FILES), ALLOW(getppid, FILES),
#ifdef SYS_getdents
        ALLOW(getdents, FILES),
#endif
#endif
};
/* clang-format on */

enum { CONDITION_STEPS = 3 + VALUES_MAX, RULE_STEPS_MAX = 2 + 2 * CONDITION_STEPS, PROGRAM_MAX = 1024 };

struct program {
        struct sock_filter steps[PROGRAM_MAX];
        unsigned short count;
};

static void step(struct program *p, unsigned code, uint32_t k, unsigned yes, unsigned no)
{
        if (p->count < PROGRAM_MAX)
                p->steps[p->count++] = (struct sock_filter){ (uint16_t)code, (uint8_t)yes, (uint8_t)no, k };
}

static void load(struct program *p, size_t offset)
{
        step(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static unsigned condition_steps(const struct condition *c)
{
        return c->values_count ? 3U + c->values_count : 0;
}

/* Falls through when one of the values is met, refuses otherwise. Both architectures are little endian. */
static void condition_put(struct program *p, const struct condition *c)
{
        if (c->values_count == 0)
                return;
        load(p, offsetof(struct seccomp_data, args) + 8U * c->argument);
        step(p, BPF_ALU | BPF_AND | BPF_K, c->mask, 0, 0);
        for (unsigned i = 0; i < c->values_count; i++)
                step(p, BPF_JMP | BPF_JEQ | BPF_K, c->values[i], c->values_count - i, 0);
        step(p, BPF_RET | BPF_K, SECCOMP_RET_TRAP, 0, 0);
}

static void rule_put(struct program *p, const struct rule *r)
{
        unsigned inside = condition_steps(&r->conditions[0]) + condition_steps(&r->conditions[1]) + 1;

        step(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)r->number, 0, inside);
        condition_put(p, &r->conditions[0]);
        condition_put(p, &r->conditions[1]);
        step(p, BPF_RET | BPF_K, r->error ? SECCOMP_RET_ERRNO | r->error : SECCOMP_RET_ALLOW, 0, 0);
}

/* Raising a signal in itself (abort) is all a process may signal. */
static void program_make(struct program *p, enum sandbox_role role)
{
        const struct rule signals = ALLOW_IF(tgkill, BOTH, ONE_OF(0, UINT32_MAX, (uint32_t)getpid()));

        load(p, offsetof(struct seccomp_data, arch));
        step(p, BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
        step(p, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
        load(p, offsetof(struct seccomp_data, nr));
        for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
                if (rules[i].roles & 1U << role)
                        rule_put(p, &rules[i]);
        rule_put(p, &signals);
        step(p, BPF_RET | BPF_K, SECCOMP_RET_TRAP, 0, 0);
}

static const char *name_of(int number)
{
        for (size_t i = 0; i < ARRAY_SIZE(syscall_names); i++)
                if (syscall_names[i].number == number)
                        return syscall_names[i].name;
        return "?";
}

/* Comes out of the call itself, so that no lock is held by it; the process ends when it returns: the action was reset. */
static void on_refused(int signal_number, siginfo_t *info, void *context)
{
        char line[160];
        int n = snprintf(
                line, sizeof(line),
                "{\"level\":\"error\",\"event\":\"call_refused\",\"call\":\"%s\",\"number\":%d,\"pid\":%d}\n",
                name_of(info->si_syscall), info->si_syscall, (int)getpid());

        if (write(STDERR_FILENO, line, (size_t)n) < 0)
                n = 0;
        syscall(SYS_tgkill, getpid(), (int)syscall(SYS_gettid), SIGSYS);
}

bool seccomp_enter(enum sandbox_role role)
{
        static struct program program;
        struct sock_fprog filter = { .filter = program.steps };
        struct sigaction action = { .sa_sigaction = on_refused,
                                    .sa_flags = (int)(SA_SIGINFO | SA_RESETHAND) };

        program.count = 0;
        program_make(&program, role);
        if (program.count >= PROGRAM_MAX)
                return false;
        filter.len = program.count;
        sigemptyset(&action.sa_mask);
        return sigaction(SIGSYS, &action, NULL) == 0 &&
               syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) == 0;
}
