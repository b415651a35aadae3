/* The threads: their listeners, their loop, their end. */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/ip.h"
#include "base/units.h"

enum { EVENTS_MAX = 256, BACKLOG = 4096, WAITING_POLL_MS = 2, CONNS_MAX = 1 << 20 };

struct worker *server_workers;
unsigned server_workers_count;
static struct counts *all_counts;
static pthread_t *threads;

uint64_t clock_mono_us(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int64_t clock_mono_ms(void)
{
        return (int64_t)(clock_mono_us() / 1000);
}

static void accept_all(struct worker *w, int listen_fd)
{
        int fd, yes = 1;

        while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                struct conn *c = calloc(1, sizeof(*c));
                struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c };

                if (!c || epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0) {
                        free(c);
                        close(fd);
                        continue;
                }
                (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
                c->worker = w;
                c->fd = fd;
                c->id = ++w->ids << 8 | w->number;
                list_add_last(&w->conns, &c->link);
                list_init(&c->step_timer.link);
                list_init(&c->trickle_timer.link);
                struct buf *bufs[] = { &c->in, &c->head, &c->body, &c->trailers, &c->pending };
                for (size_t i = 0; i < ARRAY_SIZE(bufs); i++)
                        buf_init(bufs[i], i == 2 ? BODY_BYTES_MAX : BODY_BYTES_MAX * 4);
                COUNT(w, connections, 1);
                COUNT(w, connections_open, 1);
        }
}

static void free_dead(struct worker *w)
{
        while (!list_is_empty(&w->dead)) {
                struct conn *c = LIST_FIRST(&w->dead, struct conn, link);

                list_remove(&c->link);
                buf_fini(&c->in);
                buf_fini(&c->head);
                buf_fini(&c->body);
                buf_fini(&c->trailers);
                buf_fini(&c->pending);
                free(c);
        }
}

static void on_event(struct worker *w, const struct epoll_event *e)
{
        uintptr_t tag = (uintptr_t)e->data.ptr;

        if (tag == 1) {
                w->is_stopping = true;
                return;
        }
        if (tag < 2 + LISTENS_MAX + 1) {
                accept_all(w, w->listen_fds[tag - 2]);
                return;
        }
        struct conn *c = e->data.ptr;
        if (conn_is_closed(c))
                return;
        c->is_peer_gone |= (e->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
        c->may_have_more |= (e->events & EPOLLIN) || c->is_peer_gone;
        conn_process(c);
}

static void *run(void *argument)
{
        struct worker *w = argument;
        struct epoll_event events[EVENTS_MAX];

        while (!w->is_stopping) {
                int wait_ms = wheel_wait_ms(&w->wheel, clock_mono_ms() - 1);

                if (!list_is_empty(&w->waiting))
                        wait_ms = wait_ms < 0 ? WAITING_POLL_MS : MIN(wait_ms, (int)WAITING_POLL_MS);
                int n = epoll_wait(w->epoll_fd, events, EVENTS_MAX, wait_ms);
                w->now_ms = clock_mono_ms();
                for (int i = 0; i < n; i++)
                        on_event(w, &events[i]);
                wheel_fire(&w->wheel, w->now_ms - 1); /* when the millisecond is over: never too early */
                pace_waiting(w);
                free_dead(w);
        }
        while (!list_is_empty(&w->conns))
                conn_close(LIST_FIRST(&w->conns, struct conn, link), false);
        free_dead(w);
        return NULL;
}

static bool watch(struct worker *w, int fd, uintptr_t tag, uint32_t events)
{
        struct epoll_event e = { .events = events, .data.ptr = (void *)tag };

        return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0;
}

static bool address_parse(const char *text, struct sockaddr_storage *out, socklen_t *len)
{
        struct str s = str_of(text), host;
        struct ip ip;
        uint64_t port;
        size_t colon = s.len;

        while (colon > 0 && s.ptr[colon - 1] != ':')
                colon--;
        if (colon == 0 || units_parse_u64(str_from(s, colon), 65535, &port) != ERR_OK)
                return false;
        host = str_sub(s, 0, colon - 1);
        if (host.len > 1 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
                host = str_sub(host, 1, host.len - 2);
        if (str_eq(host, STR("localhost")))
                host = STR("127.0.0.1");
        if (ip_parse(host, &ip) != ERR_OK)
                return false;
        memset(out, 0, sizeof(*out));
        if (ip.family == 4) {
                struct sockaddr_in *a = (struct sockaddr_in *)out;
                a->sin_family = AF_INET;
                a->sin_port = htons((uint16_t)port);
                memcpy(&a->sin_addr, ip.bytes, 4);
                *len = sizeof(*a);
        } else {
                struct sockaddr_in6 *a = (struct sockaddr_in6 *)out;
                a->sin6_family = AF_INET6;
                a->sin6_port = htons((uint16_t)port);
                memcpy(&a->sin6_addr, ip.bytes, 16);
                *len = sizeof(*a);
        }
        return true;
}

static int bind_and_listen(const struct sockaddr *address, socklen_t len)
{
        int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), yes = 1;

        if (fd < 0)
                return -1;
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
        if (address->sa_family == AF_INET6)
                (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
        if (address->sa_family != AF_UNIX)
                (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes));
        if (bind(fd, address, len) < 0 || listen(fd, BACKLOG) < 0) {
                close(fd);
                return -1;
        }
        return fd;
}

/* Every thread listens at it; a port 0 becomes the one the first thread got. */
static bool listen_tcp(const char *text, unsigned slot)
{
        struct sockaddr_storage address;
        socklen_t len;

        if (!address_parse(text, &address, &len)) {
                fprintf(stderr, "sekisho-sample-model: --listen %s: not an ADDRESS:PORT\n", text);
                return false;
        }
        for (unsigned i = 0; i < server_workers_count; i++) {
                struct worker *w = &server_workers[i];
                int fd = bind_and_listen((struct sockaddr *)&address, len);

                if (fd < 0 || !watch(w, fd, 2 + slot, EPOLLIN)) {
                        fprintf(stderr, "sekisho-sample-model: --listen %s: %s\n", text, strerror(errno));
                        return false;
                }
                w->listen_fds[slot] = fd;
                w->listens_count = slot + 1;
                (void)getsockname(fd, (struct sockaddr *)&address, &len);
        }
        char name[INET6_ADDRSTRLEN];
        bool is_v6 = address.ss_family == AF_INET6;
        const void *bytes = is_v6 ? (const void *)&((struct sockaddr_in6 *)&address)->sin6_addr
                                  : (const void *)&((struct sockaddr_in *)&address)->sin_addr;
        inet_ntop(address.ss_family, bytes, name, sizeof(name));
        printf("listening on %s%s%s:%u\n", is_v6 ? "[" : "", name, is_v6 ? "]" : "",
               ntohs(((struct sockaddr_in *)&address)->sin_port)); /* the same place in both families */
        return true;
}

/* One socket shared by all: each waits for it, one wakes. */
static bool listen_unix(const char *path, unsigned slot)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        if (strlen(path) >= sizeof(address.sun_path)) {
                fprintf(stderr, "sekisho-sample-model: --unix %s: path too long\n", path);
                return false;
        }
        memcpy(address.sun_path, path, strlen(path));
        unlink(path);
        int fd = bind_and_listen((struct sockaddr *)&address, sizeof(address));
        for (unsigned i = 0; i < server_workers_count; i++) {
                struct worker *w = &server_workers[i];

                w->listen_fds[slot] = i && fd >= 0 ? dup(fd) : fd;
                w->listens_count = slot + 1;
                if (fd < 0 || !watch(w, w->listen_fds[slot], 2 + slot, EPOLLIN | EPOLLEXCLUSIVE)) {
                        fprintf(stderr, "sekisho-sample-model: --unix %s: %s\n", path, strerror(errno));
                        return false;
                }
        }
        printf("listening on unix:%s\n", path);
        return true;
}

static void *slab_take(size_t bytes)
{
        return aligned_alloc(bytes, bytes);
}

static void slab_give(void *memory, size_t bytes)
{
        free(memory);
}

static const struct pool_source slabs = { slab_take, slab_give };

static bool worker_init(struct worker *w, const struct options *o, unsigned number)
{
        w->options = o;
        w->number = number;
        w->counts = &all_counts[number];
        w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        w->answers = pool_new(sizeof(struct answer), CONNS_MAX, &slabs);
        w->read_bytes = malloc(READ_BYTES);
        w->now_ms = clock_mono_ms();
        wheel_init(&w->wheel, w->now_ms - 1);
        list_init(&w->conns);
        list_init(&w->dead);
        list_init(&w->waiting);
        buf_init(&w->out, BODY_BYTES_MAX * 4);
        buf_init(&w->events, BODY_BYTES_MAX * 2);
        return w->epoll_fd >= 0 && w->wake_fd >= 0 && w->answers && w->read_bytes &&
               watch(w, w->wake_fd, 1, EPOLLIN);
}

bool server_start(const struct options *o)
{
        struct rlimit files;

        if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
                files.rlim_cur = files.rlim_max;
                (void)setrlimit(RLIMIT_NOFILE, &files);
        }
        conn_prepare();
        server_workers = calloc(o->threads, sizeof(*server_workers));
        all_counts = calloc(o->threads, sizeof(*all_counts));
        threads = calloc(o->threads, sizeof(*threads));
        if (!server_workers || !all_counts || !threads)
                return false;
        for (unsigned i = 0; i < o->threads; i++, server_workers_count++)
                if (!worker_init(&server_workers[i], o, i))
                        return false;
        unsigned slot = 0;
        for (unsigned i = 0; i < o->listens_count; i++)
                if (!listen_tcp(o->listens[i], slot++))
                        return false;
        if (o->unix_path && !listen_unix(o->unix_path, slot))
                return false;
        for (unsigned i = 0; i < server_workers_count; i++)
                if (pthread_create(&threads[i], NULL, run, &server_workers[i]) != 0)
                        return false;
        return true;
}

void server_stop(void)
{
        uint64_t one = 1;

        for (unsigned i = 0; i < server_workers_count; i++) {
                struct worker *w = &server_workers[i];

                if (threads[i] && write(w->wake_fd, &one, sizeof(one)) == sizeof(one))
                        pthread_join(threads[i], NULL);
        }
        for (unsigned i = 0; i < server_workers_count; i++) {
                struct worker *w = &server_workers[i];

                for (unsigned l = 0; l < w->listens_count; l++)
                        close(w->listen_fds[l]);
                close(w->epoll_fd);
                close(w->wake_fd);
                pool_free(w->answers);
                free(w->read_bytes);
                buf_fini(&w->out);
                buf_fini(&w->events);
        }
        free(server_workers);
        free(all_counts);
        free(threads);
        stats_fini();
}
