#include "io/udp.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/address_priv.h"
#include "io/loop_priv.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { SEND_BATCH = 16 };

/* Room for all that is attached to one message: segment size, traffic class, own address. */
union control {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int)) * 2 + CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

static enum err set_int(int fd, int level, int name, int value)
{
        return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? ERR_OK : err_from_errno(errno);
}

/* What the socket shall tell of each datagram. */
static enum err ask_for_control(struct udp *u)
{
        enum err e;

        if (u->family == 4) {
                if ((e = set_int(u->fd, IPPROTO_IP, IP_PKTINFO, 1)) != ERR_OK)
                        return e;
                return set_int(u->fd, IPPROTO_IP, IP_RECVTOS, 1);
        }
        if ((e = set_int(u->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)) != ERR_OK)
                return e;
        return set_int(u->fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
}

static void size_queues(struct udp *u, size_t bytes)
{
        int size = (int)MIN(bytes, (size_t)64 << 20);

        if (size == 0)
                return;
        if (set_int(u->fd, SOL_SOCKET, SO_RCVBUFFORCE, size) != ERR_OK)
                (void)set_int(u->fd, SOL_SOCKET, SO_RCVBUF, size); /* as much as an ordinary user may have */
        if (set_int(u->fd, SOL_SOCKET, SO_SNDBUFFORCE, size) != ERR_OK)
                (void)set_int(u->fd, SOL_SOCKET, SO_SNDBUF, size);
}

static void probe(struct udp *u)
{
        int value;
        socklen_t len = sizeof(value);

        u->has_gro = set_int(u->fd, IPPROTO_UDP, UDP_GRO, 1) == ERR_OK;
        u->has_segment = getsockopt(u->fd, IPPROTO_UDP, UDP_SEGMENT, &value, &len) == 0;
}

enum err udp_open(struct udp *u, const struct udp_conf *conf)
{
        union address a;
        struct ip every = { .family = (uint8_t)conf->family };
        socklen_t len = address_of_ip(&a, conf->bind.family ? conf->bind : every, conf->port);
        enum err e;

        assert(conf->family == 4 || conf->family == 6);
        memset(u, 0, sizeof(*u));
        u->watch.fd = -1;
        u->family = conf->family;
        u->fd = socket(conf->family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (u->fd < 0)
                return errno == EAFNOSUPPORT ? ERR_UNSUPPORTED : err_from_errno(errno);
        if ((conf->family == 6 && (e = set_int(u->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) != ERR_OK) ||
            (e = ask_for_control(u)) != ERR_OK ||
            (conf->fwmark && (e = udp_set_fwmark(u, conf->fwmark)) != ERR_OK))
                goto fail;
        size_queues(u, conf->buffer_bytes);
        probe(u);
        if (bind(u->fd, &a.any, len) < 0) {
                e = errno == EADDRINUSE                               ? ERR_EXISTS
                    : errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL ? ERR_UNSUPPORTED
                                                                      : err_from_errno(errno);
                goto fail;
        }
        return ERR_OK;

fail:
        close(u->fd);
        u->fd = -1;
        return e;
}

enum err udp_adopt(struct udp *u, int fd)
{
        int type = 0, domain = 0;
        socklen_t len = sizeof(int);
        enum err e = ERR_NOT_FOUND;

        memset(u, 0, sizeof(*u));
        u->watch.fd = -1;
        u->fd = fd;
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_DGRAM &&
            getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
            (domain == AF_INET || domain == AF_INET6)) {
                u->family = domain == AF_INET ? 4 : 6;
                e = ask_for_control(u);
        }
        if (e == ERR_OK)
                probe(u);
        else
                udp_close(u);
        return e;
}

enum err udp_address(const struct udp *u, struct ip *ip, uint16_t *port)
{
        union address a;
        socklen_t len = sizeof(a);

        if (getsockname(u->fd, &a.any, &len) != 0)
                return err_from_errno(errno);
        *ip = address_ip(&a, port);
        return ERR_OK;
}

void udp_close(struct udp *u)
{
        if (u->fd < 0)
                return;
        if (u->loop)
                loop_remove(u->loop, &u->watch);
        close(u->fd);
        u->fd = -1;
}

static void on_event(struct watch *w, unsigned events)
{
        struct udp *u = CONTAINER_OF(w, struct udp, watch);

        if ((events & LOOP_WRITE) && u->wants_write) {
                u->wants_write = false;
                if (loop_want_level(u->loop, w, u->fd, on_event, true, false) != ERR_OK)
                        return;
                u->on_writable(u);
        }
        /* An error is given out by the next receive as well. */
        if (u->fd >= 0 && (events & (LOOP_READ | LOOP_ERROR)))
                u->on_readable(u);
}

enum err udp_start(struct udp *u, struct loop *l, udp_fn *on_readable, udp_fn *on_writable)
{
        u->loop = l;
        u->on_readable = on_readable;
        u->on_writable = on_writable;
        return loop_want_level(l, &u->watch, u->fd, on_event, true, false);
}

uint16_t udp_port(const struct udp *u)
{
        union address a;
        socklen_t len = sizeof(a);
        uint16_t port = 0;

        if (getsockname(u->fd, &a.any, &len) == 0)
                (void)address_ip(&a, &port);
        return port;
}

enum err udp_set_fwmark(struct udp *u, uint32_t fwmark)
{
        return set_int(u->fd, SOL_SOCKET, SO_MARK, (int)fwmark);
}

static void control_add(struct msghdr *m, int level, int type, const void *data, size_t len)
{
        struct cmsghdr *c = (struct cmsghdr *)((char *)m->msg_control + m->msg_controllen);

        c->cmsg_level = level;
        c->cmsg_type = type;
        c->cmsg_len = CMSG_LEN(len);
        memcpy(CMSG_DATA(c), data, len);
        m->msg_controllen += CMSG_SPACE(len);
}

static void control_add_source(struct msghdr *m, const struct udp_burst *b)
{
        if (b->to.family == 4) {
                struct in_pktinfo info = { .ipi_ifindex = (int)b->source_interface };
                memcpy(&info.ipi_spec_dst, b->source.bytes, 4);
                control_add(m, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
        } else {
                struct in6_pktinfo info = { .ipi6_ifindex = b->source_interface };
                memcpy(&info.ipi6_addr, b->source.bytes, 16);
                control_add(m, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
        }
}

struct outgoing {
        union address to;
        struct iovec slice;
        union control control; /* the last: it ends in an array without a length */
};

static void message_init(struct msghdr *m, struct outgoing *o, const struct udp_burst *b,
                         const uint8_t *bytes, size_t len)
{
        uint16_t segment = (uint16_t)b->datagram_bytes;
        int tos = b->tos;

        o->slice = (struct iovec){ (void *)(uintptr_t)bytes, len };
        memset(&o->control, 0, sizeof(o->control));
        *m = (struct msghdr){
                .msg_name = &o->to, .msg_iov = &o->slice, .msg_iovlen = 1, .msg_control = &o->control
        };
        m->msg_namelen = address_of_ip(&o->to, b->to, b->port);
        if (b->to.family == 6)
                o->to.in6.sin6_scope_id = b->scope;
        if (len > b->datagram_bytes)
                control_add(m, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment));
        if (b->tos)
                control_add(m, b->to.family == 4 ? IPPROTO_IP : IPPROTO_IPV6,
                            b->to.family == 4 ? IP_TOS : IPV6_TCLASS, &tos, sizeof(tos));
        if (b->source.family == b->to.family)
                control_add_source(m, b);
        if (m->msg_controllen == 0)
                m->msg_control = NULL;
}

static enum err full(struct udp *u)
{
        if (u->loop && !u->wants_write) {
                enum err e = loop_want_level(u->loop, &u->watch, u->fd, on_event, true, true);
                if (e != ERR_OK)
                        return e;
                u->wants_write = true;
        }
        return ERR_AGAIN;
}

static size_t datagrams_in(const struct udp_burst *b)
{
        return (b->len + b->datagram_bytes - 1) / b->datagram_bytes;
}

/* What the kernel says when the source address it was given is ours no more; without one the same means no route. */
static bool may_be_the_source(const struct udp_burst *b, int error)
{
        return b->source.family && (error == EINVAL || error == ENETUNREACH || error == EHOSTUNREACH ||
                                    error == EADDRNOTAVAIL || error == ENODEV);
}

/* Each datagram by itself: where there is no UDP_SEGMENT, or this way out cannot take one. *at goes on from call to call. */
static enum err send_one_by_one(struct udp *u, const struct udp_burst *b, size_t *at)
{
        while (*at < b->len) {
                struct outgoing o;
                struct msghdr m;
                size_t len = MIN(b->datagram_bytes, b->len - *at);

                message_init(&m, &o, b, b->bytes + *at, len);
                u->stats.calls_sent++;
                if (sendmsg(u->fd, &m, 0) >= 0) {
                        u->stats.datagrams_sent++;
                } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
                        return full(u);
                } else if (may_be_the_source(b, errno)) {
                        return ERR_NOT_FOUND;
                } else if (errno != EINTR) {
                        u->stats.refused++;
                } else {
                        continue;
                }
                *at += len;
        }
        return ERR_OK;
}

/* The first of the bursts was refused with this errno. ERR_OK: it is done with, one way or another. */
static enum err after_refusal(struct udp *u, const struct udp_burst *b, int error)
{
        size_t at = 0;

        if (error == EAGAIN || error == EWOULDBLOCK)
                return full(u);
        if (error == EIO && b->len > b->datagram_bytes)
                u->has_segment = false; /* the device has no checksum offload, which segmenting needs */
        /* EINVAL: the path's MTU is smaller than a segment, or our source address is gone: one by one will tell. */
        if (b->len > b->datagram_bytes && (error == EIO || error == EINVAL || error == EMSGSIZE)) {
                enum err e = send_one_by_one(u, b, &at);
                /* What is left of a burst that fills the queue is dropped: its first part is on its way. */
                if (e == ERR_AGAIN && at > 0) {
                        u->stats.refused += (b->len - at + b->datagram_bytes - 1) / b->datagram_bytes;
                        return ERR_OK;
                }
                return e;
        }
        if (may_be_the_source(b, error))
                return ERR_NOT_FOUND;
        u->stats.refused += datagrams_in(b);
        return ERR_OK;
}

enum err udp_send(struct udp *u, const struct udp_burst *bursts, size_t bursts_count, size_t *sent)
{
        struct mmsghdr messages[SEND_BATCH] UNINITIALIZED;
        struct outgoing outgoing[SEND_BATCH] UNINITIALIZED;

        *sent = 0;
        while (*sent < bursts_count) {
                const struct udp_burst *b = bursts + *sent;
                size_t n = MIN(bursts_count - *sent, (size_t)SEND_BATCH);

                if (!u->has_segment && b->len > b->datagram_bytes) {
                        enum err e = after_refusal(u, b, EINVAL);
                        if (e != ERR_OK)
                                return e;
                        (*sent)++;
                        continue;
                }
                for (size_t i = 0; i < n; i++)
                        message_init(&messages[i].msg_hdr, &outgoing[i], &b[i], b[i].bytes, b[i].len);
                int done = sendmmsg(u->fd, messages, (unsigned)n, 0);
                int error = errno;
                u->stats.calls_sent++;
                for (int i = 0; i < done; i++)
                        u->stats.datagrams_sent += datagrams_in(&b[i]);
                if (done > 0)
                        *sent += (size_t)done;
                if (done > 0 || error == EINTR)
                        continue;
                enum err e = after_refusal(u, b, error);
                if (e != ERR_OK)
                        return e;
                (*sent)++;
        }
        return ERR_OK;
}

struct incoming {
        union address from;
        struct iovec slice;
        union control control; /* the last, as above */
};

/* A traffic class comes as one byte over IPv4 and as an int over IPv6. */
static uint8_t get_tos(const struct cmsghdr *c)
{
        int value;

        if (c->cmsg_len < CMSG_LEN(sizeof(value)))
                return *CMSG_DATA(c);
        memcpy(&value, CMSG_DATA(c), sizeof(value));
        return (uint8_t)value;
}

static void read_control(struct udp_arrival *a, const struct cmsghdr *c)
{
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
                int bytes;
                memcpy(&bytes, CMSG_DATA(c), sizeof(bytes));
                a->datagram_bytes = bytes > 0 ? (size_t)bytes : a->len;
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
                struct in_pktinfo info;
                memcpy(&info, CMSG_DATA(c), sizeof(info));
                a->to = ip_from_bytes(4, (const uint8_t *)&info.ipi_spec_dst);
                a->interface = (uint32_t)info.ipi_ifindex;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
                struct in6_pktinfo info;
                memcpy(&info, CMSG_DATA(c), sizeof(info));
                a->to = ip_from_bytes(6, (const uint8_t *)&info.ipi6_addr);
                a->interface = info.ipi6_ifindex;
        } else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) ||
                   (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)) {
                a->tos = get_tos(c);
        }
}

static void arrival_read(struct udp_arrival *a, const struct msghdr *m, struct incoming *in, size_t len)
{
        *a = (struct udp_arrival){ .bytes = in->slice.iov_base, .len = len, .datagram_bytes = len };
        a->from = address_ip(&in->from, &a->port);
        if (in->from.any.sa_family == AF_INET6)
                a->scope = in->from.in6.sin6_scope_id;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR((struct msghdr *)(uintptr_t)m, c))
                read_control(a, c);
}

enum err udp_receive(struct udp *u, uint8_t *memory, struct udp_arrival *arrivals, size_t arrivals_max,
                     size_t *count)
{
        struct mmsghdr messages[UDP_ARRIVALS_MAX] UNINITIALIZED;
        struct incoming incoming[UDP_ARRIVALS_MAX] UNINITIALIZED;
        int n;

        assert(arrivals_max > 0 && arrivals_max <= UDP_ARRIVALS_MAX);
        for (size_t i = 0; i < arrivals_max; i++) {
                struct incoming *in = &incoming[i];
                in->slice = (struct iovec){ memory + i * UDP_ARRIVAL_BYTES, UDP_ARRIVAL_BYTES };
                messages[i].msg_hdr = (struct msghdr){ .msg_name = &in->from,
                                                       .msg_namelen = sizeof(in->from),
                                                       .msg_iov = &in->slice,
                                                       .msg_iovlen = 1,
                                                       .msg_control = &in->control,
                                                       .msg_controllen = sizeof(in->control) };
        }
        do {
                n = recvmmsg(u->fd, messages, (unsigned)arrivals_max, 0, NULL);
                /* ICMP's answers to what we sent are given out here, once each: not about this receive. */
        } while (n < 0 &&
                 (errno == EINTR || errno == ECONNREFUSED || errno == EHOSTUNREACH || errno == ENETUNREACH));
        if (n < 0)
                return errno == EWOULDBLOCK ? ERR_AGAIN : err_from_errno(errno);
        u->stats.calls_received++;
        for (int i = 0; i < n; i++) {
                arrival_read(&arrivals[i], &messages[i].msg_hdr, &incoming[i], messages[i].msg_len);
                u->stats.datagrams_received += arrivals[i].len
                                                       ? (arrivals[i].len + arrivals[i].datagram_bytes - 1) /
                                                                 arrivals[i].datagram_bytes
                                                       : 1;
        }
        *count = (size_t)n;
        return ERR_OK;
}
