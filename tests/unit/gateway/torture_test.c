/*
 * Each call that can fail fails once, in each story of the program corpus: allocations, sockets and epoll of a whole
 * gateway worker. Nothing crashes, nothing is left behind (the lab and ASan look), and the upstream sees no broken request.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../calls.h"
#include "../test.h"
#include "gateway_program.h"

enum { STORIES_MAX = 256, STORY_BYTES_MAX = 4096, CALLS_MAX = 20000 };

static struct lab lab;

static size_t story_read(const char *folder, const char *name, char out[STORY_BYTES_MAX])
{
        char path[4096];
        size_t len;

        snprintf(path, sizeof(path), "%s/%s", folder, name);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        len = fread(out, 1, STORY_BYTES_MAX, f);
        fclose(f);
        return len;
}

/* Returns how many calls it takes, each of which failed once. */
static unsigned story_torture(const char *name, struct str program)
{
        unsigned n = 0;

        do {
                assert_in_range(++n, 1, CALLS_MAX);
                calls_fail_at(n);
                program_play(&lab, program);
                const char *failed = calls_failed();
                calls_fail_at(0);
                if (failed && getenv("TORTURE_TELL"))
                        print_message("%s: %s, call %u\n", name, failed, n);
                lab_hang_up(&lab);
                if (!failed)
                        return n - 1;
        } while (true);
}

static void every_call_fails_once(void **state)
{
        static char bytes[STORY_BYTES_MAX];
        const char *folder = getenv("CORPUS");
        unsigned stories = 0, calls = 0;

        assert_non_null(folder);
        DIR *dir = opendir(folder);
        assert_non_null(dir);
        assert_int_equal(lab_open(&lab), ERR_OK);
        lab.watch = calls_count_on;
        for (struct dirent *entry; (entry = readdir(dir));) {
                if (entry->d_name[0] == '.')
                        continue;
                size_t len = story_read(folder, entry->d_name, bytes);
                calls += story_torture(entry->d_name, (struct str){ bytes, len });
                stories++;
        }
        closedir(dir);
        lab_close(&lab);
        print_message("%u stories, %u calls that failed\n", stories, calls);
        assert_true(stories > 20 && calls > 500);
}

/* The start of a worker, configuration included. */
static void a_start_fails_cleanly(void **state)
{
        unsigned n = 0;
        enum err e;

        do {
                calls_fail_at(++n);
                calls_count_on(true);
                e = lab_open(&lab);
                calls_count_on(false);
                if (e == ERR_OK)
                        lab_close(&lab);
                else
                        assert_non_null(calls_failed());
                assert_true(n < CALLS_MAX);
        } while (calls_failed());
        calls_fail_at(0);
        assert_int_equal(e, ERR_OK);
        assert_true(n > 20);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_start_fails_cleanly),
                cmocka_unit_test(every_call_fails_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
