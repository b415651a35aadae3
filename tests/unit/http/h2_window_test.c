#include "http/h2_window.h"

#include "../test.h"

enum { FIRST = 64 * 1024 };

/* One question: `came` bytes until the answer, of which `used` were used. True: it grew. */
static bool asked_once(struct h2_windows *all, struct h2_window *w, size_t came, size_t used)
{
        assert_true(h2_window_came(all, w, w->size / 8));
        h2_window_used(w, w->size / 8);
        assert_false(h2_window_came(all, w, came)); /* one question at a time */
        h2_window_used(w, used);
        return h2_window_answered(all) == w;
}

static const struct {
        const char *why;
        size_t came, used;
        bool grows;
} cases[] = {
        { "it waited for us", FIRST, FIRST, true },
        { "half of a window is enough", FIRST / 2, FIRST / 2, true },
        { "the path held less than its window", FIRST / 2 - 1, FIRST / 2 - 1, false },
        { "nothing came meanwhile", 0, 0, false },
        { "its consumer does not keep up", FIRST, FIRST / 2, false },
        { "its consumer is a little behind", FIRST, FIRST - FIRST / 4, true },
};

static void grows_when_it_waits_for_us(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct h2_windows all = { 0 };
                struct h2_window w;

                h2_window_init(&w, FIRST);
                if (asked_once(&all, &w, cases[i].came, cases[i].used) != cases[i].grows)
                        fail_msg("%s", cases[i].why);
                assert_int_equal(w.size, cases[i].grows ? 2 * FIRST : FIRST);
                h2_window_end(&all, &w);
        }
}

static void asks_after_part_of_a_window_and_never_at_the_most(void **state)
{
        struct h2_windows all = { 0 };
        struct h2_window w;

        h2_window_init(&w, FIRST);
        assert_false(h2_window_came(&all, &w, FIRST / 8 - 1));
        assert_true(h2_window_came(&all, &w, 1));
        assert_null(h2_window_answered(&all));
        h2_window_used(&w, FIRST / 8);
        while (w.size < H2_WINDOW_MAX)
                assert_true(asked_once(&all, &w, w.size, w.size));
        assert_false(h2_window_came(&all, &w, H2_WINDOW_MAX));
        h2_window_end(&all, &w);
}

/* What one stream gave back another may have. */
static void the_sum_is_bounded(void **state)
{
        enum { STREAMS = 2 * H2_WINDOWS_GROWN_MAX / H2_WINDOW_MAX };
        static struct h2_window w[STREAMS];
        struct h2_windows all = { 0 };
        size_t grown = 0, last = 0;

        for (size_t i = 0; i < STREAMS; i++) {
                h2_window_init(&w[i], FIRST);
                while (w[i].size < H2_WINDOW_MAX && asked_once(&all, &w[i], w[i].size, w[i].size))
                        last = i;
                grown += w[i].size - FIRST;
        }
        assert_true(grown <= H2_WINDOWS_GROWN_MAX && grown > H2_WINDOWS_GROWN_MAX - H2_WINDOW_MAX);
        assert_true(last < STREAMS - 1);
        assert_int_equal(w[STREAMS - 1].size, FIRST);
        h2_window_end(&all, &w[0]);
        assert_true(asked_once(&all, &w[STREAMS - 1], FIRST, FIRST));
        for (size_t i = 0; i < STREAMS; i++)
                h2_window_end(&all, &w[i]);
}

/* The stream that was asked about is gone when the answer comes. */
static void an_answer_for_nobody(void **state)
{
        struct h2_windows all = { 0 };
        struct h2_window w, other;

        h2_window_init(&w, FIRST);
        h2_window_init(&other, FIRST);
        assert_true(h2_window_came(&all, &w, FIRST / 2));
        assert_false(h2_window_came(&all, &other, FIRST));
        h2_window_end(&all, &w);
        assert_null(h2_window_answered(&all));
        assert_true(h2_window_came(&all, &other, FIRST / 2));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(grows_when_it_waits_for_us),
                cmocka_unit_test(asks_after_part_of_a_window_and_never_at_the_most),
                cmocka_unit_test(the_sum_is_bounded),
                cmocka_unit_test(an_answer_for_nobody),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
