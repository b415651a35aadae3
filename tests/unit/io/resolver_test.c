#include "../test.h"

#include <stdlib.h>

#include "dns_stub.h"
#include "io/resolver_priv.h"

static struct loop *loop;
static struct dns_stub stub;
static struct resolver *resolver;
static char servers[64], hosts_path[] = "/tmp/sekisho-hosts-XXXXXX";

static struct resolver_conf conf;

static void open_resolver(struct resolver_conf c)
{
        resolver_free(resolver);
        assert_err(resolver_new(loop, &c, &resolver), ERR_OK);
}

static int setup(void **state)
{
        if (loop_new(&loop) != ERR_OK)
                return -1;
        dns_stub_start(&stub, loop);
        snprintf(servers, sizeof(servers), "127.0.0.1:%u", (unsigned)stub.port);
        conf = (struct resolver_conf){ .ttl_min_ms = 20,
                                       .ttl_max_ms = 60000,
                                       .stale_max_ms = 60000,
                                       .timeout_ms = 1500,
                                       .names_max = 100,
                                       .servers = str_of(servers),
                                       .hosts_path = hosts_path };
        open_resolver(conf);
        return 0;
}

static int teardown(void **state)
{
        resolver_free(resolver);
        resolver = NULL;
        dns_stub_stop(&stub);
        loop_free(loop);
        return 0;
}

struct ask {
        struct resolver_query query;
        unsigned calls;
        enum err e;
        struct ip addresses[RESOLVER_ADDRESSES_MAX];
        size_t count;
};

static void told(struct resolver_query *q, enum err e, const struct ip *addresses, size_t count)
{
        struct ask *a = CONTAINER_OF(q, struct ask, query);

        a->calls++;
        a->e = e;
        a->count = count;
        if (count)
                memcpy(a->addresses, addresses, count * sizeof(*addresses));
}

static void start(struct ask *a, const char *name)
{
        memset(a, 0, sizeof(*a));
        resolver_find(resolver, &a->query, str_of(name), told);
        assert_int_equal(a->calls, 0); /* never inside the call */
}

static void wait_for(struct ask *a)
{
        for (int i = 0; i < 1000 && !a->calls; i++)
                loop_turn(loop, 10);
        assert_int_equal(a->calls, 1);
        resolver_cancel(&a->query); /* may have ended already */
}

static enum err ask(struct ask *a, const char *name)
{
        start(a, name);
        wait_for(a);
        return a->e;
}

static void pass(mono_ms ms)
{
        mono_ms until = loop_now(loop) + ms;

        while (loop_now(loop) < until)
                loop_turn(loop, until - loop_now(loop));
}

static void expect_address(const struct ask *a, size_t i, const char *text)
{
        char actual[IP_TEXT_MAX];

        assert_true(i < a->count);
        assert_str(ip_format(a->addresses[i], actual), str_of(text));
}

static const struct {
        const char *why;
        const char *name;
        enum err err;
        size_t count;
        const char *first;
} lookups[] = {
        { "a name", "a.test", ERR_OK, 1, "192.0.2.1" },
        { "dot at the end", "a.test.", ERR_OK, 1, "192.0.2.1" },
        { "IPv4 and IPv6", "both.test", ERR_OK, 2, "192.0.2.1" },
        { "IPv6 only", "six.test", ERR_OK, 1, "2001:db8::7" },
        { "alias", "alias.test", ERR_OK, 1, "192.0.2.1" },
        { "1000 records", "many.test", ERR_OK, RESOLVER_ADDRESSES_MAX, "192.0.0.0" },
        { "NXDOMAIN", "nx.test", ERR_NOT_FOUND, 0, NULL },
        { "no data", "empty.test", ERR_NOT_FOUND, 0, NULL },
        { "SERVFAIL", "servfail.test", ERR_UNREACHABLE, 0, NULL },
        { "REFUSED", "refused.test", ERR_UNREACHABLE, 0, NULL },
        { "aliases in a circle", "loop.test", ERR_NOT_FOUND, 0, NULL },
        { "fewer records than it says", "garbage.test", ERR_UNREACHABLE, 0, NULL },
        { "name that points to itself", "pointer.test", ERR_UNREACHABLE, 0, NULL },
        { "IPv4 address", "192.0.2.9", ERR_OK, 1, "192.0.2.9" },
        { "IPv6 address", "2001:DB8::9", ERR_OK, 1, "2001:db8::9" },
        { "localhost", "localhost", ERR_OK, 2, "127.0.0.1" },
        { "hosts file", "FILE.example", ERR_OK, 3, "192.0.2.40" },
        { "hosts file, a second name", "second", ERR_OK, 1, "192.0.2.40" },
        { "nothing", "", ERR_NOT_FOUND, 0, NULL },
        { "a space", "a b.test", ERR_NOT_FOUND, 0, NULL },
        { "not ASCII", "\xc3\xa9.test", ERR_NOT_FOUND, 0, NULL },
};

static void test_lookups(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(lookups); i++) {
                struct ask a;
                enum err e = ask(&a, lookups[i].name);

                if (e != lookups[i].err || a.count != lookups[i].count)
                        fail_msg("%s: ERR_%s, %zu addresses", lookups[i].why, err_name(e), a.count);
                if (lookups[i].first)
                        expect_address(&a, 0, lookups[i].first);
        }
        assert_true(stub.tcp_queries > 0);
        char long_name[300];
        struct ask a;
        memset(long_name, 'a', sizeof(long_name));
        long_name[254] = '\0';
        assert_err(ask(&a, long_name), ERR_NOT_FOUND);
}

static void test_kept_for_its_ttl(void **state)
{
        struct ask a;
        struct ip peeked[RESOLVER_ADDRESSES_MAX];

        stub.ttl = 1;
        assert_int_equal(resolver_peek(resolver, STR("a.test"), peeked), 0);
        assert_err(ask(&a, "a.test"), ERR_OK);
        assert_err(ask(&a, "A.test."), ERR_OK); /* the same name */
        assert_int_equal(stub.queries, 1);
        assert_int_equal(resolver_peek(resolver, STR("A.TEST"), peeked), 1);
        assert_true(ip_eq(peeked[0], a.addresses[0]));
        stub.last = 2;
        pass(1010);
        assert_int_equal(resolver_peek(resolver, STR("a.test"), peeked), 0);
        assert_err(ask(&a, "a.test"), ERR_OK);
        expect_address(&a, 0, "192.0.2.2");
        assert_int_equal(stub.queries, 2);
        assert_int_equal(resolver_peek(resolver, STR("192.0.2.9"), peeked), 1); /* needs no question */
        assert_int_equal(resolver_peek(resolver, STR("second"), peeked), 1);
        assert_int_equal(resolver_peek(resolver, STR("a b"), peeked), 0);
}

static void test_ttl_is_bounded(void **state)
{
        struct ask a;

        stub.ttl = 0;
        assert_err(ask(&a, "zero.test"), ERR_OK);
        assert_err(ask(&a, "zero.test"), ERR_OK);
        assert_int_equal(stub.queries, 1); /* kept for the least time */
        pass(25);
        assert_err(ask(&a, "zero.test"), ERR_OK);
        assert_int_equal(stub.queries, 2);
        conf.ttl_max_ms = 50;
        open_resolver(conf);
        stub.ttl = 0x7fffffff;
        assert_err(ask(&a, "long.test"), ERR_OK);
        pass(60);
        assert_err(ask(&a, "long.test"), ERR_OK);
        assert_int_equal(stub.queries, 4);
        stub.ttl = 60;
        conf.ttl_max_ms = 60000;
        open_resolver(conf);
        assert_err(ask(&a, "alias.test"), ERR_OK); /* the alias says 1 s, the address 60 s */
        pass(1050);
        assert_err(ask(&a, "alias.test"), ERR_OK);
        assert_int_equal(stub.queries, 6);
}

static void test_one_question_for_all(void **state)
{
        enum { N = 50 };
        static struct ask asks[N];

        for (int i = 0; i < N; i++)
                start(&asks[i], i % 2 ? "a.test" : "A.TEST.");
        resolver_cancel(&asks[7].query);
        for (int i = 0; i < N; i++)
                if (i != 7)
                        wait_for(&asks[i]);
        assert_int_equal(asks[7].calls, 0);
        assert_int_equal(stub.queries, 1);
}

static void test_mute_server(void **state)
{
        struct ask a;
        int64_t before = loop_clock_us();

        conf.timeout_ms = 300;
        open_resolver(conf);
        assert_err(ask(&a, "mute.test"), ERR_TIMED_OUT);
        assert_in_range(loop_clock_us() - before, 250000, 10000000);
        /* No server at all: its port is closed. */
        dns_stub_stop(&stub);
        assert_int_not_equal(ask(&a, "b.test"), ERR_OK);
}

static void test_lying_server(void **state)
{
        struct ask a;

        conf.timeout_ms = 300;
        open_resolver(conf);
        assert_int_not_equal(ask(&a, "other.test"), ERR_OK); /* an answer to another question is none */
}

static void test_stale_answers(void **state)
{
        struct ask a;

        conf.stale_max_ms = 1500;
        conf.timeout_ms = 150;
        stub.ttl = 0;
        open_resolver(conf);
        assert_err(ask(&a, "a.test"), ERR_OK);
        assert_err(ask(&a, "b.test"), ERR_OK);
        pass(30);
        stub.is_failing = true;
        assert_err(ask(&a, "a.test"), ERR_OK); /* SERVFAIL: the last good answer goes on */
        expect_address(&a, 0, "192.0.2.1");
        unsigned queries = stub.queries;
        assert_err(ask(&a, "a.test"), ERR_OK);
        assert_int_equal(stub.queries, queries); /* and the server is left alone for a moment */
        stub.is_mute = true;
        pass(30);
        assert_err(ask(&a, "a.test"), ERR_OK); /* silence: the same */
        pass(1550);
        assert_int_not_equal(ask(&a, "a.test"), ERR_OK); /* but not for ever */
        stub.is_mute = stub.is_failing = false;
        stub.last = 9;
        pass(500);
        assert_err(ask(&a, "a.test"), ERR_OK); /* recovers */
        expect_address(&a, 0, "192.0.2.9");
}

static void test_gone_name_is_not_stale(void **state)
{
        struct ask a;

        stub.ttl = 0;
        assert_err(ask(&a, "a.test"), ERR_OK);
        pass(30);
        stub.is_gone = true;
        assert_err(ask(&a, "a.test"), ERR_NOT_FOUND); /* an answer, no failure */
        unsigned queries = stub.queries;
        assert_err(ask(&a, "a.test"), ERR_NOT_FOUND);
        assert_int_equal(stub.queries, queries); /* kept too */
        pass(30);
        stub.is_failing = true;
        assert_err(ask(&a, "a.test"), ERR_UNREACHABLE); /* what is gone is not brought back by a failure */
}

static void test_names_are_bounded(void **state)
{
        struct ask a, b;
        struct ip peeked[RESOLVER_ADDRESSES_MAX];
        struct resolver_conf c = conf;
        char name[32];

        c.names_max = 4;
        open_resolver(c);
        for (int i = 0; i < 20; i++) {
                snprintf(name, sizeof(name), "n%d.test", i);
                assert_err(ask(&a, name), ERR_OK);
                assert_err(ask(&b, "often.test"), ERR_OK);
        }
        assert_int_equal(resolver_peek(resolver, STR("often.test"), peeked),
                         1); /* least recently used go first */
        assert_int_equal(resolver_peek(resolver, STR("n0.test"), peeked), 0);
        assert_int_equal(stub.queries, 21);
        struct ask waiting[5];
        stub.is_mute = true;
        for (int i = 0; i < 5; i++) {
                snprintf(name, sizeof(name), "w%d.test", i);
                start(&waiting[i], name);
        }
        wait_for(&waiting[4]);
        assert_err(waiting[4].e, ERR_NO_MEMORY); /* all are being asked for */
        for (int i = 0; i < 4; i++)
                resolver_cancel(&waiting[i].query);
}

static struct ask chained;
static bool is_chained;

static void told_and_asks_again(struct resolver_query *q, enum err e, const struct ip *addresses,
                                size_t count)
{
        told(q, e, addresses, count);
        if (!is_chained) {
                is_chained = true;
                start(&chained, "a.test");
        }
}

static void test_asking_from_the_answer(void **state)
{
        struct ask a = { 0 };

        is_chained = false;
        resolver_find(resolver, &a.query, STR("a.test"), told_and_asks_again);
        wait_for(&a);
        wait_for(&chained);
        assert_err(chained.e, ERR_OK);
        assert_int_equal(stub.queries, 1);
}

static void test_free_with_open_questions(void **state)
{
        struct ask a, b, c;

        start(&a, "mute.test");
        start(&b, "a.test");
        start(&c, "192.0.2.1");
        loop_turn(loop, 0);
        resolver_cancel(&c.query);
        resolver_free(resolver);
        resolver = NULL;
        for (int i = 0; i < 10; i++)
                loop_turn(loop, 1);
        assert_int_equal(a.calls + b.calls, 0);
}

static void test_hosts(void **state)
{
        struct hosts h;

        hosts_init(&h, (struct hash_key){ 1, 2 });
        hosts_parse(&h, STR("# comment\n"
                            "192.0.2.1 a b # c\n"
                            "\t2001:db8::1\tA\r\n"
                            "192.0.2.2 a.\n"
                            "nonsense d\n"
                            "192.0.2.300 d\n"
                            "fe80::1%lo d\n"
                            "192.0.2.3\n"
                            "192.0.2.4 last"));
        const struct answer *a = hosts_find(&h, STR("a"));
        assert_non_null(a);
        assert_int_equal(a->addresses_count, 3);
        assert_int_equal(a->addresses[1].bytes[3], 2); /* IPv4 first, in the order of the file */
        assert_int_equal(a->addresses[2].family, 6);
        assert_int_equal(hosts_find(&h, STR("b"))->addresses_count, 1);
        assert_null(hosts_find(&h, STR("c")));
        assert_null(hosts_find(&h, STR("d")));
        assert_non_null(hosts_find(&h, STR("last")));
        for (int i = 0; i < 40; i++)
                hosts_parse(&h, STR("192.0.2.5 b"));
        assert_int_equal(hosts_find(&h, STR("b"))->addresses_count, RESOLVER_ADDRESSES_MAX);
        hosts_fini(&h);
}

static int make_hosts(void **state)
{
        static const char text[] =
                "192.0.2.40 file.example second\n2001:db8::40 file.example\n192.0.2.41 file.example\n";
        int fd = mkstemp(hosts_path);

        if (fd < 0 || write(fd, text, sizeof(text) - 1) < 0)
                return -1;
        return close(fd);
}

static int remove_hosts(void **state)
{
        return unlink(hosts_path);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(test_lookups),
                T(test_kept_for_its_ttl),
                T(test_ttl_is_bounded),
                T(test_one_question_for_all),
                T(test_mute_server),
                T(test_lying_server),
                T(test_stale_answers),
                T(test_gone_name_is_not_stale),
                T(test_names_are_bounded),
                T(test_asking_from_the_answer),
                T(test_free_with_open_questions),
                T(test_hosts),
        };
        return cmocka_run_group_tests(tests, make_hosts, remove_hosts);
}
