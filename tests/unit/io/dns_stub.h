/*
 * tests/unit/io/dns_stub.h - a small DNS server in the test's own loop, on a UDP and a TCP port of loopback, that says what
 * the test wants by the first label of the name.
 */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/loop.h"

enum { DNS_A = 1, DNS_CNAME = 5, DNS_AAAA = 28, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3, DNS_REFUSED = 5 };

struct dns_stub {
        struct loop *loop;
        struct watch udp, tcp, conn;
        uint16_t port;
        unsigned queries;     /* A questions */
        unsigned tcp_queries; /* of any type */
        bool is_mute, is_failing, is_gone;
        unsigned ttl;
        uint8_t last; /* byte of the addresses given: 192.0.2.<last> */
};

struct dns_message {
        uint8_t bytes[65535];
        size_t len;
};

static inline void dns_put16(struct dns_message *m, unsigned v)
{
        m->bytes[m->len++] = (uint8_t)(v >> 8);
        m->bytes[m->len++] = (uint8_t)v;
}

static inline void dns_put_name(struct dns_message *m, const char *name)
{
        while (*name) {
                size_t n = strcspn(name, ".");
                m->bytes[m->len++] = (uint8_t)n;
                memcpy(m->bytes + m->len, name, n);
                m->len += n;
                name += n + (name[n] == '.');
        }
        m->bytes[m->len++] = 0;
}

static inline void dns_put_record(struct dns_message *m, const char *owner, unsigned type, unsigned ttl,
                                  const uint8_t *data, size_t len)
{
        if (owner)
                dns_put_name(m, owner);
        else
                dns_put16(m, 0xc00c); /* the question's name */
        dns_put16(m, type);
        dns_put16(m, 1);
        dns_put16(m, ttl >> 16);
        dns_put16(m, ttl & 0xffff);
        dns_put16(m, (unsigned)len);
        memcpy(m->bytes + m->len, data, len);
        m->len += len;
        m->bytes[7] = (uint8_t)(m->bytes[7] + 1);
        m->bytes[6] = (uint8_t)(m->bytes[6] + (m->bytes[7] == 0));
}

static inline void dns_put_alias(struct dns_message *m, const char *owner, const char *target, unsigned ttl)
{
        struct dns_message name = { .len = 0 };

        dns_put_name(&name, target);
        dns_put_record(m, owner, DNS_CNAME, ttl, name.bytes, name.len);
}

static inline void dns_put_a(struct dns_message *m, const char *owner, unsigned ttl, uint8_t high,
                             uint8_t low)
{
        dns_put_record(m, owner, DNS_A, ttl, (const uint8_t[]){ 192, 0, high, low }, 4);
}

static inline void dns_put_aaaa(struct dns_message *m, unsigned ttl, uint8_t low)
{
        dns_put_record(m, NULL, DNS_AAAA, ttl, (const uint8_t[]){ 0x20, 1, 0xd, 0xb8, [15] = low }, 16);
}

/* The answer to a question; false: none. */
static inline bool dns_answer(struct dns_stub *d, const uint8_t *query, size_t len, bool is_tcp,
                              struct dns_message *m)
{
        char label[64] = "";
        size_t at = 12;
        unsigned type;

        assert_true(len > 16);
        memcpy(label, query + 13, MIN(query[12], sizeof(label) - 1));
        while (query[at])
                at += query[at] + 1u;
        type = (unsigned)(query[at + 1] << 8 | query[at + 2]);
        at += 5;
        memcpy(m->bytes, query, at);
        m->len = at;
        m->bytes[2] = 0x81; /* a response, recursion desired */
        m->bytes[3] = 0x80; /* and available */
        memset(m->bytes + 6, 0, 6);
        d->queries += type == DNS_A && !is_tcp;
        d->tcp_queries += is_tcp;
        if (d->is_mute || strcmp(label, "mute") == 0)
                return false;
        if (d->is_failing || strcmp(label, "servfail") == 0)
                m->bytes[3] |= DNS_SERVFAIL;
        else if (strcmp(label, "refused") == 0)
                m->bytes[3] |= DNS_REFUSED;
        else if (d->is_gone || strcmp(label, "nx") == 0)
                m->bytes[3] |= DNS_NXDOMAIN;
        else if (strcmp(label, "empty") == 0)
                ;
        else if (strcmp(label, "loop") == 0) {
                dns_put_alias(m, NULL, "loop2.test", 60);
                dns_put_alias(m, "loop2.test", "loop.test", 60);
        } else if (strcmp(label, "alias") == 0) {
                dns_put_alias(m, NULL, "real.test", 1);
                if (type == DNS_A)
                        dns_put_a(m, "real.test", 60, 2, d->last);
        } else if (strcmp(label, "both") == 0) {
                if (type == DNS_A)
                        dns_put_a(m, NULL, d->ttl, 2, 1);
                else
                        dns_put_aaaa(m, d->ttl, 1);
        } else if (strcmp(label, "six") == 0) {
                if (type == DNS_AAAA)
                        dns_put_aaaa(m, d->ttl, 7);
        } else if (strcmp(label, "many") == 0 && !is_tcp) {
                m->bytes[2] |= 2; /* truncated: ask over TCP */
        } else if (strcmp(label, "many") == 0) {
                for (unsigned i = 0; type == DNS_A && i < 1000; i++)
                        dns_put_a(m, NULL, 60, (uint8_t)(i >> 8), (uint8_t)i);
        } else if (strcmp(label, "garbage") == 0) {
                m->bytes[7] = 200; /* records that are not there */
        } else if (strcmp(label, "pointer") == 0) {
                dns_put16(m, 0xc000 | (unsigned)m->len); /* a name that points to itself */
                m->bytes[7] = 1;
        } else if (strcmp(label, "other") == 0) {
                m->bytes[13] = 'X'; /* an answer to another question */
                dns_put_a(m, NULL, 60, 2, 66);
        } else if (type == DNS_A) {
                dns_put_a(m, NULL, d->ttl, 2, d->last);
        }
        return true;
}

static inline void dns_udp_ready(struct watch *w, unsigned happened)
{
        struct dns_stub *d = CONTAINER_OF(w, struct dns_stub, udp);
        static struct dns_message out;
        struct sockaddr_in from;
        socklen_t from_len = sizeof(from);
        uint8_t query[512];
        ssize_t n = recvfrom(w->fd, query, sizeof(query), MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);

        if (n > 0 && dns_answer(d, query, (size_t)n, false, &out))
                sendto(w->fd, out.bytes, out.len, 0, (struct sockaddr *)&from, from_len);
}

static inline void dns_conn_ready(struct watch *w, unsigned happened)
{
        struct dns_stub *d = CONTAINER_OF(w, struct dns_stub, conn);
        static struct dns_message out;
        uint8_t bytes[2048], head[2];
        ssize_t n = recv(w->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        int fd = w->fd;

        if (n <= 0) {
                loop_remove(d->loop, w);
                close(fd);
                return;
        }
        for (size_t at = 0; at + 2 <= (size_t)n;) { /* on loopback a question comes whole */
                size_t len = (size_t)(bytes[at] << 8 | bytes[at + 1]);
                assert_true(at + 2 + len <= (size_t)n);
                if (dns_answer(d, bytes + at + 2, len, true, &out)) {
                        head[0] = (uint8_t)(out.len >> 8);
                        head[1] = (uint8_t)out.len;
                        assert_int_equal(send(fd, head, 2, MSG_NOSIGNAL), 2);
                        assert_int_equal(send(fd, out.bytes, out.len, MSG_NOSIGNAL), (ssize_t)out.len);
                }
                at += 2 + len;
        }
}

static inline void dns_tcp_ready(struct watch *w, unsigned happened)
{
        struct dns_stub *d = CONTAINER_OF(w, struct dns_stub, tcp);
        int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);

        assert_true(fd >= 0 && d->conn.fd < 0);
        assert_err(loop_add_level(d->loop, &d->conn, fd, dns_conn_ready), ERR_OK);
}

/* A UDP and a TCP socket on one port: the kernel's choice for the first may be taken for the second. */
static inline uint16_t dns_sockets(int *udp, int *tcp)
{
        for (int i = 0; i < 100; i++) {
                struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
                socklen_t len = sizeof(a);

                *udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
                *tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                assert_int_equal(bind(*udp, (struct sockaddr *)&a, sizeof(a)), 0);
                assert_int_equal(getsockname(*udp, (struct sockaddr *)&a, &len), 0);
                if (bind(*tcp, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(*tcp, 4) == 0)
                        return ntohs(a.sin_port);
                close(*udp);
                close(*tcp);
        }
        fail_msg("no port is free for both UDP and TCP");
        return 0;
}

static inline void dns_stub_start(struct dns_stub *d, struct loop *l)
{
        int udp, tcp;

        memset(d, 0, sizeof(*d));
        d->loop = l;
        d->ttl = 60;
        d->last = 1;
        d->conn.fd = -1;
        d->port = dns_sockets(&udp, &tcp);
        assert_err(loop_add_level(l, &d->udp, udp, dns_udp_ready), ERR_OK);
        assert_err(loop_add_level(l, &d->tcp, tcp, dns_tcp_ready), ERR_OK);
}

static inline void dns_stub_stop(struct dns_stub *d)
{
        struct watch *all[] = { &d->udp, &d->tcp, &d->conn };

        for (int i = 0; i < 3; i++) {
                int fd = all[i]->fd;
                loop_remove(d->loop, all[i]);
                if (fd >= 0)
                        close(fd);
        }
}
