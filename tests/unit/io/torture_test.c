/*
 * Each allocation of ours fails once: nothing crashes, nothing leaks (ASan), and whoever asked is told. OpenSSL's and c-ares'
 * own allocations are not touched.
 */
#include "tls_ends.h"

#include "dns_stub.h"
#include "io/dial.h"
#include "io/listener.h"
#include "io/resolver.h"

static long countdown; /* 0: nothing fails */
static bool has_failed;

static bool fails(void)
{
        if (countdown == 0 || --countdown > 0)
                return false;
        return has_failed = true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strndup(const char *s, size_t n);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strndup(const char *s, size_t n);

void *__wrap_malloc(size_t size)
{
        return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
        return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t size)
{
        return fails() ? NULL : __real_realloc(p, size);
}

char *__wrap_strndup(const char *s, size_t n)
{
        return fails() ? NULL : __real_strndup(s, n);
}

/* Runs `scenario` with the first allocation failing, then the second, until none is left to fail. */
static void torture(const char *name, bool (*scenario)(void))
{
        unsigned n = 0, refused = 0;
        bool ok;

        do {
                countdown = ++n;
                has_failed = false;
                ok = scenario();
                countdown = 0;
                if (!has_failed && !ok)
                        fail_msg("%s: failed with all its memory", name);
                refused += !ok;
                assert_true(n < 10000);
        } while (has_failed);
        print_message("%s: %u allocations, %u of them fatal to it\n", name, n - 1, refused);
}

static bool making_a_loop(void)
{
        struct loop *l = NULL;
        bool ok = loop_new(&l) == ERR_OK;

        loop_free(l);
        return ok;
}

static bool making_contexts(void)
{
        const struct issued *list[] = { &a_cert, &rsa_cert, &wild_cert };
        struct tls_certificate certificates[3];
        struct tls_server_conf server = { .certificates = certificates,
                                          .certificates_count = 3,
                                          .client_ca_pem = str_of(ca.cert_pem) };
        struct tls_client_conf client = { .ca_pem = str_of(ca.cert_pem),
                                          .cert_pem = str_of(a_cert.cert_pem),
                                          .key_pem = str_of(a_cert.key_pem) };
        struct tls_context *sc = NULL, *cc = NULL;
        struct report r;
        bool ok;

        report_init(&r, STR("torture"));
        for (int i = 0; i < 3; i++)
                certificates[i] = certificate_of(list[i]);
        ok = tls_server_new(&server, &r, &sc) == ERR_OK;
        ok = tls_client_new(&client, &r, &cc) == ERR_OK && ok;
        report_fini(&r);
        tls_context_put(sc);
        tls_context_put(cc);
        return ok;
}

static struct tls_context *server_context, *client_context;

/* Handshake, data in both directions past full sockets, and a close with something still to send. */
static bool a_tls_connection(void)
{
        static char bytes[100000];
        struct conn server = { .closed = 0 }, client = { .closed = 0 };
        struct iovec part = { bytes, sizeof(bytes) };
        bool is_server_open, is_client_open;
        size_t got_all = 0, taken = 0, n;
        int fds[2];

        tcp_pair(fds);
        small_buffers(fds);
        is_server_open =
                stream_open_tls_server(&server.stream, loop, fds[0], &events, server_context) == ERR_OK;
        is_client_open = stream_open_tls_client(&client.stream, loop, fds[1], &events, client_context,
                                                STR("x.wild.example")) == ERR_OK;
        for (int i = 0; i < 200 && ((is_server_open && !server.opened) || (is_client_open && !client.opened));
             i++)
                loop_turn(loop, 10);
        if (server.opened && server.open_err == ERR_OK)
                while (stream_write(&server.stream, &part, 1, &n) == ERR_OK)
                        taken += n;
        if (is_server_open)
                stream_close(&server.stream, STREAM_CLOSE_PLAIN);
        for (int i = 0; i < 300 && client.opened && client.open_err == ERR_OK; i++) {
                enum err e = stream_read(&client.stream, bytes, sizeof(bytes), &n);
                if (e == ERR_OK)
                        got_all += n;
                else if (e != ERR_AGAIN)
                        break;
                else
                        loop_turn(loop, 10);
        }
        if (is_client_open)
                stream_close(&client.stream, STREAM_CLOSE_LINGER);
        for (int i = 0; i < 100 && ((is_server_open && !server.closed) || (is_client_open && !client.closed));
             i++)
                loop_turn(loop, 0);
        assert_true(!is_server_open || server.closed == 1);
        assert_true(!is_client_open || client.closed == 1);
        return is_server_open && is_client_open && taken > 0 && got_all == taken;
}

static bool was_told;
static enum err told_err;

static void told(struct resolver_query *q, enum err e, const struct ip *addresses, size_t count)
{
        was_told = true;
        told_err = e;
}

static char servers[64];

static bool a_look_up(void)
{
        struct resolver_conf conf = {
                .ttl_max_ms = 1000, .timeout_ms = 500, .names_max = 10, .servers = str_of(servers)
        };
        struct resolver *r = NULL;
        struct resolver_query q;

        if (resolver_new(loop, &conf, &r) != ERR_OK)
                return false;
        was_told = false;
        resolver_find(r, &q, STR("a.test"), told);
        for (int i = 0; i < 200 && !was_told; i++)
                loop_turn(loop, 10);
        assert_true(was_told);
        resolver_free(r);
        return told_err == ERR_OK;
}

static void test_loop(void **state)
{
        torture("loop", making_a_loop);
}

static void test_contexts(void **state)
{
        torture("contexts", making_contexts);
}

static void test_connection(void **state)
{
        server_context = server_of(&wild_cert);
        client_context = client_of((struct tls_client_conf){ 0 });
        torture("TLS connection", a_tls_connection);
        tls_context_put(server_context);
        tls_context_put(client_context);
}

static void test_look_up(void **state)
{
        struct dns_stub stub;

        dns_stub_start(&stub, loop);
        snprintf(servers, sizeof(servers), "127.0.0.1:%u", (unsigned)stub.port);
        torture("look-up", a_look_up);
        dns_stub_stop(&stub);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(test_loop),
                T(test_contexts),
                T(test_connection),
                T(test_look_up),
        };
        return RUN_EACH_WAY(tests);
}
