#include "io/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/units.h"
#include "io/address_priv.h"

enum { BACKLOG = 4096, BATCH_MAX = 64, PAUSE_MS = 100, HANDED_NAME_BYTES_MAX = 64 };

enum err listen_address_parse(struct str text, struct listen_address *out)
{
        struct listen_address a = { 0 };
        uint64_t port;
        size_t colon = STR_NONE;

        if (str_has_prefix(text, STR("unix:"))) {
                union address checked;
                socklen_t len;
                a.path = str_from(text, 5);
                enum err e = address_of_path(&checked, a.path, &len);
                if (e == ERR_OK)
                        *out = a;
                return e;
        }
        if (str_has_prefix(text, STR("systemd:"))) {
                a.path = str_from(text, 8);
                a.is_handed = true;
                if (a.path.len == 0 || a.path.len >= HANDED_NAME_BYTES_MAX ||
                    str_find_char(a.path, ':') != STR_NONE)
                        return ERR_MALFORMED;
                *out = a;
                return ERR_OK;
        }
        if (str_has_prefix(text, STR("udp:"))) {
                a.is_datagram = true;
                text = str_from(text, 4);
        }
        for (size_t i = 0; i < text.len; i++)
                if (text.ptr[i] == ':')
                        colon = i;
        if (colon == STR_NONE || units_parse_u64(str_from(text, colon + 1), UINT16_MAX, &port) != ERR_OK)
                return ERR_MALFORMED;
        struct str host = str_sub(text, 0, colon);
        if (host.len == 0) {
                if (a.is_datagram) /* one socket takes one family's */
                        return ERR_MALFORMED;
                a.ip.family = 6; /* :: */
        } else if (host.ptr[0] == '[') {
                if (host.ptr[host.len - 1] != ']' || str_find_char(host, ':') == STR_NONE ||
                    ip_parse(str_sub(host, 1, host.len - 2), &a.ip) != ERR_OK)
                        return ERR_MALFORMED;
        } else if (ip_parse(host, &a.ip) != ERR_OK || a.ip.family != 4) {
                return ERR_MALFORMED;
        }
        a.port = (uint16_t)port;
        *out = a;
        return ERR_OK;
}

struct str listen_address_format(const struct listen_address *a, char out[LISTEN_ADDRESS_TEXT_MAX])
{
        const char *udp = a->is_datagram ? "udp:" : "";
        char ip[IP_TEXT_MAX];
        int n;

        if (a->is_later)
                n = snprintf(out, LISTEN_ADDRESS_TEXT_MAX, "%.*s", STR_FMT(a->path));
        else if (a->ip.family == 0)
                n = snprintf(out, LISTEN_ADDRESS_TEXT_MAX, "%s:%.*s", a->is_handed ? "systemd" : "unix",
                             STR_FMT(a->path));
        else if (a->ip.family == 4)
                n = snprintf(out, LISTEN_ADDRESS_TEXT_MAX, "%s%s:%u", udp, ip_format(a->ip, ip).ptr,
                             (unsigned)a->port);
        else
                n = snprintf(out, LISTEN_ADDRESS_TEXT_MAX, "%s[%s]:%u", udp, ip_format(a->ip, ip).ptr,
                             (unsigned)a->port);
        return (struct str){ out, (size_t)MIN(n, LISTEN_ADDRESS_TEXT_MAX - 1) };
}

static bool takes(const struct listen_address *wide, struct ip ip)
{
        bool is_both = !wide->is_datagram && ip_eq(wide->ip, (struct ip){ .family = 6 });

        return ip_eq(wide->ip, ip) || is_both ||
               (wide->is_datagram && ip.family == 6 && ip_eq(wide->ip, (struct ip){ .family = 6 })) ||
               (ip.family == 4 && ip_eq(wide->ip, (struct ip){ .family = 4 }));
}

bool listen_address_overlaps(const struct listen_address *a, const struct listen_address *b)
{
        if (a->ip.family == 0 || b->ip.family == 0)
                return a->ip.family == b->ip.family && a->is_handed == b->is_handed &&
                       str_eq(a->path, b->path);
        return a->is_datagram == b->is_datagram && a->port == b->port && a->port &&
               (takes(a, b->ip) || takes(b, a->ip));
}

/* A socket file that nobody listens on any more, left by a process that was killed. */
static bool is_stale(int fd, const union address *a, socklen_t len)
{
        struct stat st;
        bool refused;
        int probe;

        if (lstat(a->un.sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
                return false;
        probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (probe < 0)
                return false;
        refused = connect(probe, &a->any, len) != 0 && errno == ECONNREFUSED;
        close(probe);
        return refused;
}

static int bind_unix(int fd, const union address *a, socklen_t len)
{
        if (bind(fd, &a->any, len) == 0)
                return 0;
        if (errno != EADDRINUSE || !is_stale(fd, a, len) || unlink(a->un.sun_path) != 0) {
                errno = EADDRINUSE;
                return -1;
        }
        return bind(fd, &a->any, len);
}

/*
 * Without SO_REUSEADDR, which would let two programs take each other's datagrams. Which of our addresses was asked is wanted from the
 * first datagram on, also of those that wait before a worker has the socket (udp_adopt).
 */
static int open_datagrams(struct ip ip, bool reuse_port)
{
        int yes = 1, level = ip.family == 4 ? IPPROTO_IP : IPPROTO_IPV6;
        int asked = ip.family == 4 ? IP_PKTINFO : IPV6_RECVPKTINFO;
        int fd = socket(ip.family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd >= 0 &&
            ((reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)) != 0) ||
             (ip.family == 6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes)) != 0) ||
             setsockopt(fd, level, asked, &yes, sizeof(yes)) != 0)) {
                close(fd);
                return -1;
        }
        return fd;
}

static int open_tcp(struct ip ip, bool reuse_port)
{
        int yes = 1, no = 0;
        bool is_any = ip.family == 6 && ip_eq(ip, (struct ip){ .family = 6 });
        int fd = socket(ip.family == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return -1;
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
            (reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)) != 0) ||
            (ip.family == 6 &&
             setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, is_any ? &no : &yes, sizeof(yes)) != 0)) {
                close(fd);
                return -1;
        }
        return fd;
}

enum err listen_socket_open(const struct listen_address *a, bool reuse_port, int *fd_out)
{
        union address address;
        socklen_t len = 0;
        enum err e = ERR_OK;
        int fd;

        if (a->is_handed || a->is_later)
                return ERR_NOT_FOUND;
        if (a->ip.family == 0) {
                if ((e = address_of_path(&address, a->path, &len)) != ERR_OK)
                        return e;
                fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        } else if (a->is_datagram) {
                fd = open_datagrams(a->ip, reuse_port);
                len = address_of_ip(&address, a->ip, a->port);
        } else {
                struct ip ip = a->ip;
                fd = open_tcp(ip, reuse_port);
                if (fd < 0 && errno == EAFNOSUPPORT && ip_eq(ip, (struct ip){ .family = 6 })) {
                        ip.family = 4;
                        fd = open_tcp(ip, reuse_port);
                }
                len = address_of_ip(&address, ip, a->port);
        }
        if (fd < 0)
                return err_from_errno(errno);
        if ((a->ip.family == 0 ? bind_unix(fd, &address, len) : bind(fd, &address.any, len)) != 0 ||
            (!a->is_datagram && listen(fd, BACKLOG) != 0)) {
                e = err_from_errno(errno);
                close(fd);
                return e;
        }
        *fd_out = fd;
        return ERR_OK;
}

enum err listen_socket_address(int fd, struct listen_address *out, char place[108])
{
        union address address = { 0 };
        socklen_t len = sizeof(address), int_len = sizeof(int);
        int type = 0, accepts = 0;

        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &int_len) != 0 ||
            (type != SOCK_DGRAM &&
             (type != SOCK_STREAM || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &int_len) != 0 ||
              !accepts)) ||
            getsockname(fd, &address.any, &len) != 0)
                return ERR_NOT_FOUND;
        *out = (struct listen_address){ .is_datagram = type == SOCK_DGRAM };
        if (address.any.sa_family == AF_UNIX) {
                snprintf(place, 108, "%.107s", address.un.sun_path);
                out->path = str_of(place);
                return ERR_OK;
        }
        out->ip = address_ip(&address, &out->port);
        return out->ip.family ? ERR_OK : ERR_NOT_FOUND;
}

/* Any descriptor keeps a place free, and a worker without a file system has this one. */
static int open_spare(const struct listener *l)
{
        return fcntl(l->listen_fd, F_DUPFD_CLOEXEC, 0);
}

static void accept_ready(struct watch *w, unsigned events);

static void resume(struct timer *t)
{
        struct listener *l = CONTAINER_OF(t, struct listener, timer);

        if (l->spare_fd < 0)
                l->spare_fd = open_spare(l);
        if (loop_add_level(l->loop, &l->watch, l->listen_fd, accept_ready) != ERR_OK)
                timer_set(l->loop, &l->timer, loop_now(l->loop) + PAUSE_MS);
}

/* No descriptor is left: one waiting connection is let in and out, so that its client knows, and we pause. */
static void pause_accepting(struct listener *l)
{
        if (l->spare_fd >= 0) {
                close(l->spare_fd);
                l->spare_fd = accept4(l->listen_fd, NULL, NULL, SOCK_CLOEXEC);
                if (l->spare_fd >= 0)
                        close(l->spare_fd);
                l->spare_fd = open_spare(l);
        }
        l->paused_count++;
        loop_remove(l->loop, &l->watch);
        timer_set(l->loop, &l->timer, loop_now(l->loop) + PAUSE_MS);
}

static bool is_passing(int error)
{
        /* What accept(2) says of the connection, not of the listener: take the next one. */
        return error == ECONNABORTED || error == EINTR || error == EPROTO || error == ENETDOWN ||
               error == ENOPROTOOPT || error == EHOSTDOWN || error == ENONET || error == EHOSTUNREACH ||
               error == EOPNOTSUPP || error == ENETUNREACH || error == EPERM;
}

static void accept_ready(struct watch *w, unsigned events)
{
        struct listener *l = CONTAINER_OF(w, struct listener, watch);
        unsigned batch = l->batch;

        for (unsigned i = 0; i < batch; i++) {
                union address peer = { 0 };
                socklen_t len = sizeof(peer);
                int fd = accept4(l->listen_fd, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

                if (fd < 0 && (errno == EAGAIN || is_passing(errno))) {
                        l->batch = MAX(i, 1U);
                        return; /* level-triggered: what is left comes again */
                }
                if (fd < 0) {
                        pause_accepting(l);
                        return;
                }
                l->accepted_count++;
                l->peer = address_ip(&peer, &l->peer_port);
                l->fn(l, fd);
                if (l->watch.fd < 0)
                        return; /* stopped by fn */
        }
        /* All that was asked for came: there may be more. Few connections then cost one call each, many a turn for a lot. */
        l->batch = MIN(l->batch * 2, (unsigned)BATCH_MAX);
}

enum err listener_start(struct listener *l, struct loop *loop, int listen_fd, listener_accept_fn *fn)
{
        int yes = 1;
        enum err e;

        memset(l, 0, sizeof(*l));
        l->fn = fn;
        l->loop = loop;
        l->listen_fd = listen_fd;
        l->batch = 1;
        l->watch.fd = -1;
        timer_init(&l->timer, resume);
        setsockopt(listen_fd, IPPROTO_TCP, TCP_NODELAY, &yes,
                   sizeof(yes)); /* inherited; a Unix socket refuses it */
        l->spare_fd = open_spare(l);
        if (l->spare_fd < 0)
                return err_from_errno(errno);
        e = loop_add_level(loop, &l->watch, listen_fd, accept_ready);
        if (e != ERR_OK)
                close(l->spare_fd);
        return e;
}

void listener_hold(struct listener *l, bool is_held)
{
        if (l->is_held == is_held)
                return;
        l->is_held = is_held;
        timer_clear(&l->timer);
        if (is_held)
                loop_remove(l->loop, &l->watch);
        else
                resume(&l->timer);
}

void listener_stop(struct listener *l)
{
        loop_remove(l->loop, &l->watch);
        timer_clear(&l->timer);
        if (l->spare_fd >= 0)
                close(l->spare_fd);
        l->spare_fd = -1;
}
