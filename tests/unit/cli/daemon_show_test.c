#include "../test.h"
#include "cli/daemon_show.h"

static void reads_what_systemctl_says(void **state)
{
        static const struct {
                const char *why, *text;
                enum err err;
                bool is_installed, is_enabled, is_active, has_failed;
                uint64_t pid, restarts;
        } cases[] = {
                { "it serves",
                  "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nMainPID=7\nNRestarts=2\n",
                  ERR_OK, true, true, true, false, 7, 2 },
                { "while it reloads it serves", "LoadState=loaded\nActiveState=reloading\nSubState=reload\n",
                  ERR_OK, true, false, true, false, 0, 0 },
                { "it waits for its next try",
                  "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\n", ERR_OK, true, false,
                  false, true, 0, 0 },
                { "it is about to be tried at once",
                  "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nJob=12\n", ERR_OK, true,
                  false, false, false, 0, 0 },
                { "it starts for the first time",
                  "LoadState=loaded\nActiveState=activating\nSubState=start\n", ERR_OK, true, false, false,
                  false, 0, 0 },
                { "it failed", "ActiveState=failed\nLoadState=loaded\nSubState=failed\n", ERR_OK, true, false,
                  false, true, 0, 0 },
                { "nobody installed it", "LoadState=not-found\nActiveState=inactive\nSubState=dead\n", ERR_OK,
                  false, false, false, false, 0, 0 },
                { "masked is not installed", "LoadState=masked\nActiveState=inactive\n", ERR_OK, false, false,
                  false, false, 0, 0 },
                { "enabled until the next boot only",
                  "LoadState=loaded\nActiveState=active\nUnitFileState=enabled-runtime\n", ERR_OK, true, true,
                  true, false, 0, 0 },
                { "a key of a later version, a line that is none",
                  "New=1\nwhat\nActiveState=active\nLoadState=loaded\n", ERR_OK, true, false, true, false, 0,
                  0 },
                { "no end of the last line", "LoadState=loaded\nActiveState=active", ERR_OK, true, false,
                  true, false, 0, 0 },
                { "nothing", "", ERR_MALFORMED, false, false, false, false, 0, 0 },
                { "no state", "LoadState=loaded\n", ERR_MALFORMED, false, false, false, false, 0, 0 },
                { "a number that is none", "ActiveState=active\nMainPID=-1\n", ERR_MALFORMED, false, false,
                  false, false, 0, 0 },
                { "a number beyond all", "ActiveState=active\nMainPID=99999999999\n", ERR_MALFORMED, false,
                  false, false, false, 0, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct daemon_unit u;

                print_message("%s\n", cases[i].why);
                assert_int_equal(daemon_show_parse(str_of(cases[i].text), &u), cases[i].err);
                if (cases[i].err != ERR_OK)
                        continue;
                assert_int_equal(u.is_installed, cases[i].is_installed);
                assert_int_equal(u.is_enabled, cases[i].is_enabled);
                assert_int_equal(u.is_active, cases[i].is_active);
                assert_int_equal(daemon_unit_failed(&u), cases[i].has_failed);
                assert_true(u.pid == cases[i].pid);
                assert_true(u.restarts == cases[i].restarts);
        }
}

static void texts_have_all_behind_the_first_sign(void **state)
{
        struct daemon_unit u;

        assert_int_equal(
                daemon_show_parse(
                        STR("ActiveState=active\nStatusText=a=b=\nActiveEnterTimestamp=Sat 2026-11-21 11:00:00 UTC\n"),
                        &u),
                ERR_OK);
        assert_true(str_eq(u.status, STR("a=b=")));
        assert_true(str_eq(u.since, STR("Sat 2026-11-21 11:00:00 UTC")));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_what_systemctl_says),
                cmocka_unit_test(texts_have_all_behind_the_first_sign),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
