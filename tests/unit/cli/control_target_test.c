/* What people type for something beside an agent becomes the agent's name and a URL. */
#include "../test.h"
#include "cli/control_target.h"

#define NOTHING STR_INIT("")

static const struct {
        const char *why;
        struct str to, kind, agent, url; /* url empty: refused */
} cases[] = {
        { "a port is this machine's", STR_INIT("home:8080"), NOTHING, STR_INIT("home"),
          STR_INIT("http://localhost:8080") },
        { "with the word before it", STR_INIT("agent/home:8080"), NOTHING, STR_INIT("home"),
          STR_INIT("http://localhost:8080") },
        { "another machine's", STR_INIT("home:nas:80"), NOTHING, STR_INIT("home"),
          STR_INIT("http://nas:80") },
        { "the kind says the scheme: tcp", STR_INIT("home:22"), STR_INIT("tcp"), STR_INIT("home"),
          STR_INIT("tcp://localhost:22") },
        { "bytes that are passed on are tcp", STR_INIT("home:443"), STR_INIT("passthrough"), STR_INIT("home"),
          STR_INIT("tcp://localhost:443") },
        { "udp", STR_INIT("home:53"), STR_INIT("udp"), STR_INIT("home"), STR_INIT("udp://localhost:53") },
        { "a scheme that is said stays", STR_INIT("home:https://nas:443"), NOTHING, STR_INIT("home"),
          STR_INIT("https://nas:443") },
        { "a socket of the file system", STR_INIT("home:unix:/run/app.sock"), NOTHING, STR_INIT("home"),
          STR_INIT("unix:/run/app.sock") },
        { "larger than a port: a host's name", STR_INIT("home:70000"), NOTHING, STR_INIT("home"),
          STR_INIT("http://70000") },
        { "control itself has no agent", STR_INIT("control"), NOTHING, NOTHING, STR_INIT("control") },
        { "an agent called control", STR_INIT("agent/control:80"), NOTHING, STR_INIT("control"),
          STR_INIT("http://localhost:80") },
        { "nothing but a name", STR_INIT("home"), NOTHING, NOTHING, NOTHING },
        { "no name", STR_INIT(":8080"), NOTHING, NOTHING, NOTHING },
        { "no name behind the word", STR_INIT("agent/:8080"), NOTHING, NOTHING, NOTHING },
        { "empty", NOTHING, NOTHING, NOTHING, NOTHING },
};

static void targets(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct arena arena;
                struct str agent, url;

                print_message("%s\n", cases[i].why);
                arena_init(&arena, NULL, 0, 1 << 16);
                bool is_one = control_target_split(cases[i].to, cases[i].kind, &arena, &agent, &url);
                assert_int_equal(is_one, cases[i].url.len != 0);
                if (is_one) {
                        assert_str(agent, cases[i].agent);
                        assert_str(url, cases[i].url);
                }
                arena_fini(&arena);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(targets) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
