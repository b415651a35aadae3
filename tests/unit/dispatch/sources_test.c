#include "../test.h"

#include "dispatch/sources.h"

static struct sources *pool;

static int setup(void **state)
{
        pool = sources_new((struct hash_key){ 1, 2 }, 1000, (struct units_rate){ 0 });
        assert_non_null(pool);
        return 0;
}

static int teardown(void **state)
{
        sources_free(pool);
        return 0;
}

static struct ip ip(const char *text)
{
        struct ip out;

        assert_err(ip_parse(str_of(text), &out), ERR_OK);
        return out;
}

static struct ip number(uint32_t n)
{
        return (struct ip){ 6,
                            { 0x26, 0x06, [12] = (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
                              (uint8_t)n } };
}

static void tell(const char *id, uint32_t first, size_t count)
{
        struct ip list[SOURCES_OF_AGENT_MAX];

        for (size_t i = 0; i < count; i++)
                list[i] = number(first + (uint32_t)i);
        assert_err(sources_tell(pool, str_of(id), list, count, 1), ERR_OK);
        sources_link(pool, str_of(id), true, 1);
}

static struct source *take(const struct sources_want *want)
{
        static const struct sources_want any;
        struct source *out;

        assert_int_equal(sources_take(pool, want ? want : &any, 5, 5, &out), SOURCES_FOUND);
        return out;
}

static void turns_are_even(void **state)
{
        uint64_t least = UINT64_MAX, most = 0;
        char id[16];

        for (uint32_t a = 0; a < 100; a++) {
                snprintf(id, sizeof(id), "ag-%u", a);
                tell(id, a * 100, 10);
        }
        for (int i = 0; i < 100 * 1000; i++)
                sources_put(pool, take(NULL), false);
        list_for_each(node, sources_agents(pool))
                list_for_each(inner, &sources_agent_of(node)->addresses) {
                        least = sources_of(inner)->requests < least ? sources_of(inner)->requests : least;
                        most = sources_of(inner)->requests > most ? sources_of(inner)->requests : most;
                }
        assert_int_equal(least, 100);
        assert_int_equal(most, 100);
}

static uint64_t seed;

static uint32_t random_below(uint32_t n) /* xorshift64 */
{
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return (uint32_t)(seed >> 32) % n;
}

/* 1,000 addresses of 100 agents that are slow and fast: as many requests as wander about, within 1 %. */
static void turns_are_even_when_answers_are_not(void **state)
{
        enum { UNDER_WAY = 64, REQUESTS = 400 * 1000 };
        struct source *under_way[UNDER_WAY] = { NULL };
        uint64_t least = UINT64_MAX, most = 0;
        char id[16];

        seed = UINT64_C(0x5e1c5401d15a7c4);
        for (uint32_t a = 0; a < 100; a++) {
                snprintf(id, sizeof(id), "ag-%u", a);
                tell(id, a * 100, 10);
        }
        for (int i = 0; i < REQUESTS; i++) {
                struct source **slot = &under_way[random_below(UNDER_WAY)];

                if (*slot) /* whichever ends next, well or not */
                        sources_put(pool, *slot, random_below(10) == 0);
                *slot = take(NULL);
        }
        list_for_each(node, sources_agents(pool))
                list_for_each(inner, &sources_agent_of(node)->addresses) {
                        least = MIN(least, sources_of(inner)->requests);
                        most = MAX(most, sources_of(inner)->requests);
                }
        assert_true((most - least) * 100 <= REQUESTS / 1000);
        assert_true(sources_count(pool).failures > REQUESTS / 20);
}

/* Agents come and go all the time: nobody who is away is taken, nobody who is there is passed over for longer than a round. */
static void turns_go_on_while_agents_come_and_go(void **state)
{
        bool is_there[100];
        char id[16];

        seed = UINT64_C(0x123456789abcdef);
        for (uint32_t a = 0; a < ARRAY_SIZE(is_there); a++) {
                snprintf(id, sizeof(id), "ag-%u", a);
                tell(id, a * 100, 10);
                is_there[a] = true;
        }
        for (int round = 0; round < 200; round++) {
                uint32_t a = random_below(ARRAY_SIZE(is_there));

                snprintf(id, sizeof(id), "ag-%u", a);
                is_there[a] = !is_there[a];
                sources_link(pool, str_of(id), is_there[a], round);
                size_t available = sources_count(pool).available;
                uint64_t before = sources_count(pool).requests;
                for (size_t i = 0; i < available; i++) {
                        struct source *s = take(NULL);

                        assert_true(s->agent->is_linked);
                        assert_true(s->used != 1000 + round); /* once a round */
                        s->used = 1000 + round;
                        sources_put(pool, s, false);
                }
                assert_int_equal(sources_count(pool).requests - before, available);
        }
}

static void a_dead_agent_leaves_at_once(void **state)
{
        struct source *out;

        tell("a", 1, 2);
        tell("b", 10, 1);
        sources_link(pool, STR("a"), false, 2);
        for (int i = 0; i < 5; i++) {
                out = take(NULL);
                assert_str(out->agent->id, STR("b"));
                sources_put(pool, out, false);
        }
        sources_link(pool, STR("b"), false, 2);
        assert_int_equal(sources_take(pool, &(struct sources_want){ 0 }, 1, 1, &out), SOURCES_AWAY);
        assert_null(out);
        sources_link(pool, STR("a"), true, 3);
        assert_str(take(NULL)->agent->id, STR("a"));
}

static void counts_outlive_addresses_and_links(void **state)
{
        struct source *s;

        tell("a", 1, 2);
        s = take(NULL);
        sources_put(pool, s, true);
        tell("a", 2, 1); /* the first is gone now */
        assert_int_equal(sources_count(pool).addresses, 1);
        tell("a", 1, 2);
        assert_int_equal(sources_find(pool, STR("a"))->requests, 1);
        s = sources_of(sources_find(pool, STR("a"))->addresses.next);
        assert_int_equal(s->requests, 1);
        assert_int_equal(s->failures, 1);
        sources_link(pool, STR("a"), false, 4);
        sources_link(pool, STR("a"), true, 5);
        assert_int_equal(s->requests, 1);
}

/* New addresses each day, for years: the newest counts stay, and what is there now always has room. */
static void addresses_that_come_and_go_leave_room(void **state)
{
        struct source *kept;

        tell("a", 1, 2);
        kept = take(NULL); /* in flight all the time */
        for (uint32_t day = 1; day <= 2000; day++) {
                tell("a", day * 2 + 1, 2);
                struct source *out;

                assert_int_equal(sources_take(pool, &(struct sources_want){ 0 }, 5, 10 + day, &out),
                                 SOURCES_FOUND);
                sources_put(pool, out, false);
                assert_int_equal(sources_count(pool).available, 2);
        }
        struct source_agent *a = sources_find(pool, STR("a"));
        assert_true(a->addresses_count <= SOURCES_OF_AGENT_MAX);
        assert_int_equal(a->requests, 2001);
        list_for_each(node, &a->addresses)
                assert_true(sources_of(node) == kept || sources_of(node)->is_told ||
                            sources_of(node)->used > 1000);
        sources_put(pool, kept, true);
        assert_int_equal(kept->failures, 1);
}

static void a_restart_restores_counts(void **state)
{
        assert_err(sources_restore(pool, STR("a"), number(1), 7, 2, 99), ERR_OK);
        assert_int_equal(sources_count(pool).available, 0);
        tell("a", 1, 1);
        struct source *s = take(NULL);
        assert_int_equal(s->requests, 8);
        assert_int_equal(s->failures, 2);
        assert_int_equal(s->agent->requests, 8);
        sources_put(pool, s, false);
}

static void what_is_asked_for_is_given(void **state)
{
        struct ip both[] = { ip("8.8.8.8"), ip("2606:4700::1") };
        struct source *out;

        assert_err(sources_tell(pool, STR("ag-1"), both, 2, 1), ERR_OK);
        assert_err(sources_name(pool, STR("ag-1"), STR("home"), STR("eu,fast")), ERR_OK);
        sources_link(pool, STR("ag-1"), true, 1);
        tell("ag-2", 50, 1);
        for (int i = 0; i < 4; i++) {
                struct source *four = take(&(struct sources_want){ .family = 4 });
                assert_true(ip_eq(four->ip, both[0]));
                sources_put(pool, four, false);
                struct source *six = take(&(struct sources_want){ .agent = STR("home"), .family = 6 });
                assert_true(ip_eq(six->ip, both[1]));
                sources_put(pool, six, false);
                struct source *tagged = take(&(struct sources_want){ .tag = STR("fast"), .family = 4 });
                assert_true(ip_eq(tagged->ip, both[0]));
                sources_put(pool, tagged, false);
                struct source *given = take(&(struct sources_want){ .source = number(50) });
                assert_str(given->agent->id, STR("ag-2"));
                sources_put(pool, given, false);
        }
        assert_int_equal(sources_take(pool, &(struct sources_want){ .tag = STR("eu,fast") }, 1, 1, &out),
                         SOURCES_UNKNOWN);
        assert_int_equal(sources_take(pool, &(struct sources_want){ .agent = STR("ag-2"), .tag = STR("eu") },
                                      1, 1, &out),
                         SOURCES_UNKNOWN);
        assert_int_equal(sources_take(pool, &(struct sources_want){ .agent = STR("nobody") }, 1, 1, &out),
                         SOURCES_UNKNOWN);
        assert_int_equal(sources_take(pool, &(struct sources_want){ .source = ip("9.9.9.9") }, 1, 1, &out),
                         SOURCES_UNKNOWN);
        assert_int_equal(
                sources_take(pool, &(struct sources_want){ .agent = STR("ag-2"), .family = 4 }, 1, 1, &out),
                SOURCES_UNKNOWN);
}

static void what_was_tried_is_not_taken_again(void **state)
{
        const struct source *tried[2];
        struct source *out;

        tell("a", 1, 2);
        tried[0] = take(NULL);
        tried[1] = take(&(struct sources_want){ .tried = tried, .tried_count = 1 });
        assert_ptr_not_equal(tried[0], tried[1]);
        assert_int_equal(
                sources_take(pool, &(struct sources_want){ .tried = tried, .tried_count = 2 }, 1, 1, &out),
                SOURCES_AWAY);
}

static void an_agent_has_only_so_much_to_do(void **state)
{
        struct source *out, *first;

        tell("a", 1, 3);
        sources_find(pool, STR("a"))->in_flight_max = 2;
        first = take(NULL);
        take(NULL);
        assert_int_equal(sources_take(pool, &(struct sources_want){ 0 }, 1, 1, &out), SOURCES_BUSY);
        sources_put(pool, first, false);
        take(NULL);
        assert_int_equal(sources_find(pool, STR("a"))->in_flight, 2);
        assert_int_equal(sources_find(pool, STR("a"))->requests, 3);
}

/* Three a second and no more, whatever its addresses. */
static void an_agent_has_a_rate(void **state)
{
        static const struct sources_want any;
        struct source *out;
        int taken = 0;

        sources_free(pool);
        pool = sources_new((struct hash_key){ 1, 2 }, 1000, (struct units_rate){ 3, 1000 });
        tell("a", 1, 5);
        for (mono_ms at = 10 * 1000; at < 20 * 1000; at += 7)
                while (sources_take(pool, &any, at, 1, &out) == SOURCES_FOUND) {
                        sources_put(pool, out, false);
                        taken++;
                }
        assert_in_range(taken, 29, 33); /* ten seconds' and the first burst */
        while (sources_take(pool, &any, 20 * 1000, 1, &out) == SOURCES_FOUND)
                sources_put(pool, out, false);
        tell("b", 50, 1);
        assert_int_equal(sources_take(pool, &any, 20 * 1000, 1, &out), SOURCES_FOUND);
        assert_str(out->agent->id, STR("b"));
}

/* What is in flight ends; nothing new begins there, and nothing of it is left. */
static void who_is_removed_leaves_at_once(void **state)
{
        struct source *mine, *out;

        tell("a", 1, 2);
        mine = take(NULL);
        sources_remove(pool, STR("a"));
        assert_int_equal(sources_take(pool, &(struct sources_want){ 0 }, 1, 1, &out), SOURCES_AWAY);
        assert_int_equal(sources_count(pool).available, 0);
        sources_put(pool, mine, false);
        assert_int_equal(sources_count(pool).agents, 0);
        assert_int_equal(sources_take(pool, &(struct sources_want){ 0 }, 1, 1, &out), SOURCES_UNKNOWN);
}

static void numbers_are_bounded(void **state)
{
        static struct ip many[SOURCES_OF_AGENT_MAX + 1];

        for (uint32_t i = 0; i < ARRAY_SIZE(many); i++)
                many[i] = number(i);
        assert_err(sources_tell(pool, STR("a"), many, ARRAY_SIZE(many), 1), ERR_TOO_LARGE);
        assert_int_equal(sources_count(pool).addresses, SOURCES_OF_AGENT_MAX);
        sources_remove(pool, STR("a"));
        assert_int_equal(sources_count(pool).agents, 0);
        sources_remove(pool, STR("a"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(turns_are_even, setup, teardown),
                cmocka_unit_test_setup_teardown(turns_are_even_when_answers_are_not, setup, teardown),
                cmocka_unit_test_setup_teardown(turns_go_on_while_agents_come_and_go, setup, teardown),
                cmocka_unit_test_setup_teardown(a_dead_agent_leaves_at_once, setup, teardown),
                cmocka_unit_test_setup_teardown(counts_outlive_addresses_and_links, setup, teardown),
                cmocka_unit_test_setup_teardown(addresses_that_come_and_go_leave_room, setup, teardown),
                cmocka_unit_test_setup_teardown(a_restart_restores_counts, setup, teardown),
                cmocka_unit_test_setup_teardown(what_is_asked_for_is_given, setup, teardown),
                cmocka_unit_test_setup_teardown(what_was_tried_is_not_taken_again, setup, teardown),
                cmocka_unit_test_setup_teardown(an_agent_has_only_so_much_to_do, setup, teardown),
                cmocka_unit_test_setup_teardown(an_agent_has_a_rate, setup, teardown),
                cmocka_unit_test_setup_teardown(who_is_removed_leaves_at_once, setup, teardown),
                cmocka_unit_test_setup_teardown(numbers_are_bounded, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
