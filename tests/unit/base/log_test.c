#include "base/log.h"

#include "../alloc.h"
#include "../test.h"
#include "base/buf.h"

static struct buf lines;

static void sink(void *context, struct str line)
{
        assert_ptr_equal(context, &lines);
        assert_int_equal(line.ptr[line.len - 1], '\n');
        assert_int_equal(str_find_char(line, '\n'), line.len - 1); /* one event, one line */
        buf_add(&lines, line);
}

static unix_ms fixed_clock(void)
{
        return 1795251600123;
}

static int setup(void **state)
{
        buf_init(&lines, 1 << 20);
        log_setup(sink, &lines, fixed_clock, LOG_INFO, LOG_JSON);
        return 0;
}

static int teardown(void **state)
{
        log_setup(NULL, NULL, NULL, LOG_INFO, LOG_JSON);
        buf_fini(&lines);
        return 0;
}

static void test_json(void **state)
{
        log_info("listener_bound", LOG_S("address", STR("[::1]")), LOG_N("port", 3000), LOG_B("tls", false),
                 LOG_C("nothing", NULL), LOG_E(ERR_DENIED), LOG_N("least", INT64_MIN));
        assert_str(
                buf_str(&lines),
                STR("{\"time\":\"2026-11-21T09:00:00.123Z\",\"level\":\"info\",\"event\":\"listener_bound\","
                    "\"address\":\"[::1]\",\"port\":3000,\"tls\":false,\"nothing\":\"\","
                    "\"error\":\"policy said no\",\"least\":-9223372036854775808}\n"));
}

static void test_without_fields_and_clock(void **state)
{
        log_setup(sink, &lines, NULL, LOG_DEBUG, LOG_JSON);
        log_debug("started");
        log_setup(sink, &lines, NULL, LOG_DEBUG, LOG_PLAIN);
        log_error("stopped");
        assert_str(buf_str(&lines), STR("{\"level\":\"debug\",\"event\":\"started\"}\nerror    stopped\n"));
}

static void test_plain(void **state)
{
        log_setup(sink, &lines, fixed_clock, LOG_INFO, LOG_PLAIN);
        log_warning("denied", LOG_S("path", STR("/a")), LOG_S("agent", STR("x  user=root")),
                    LOG_S("none", STR("")), LOG_B("yes", true), LOG_S("end", STR("a\nb\x1b[0m")));
        assert_str(
                buf_str(&lines),
                STR("2026-11-21T09:00:00.123Z  warning  denied  path=/a  agent=\"x  user=root\"  none=\"\"  "
                    "yes=true  end=a\\x0ab\\x1b[0m\n"));
}

static void test_hostile_text_stays_in_its_field(void **state)
{
        log_info("request", LOG_S("path", STR("\",\"admin\":true,\"x\":\"\n{\"event\":\"forged\"}")));
        assert_str(
                str_from(buf_str(&lines), sizeof("{\"time\":\"2026-11-21T09:00:00.123Z\",") - 1),
                STR("\"level\":\"info\",\"event\":\"request\",\"path\":\"\\\",\\\"admin\\\":true,\\\"x\\\":\\\""
                    "\\n{\\\"event\\\":\\\"forged\\\"}\"}\n"));
}

static void test_levels(void **state)
{
        static const struct {
                struct str text;
                enum err err;
                enum log_level level;
        } cases[] = {
                { STR_INIT("debug"), ERR_OK, LOG_DEBUG },      { STR_INIT("info"), ERR_OK, LOG_INFO },
                { STR_INIT("warning"), ERR_OK, LOG_WARNING },  { STR_INIT("error"), ERR_OK, LOG_ERROR },
                { STR_INIT("warn"), ERR_MALFORMED, LOG_INFO }, { STR_INIT("INFO"), ERR_MALFORMED, LOG_INFO },
                { STR_INIT(""), ERR_MALFORMED, LOG_INFO },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                enum log_level level = LOG_INFO;
                assert_err(log_level_parse(cases[i].text, &level), cases[i].err);
                assert_int_equal(level, cases[i].level);
                if (cases[i].err == ERR_OK)
                        assert_str(str_of(log_level_name(level)), cases[i].text);
        }
        for (int least = 0; least < LOG_LEVELS; least++) {
                log_setup(sink, &lines, NULL, (enum log_level)least, LOG_JSON);
                for (int level = 0; level < LOG_LEVELS; level++)
                        assert_int_equal(log_enabled((enum log_level)level), level >= least);
        }
        log_setup(sink, &lines, NULL, LOG_WARNING, LOG_JSON);
        log_info("unseen");
        log_event(LOG_INFO, "unseen", NULL, 0);
        assert_int_equal(lines.len, 0);
}

static void test_nowhere_before_setup(void **state)
{
        log_setup(NULL, NULL, NULL, LOG_DEBUG, LOG_JSON);
        assert_false(log_enabled(LOG_ERROR));
        log_error("unseen");
        assert_int_equal(lines.len, 0);
}

/* A field too long for a line must not make the event vanish. */
static void test_long_field(void **state)
{
        static char text[70000];
        static const struct {
                const char *why;
                size_t len;
                bool is_cut;
        } cases[] = {
                { "long", 60000, false },
                { "longer than a line", 65536, true },
                { "much longer", sizeof(text), true },
        };

        memset(text, 'x', sizeof(text));
        for (int format = 0; format < 2; format++) {
                log_setup(sink, &lines, fixed_clock, LOG_INFO, format ? LOG_PLAIN : LOG_JSON);
                for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                        buf_clear(&lines);
                        log_info("request", LOG_N("before", 1),
                                 LOG_S("path", ((struct str){ text, cases[i].len })), LOG_N("after", 2));
                        if (lines.len == 0 ||
                            (str_find(buf_str(&lines), STR("path")) == STR_NONE) != cases[i].is_cut ||
                            (str_find(buf_str(&lines), STR("cut")) != STR_NONE) != cases[i].is_cut)
                                fail_msg("%s", cases[i].why);
                        assert_true(str_find(buf_str(&lines), STR("before")) != STR_NONE);
                        assert_true(str_find(buf_str(&lines), STR("after")) != STR_NONE);
                }
        }
}

/* Escaping grows a text up to six times: the edges where a line is just full are tried one by one. */
static void test_field_lengths_around_a_full_line(void **state)
{
        static char text[12000];

        memset(text, '\x01', sizeof(text));
        for (size_t len = 10850; len < 10950; len++) {
                buf_clear(&lines);
                log_info("request", LOG_S("path", ((struct str){ text, len })));
                assert_true(lines.len > 0 && lines.len <= 64 * 1024);
                assert_true(str_has_suffix(buf_str(&lines), STR("}\n")));
        }
}

static void test_no_memory(void **state)
{
        alloc_fail_at(1);
        log_info("lost", LOG_N("n", 1));
        assert_true(alloc_failed());
        alloc_fail_at(0);
        assert_int_equal(lines.len, 0);
        log_info("seen");
        assert_true(lines.len > 0);
}

static void test_limit(void **state)
{
        struct log_limit limit = { .burst = 2, .period_ms = 1000 };
        static const struct {
                const char *why;
                mono_ms now;
                bool passes;
                unsigned dropped;
        } steps[] = {
                { "first", 5000, true, 0 },           { "second", 5000, true, 0 },
                { "over the burst", 5500, false, 0 }, { "one before the period ends", 5999, false, 0 },
                { "the period ends", 6000, true, 2 }, { "told once", 6001, true, 0 },
                { "over again", 6002, false, 0 },     { "long after", 90000, true, 1 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                unsigned dropped = 0;
                if (log_limit_pass(&limit, steps[i].now, &dropped) != steps[i].passes ||
                    dropped != steps[i].dropped)
                        fail_msg("%s", steps[i].why);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_json, setup, teardown),
                cmocka_unit_test_setup_teardown(test_without_fields_and_clock, setup, teardown),
                cmocka_unit_test_setup_teardown(test_plain, setup, teardown),
                cmocka_unit_test_setup_teardown(test_hostile_text_stays_in_its_field, setup, teardown),
                cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
                cmocka_unit_test_setup_teardown(test_nowhere_before_setup, setup, teardown),
                cmocka_unit_test_setup_teardown(test_long_field, setup, teardown),
                cmocka_unit_test_setup_teardown(test_field_lengths_around_a_full_line, setup, teardown),
                cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
                cmocka_unit_test(test_limit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
