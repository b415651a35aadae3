/*
 * The agent's side: what an asked request must say, what the owner's rules let out, and where it is really dialled to and from.
 */
#include "../test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dispatch/outward.h"
#include "dispatch/ways.h"
#include "io/tls.h"
#include "proxy/worker.h"

/* A gateway that asks: takes what it is told and keeps the end of it. */
struct asking {
        struct side side;
        char seen[2048];
        size_t seen_len;
        uint16_t status;
        unsigned ends, resets;
};

static struct {
        struct shared shared;
        struct worker w;
        struct snapshot *snap;
        struct route route;
        struct outward_conf conf;
        struct ways *ways;
        struct exchange_origin origin;
        struct asking asking;
        char refused[32];
        int listener;
        uint16_t port;
        bool dials;           /* what may_dial says */
        unsigned dials_count; /* how often it was asked */
} f;

static struct asking *of(struct side *s)
{
        return (struct asking *)s;
}

static void op_head(struct side *s, struct http_head *head)
{
        of(s)->status = head->status;
        snprintf(f.refused, sizeof(f.refused), "%s", s->x->refused ? s->x->refused : "");
}

static size_t op_data(struct side *s, const struct side_data *d)
{
        struct asking *a = of(s);

        for (size_t i = 0; i < d->slices_count; i++) {
                size_t n = MIN(d->slices[i].len, sizeof(a->seen) - a->seen_len);

                memcpy(a->seen + a->seen_len, d->slices[i].ptr, n);
                a->seen_len += n;
        }
        a->ends += d->is_last;
        return side_data_len(d);
}

static void op_flush(struct side *s) {}
static void op_pull(struct side *s) {}

static void op_reset(struct side *s, enum err reason)
{
        of(s)->resets++;
}

static void op_release(struct side *s)
{
        s->x = NULL;
}

static const struct side_ops ops = { "asking", op_head, op_data, op_flush, op_pull, op_reset, op_release };

static bool may_dial(const struct worker *w, const struct target *t, const struct dial_target *to)
{
        f.dials_count++;
        return f.dials && dispatch_may_dial(&f.conf.rules, t->host, to->ip, to->port);
}

static void snap_free(struct snapshot *s)
{
        map_fini(&s->link_in.targets);
        free(s);
}

static const struct conf_allow loopback[] = {
        { .prefix = { { 4, { 127 } }, 8 }, .port_min = 1, .port_max = 65535 }
};

static int listen_on(const char *address, uint16_t *port)
{
        struct sockaddr_in at = { .sin_family = AF_INET };
        socklen_t len = sizeof(at);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0) {
                fail_msg("no socket");
                return -1;
        }
        assert_int_equal(inet_pton(AF_INET, address, &at.sin_addr), 1);
        assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
        assert_int_equal(listen(fd, 8), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
        *port = ntohs(at.sin_port);
        return fd;
}

static int setup(void **state)
{
        const struct tls_client_conf nobody = { .skip_verify = true };
        struct tls_context *tls;
        struct report report;

        memset(&f, 0, sizeof(f));
        f.dials = true;
        assert_err(shared_init(&f.shared, 1), ERR_OK);
        assert_err(loop_new(&f.w.loop), ERR_OK);
        f.snap = calloc(1, sizeof(*f.snap));
        assert_non_null(f.snap);
        f.snap->uses = 1;
        f.snap->on_free = snap_free;
        f.snap->limits.request = f.snap->limits.answer = (struct h1_limits){ 4096, 8192, 50 };
        f.snap->limits.requests_max = 16;
        f.snap->limits.connections_max = 16;
        f.snap->limits.header_ms = f.snap->limits.idle_ms = f.snap->limits.body_idle_ms = 10 * 1000;
        struct loop *loop = f.w.loop;
        assert_err(worker_init(&f.w, &f.shared, 0, loop, f.snap), ERR_OK);
        f.w.may_dial = may_dial;
        report_init(&report, STR(""));
        assert_err(tls_client_new(&nobody, &report, &tls), ERR_OK);
        report_fini(&report);
        f.ways = ways_new(&f.w, tls, tls);
        tls_context_put(tls);
        assert_non_null(f.ways);
        f.conf = (struct outward_conf){ { loopback, ARRAY_SIZE(loopback) }, &f.ways };
        f.route = (struct route){ .name = STR("dispatch"),
                                  .path = STR("/"),
                                  .path_kind = PATH_PREFIX,
                                  .access = { .is_public = true },
                                  .handler = &outward_handler,
                                  .handler_conf = &f.conf,
                                  .is_outward = true };
        f.origin = (struct exchange_origin){ .is_link = true };
        map_init(&f.snap->link_in.targets, f.shared.hash_key, 4);
        assert_err(map_add(&f.snap->link_in.targets, OUTWARD_TARGET, &f.route), ERR_OK);
        f.asking = (struct asking){ .side = { .ops = &ops, .has_room = true } };
        f.listener = listen_on("127.0.0.1", &f.port);
        return 0;
}

static int teardown(void **state)
{
        for (int i = 0; i < 3; i++)
                loop_turn(f.w.loop, 0);
        assert_int_equal(pool_taken_count(f.w.exchanges), 0);
        ways_free(f.ways);
        for (int i = 0; i < 3; i++)
                loop_turn(f.w.loop, 0);
        struct loop *loop = f.w.loop;
        worker_fini(&f.w);
        loop_free(loop);
        shared_fini(&f.shared);
        close(f.listener);
        return 0;
}

/* Asked in these words; an empty one is left out. Runs until an answer or a connection is there. */
static int asked(const char *host, const char *scheme, const char *path, const char *source)
{
        char bytes[1024];
        struct http_field fields[HTTP_FIELDS_MAX];
        struct http_head head = { .fields = fields, .fields_max = HTTP_FIELDS_MAX };
        const struct h1_limits limits = { 4096, 1024, 50 };
        struct http_refusal refusal;
        size_t scanned = 0;
        int n = snprintf(
                bytes, sizeof(bytes),
                "GET /.sekisho/dispatch HTTP/1.1\r\nHost: %s:%u\r\nX-Theirs: 1\r\nsekisho-target: dispatch\r\n",
                host, f.port);

        if (*scheme)
                n += snprintf(bytes + n, sizeof(bytes) - (size_t)n, "sekisho-scheme: %s\r\n", scheme);
        if (*path)
                n += snprintf(bytes + n, sizeof(bytes) - (size_t)n, "sekisho-path: %s\r\n", path);
        if (*source)
                n += snprintf(bytes + n, sizeof(bytes) - (size_t)n, "sekisho-source: %s\r\n", source);
        snprintf(bytes + n, sizeof(bytes) - (size_t)n, "sekisho-later: x\r\n\r\n");
        f.asking = (struct asking){ .side = { .ops = &ops, .has_room = true } };
        assert_err(h1_request_parse(str_of(bytes), &limits, &scanned, &head, &refusal), ERR_OK);
        struct exchange *x = exchange_new(&f.w, &f.asking.side, &f.origin, &head);
        assert_non_null(x);
        exchange_run(x);
        for (int i = 0; i < 1000 && !f.asking.status; i++) {
                int fd = accept4(f.listener, NULL, NULL, SOCK_CLOEXEC);

                if (fd >= 0)
                        return fd;
                loop_turn(f.w.loop, 10);
        }
        return -1;
}

static struct str read_head(int fd, char *to, size_t size)
{
        size_t n = 0;

        for (int i = 0; i < 1000 && str_find((struct str){ to, n }, STR("\r\n\r\n")) == STR_NONE; i++) {
                loop_turn(f.w.loop, 10);
                ssize_t got = recv(fd, to + n, size - n, MSG_DONTWAIT);

                n += got > 0 ? (size_t)got : 0;
        }
        return (struct str){ to, n };
}

static void what_is_refused(void **state)
{
        static const struct {
                const char *why, *host, *scheme, *path, *source;
                uint16_t status;
                const char *refused;
        } cases[] = {
                { "no scheme", "127.0.0.1", "", "/", "", 400, "dispatch_fields" },
                { "another scheme", "127.0.0.1", "ftp", "/", "", 400, "dispatch_fields" },
                { "no path", "127.0.0.1", "http", "", "", 400, "dispatch_fields" },
                { "no path of a server", "127.0.0.1", "http", "a", "", 400, "dispatch_fields" },
                { "a fragment", "127.0.0.1", "http", "/a#b", "", 400, "dispatch_fields" },
                { "a space: a line with more in it", "127.0.0.1", "http", "/ HTTP/1.1", "", 400,
                  "dispatch_fields" },
                { "no address", "127.0.0.1", "http", "/", "everywhere", 400, "dispatch_fields" },
                { "not allowed by its owner", "10.0.0.1", "http", "/", "", 403, "address_denied" },
                { "a private network's name for it", "[::ffff:10.0.0.1]", "http", "/", "", 403,
                  "address_denied" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                assert_int_equal(asked(cases[i].host, cases[i].scheme, cases[i].path, cases[i].source), -1);
                if (f.asking.status != cases[i].status || strcmp(f.refused, cases[i].refused) != 0)
                        fail_msg("%s: %u %s", cases[i].why, f.asking.status, f.refused);
                loop_turn(f.w.loop, 0);
        }
        assert_int_equal(f.dials_count, 0); /* nor was any name looked up */
}

static void peer_is(int fd, const char *address)
{
        struct sockaddr_in at;
        socklen_t len = sizeof(at);
        char text[INET_ADDRSTRLEN];

        assert_int_equal(getpeername(fd, (struct sockaddr *)&at, &len), 0);
        assert_non_null(inet_ntop(AF_INET, &at.sin_addr, text, sizeof(text)));
        assert_string_equal(text, address);
}

static void answer(int fd, const char *text)
{
        assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
        for (int i = 0; i < 1000 && !f.asking.ends; i++)
                loop_turn(f.w.loop, 10);
        assert_int_equal(f.asking.ends, 1);
}

static void it_goes_as_it_says(void **state)
{
        char bytes[2048];
        int fd = asked("127.0.0.1", "http", "/a;b?c=%2F", "127.0.0.5");

        if (fd < 0) {
                fail_msg("nobody came");
                return;
        }
        peer_is(fd, "127.0.0.5");
        struct str head = read_head(fd, bytes, sizeof(bytes));
        assert_true(str_has_prefix(head, STR("GET /a;b?c=%2F HTTP/1.1\r\n")));
        assert_int_not_equal(str_find(head, STR("X-Theirs: 1\r\n")), STR_NONE);
        assert_int_equal(str_find(head, STR("sekisho-")), STR_NONE); /* what is between us stays so */
        assert_int_equal(str_find(head, STR("Sekisho-")), STR_NONE);
        answer(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert_int_equal(f.asking.status, 200);
        assert_memory_equal(f.asking.seen, "ok", 2);
        loop_turn(f.w.loop, 0);

        /* another address of ours has a connection of its own */
        int other = asked("127.0.0.1", "http", "/", "127.0.0.6");
        if (other < 0) {
                fail_msg("nobody came");
                return;
        }
        peer_is(other, "127.0.0.6");
        read_head(other, bytes, sizeof(bytes));
        answer(other, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
        assert_int_equal(f.asking.status, 404);
        close(fd);
        close(other);
}

static void the_address_dialled_has_the_last_word(void **state)
{
        f.dials = false;
        assert_int_equal(asked("127.0.0.1", "http", "/", "127.0.0.1"), -1);
        assert_int_equal(f.asking.status, 403);
        assert_string_equal(f.refused, "address_denied");
}

static void who_is_not_there_is_unreachable(void **state)
{
        close(f.listener);
        f.listener = -1;
        assert_int_equal(asked("127.0.0.1", "http", "/", "127.0.0.1"), -1);
        assert_int_equal(f.asking.status, 502);
        assert_string_equal(f.refused, "upstream_unreachable");
}

static void without_ways_it_says_so(void **state)
{
        struct ways *none = NULL;

        f.conf.ways = &none;
        assert_int_equal(asked("127.0.0.1", "http", "/", "127.0.0.1"), -1);
        assert_int_equal(f.asking.status, 503);
        assert_string_equal(f.refused, "upstream_connections");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                T(what_is_refused),
                T(it_goes_as_it_says),
                T(the_address_dialled_has_the_last_word),
                T(who_is_not_there_is_unreachable),
                T(without_ways_it_says_so),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
