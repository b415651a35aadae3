#include "proxy/gate.h"

#include <sys/wait.h>
#include <unistd.h>

#include "../test.h"

static void bursts_then_paces(void **state)
{
        struct gate *g = gate_new(1024);
        struct units_rate rate = { 5, 1000 }; /* five a second, all at once at most */
        int64_t wait_ms = 0;

        for (int i = 0; i < 5; i++)
                assert_true(gate_pass(g, 42, &rate, 1000, &wait_ms));
        assert_false(gate_pass(g, 42, &rate, 1000, &wait_ms));
        assert_int_equal(wait_ms, 200);
        assert_false(gate_pass(g, 42, &rate, 1199, &wait_ms));
        assert_true(gate_pass(g, 42, &rate, 1200, &wait_ms));
        assert_false(gate_pass(g, 42, &rate, 1200, &wait_ms));
        /* after a whole period of silence the burst is back, and not more than it */
        for (int i = 0; i < 5; i++)
                assert_true(gate_pass(g, 42, &rate, 60000, &wait_ms));
        assert_false(gate_pass(g, 42, &rate, 60000, &wait_ms));
        gate_free(g);
}

static void asks_without_taking(void **state)
{
        struct gate *g = gate_new(64);
        struct units_rate rate = { 1, 60000 };
        int64_t wait_ms;

        for (int i = 0; i < 3; i++)
                assert_true(gate_would_pass(g, 7, &rate, 5, &wait_ms));
        assert_true(gate_pass(g, 7, &rate, 5, &wait_ms));
        assert_false(gate_would_pass(g, 7, &rate, 6, &wait_ms));
        assert_int_equal(wait_ms, 59999);
        gate_free(g);
}

static void keys_do_not_mix(void **state)
{
        struct gate *g = gate_new(4096);
        struct units_rate rate = { 1, 1000 };
        int64_t wait_ms;

        for (uint64_t key = 1; key <= 256; key++)
                assert_true(gate_pass(g, key * 0x9e3779b97f4a7c15ULL, &rate, 10, &wait_ms));
        for (uint64_t key = 1; key <= 256; key++)
                assert_false(gate_pass(g, key * 0x9e3779b97f4a7c15ULL, &rate, 10, &wait_ms));
        gate_free(g);
}

/* A crowded bucket lets through rather than shuts out: the least active key gives way. */
static void crowded_bucket_forgets_the_quietest(void **state)
{
        struct gate *g = gate_new(4); /* one bucket of four */
        struct units_rate slow = { 1, 60000 }, quick = { 1, 1000 };
        int64_t wait_ms;

        assert_true(gate_pass(g, 5ULL << 48, &quick, 0, &wait_ms));
        for (uint64_t key = 11; key <= 15; key += 2)
                assert_true(gate_pass(g, key << 48, &slow, 0, &wait_ms));
        assert_true(gate_pass(g, 21ULL << 48, &slow, 0, &wait_ms)); /* takes the place of key 5 */
        assert_false(gate_pass(g, 11ULL << 48, &slow, 0, &wait_ms));
        assert_true(gate_pass(g, 5ULL << 48, &quick, 0, &wait_ms));
        gate_free(g);
}

/* Four processes take from one rate: together they get exactly the burst. */
static void processes_share_one_rate(void **state)
{
        enum { PROCESSES = 4, BURST = 1000 };
        struct gate *g = gate_new(1024);
        struct units_rate rate = { BURST, 3600000 };
        int pipes[2], passed = 0;

        assert_int_equal(pipe(pipes), 0);
        for (int p = 0; p < PROCESSES; p++)
                if (fork() == 0) {
                        int mine = 0;
                        int64_t wait_ms;

                        for (int i = 0; i < BURST; i++)
                                mine += gate_pass(g, 99, &rate, 1, &wait_ms);
                        _exit(write(pipes[1], &mine, sizeof(mine)) == (ssize_t)sizeof(mine) ? 0 : 1);
                }
        for (int p = 0; p < PROCESSES; p++) {
                int theirs = 0;

                assert_int_equal(read(pipes[0], &theirs, sizeof(theirs)), sizeof(theirs));
                passed += theirs;
                wait(NULL);
        }
        close(pipes[0]);
        close(pipes[1]);
        assert_int_equal(passed, BURST);
        gate_free(g);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(bursts_then_paces),
                cmocka_unit_test(asks_without_taking),
                cmocka_unit_test(keys_do_not_mix),
                cmocka_unit_test(crowded_bucket_forgets_the_quietest),
                cmocka_unit_test(processes_share_one_rate),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
