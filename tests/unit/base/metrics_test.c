#include "base/metrics.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../alloc.h"
#include "../test.h"

static const uint64_t bounds[] = { 1000, 10000, 250000 };
static const struct metric requests = {
        METRIC_COUNTER, "t_requests_total", "Requests.", { "route", "status" }
};
static const struct metric plain = { METRIC_COUNTER, "t_plain_total", "Without labels." };
static const struct metric open_now = { METRIC_GAUGE, "t_open", "Open now." };
static const struct metric seconds = {
        METRIC_HISTOGRAM, "t_seconds", "Time.", { "route" }, bounds, ARRAY_SIZE(bounds), 1e6,
};
static const struct metric bytes = { METRIC_HISTOGRAM, "t_bytes",          "Sizes.", { NULL },
                                     bounds,           ARRAY_SIZE(bounds), 0 };

static struct str page(const struct metrics *m)
{
        static struct buf out;

        buf_fini(&out);
        buf_init(&out, 1 << 20);
        metrics_format(m, METRICS_PROMETHEUS, &out);
        assert_false(out.full);
        return buf_str(&out);
}

static void assert_line(const struct metrics *m, const char *line)
{
        struct str text = page(m);
        size_t at = str_find(text, str_of(line));

        if (at == STR_NONE || (at && text.ptr[at - 1] != '\n') || text.ptr[at + strlen(line)] != '\n')
                fail_msg("no line \"%s\" in:\n%.*s", line, STR_FMT(text));
}

static void test_page(void **state)
{
        const struct str ok[] = { STR("/a"), STR("200") }, bad[] = { STR("/a"), STR("500") },
                         a[] = { STR("/a") };
        struct metrics *m = metrics_new(2, 100, 20);

        assert_non_null(m);
        assert_int_equal(page(m).len, 0);
        metric_index i = metrics_series(m, &requests, ok), j = metrics_series(m, &requests, bad);
        metric_index p = metrics_series(m, &plain, NULL), g = metrics_series(m, &open_now, NULL);
        metric_index h = metrics_series(m, &seconds, a);

        assert_int_not_equal(i, j);
        assert_int_equal(metrics_series(m, &requests, ok), i);
        metrics_add(m, 0, i, 2);
        metrics_add(m, 1, i, 3);
        metrics_add(m, 1, j, 1);
        metrics_add(m, 0, p, UINT64_MAX);
        metrics_set(m, 0, g, -5);
        metrics_set(m, 1, g, 2);
        static const uint64_t observed[] = { 0, 1000, 1001, 250000, 250001 };
        for (size_t n = 0; n < ARRAY_SIZE(observed); n++)
                metrics_observe(m, (unsigned)n % 2, &seconds, h, observed[n]);
        assert_int_equal(metrics_value(m, i), 5);
        assert_str(page(m), STR("# HELP t_requests_total Requests.\n"
                                "# TYPE t_requests_total counter\n"
                                "t_requests_total{route=\"/a\",status=\"200\"} 5\n"
                                "t_requests_total{route=\"/a\",status=\"500\"} 1\n"
                                "# HELP t_plain_total Without labels.\n"
                                "# TYPE t_plain_total counter\n"
                                "t_plain_total 18446744073709551615\n"
                                "# HELP t_open Open now.\n"
                                "# TYPE t_open gauge\n"
                                "t_open -3\n"
                                "# HELP t_seconds Time.\n"
                                "# TYPE t_seconds histogram\n"
                                "t_seconds_bucket{route=\"/a\",le=\"0.001\"} 2\n"
                                "t_seconds_bucket{route=\"/a\",le=\"0.01\"} 3\n"
                                "t_seconds_bucket{route=\"/a\",le=\"0.25\"} 4\n"
                                "t_seconds_bucket{route=\"/a\",le=\"+Inf\"} 5\n"
                                "t_seconds_sum{route=\"/a\"} 0.502002\n"
                                "t_seconds_count{route=\"/a\"} 5\n"));
        metrics_free(m);
}

static void test_histogram_without_labels_and_unit(void **state)
{
        struct metrics *m = metrics_new(1, 100, 20);
        metric_index h = metrics_series(m, &bytes, NULL);

        metrics_observe(m, 0, &bytes, h, 1048576);
        assert_line(m, "t_bytes_bucket{le=\"250000\"} 0");
        assert_line(m, "t_bytes_bucket{le=\"+Inf\"} 1");
        assert_line(m, "t_bytes_sum 1048576");
        assert_line(m, "t_bytes_count 1");
        metrics_free(m);
}

/* A scraper reads escapes for backslash, quote and line end only, and one bad line loses it the whole page. */
static void test_label_values(void **state)
{
        static const struct {
                const char *why;
                struct str value;
                const char *shown;
        } cases[] = {
                { "ordinary", STR_INIT("api"), "api" },
                { "empty", STR_INIT(""), "" },
                { "quote, backslash, line end", STR_INIT("a\"b\\c\nd"), "a\\\"b\\\\c\\nd" },
                { "Japanese", STR_INIT("関所"), "関所" },
                { "control and NUL", STR_INIT("a\x01\0b"),
                  "a\xef\xbf\xbd\xef\xbf\xbd"
                  "b" },
                { "not UTF-8",
                  STR_INIT("\xff"
                           "a\xe9\x96"),
                  "\xef\xbf\xbd"
                  "a\xef\xbf\xbd\xef\xbf\xbd" },
                { "exactly the bound",
                  STR_INIT("0123456789012345678901234567890123456789012345678901234567890123"),
                  "0123456789012345678901234567890123456789012345678901234567890123" },
                { "one longer", STR_INIT("01234567890123456789012345678901234567890123456789012345678901234"),
                  "0123456789012345678901234567890123456789012345678901234567890123" },
                { "a character across the bound",
                  STR_INIT("012345678901234567890123456789012345678901234567890123456789012関"),
                  "012345678901234567890123456789012345678901234567890123456789012" },
                { "an escape across the bound",
                  STR_INIT("012345678901234567890123456789012345678901234567890123456789012\""),
                  "012345678901234567890123456789012345678901234567890123456789012" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const struct str values[] = { cases[i].value, STR("200") };
                struct metrics *m = metrics_new(1, 100, 20);
                char line[400];

                metrics_add(m, 0, metrics_series(m, &requests, values), 1);
                snprintf(line, sizeof(line), "t_requests_total{route=\"%s\",status=\"200\"} 1",
                         cases[i].shown);
                assert_line(m, line);
                metrics_free(m);
        }
}

static void test_four_long_labels(void **state)
{
        static const struct metric wide = {
                METRIC_COUNTER,
                "t_wide_total",
                "Widest.",
                { "a2345678901234567890123456789012", "b2345678901234567890123456789012",
                  "c2345678901234567890123456789012", "d2345678901234567890123456789012" },
        };
        char text[500];
        struct str values[4];
        struct metrics *m = metrics_new(1, 100, 20);

        memset(text, '"', sizeof(text));
        for (int i = 0; i < 4; i++)
                values[i] = (struct str){ text, sizeof(text) };
        metric_index i = metrics_series(m, &wide, values);
        metrics_add(m, 0, i, 7);
        assert_int_equal(metrics_series(m, &wide, values), i);
        assert_true(str_has_suffix(page(m), STR("\\\"\"} 7\n")));
        assert_int_equal(metrics_dropped_count(m), 0);
        metrics_free(m);
}

/* Past the bound a series counts in the definition's series of others, so that sums stay right. */
static void test_series_bound(void **state)
{
        struct metrics *m = metrics_new(1, 100, 4); /* the fallback and three of its own */
        char text[8];

        for (int n = 0; n < 10; n++) {
                snprintf(text, sizeof(text), "/%d", n);
                const struct str values[] = { str_of(text), STR("200") };
                metrics_add(m, 0, metrics_series(m, &requests, values), 1);
        }
        assert_int_equal(metrics_dropped_count(m), 7);
        assert_line(m, "t_requests_total{route=\"/0\",status=\"200\"} 1");
        assert_line(m, "t_requests_total{route=\"/2\",status=\"200\"} 1");
        assert_line(m, "t_requests_total{route=\"other\",status=\"other\"} 7");
        metric_index none = metrics_series(m, &plain, NULL); /* no place even for a fallback */
        metrics_add(m, 0, none, 1);
        metrics_observe(m, 0, &seconds, metrics_series(m, &seconds, &(struct str){ "x", 1 }), 5);
        assert_int_equal(metrics_dropped_count(m), 9);
        assert_true(str_find(page(m), STR("t_plain")) == STR_NONE);
        metrics_free(m);
}

/* One definition cannot use up the directory of all: what strangers can make many of has a bound of its own. */
static void test_bound_of_one(void **state)
{
        static const struct metric few = { METRIC_COUNTER, "t_few_total", "Few.", { "reason" }, NULL, 0, 1,
                                           .series_max = 2 };
        struct metrics *m = metrics_new(1, 100, 50);
        char text[8];

        for (int n = 0; n < 5; n++) {
                snprintf(text, sizeof(text), "r%d", n);
                metrics_add(m, 0, metrics_series(m, &few, &(struct str){ text, strlen(text) }), 1);
        }
        assert_line(m, "t_few_total{reason=\"r0\"} 1");
        assert_line(m, "t_few_total{reason=\"r1\"} 1");
        assert_line(m, "t_few_total{reason=\"other\"} 3");
        assert_true(str_find(page(m), STR("r2")) == STR_NONE);
        metrics_add(m, 0, metrics_series(m, &plain, NULL), 1);
        assert_line(m, "t_plain_total 1");
        metrics_free(m);
}

static void test_values_known_elsewhere(void **state)
{
        static const struct metric info = { METRIC_GAUGE, "t_info", "Facts.", { "version" } };
        struct buf out;

        buf_init(&out, 1000);
        metric_family_format(&info, METRICS_PROMETHEUS, &out);
        metric_value_format(&info, &(struct str){ "1\"2", 3 }, 1, &out);
        metric_value_format(&open_now, NULL, -3, &out);
        metrics_manual_format(&requests, 1, &out);
        metrics_manual_format(&plain, 1, &out);
        assert_str(buf_str(&out),
                   STR("# HELP t_info Facts.\n# TYPE t_info gauge\nt_info{version=\"1\\\"2\"} 1\n"
                       "t_open -3\n"
                       "| `t_requests_total` | counter | `route`, `status` | Requests. |\n"
                       "| `t_plain_total` | counter |  | Without labels. |\n"));
        buf_fini(&out);
}

/* OpenMetrics 1.0.0: a counter's family has another name than its samples, bounds are floats, and there is an end. */
static void test_openmetrics(void **state)
{
        struct metrics *m = metrics_new(1, 100, 20);
        struct buf out;

        metrics_add(m, 0, metrics_series(m, &plain, NULL), 7);
        metrics_set(m, 0, metrics_series(m, &open_now, NULL), -2);
        metrics_move(m, 0, metrics_series(m, &open_now, NULL), 5);
        metrics_move(m, 0, metrics_series(m, &open_now, NULL), -1);
        metrics_observe(m, 0, &bytes, metrics_series(m, &bytes, NULL), 2000);
        buf_init(&out, 1 << 16);
        metrics_format(m, METRICS_OPENMETRICS, &out);
        metrics_format_end(METRICS_OPENMETRICS, &out);
        assert_str(buf_str(&out),
                   STR("# HELP t_plain Without labels.\n# TYPE t_plain counter\nt_plain_total 7\n"
                       "# HELP t_open Open now.\n# TYPE t_open gauge\nt_open 2\n"
                       "# HELP t_bytes Sizes.\n# TYPE t_bytes histogram\n"
                       "t_bytes_bucket{le=\"1000.0\"} 0\nt_bytes_bucket{le=\"10000.0\"} 1\n"
                       "t_bytes_bucket{le=\"250000.0\"} 1\nt_bytes_bucket{le=\"+Inf\"} 1\n"
                       "t_bytes_sum 2000\nt_bytes_count 1\n# EOF\n"));
        buf_clear(&out);
        metrics_format_end(METRICS_PROMETHEUS, &out);
        assert_int_equal(out.len, 0);
        buf_fini(&out);
        metrics_free(m);
}

static void test_cells_bound(void **state)
{
        struct metrics *m = metrics_new(1, 8, 100); /* cell 0 and seven: one histogram takes five */
        const struct str a[] = { STR("/a") };

        metric_index h = metrics_series(m, &bytes, NULL);
        assert_int_not_equal(h, 0);
        assert_int_not_equal(metrics_series(m, &plain, NULL), 0);
        assert_int_equal(metrics_series(m, &seconds, a), 0);
        assert_int_not_equal(metrics_series(m, &open_now, NULL), 0);
        metrics_observe(m, 0, &bytes, h, 250001);
        assert_int_equal(metrics_value(m, metrics_series(m, &open_now, NULL)), 0); /* no overlap */
        assert_line(m, "t_bytes_sum 250001");
        metrics_free(m);
}

static void test_gauges_of_a_dead_worker(void **state)
{
        struct metrics *m = metrics_new(2, 100, 20);
        metric_index g = metrics_series(m, &open_now, NULL), c = metrics_series(m, &plain, NULL);

        metrics_set(m, 0, g, 10);
        metrics_set(m, 1, g, 7);
        metrics_add(m, 0, c, 4);
        metrics_forget_gauges(m, 0);
        assert_int_equal(metrics_value(m, g), 7);
        assert_int_equal(metrics_value(m, c), 4); /* what was counted stays counted */
        metrics_free(m);
}

static pid_t worker_start(struct metrics *m, unsigned worker, int rounds)
{
        pid_t pid = fork();

        if (pid != 0)
                return pid;
        for (int n = 0; n < rounds; n++) {
                char text[16];

                /* Half of the series are common to all, so that workers race to make the same one. */
                snprintf(text, sizeof(text), n % 2 ? "/%d" : "/%d-%u", n, worker);
                const struct str values[] = { str_of(text), STR("200") };
                metrics_add(m, worker, metrics_series(m, &requests, values), 1);
                metrics_add(m, worker, metrics_series(m, &plain, NULL), 1);
                metrics_observe(m, worker, &bytes, metrics_series(m, &bytes, NULL), (uint64_t)n);
        }
        metrics_set(m, worker, metrics_series(m, &open_now, NULL), 3);
        _exit(0);
}

static void test_several_processes(void **state)
{
        enum { WORKERS = 4, ROUNDS = 100 };
        struct metrics *m = metrics_new(WORKERS, 1000, 600);
        pid_t pids[WORKERS];
        int status;

        for (unsigned w = 0; w < WORKERS; w++)
                pids[w] = worker_start(m, w, ROUNDS);
        for (unsigned w = 0; w < WORKERS; w++) {
                assert_int_equal(waitpid(pids[w], &status, 0), pids[w]);
                assert_int_equal(status, 0);
        }
        assert_int_equal(metrics_dropped_count(m), 0);
        assert_int_equal(metrics_value(m, metrics_series(m, &plain, NULL)), WORKERS * ROUNDS);
        assert_int_equal(metrics_value(m, metrics_series(m, &open_now, NULL)), 3 * WORKERS);
        assert_line(m, "t_requests_total{route=\"/1\",status=\"200\"} 4");
        assert_line(m, "t_requests_total{route=\"/0-2\",status=\"200\"} 1");
        assert_line(m, "t_bytes_count 400");
        assert_line(m, "t_bytes_sum 19800");

        size_t lines = 0;
        struct str text = page(m), line;
        while (str_split(&text, '\n', &line))
                lines += str_has_prefix(line, STR("t_requests_total{"));
        assert_int_equal(lines, ROUNDS / 2 + WORKERS * ROUNDS / 2); /* none was made twice */
        metrics_free(m);
}

/* Killed at any moment, inside the lock too: the parent gives it back and the others go on. */
static void test_killed_worker(void **state)
{
        struct metrics *m = metrics_new(2, 4000, 4000);

        for (int round = 0; round < 20; round++) {
                pid_t pid = worker_start(m, 1, 1000000);
                int status;

                assert_true(pid > 0);
                usleep((useconds_t)(200 * round));
                assert_int_equal(kill(pid, SIGKILL), 0);
                assert_int_equal(waitpid(pid, &status, 0), pid);
                metrics_unlock_dead(m, (int)pid);

                char text[16];
                snprintf(text, sizeof(text), "own-%d", round);
                const struct str values[] = { str_of(text), STR("200") };
                uint64_t dropped = metrics_dropped_count(m);
                metric_index i = metrics_series(m, &requests, values);
                if (metrics_dropped_count(m) == dropped) {
                        metrics_add(m, 0, i, 1);
                        assert_int_equal(metrics_value(m, i), 1);
                }
                assert_true(page(m).len > 0);
        }
        metrics_free(m);
}

static void test_no_memory(void **state)
{
        alloc_fail_at(1);
        assert_null(metrics_new(2, 100, 100));
        assert_true(alloc_failed());
        alloc_fail_at(0);
        metrics_free(NULL);

        /* The label text cannot be made: nothing is counted under a wrong name. */
        struct metrics *m = metrics_new(1, 100, 100);
        const struct str values[] = { STR("/a"), STR("200") };
        metric_index i = metrics_series(m, &requests, values);
        alloc_fail_at(1);
        assert_int_not_equal(metrics_series(m, &requests, values), i);
        assert_true(alloc_failed());
        alloc_fail_at(0);
        assert_int_equal(metrics_dropped_count(m), 1);
        metrics_free(m);
}

static void hand_over(struct metrics *from, bool is_first, struct metrics *to)
{
        static const struct metric defs[] = {
                { METRIC_COUNTER, "t_requests_total", "Requests.", { "route", "status" } },
                { METRIC_COUNTER, "t_plain_total", "Without labels." },
                { METRIC_GAUGE, "t_open", "Open now." },
                { METRIC_HISTOGRAM, "t_seconds", "Time.", { "route" }, bounds, ARRAY_SIZE(bounds), 1e6 },
                { METRIC_HISTOGRAM, "t_bytes", "Sizes.", { NULL }, bounds, 2, 0 },
        };
        struct buf text;

        buf_init(&text, 1 << 20);
        metrics_give(from, is_first, &text);
        assert_false(text.full);
        metrics_take(to, defs, ARRAY_SIZE(defs), buf_str(&text));
        buf_fini(&text);
}

/* Counters and histograms go on from what was given, and from what comes later; gauges do not; a page that was given on stands still. */
static void test_handover(void **state)
{
        const struct str odd[] = { STR("/a}b {1\n\"2"), STR("200") }, a[] = { STR("/a") };
        struct metrics *old = metrics_new(2, 100, 20), *new = metrics_new(1, 100, 20);
        metric_index r = metrics_series(old, &requests, odd), p = metrics_series(old, &plain, NULL),
                     g = metrics_series(old, &open_now, NULL), h = metrics_series(old, &seconds, a),
                     b = metrics_series(old, &bytes, NULL);

        metrics_add(old, 0, r, 2);
        metrics_add(old, 1, r, 3);
        metrics_add(old, 0, p, 7);
        metrics_set(old, 0, g, 9);
        metrics_observe(old, 1, &seconds, h, 5000);
        metrics_observe(old, 1, &bytes, b, 5000); /* of other bounds at the other: not taken */
        hand_over(old, true, new);
        assert_line(new, "t_requests_total{route=\"/a}b {1\\n\\\"2\",status=\"200\"} 5");
        assert_line(new, "t_plain_total 7");
        assert_line(new, "t_seconds_bucket{route=\"/a\",le=\"0.01\"} 1");
        assert_line(new, "t_seconds_sum{route=\"/a\"} 0.005");
        assert_int_equal(str_find(page(new), STR("t_open")), STR_NONE);
        assert_int_equal(str_find(page(new), STR("t_bytes")), STR_NONE);

        metrics_add(old, 0, r, 10);
        metrics_set(old, 0, g, 4);
        assert_line(old, "t_requests_total{route=\"/a}b {1\\n\\\"2\",status=\"200\"} 5");
        assert_line(old, "t_open 4");
        metrics_give_undo(old);
        assert_line(old, "t_requests_total{route=\"/a}b {1\\n\\\"2\",status=\"200\"} 15");
        hand_over(old, false, new);
        hand_over(old, false, new); /* nothing since */
        assert_line(new, "t_requests_total{route=\"/a}b {1\\n\\\"2\",status=\"200\"} 15");
        metrics_free(new);

        new = metrics_new(1, 100, 20); /* the one before had failed: the next gets all */
        hand_over(old, true, new);
        assert_line(new, "t_requests_total{route=\"/a}b {1\\n\\\"2\",status=\"200\"} 15");
        assert_line(new, "t_plain_total 7");
        metrics_free(new);
        metrics_free(old);
}

static void test_handover_of_anything(void **state)
{
        static const struct {
                const char *text, *why;
        } cases[] = {
                { "", "nothing" },
                { "\n\n", "empty lines" },
                { "t_plain_total", "no labels" },
                { "t_plain_total{}", "no number" },
                { "t_plain_total{} ", "no number behind the space" },
                { "t_plain_total{} x", "no digits" },
                { "t_plain_total{} 1 2", "more numbers than cells" },
                { "t_plain_total{} 99999999999999999999999", "more than 64 bits" },
                { "t_plain_total} 1", "no brace before" },
                { "t_plain_total}{ 1", "braces the wrong way round" },
                { "t_other_total{} 1", "nobody's" },
                { "t_seconds{route=\"/\"} 1 2", "fewer numbers than bounds" },
                { "t_open{} 1", "a gauge" },
        };
        static const struct metric defs[] = {
                { METRIC_COUNTER, "t_plain_total", "Without labels." },
                { METRIC_GAUGE, "t_open", "Open now." },
                { METRIC_HISTOGRAM, "t_seconds", "Time.", { "route" }, bounds, ARRAY_SIZE(bounds), 1e6 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct metrics *m = metrics_new(1, 100, 20);

                metrics_take(m, defs, ARRAY_SIZE(defs), str_of(cases[i].text));
                if (page(m).len)
                        fail_msg("%s: %.*s", cases[i].why, STR_FMT(page(m)));
                metrics_free(m);
        }
        struct metrics *m = metrics_new(1, 100, 1); /* no room but for one */
        char text[2000];

        memset(text, 'x', sizeof(text));
        memcpy(text, "t_plain_total{", 14);
        memcpy(text + sizeof(text) - 4, "} 1", 4);
        metrics_take(m, defs, ARRAY_SIZE(defs), str_of(text));
        assert_int_equal(page(m).len, 0);
        metrics_free(m);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_handover),
                cmocka_unit_test(test_handover_of_anything),
                cmocka_unit_test(test_page),
                cmocka_unit_test(test_histogram_without_labels_and_unit),
                cmocka_unit_test(test_label_values),
                cmocka_unit_test(test_four_long_labels),
                cmocka_unit_test(test_series_bound),
                cmocka_unit_test(test_bound_of_one),
                cmocka_unit_test(test_values_known_elsewhere),
                cmocka_unit_test(test_openmetrics),
                cmocka_unit_test(test_cells_bound),
                cmocka_unit_test(test_gauges_of_a_dead_worker),
                cmocka_unit_test(test_several_processes),
                cmocka_unit_test(test_killed_worker),
                cmocka_unit_test(test_no_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
