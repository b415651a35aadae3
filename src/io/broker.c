#include "io/broker.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/netif.h"
#include "io/tun.h"

/*
 * Theory of operation: the child is one process that reads a request, does it and answers; a descriptor goes along with an
 * answer where there is one. It holds the namespaces open and has, in there alone, all rights. When the parent's end of the
 * socket closes it ends.
 */

enum operation { DO_ADDRESS, DO_ROUTE, DO_MTU, DO_UP, DO_SOCKET, DO_SPAWN, DO_LOOK, DO_FORBID };

struct request {
        enum operation what;
        struct ip_prefix prefix;
        uint32_t mtu;
        int family, type, protocol;
        uint32_t arguments_count, arguments_bytes;
        char arguments[BROKER_ARGUMENTS_BYTES_MAX]; /* one behind the other, each with a NUL */
};

struct answer {
        enum err err;
        enum broker_lack lack; /* of the first answer */
};

struct broker {
        int fd, tun_fd;
        pid_t child;
};

const char *broker_lack_text(enum broker_lack lack)
{
        switch (lack) {
        case BROKER_LACKS_NAMESPACES:
                return "user namespaces are not permitted here: see user.max_user_namespaces, "
                       "kernel.unprivileged_userns_clone, AppArmor, or the rules of the container this runs in";
        case BROKER_LACKS_DEVICE:
                return "there is no /dev/net/tun: load the kernel's module tun, or pass the device in";
        case BROKER_LACKS_DEVICE_PERMISSION:
                return "/dev/net/tun may not be opened by this user: as root, chmod 0666 /dev/net/tun (the usual mode)";
        case BROKER_LACKS_MEMORY: return "out of memory, processes or descriptors";
        case BROKER_LACKS_NOTHING: break;
        }
        return "nothing is missing";
}

/* ---- a message, and a descriptor beside it ---- */

union passed {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
};

static bool message_send(int to, const void *bytes, size_t len, int fd)
{
        struct iovec slice = { (void *)(uintptr_t)bytes, len };
        union passed passed = { 0 };
        struct msghdr m = { .msg_iov = &slice, .msg_iovlen = 1 };

        if (fd >= 0) {
                struct cmsghdr *c = &passed.align;
                m.msg_control = &passed;
                m.msg_controllen = sizeof(passed);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(c), &fd, sizeof(fd));
        }
        ssize_t n;
        do
                n = sendmsg(to, &m, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        return n == (ssize_t)len;
}

/* False: the other end is gone, or sent something else. */
static bool message_receive(int from, void *bytes, size_t len, int *fd)
{
        struct iovec slice = { bytes, len };
        union passed passed = { 0 };
        struct msghdr m = {
                .msg_iov = &slice, .msg_iovlen = 1, .msg_control = &passed, .msg_controllen = sizeof(passed)
        };
        ssize_t n;

        *fd = -1;
        do
                n = recvmsg(from, &m, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
        if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
                memcpy(fd, CMSG_DATA(c), sizeof(*fd));
        if (n == (ssize_t)len)
                return true;
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
        return false;
}

/* ---- the child ---- */

static bool write_file(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        bool is_ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

        if (fd >= 0)
                close(fd);
        return is_ok;
}

/* We become root of a namespace in which nobody else is. */
static bool enter_namespaces(void)
{
        char users[64], groups[64];

        snprintf(users, sizeof(users), "0 %u 1", (unsigned)geteuid());
        snprintf(groups, sizeof(groups), "0 %u 1", (unsigned)getegid());
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
                return false;
        (void)write_file("/proc/self/setgroups", "deny");
        return write_file("/proc/self/uid_map", users) && write_file("/proc/self/gid_map", groups);
}

static enum broker_lack open_inside(struct str device, struct tun *tun)
{
        if (!enter_namespaces())
                return errno == ENOMEM || errno == EAGAIN ? BROKER_LACKS_MEMORY : BROKER_LACKS_NAMESPACES;
        switch (tun_open(tun, device)) {
        case ERR_OK: break;
        case ERR_NOT_FOUND: return BROKER_LACKS_DEVICE;
        case ERR_DENIED:
                return access("/dev/net/tun", R_OK | W_OK) == 0 ? BROKER_LACKS_NAMESPACES
                                                                : BROKER_LACKS_DEVICE_PERMISSION;
        default: return BROKER_LACKS_MEMORY;
        }
        return netif_set_up(netif_index("lo"), true) == ERR_OK ? BROKER_LACKS_NOTHING
                                                               : BROKER_LACKS_NAMESPACES;
}

/* Runs the program and tells how it ended; a process of its own, so that the broker never waits. */
static void spawn(const struct request *r, int report_fd)
{
        char *argv[256];
        const char *at = r->arguments;
        uint32_t count = MIN(r->arguments_count, (uint32_t)ARRAY_SIZE(argv) - 1);
        int status;
        uint8_t code = 127;

        for (uint32_t i = 0; i < count; i++) {
                argv[i] = (char *)(uintptr_t)at;
                at += strlen(at) + 1;
        }
        argv[count] = NULL;
        assert(count > 0); /* broker_spawn has seen to it */
        pid_t child = fork();
        if (child == 0) {
                signal(SIGINT, SIG_DFL);
                signal(SIGPIPE, SIG_DFL);
                execvp(argv[0], argv);
                fprintf(stderr, "sekisho: %s: %s\n", argv[0], err_text(err_from_errno(errno)));
                _exit(127);
        }
        if (child > 0 && waitpid(child, &status, 0) == child)
                code = (uint8_t)(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        (void)!write(report_fd, &code, 1);
        _exit(0);
}

/* A line of /proc/net/tcp: "0: 0100007F:1F90 00000000:0000 0A ...", the last being the state in hexadecimal. */
static bool is_connection(const char *line)
{
        enum { TIME_WAIT = 0x06, CLOSED = 0x07, LISTEN = 0x0a };
        struct str rest = str_trim(str_of(line)), word = STR_NULL;

        for (int words = 0; words < 4; words++)
                if (!str_split(&rest, ' ', &word))
                        return false;
        if (word.len != 2)
                return false;
        int high = ascii_hex(word.ptr[0]), low = ascii_hex(word.ptr[1]);
        if (high < 0 || low < 0)
                return false; /* the heading */
        int state = high << 4 | low;
        return state != TIME_WAIT && state != CLOSED && state != LISTEN;
}

static bool has_connections(const char *path)
{
        FILE *f = fopen(path, "re");
        char line[512];
        bool is_found = false;

        if (!f)
                return false;
        while (fgets(line, sizeof(line), f))
                if ((is_found = is_connection(line)))
                        break;
        fclose(f);
        return is_found;
}

/* Gives a descriptor for the answer, or -1. */
static enum err work(const struct request *r, const struct tun *tun, int *out, int listen_fd)
{
        static bool is_forbidden; /* to start programs: one a process */
        uint32_t index = netif_index(tun->name);
        int fds[2];

        *out = -1;
        switch (r->what) {
        case DO_ADDRESS: return netif_add_address(index, &r->prefix);
        case DO_ROUTE: return netif_add_route(index, &r->prefix, NETIF_TABLE_MAIN);
        case DO_MTU: return netif_set_mtu(index, r->mtu);
        case DO_UP: return netif_set_up(index, true);
        case DO_SOCKET:
                *out = socket(r->family, r->type | SOCK_CLOEXEC | SOCK_NONBLOCK, r->protocol);
                return *out < 0 ? err_from_errno(errno) : ERR_OK;
        case DO_LOOK:
                return has_connections("/proc/self/net/tcp") || has_connections("/proc/self/net/tcp6")
                               ? ERR_OK
                               : ERR_NOT_FOUND;
        case DO_FORBID: is_forbidden = true; return ERR_OK;
        case DO_SPAWN:
                if (is_forbidden)
                        return ERR_DENIED;
                if (pipe2(fds, O_CLOEXEC) != 0)
                        return err_from_errno(errno);
                pid_t child = fork();
                if (child == 0) {
                        close(listen_fd);
                        signal(SIGCHLD, SIG_DFL);
                        spawn(r, fds[1]);
                }
                close(fds[1]);
                *out = fds[0];
                return child < 0 ? err_from_errno(errno) : ERR_OK;
        }
        return ERR_MALFORMED;
}

static _Noreturn void serve(int fd, struct str device)
{
        static struct request r;
        struct tun tun;
        struct answer a = { 0 };
        int passed, out;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGINT, SIG_IGN);
        signal(SIGCHLD, SIG_IGN); /* who ended is nobody's to wait for */
        a.lack = open_inside(device, &tun);
        a.err = a.lack ? ERR_UNSUPPORTED : ERR_OK;
        if (!message_send(fd, &a, sizeof(a), a.lack ? -1 : tun.fd) || a.lack)
                _exit(1);
        while (message_receive(fd, &r, sizeof(r), &passed)) {
                if (passed >= 0)
                        close(passed);
                a.err = work(&r, &tun, &out, fd);
                bool is_sent = message_send(fd, &a, sizeof(a), a.err == ERR_OK ? out : -1);
                if (out >= 0)
                        close(out);
                if (!is_sent)
                        break;
        }
        _exit(0);
}

/* ---- the parent ---- */

enum err broker_start(struct str device, struct broker **out, enum broker_lack *lack)
{
        struct broker *b = calloc(1, sizeof(*b));
        struct answer a = { 0 };
        int fds[2];

        *lack = BROKER_LACKS_MEMORY;
        if (!b)
                return ERR_UNSUPPORTED;
        if (device.len == 0 || device.len >= TUN_NAME_MAX) {
                free(b);
                return ERR_MALFORMED;
        }
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
                free(b);
                return ERR_UNSUPPORTED;
        }
        b->fd = fds[0];
        b->tun_fd = -1;
        b->child = fork();
        if (b->child == 0) {
                close(fds[0]);
                serve(fds[1], device);
        }
        close(fds[1]);
        if (b->child > 0 && message_receive(b->fd, &a, sizeof(a), &b->tun_fd)) {
                *lack = a.lack;
                if (a.err == ERR_OK && b->tun_fd >= 0) {
                        *out = b;
                        return ERR_OK;
                }
        }
        broker_stop(b);
        return ERR_UNSUPPORTED;
}

void broker_stop(struct broker *b)
{
        if (!b)
                return;
        if (b->tun_fd >= 0)
                close(b->tun_fd);
        (void)shutdown(b->fd, SHUT_RDWR); /* children that were forked meanwhile have it, too */
        close(b->fd);
        if (b->child > 0)
                while (waitpid(b->child, NULL, 0) < 0 && errno == EINTR)
                        continue;
        free(b);
}

int broker_take_tun(struct broker *b)
{
        int fd = b->tun_fd;

        b->tun_fd = -1;
        return fd;
}

/* Gives *fd where the answer has one; `fd` NULL: it has none. */
static enum err call(struct broker *b, const struct request *r, int *fd)
{
        struct answer a = { 0 };
        int passed;

        if (!message_send(b->fd, r, sizeof(*r), -1) || !message_receive(b->fd, &a, sizeof(a), &passed))
                return ERR_CLOSED;
        if (fd)
                *fd = passed;
        else if (passed >= 0)
                close(passed);
        return a.err == ERR_OK && fd && passed < 0 ? ERR_IO : a.err;
}

static enum err call_simple(struct broker *b, enum operation what, const struct ip_prefix *prefix,
                            uint32_t mtu)
{
        struct request r = { .what = what, .mtu = mtu };

        if (prefix)
                r.prefix = *prefix;
        return call(b, &r, NULL);
}

enum err broker_add_address(struct broker *b, const struct ip_prefix *address)
{
        return call_simple(b, DO_ADDRESS, address, 0);
}

enum err broker_add_route(struct broker *b, const struct ip_prefix *to)
{
        return call_simple(b, DO_ROUTE, to, 0);
}

enum err broker_set_mtu(struct broker *b, uint32_t mtu)
{
        return call_simple(b, DO_MTU, NULL, mtu);
}

enum err broker_set_up(struct broker *b)
{
        return call_simple(b, DO_UP, NULL, 0);
}

enum err broker_socket(struct broker *b, int family, int type, int protocol, int *fd)
{
        struct request r = { .what = DO_SOCKET, .family = family, .type = type, .protocol = protocol };

        return call(b, &r, fd);
}

void broker_forbid_programs(struct broker *b)
{
        (void)call_simple(b, DO_FORBID, NULL, 0); /* a child that does not answer starts none either */
}

bool broker_has_connections(struct broker *b)
{
        return call_simple(b, DO_LOOK, NULL, 0) == ERR_OK;
}

enum err broker_spawn(struct broker *b, const struct str *arguments, size_t arguments_count, int *fd)
{
        struct request r = { .what = DO_SPAWN };

        for (size_t i = 0; i < arguments_count; i++) {
                struct str a = arguments[i];
                if (a.len >= sizeof(r.arguments) - r.arguments_bytes)
                        return ERR_TOO_LARGE;
                memcpy(r.arguments + r.arguments_bytes, a.ptr, a.len);
                r.arguments_bytes += (uint32_t)a.len + 1; /* zeroed above */
                r.arguments_count++;
        }
        return arguments_count ? call(b, &r, fd) : ERR_MALFORMED;
}
