/*
 * bench-events: holds many event streams of GET /sse open for a while and says how late their events came.
 *
 *   bench-events PORT STREAMS SECONDS INTERVAL_MS EVENT_BYTES
 *
 * Each event carries the sender's monotonic clock ("t":NANOSECONDS), so the delay is one way, on one machine. The first
 * 300 ms are left out. Prints one JSON object. Streams are begun evenly spread over an interval.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "base/units.h"

enum { DELAYS_MAX = 16 * 1024 * 1024, READ_BYTES = 256 * 1024, WARM_UP_NS = 300000000 };

static uint32_t *delays_us;
static size_t delays_count;
static uint64_t reads, lost;

static uint64_t now_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
        uint32_t x, y;

        memcpy(&x, a, sizeof(x));
        memcpy(&y, b, sizeof(y));
        return x < y ? -1 : x > y;
}

static unsigned number(const char *text)
{
        uint64_t value;

        if (units_parse_u64(str_of(text), UINT32_MAX, &value) != ERR_OK) {
                fprintf(stderr, "bench-events: %s is not a number\n", text);
                exit(2);
        }
        return (unsigned)value;
}

static int begin_stream(unsigned port, unsigned interval_ms, unsigned bytes)
{
        char request[256];
        int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_port = htons((uint16_t)port),
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int len = snprintf(
                request, sizeof(request),
                "GET /sse?events=100000000&interval_ms=%u&size=%u HTTP/1.1\r\nHost: localhost\r\n\r\n",
                interval_ms, bytes);

        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            write(fd, request, (size_t)len) != len) {
                perror("bench-events: connect");
                exit(1);
        }
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
        return fd;
}

/* The clock of each event in the piece; one cut in two is not counted. */
static void take(struct str piece, uint64_t now, uint64_t from)
{
        for (;;) {
                size_t at = str_find(piece, STR("\"t\":")), digits = 0;
                uint64_t sent;

                if (at == STR_NONE)
                        return;
                piece = str_from(piece, at + 4);
                while (digits < piece.len && ascii_is_digit(piece.ptr[digits]))
                        digits++;
                if (digits == piece.len ||
                    units_parse_u64(str_sub(piece, 0, digits), UINT64_MAX, &sent) != ERR_OK)
                        return;
                if (now > from && sent <= now && delays_count < DELAYS_MAX)
                        delays_us[delays_count++] = (uint32_t)((now - sent) / 1000);
        }
}

static void run(int epoll_fd, uint64_t until, uint64_t from)
{
        static char bytes[READ_BYTES];
        struct epoll_event events[256];

        while (now_ns() < until) {
                int n = epoll_wait(epoll_fd, events, 256, 50);

                for (int i = 0; i < n; i++) {
                        ssize_t got = recv(events[i].data.fd, bytes, sizeof(bytes), MSG_DONTWAIT);
                        uint64_t now = now_ns();

                        if (got <= 0) {
                                if (got < 0 && errno == EAGAIN)
                                        continue;
                                lost++;
                                close(events[i].data.fd);
                                continue;
                        }
                        reads += now > from;
                        take((struct str){ bytes, (size_t)got }, now, from);
                }
        }
}

int main(int argc, char **argv)
{
        struct rlimit files;

        if (argc != 6) {
                fputs("usage: bench-events PORT STREAMS SECONDS INTERVAL_MS EVENT_BYTES\n", stderr);
                return 2;
        }
        unsigned port = number(argv[1]), streams = number(argv[2]), seconds = number(argv[3]);
        unsigned interval_ms = number(argv[4]), event_bytes = number(argv[5]);
        if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
                files.rlim_cur = files.rlim_max;
                (void)setrlimit(RLIMIT_NOFILE, &files);
        }
        delays_us = malloc(sizeof(*delays_us) * DELAYS_MAX);
        int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (!delays_us || epoll_fd < 0 || !streams)
                return 1;
        for (unsigned i = 0; i < streams; i++) {
                struct epoll_event e = { .events = EPOLLIN,
                                         .data.fd = begin_stream(port, interval_ms, event_bytes) };

                epoll_ctl(epoll_fd, EPOLL_CTL_ADD, e.data.fd, &e);
                usleep(interval_ms * 1000 / streams + 100);
        }
        uint64_t from = now_ns() + WARM_UP_NS;
        run(epoll_fd, now_ns() + (uint64_t)seconds * 1000000000, from);
        qsort(delays_us, delays_count, sizeof(*delays_us), by_size);
        size_t last = delays_count ? delays_count - 1 : 0;
        printf("{\"events\":%zu,\"reads\":%llu,\"lost\":%llu,\"seconds\":%.3f,\"p50_us\":%u,\"p99_us\":%u}\n",
               delays_count, (unsigned long long)reads, (unsigned long long)lost, seconds - WARM_UP_NS / 1e9,
               delays_count ? delays_us[last / 2] : 0, delays_count ? delays_us[last * 99 / 100] : 0);
        free(delays_us);
        return lost ? 1 : 0;
}
