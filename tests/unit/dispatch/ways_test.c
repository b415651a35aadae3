/* Connections are kept by where they go and from where; nothing is dialled here. */
#include "../test.h"

#include "dispatch/ways.h"
#include "io/loop.h"
#include "io/tls.h"
#include "proxy/worker.h"

static struct shared shared;
static struct worker worker;
static struct ways *ways;

static int setup(void **state)
{
        const struct tls_client_conf nobody = { .skip_verify = true };
        struct tls_context *tls;
        struct report report;

        report_init(&report, STR(""));
        assert_err(tls_client_new(&nobody, &report, &tls), ERR_OK);
        report_fini(&report);
        worker = (struct worker){ .shared = &shared };
        assert_err(shared_init(&shared, 1), ERR_OK);
        assert_err(loop_new(&worker.loop), ERR_OK);
        ways = ways_new(&worker, tls, tls);
        tls_context_put(tls);
        assert_non_null(ways);
        return 0;
}

static int teardown(void **state)
{
        ways_free(ways);
        loop_free(worker.loop);
        shared_fini(&shared);
        return 0;
}

static struct upstream *way(bool is_tls, const char *host, uint16_t port, const char *source)
{
        const struct http_authority to = { .host = str_of(host), .port = port };
        struct ip ip = { 0 };

        if (*source)
                assert_err(ip_parse(str_of(source), &ip), ERR_OK);
        return ways_get(ways, is_tls, &to, ip);
}

static void one_for_each_place_and_source(void **state)
{
        static const struct {
                const char *why;
                bool is_tls;
                const char *host;
                uint16_t port;
                const char *source;
        } others[] = {
                { "another scheme", true, "example.com", 80, "192.0.2.1" },
                { "another host", false, "example.org", 80, "192.0.2.1" },
                { "a host that begins alike", false, "example.co", 80, "192.0.2.1" },
                { "another port", false, "example.com", 81, "192.0.2.1" },
                { "another source", false, "example.com", 80, "192.0.2.2" },
                { "a source of the other family", false, "example.com", 80, "2001:db8::1" },
                { "no source", false, "example.com", 80, "" },
        };
        struct upstream *first = way(false, "example.com", 80, "192.0.2.1");

        assert_non_null(first);
        for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                struct upstream *u = way(others[i].is_tls, others[i].host, others[i].port, others[i].source);

                if (!u || u == first)
                        fail_msg("%s is the same way", others[i].why);
                assert_ptr_equal(u, way(others[i].is_tls, others[i].host, others[i].port, others[i].source));
        }
        assert_ptr_equal(first, way(false, "example.com", 80, "192.0.2.1"));
        assert_int_equal(ways_count(ways), 1 + ARRAY_SIZE(others));
}

static void it_goes_where_it_says(void **state)
{
        const struct target *t = way(true, "example.com", 8443, "2001:db8::1")->targets;

        assert_str(t->host, STR("example.com"));
        assert_int_equal(t->port, 8443);
        assert_true(t->is_tls);
        assert_int_equal(t->source.family, 6);
        assert_int_equal(t->ip.family, 0); /* a name: looked up each time */
        t = way(false, "127.0.0.1", 80, "")->targets;
        assert_int_equal(t->ip.family, 4);
        assert_false(t->is_tls);
        assert_true(way(false, "127.0.0.1", 80, "")->is_outward);
}

static void no_name_is_that_long(void **state)
{
        char host[300];

        memset(host, 'a', sizeof(host));
        host[256] = '\0';
        assert_null(way(false, host, 80, ""));
        host[255] = '\0';
        assert_non_null(way(false, host, 80, ""));
        assert_null(way(false, "", 80, ""));
}

/* The one that was used longest ago makes room, but not while it carries something. */
static void there_are_so_many_and_no_more(void **state)
{
        char host[32];
        struct upstream *busy = way(false, "busy", 80, ""), *idle = way(false, "idle", 80, "");

        busy->targets[0].requests_active = 1;
        for (int i = 2; i < WAYS_MAX; i++) {
                snprintf(host, sizeof(host), "h%d", i);
                assert_non_null(way(false, host, 80, ""));
        }
        assert_int_equal(ways_count(ways), WAYS_MAX);
        assert_ptr_equal(idle, way(false, "idle", 80, "")); /* and is the youngest now */
        assert_non_null(way(false, "one-more", 80, ""));
        assert_int_equal(ways_count(ways), WAYS_MAX);
        assert_ptr_equal(busy, way(false, "busy", 80, ""));
        assert_ptr_equal(idle, way(false, "idle", 80, ""));
        busy->targets[0].requests_active = 0;
}

static void when_all_are_busy_there_is_no_room(void **state)
{
        char host[32];

        for (int i = 0; i < WAYS_MAX; i++) {
                snprintf(host, sizeof(host), "h%d", i);
                way(false, host, 80, "")->targets[0].requests_active = 1;
        }
        assert_null(way(false, "one-more", 80, ""));
        way(false, "h7", 80, "")->targets[0].requests_active = 0;
        assert_non_null(way(false, "one-more", 80, ""));
        for (int i = 0; i < WAYS_MAX; i++) {
                snprintf(host, sizeof(host), "h%d", i);
                if (i != 7)
                        way(false, host, 80, "")->targets[0].requests_active = 0;
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(one_for_each_place_and_source, setup, teardown),
                cmocka_unit_test_setup_teardown(it_goes_where_it_says, setup, teardown),
                cmocka_unit_test_setup_teardown(no_name_is_that_long, setup, teardown),
                cmocka_unit_test_setup_teardown(there_are_so_many_and_no_more, setup, teardown),
                cmocka_unit_test_setup_teardown(when_all_are_busy_there_is_no_room, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
