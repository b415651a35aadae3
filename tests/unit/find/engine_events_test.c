#include "find/engine_events.h"

#include <string.h>

#include "../test.h"

/* Each whole, and split at each byte: the same word. Forms: Docker Engine API v1.41, GET /events. */
static void what_calls_for_a_look(void **state)
{
        static const struct {
                const char *why, *text;
                bool news;
        } rows[] = {
                { "nothing", "", false },
                { "a start", "{\"Type\":\"container\",\"Action\":\"start\",\"id\":\"1\"}\n", true },
                { "an end", "{\"Type\":\"container\",\"Action\":\"die\"}\r\n", true },
                { "its network", "{\"Type\":\"network\",\"Action\":\"connect\"}\n", true },
                { "something inside of it", "{\"Type\":\"container\",\"Action\":\"exec_start: sh\"}\n",
                  false },
                { "its health", "{\"Type\":\"container\",\"Action\":\"health_status: healthy\"}\n", false },
                { "an image", "{\"Type\":\"image\",\"Action\":\"pull\"}\n", false },
                { "not whole yet", "{\"Type\":\"container\",\"Action\":\"start\"}", false },
                { "no object: better once more", "nonsense\n", true },
                { "blank", "\n\r\n \n", false },
                { "the second of two", "{\"Type\":\"image\"}\n{\"Type\":\"container\",\"Action\":\"stop\"}\n",
                  true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                for (size_t at = 0; at <= strlen(rows[i].text); at++) {
                        struct str text = str_of(rows[i].text);
                        struct engine_events e;

                        engine_events_init(&e);
                        bool news = engine_events_feed(&e, str_sub(text, 0, at));
                        news |= engine_events_feed(&e, str_from(text, at));
                        engine_events_fini(&e);
                        if (news != rows[i].news)
                                fail_msg("%s, split at %zu: %d", rows[i].why, at, news);
                }
}

static void a_line_over_its_bound_is_news_and_forgotten(void **state)
{
        static char big[ENGINE_EVENT_BYTES_MAX + 10];
        struct engine_events e;

        memset(big, 'x', sizeof(big));
        engine_events_init(&e);
        assert_true(engine_events_feed(&e, (struct str){ big, sizeof(big) }));
        assert_false(engine_events_feed(&e, STR("xxx\n{\"Type\":\"image\"}\n")));
        assert_true(engine_events_feed(&e, STR("{\"Type\":\"container\",\"Action\":\"start\"}\n")));
        engine_events_fini(&e);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_calls_for_a_look),
                cmocka_unit_test(a_line_over_its_bound_is_news_and_forgotten),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
