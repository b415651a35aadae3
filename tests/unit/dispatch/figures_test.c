/* What monitoring is told of requests that are over. */
#include "../test.h"

#include "dispatch/figures.h"

static struct metrics *metrics;
static struct buf page;

static int setup(void **state)
{
        metrics = metrics_new(1, 8192, 512);
        buf_init(&page, 1 << 20);
        assert_non_null(metrics);
        return 0;
}

static int teardown(void **state)
{
        metrics_free(metrics);
        buf_fini(&page);
        return 0;
}

static void says(const char *line)
{
        if (str_find(buf_str(&page), str_of(line)) == STR_NONE)
                fail_msg("no line \"%s\" in\n%.*s", line, STR_FMT(buf_str(&page)));
}

static void each_end_is_counted_where_it_belongs(void **state)
{
        static const struct {
                const char *why;
                uint16_t status;
                const char *error, *agent;
                int64_t ms;
                uint64_t bytes;
        } rows[] = {
                { "an answer", 200, NULL, "ag-1", 50, 90 },
                { "an answer that says no is one, too", 404, NULL, "ag-1", 800, 2000 },
                { "no answer: no size", 0, "timeout", "ag-1", 30000, 0 },
                { "nobody was asked", 0, "no_such_address", "", 0, 0 },
                { "an answer that broke off", 200, "closed", "ag-2", 70, 10 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                figures_count(metrics, 0,
                              &(struct dispatch_record){ .method = STR("GET"),
                                                         .agent_id = str_of(rows[i].agent),
                                                         .status = rows[i].status,
                                                         .error = rows[i].error,
                                                         .duration_ms = rows[i].ms,
                                                         .answer_bytes = rows[i].bytes });
        metrics_format(metrics, METRICS_PROMETHEUS, &page);
        says("http_dispatcher_requests_total{agent_id=\"ag-1\",status_code=\"200\",method=\"GET\"} 1\n");
        says("http_dispatcher_requests_total{agent_id=\"ag-1\",status_code=\"404\",method=\"GET\"} 1\n");
        says("http_dispatcher_requests_total{agent_id=\"ag-1\",status_code=\"none\",method=\"GET\"} 1\n");
        says("http_dispatcher_requests_total{agent_id=\"none\",status_code=\"none\",method=\"GET\"} 1\n");
        says("http_dispatcher_request_errors_total{agent_id=\"ag-1\",error_type=\"timeout\"} 1\n");
        says("http_dispatcher_request_errors_total{agent_id=\"none\",error_type=\"no_such_address\"} 1\n");
        says("http_dispatcher_request_errors_total{agent_id=\"ag-2\",error_type=\"closed\"} 1\n");
        says("http_dispatcher_request_duration_seconds_bucket{agent_id=\"ag-1\",method=\"GET\",le=\"0.1\"} 1\n");
        says("http_dispatcher_request_duration_seconds_bucket{agent_id=\"ag-1\",method=\"GET\",le=\"1\"} 2\n");
        says("http_dispatcher_request_duration_seconds_bucket{agent_id=\"ag-1\",method=\"GET\",le=\"30\"} 3\n");
        says("http_dispatcher_response_size_bytes_bucket{agent_id=\"ag-1\",le=\"100\"} 1\n");
        says("http_dispatcher_response_size_bytes_count{agent_id=\"ag-1\"} 2\n");
        assert_int_equal(str_find(buf_str(&page), STR("response_size_bytes_count{agent_id=\"ag-2\"}")),
                         STR_NONE);
}

static void so_many_agents_and_no_more(void **state)
{
        char agent[16];

        for (int i = 0; i < 5000; i++) {
                snprintf(agent, sizeof(agent), "ag-%d", i);
                figures_count(metrics, 0,
                              &(struct dispatch_record){
                                      .method = STR("GET"), .agent_id = str_of(agent), .status = 200 });
        }
        metrics_format(metrics, METRICS_PROMETHEUS, &page);
        assert_false(page.full);
        says("http_dispatcher_requests_total{agent_id=\"other\",status_code=\"other\",method=\"other\"}");
        assert_true(metrics_dropped_count(metrics) > 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(each_end_is_counted_where_it_belongs, setup, teardown),
                cmocka_unit_test_setup_teardown(so_many_agents_and_no_more, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
