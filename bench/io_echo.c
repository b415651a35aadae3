/*
 * bench-io-echo: a server that answers each read with one small HTTP answer, over the streams of src/io and over a bare epoll
 * loop, to see what the streams cost above the system calls themselves.
 *
 *   bench-io-echo stream PORT                   our streams
 *   bench-io-echo raw PORT                      accept4, recv, send, epoll_wait and nothing else
 *   bench-io-echo tls PORT CERT.pem KEY.pem     our streams over TLS
 *   bench-io-echo proxy PORT UPSTREAM_PORT      our streams on both sides, one upstream connection a client
 *
 * Ends with SIGTERM and prints one JSON object: answers and CPU microseconds per answer. bench/io_echo drives it and counts
 * system calls. Not a proxy: nothing is parsed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/units.h"
#include "io/dial.h"
#include "io/file.h"
#include "io/listener.h"
#include "io/stream.h"
#include "io/tls.h"

enum { READ_BYTES = 16 * 1024, HEAD_BYTES = 100 };

static char answer[] =
        "HTTP/1.1 200 OK\r\n"
        "Content-Type: text/plain\r\n"
        "Content-Length: 200\r\n"
        "\r\n"
        "..................................................................................................\r\n"
        "..................................................................................................\r\n";

static char buffer[READ_BYTES];
static uint64_t answers_count, handshakes_count;

static double cpu_us(void)
{
        struct rusage u;

        getrusage(RUSAGE_SELF, &u);
        return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void on_term(int number)
{
        char text[200];
        int n = snprintf(text, sizeof(text), "{\"answers\":%llu,\"handshakes\":%llu,\"cpu_us\":%.2f}\n",
                         (unsigned long long)answers_count, (unsigned long long)handshakes_count,
                         cpu_us() / (double)MAX(answers_count, (uint64_t)1));

        _exit(write(STDOUT_FILENO, text, (size_t)n) < 0);
}

/* --- Our streams --- */

struct conn {
        struct stream stream;
        struct dial dial;
        struct conn *other; /* proxy: the other side */
};

static struct loop *loop;
static struct tls_context *tls;
static struct dial_target upstream;

static void conn_close(struct conn *c)
{
        if (c->other) {
                c->other->other = NULL;
                stream_close(&c->other->stream, STREAM_CLOSE_PLAIN);
        }
        c->other = NULL;
        stream_close(&c->stream, STREAM_CLOSE_PLAIN);
}

static void on_open(struct stream *s, enum err e)
{
        if (e == ERR_OK)
                handshakes_count++;
        else
                conn_close(CONTAINER_OF(s, struct conn, stream));
}

static void on_ready(struct stream *s, unsigned ready)
{
        struct conn *c = CONTAINER_OF(s, struct conn, stream);
        size_t got, written;
        enum err e;

        while ((e = stream_read(s, buffer, sizeof(buffer), &got)) == ERR_OK) {
                struct iovec parts[2] = { { answer, HEAD_BYTES },
                                          { answer + HEAD_BYTES, sizeof(answer) - 1 - HEAD_BYTES } };
                if (c->other) {
                        parts[0] = (struct iovec){ buffer, got };
                        e = stream_write(&c->other->stream, parts, 1, &written);
                } else {
                        answers_count++;
                        e = stream_write(s, parts, 2, &written);
                }
                if (e != ERR_OK)
                        break;
        }
        if (e != ERR_AGAIN)
                conn_close(c);
}

static void on_closed(struct stream *s)
{
        free(CONTAINER_OF(s, struct conn, stream));
}

static const struct stream_events events = { on_open, on_ready, on_closed };

static void on_dialled(struct dial *d, enum err e, int fd)
{
        struct conn *c = CONTAINER_OF(d, struct conn, dial);

        if (e != ERR_OK || stream_open(&c->stream, loop, fd, &events) != ERR_OK) {
                if (c->other) {
                        c->other->other = NULL;
                        conn_close(c->other);
                }
                free(c);
                return;
        }
        if (c->other)
                stream_poke(&c->other->stream, STREAM_READABLE);
        else
                conn_close(c);
}

static void on_accept(struct listener *l, int fd)
{
        struct conn *c = calloc(1, sizeof(*c));
        enum err e;

        if (!c) {
                close(fd);
                return;
        }
        e = tls ? stream_open_tls_server(&c->stream, loop, fd, &events, tls)
                : stream_open(&c->stream, loop, fd, &events);
        if (e != ERR_OK) {
                free(c);
                return;
        }
        if (upstream.port && (c->other = calloc(1, sizeof(*c)))) {
                c->other->other = c;
                dial_start(&c->other->dial, loop, &upstream, 1000, on_dialled);
        }
}

static void run_streams(int listen_fd)
{
        struct listener listener;

        if (loop_new(&loop) != ERR_OK || listener_start(&listener, loop, listen_fd, on_accept) != ERR_OK)
                exit(1);
        loop_run(loop);
}

static struct tls_context *tls_from(const char *cert, const char *key)
{
        struct tls_certificate certificate = { .cert_name = str_of(cert), .key_name = str_of(key) };
        struct tls_server_conf conf = { .light_records = true,
                                        .certificates = &certificate,
                                        .certificates_count = 1,
                                        .offer_h2 = false };
        struct tls_context *context = NULL;
        struct buf pem[2];
        struct report r;

        report_init(&r, STR("arguments"));
        buf_init(&pem[0], 1 << 20);
        buf_init(&pem[1], 1 << 20);
        if (file_read(cert, &pem[0]) != ERR_OK || file_read(key, &pem[1]) != ERR_OK)
                exit(2);
        certificate.cert_pem = buf_str(&pem[0]);
        certificate.key_pem = buf_str(&pem[1]);
        if (tls_server_new(&conf, &r, &context) != ERR_OK)
                exit(2);
        return context;
}

/* --- Nothing but system calls --- */

static void raw_answer(int fd)
{
        struct iovec parts[2] = { { answer, HEAD_BYTES },
                                  { answer + HEAD_BYTES, sizeof(answer) - 1 - HEAD_BYTES } };
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
        ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

        if (n > 0) {
                answers_count++;
                if (sendmsg(fd, &message, MSG_NOSIGNAL) > 0)
                        return;
        }
        if (n < 0 && errno == EAGAIN)
                return;
        close(fd);
}

static void run_raw(int listen_fd)
{
        int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        struct epoll_event all[256], event = { .events = EPOLLIN, .data.fd = listen_fd };

        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &event);
        for (;;) {
                int n = epoll_wait(epoll_fd, all, 256, -1);
                for (int i = 0; i < n; i++) {
                        if (all[i].data.fd != listen_fd) {
                                raw_answer(all[i].data.fd);
                                continue;
                        }
                        int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                        event = (struct epoll_event){ .events = EPOLLIN | EPOLLET, .data.fd = fd };
                        if (fd >= 0)
                                epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
                }
        }
}

int main(int argc, char **argv)
{
        struct listen_address address = { .ip = { 4, { 127, 0, 0, 1 } } };
        uint64_t port;
        int yes = 1, fd;

        if (argc < 3 || units_parse_u64(str_of(argv[2]), UINT16_MAX, &port) != ERR_OK)
                return 2;
        address.port = (uint16_t)port;
        if (listen_socket_open(&address, false, &fd) != ERR_OK)
                return 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
        signal(SIGTERM, on_term);
        signal(SIGPIPE, SIG_IGN);
        if (strcmp(argv[1], "raw") == 0)
                run_raw(fd);
        if (strcmp(argv[1], "tls") == 0 && argc == 5)
                tls = tls_from(argv[3], argv[4]);
        if (strcmp(argv[1], "proxy") == 0 && argc == 4 &&
            units_parse_u64(str_of(argv[3]), UINT16_MAX, &port) == ERR_OK)
                upstream = (struct dial_target){ .ip = address.ip, .port = (uint16_t)port };
        run_streams(fd);
        return 0;
}
