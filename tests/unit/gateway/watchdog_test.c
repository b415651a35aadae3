#include "gateway/watchdog.h"

#include <stdatomic.h>
#include <unistd.h>

#include "../test.h"

static unsigned stuck_place = 99;
static unsigned stuck_count;

static void on_stuck(void *context, unsigned place, int64_t silent_ms)
{
        stuck_place = place;
        stuck_count++;
        assert_true(silent_ms > 200);
}

static void turns(struct loop *l, int64_t ms)
{
        mono_ms until = loop_now(l) + ms;

        while (loop_now(l) < until)
                loop_turn(l, 5);
}

static void a_silent_place_is_told_once(void **state)
{
        struct watchdog w;
        struct loop *l;

        assert_int_equal(loop_new(&l), ERR_OK);
        assert_int_equal(watchdog_init(&w, l, on_stuck, NULL), ERR_OK);
        watchdog_set(&w, 200);
        watchdog_begin(&w, 7);
        turns(l, 120);
        assert_int_equal(stuck_count, 0);
        turns(l, 600);
        assert_int_equal(stuck_count, 1); /* and no place that nobody was put in */
        assert_int_equal(stuck_place, 7);
        watchdog_begin(&w, 7);
        watchdog_forget(&w, 7);
        turns(l, 400);
        assert_int_equal(stuck_count, 1);
        watchdog_begin(&w, 7);
        watchdog_set(&w, 0);
        turns(l, 400);
        assert_int_equal(stuck_count, 1);
        loop_free(l);
}

static void a_beating_heart_is_left_alone(void **state)
{
        struct watchdog w;
        struct heart heart;
        struct loop *l;

        stuck_count = 0;
        assert_int_equal(loop_new(&l), ERR_OK);
        assert_int_equal(watchdog_init(&w, l, on_stuck, NULL), ERR_OK);
        watchdog_set(&w, 1000);
        watchdog_begin(&w, 0);
        heart_start(&heart, l, &w, 0);
        turns(l, 1500);
        assert_int_equal(stuck_count, 0);
        watchdog_set(&w, 0);
        timer_clear(&heart.timer);
        loop_free(l);
}

/* The machine stood still, and we with it: nobody is to blame. */
static void our_own_sleep_is_no_workers_fault(void **state)
{
        struct watchdog w;
        struct loop *l;

        stuck_count = 0;
        assert_int_equal(loop_new(&l), ERR_OK);
        assert_int_equal(watchdog_init(&w, l, on_stuck, NULL), ERR_OK);
        watchdog_set(&w, 200);
        watchdog_begin(&w, 3);
        loop_turn(l, 0);
        usleep(500 * 1000);
        loop_turn(l, 0);
        assert_int_equal(stuck_count, 0);
        turns(l, 700); /* but afterwards it has to beat */
        assert_int_equal(stuck_count, 1);
        watchdog_set(&w, 0);
        loop_free(l);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_silent_place_is_told_once),
                cmocka_unit_test(a_beating_heart_is_left_alone),
                cmocka_unit_test(our_own_sleep_is_no_workers_fault),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
