/*
 * Runs a unit test's program so that each fallible call of the rooms fails once (calls.h), where TORTURE is set: a process for
 * each test and each call. A test then sees an error it does not expect, and says so: that is no failure here. A crash is, an
 * assert of ours, a sanitizer's report, a run that does not end, and memory that nobody refers to any more at the moment when
 * the test stops.
 *
 * $TORTURE is how many milliseconds there are: what does not fit in is tried in growing steps. TORTURE_TELL=1 names each call.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "calls.h"
#include "test.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#else
static int __lsan_do_recoverable_leak_check(void)
{
        return 0;
}
#endif

enum {
        CALLS_MAX = 1000000,
        SECONDS_MAX = 60,
        WORDS_MAX = 65536,
        ENDED_WELL = 0,
        LEFT_BEHIND = 3,
        FAILS_ALONE = 5
};

typedef int run_group(const char *group, const struct CMUnitTest *tests, size_t count,
                      CMFixtureFunction setup, CMFixtureFunction teardown);
run_group __real__cmocka_run_group_tests, __wrap__cmocka_run_group_tests;
void _fail(const char *file, int line);

/* A thread's first use of cryptography must find memory, or the program ends (crypto/engine.c): before calls fail. */
struct crypto_scratch;
struct crypto_scratch *crypto_scratch(void) __attribute__((weak));

/* What the child tells: which call failed, empty when there were fewer. */
static struct note {
        char failed[32];
} * note;

static bool is_tortured;

/* The test's own pointers are on the stack or in registers still: what they lead to is not lost. */
static void stop(void)
{
        const char *failed = calls_failed();

        calls_count_on(false);
        snprintf(note->failed, sizeof(note->failed), "%s", failed ? failed : "");
        fflush(NULL);
        _exit(!failed ? FAILS_ALONE : __lsan_do_recoverable_leak_check() ? LEFT_BEHIND : ENDED_WELL);
}

/* cmocka's, in its place: a failure is the end of the process. */
void _fail(const char *file, int line)
{
        fprintf(stderr, "%s:%d: failure\n", file, line);
        if (is_tortured)
                stop();
        exit(1);
}

static int64_t now_ms(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void child(const char *group, const struct CMUnitTest *test, CMFixtureFunction setup,
                  CMFixtureFunction teardown, unsigned n, int words)
{
        dup2(words, 1);
        dup2(words, 2);
        alarm(SECONDS_MAX);
        is_tortured = true;
        if (crypto_scratch)
                crypto_scratch();
        calls_fail_at(n);
        calls_count_on(true);
        int wrong = __real__cmocka_run_group_tests(group, test, 1, setup, teardown);
        calls_count_on(false);
        const char *failed = calls_failed();
        snprintf(note->failed, sizeof(note->failed), "%s", failed ? failed : "");
        fflush(NULL);
        (void)wrong; /* a test that was not set up; signals that cmocka catches are in its words */
        _exit(failed && __lsan_do_recoverable_leak_check() ? LEFT_BEHIND : ENDED_WELL);
}

static void words_read(int words, char text[WORDS_MAX])
{
        ssize_t len = pread(words, text, WORDS_MAX - 1, 0);

        text[len > 0 ? len : 0] = '\0';
}

/* Whether a test used what it was not given without a look, which stops it as well as an assertion. */
static bool is_tests_own(const char *text)
{
        const char *error = strstr(text, ": runtime error: "), *line = error;

        while (line && line > text && line[-1] != '\n')
                line--;
        return error && strncmp(line, "../tests/", strlen("../tests/")) == 0;
}

static bool ends_well(const char *text, int status)
{
        if (WIFEXITED(status) && WEXITSTATUS(status) == ENDED_WELL)
                return !strstr(text, "failed with exception"); /* a signal that cmocka caught */
        return is_tests_own(text);
}

/* False when it ended badly. */
static bool run_failing(const char *group, const struct CMUnitTest *test, CMFixtureFunction setup,
                        CMFixtureFunction teardown, unsigned n)
{
        int words = memfd_create("words", MFD_CLOEXEC), status;

        note->failed[0] = '\0';
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0)
                child(group, test, setup, teardown, n, words);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        static char text[WORDS_MAX];
        words_read(words, text);
        bool is_well = ends_well(text, status);
        if (getenv("TORTURE_TELL") || !is_well)
                printf("%s: call %u (%s): %s %d\n", test->name, n, note->failed,
                       WIFSIGNALED(status) ? "signal" : "status",
                       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        if (!is_well)
                puts(text);
        fflush(stdout);
        close(words);
        return is_well;
}

int __wrap__cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown)
{
        const char *ms = getenv("TORTURE");
        unsigned failed = 0, wrong = 0;

        if (!ms)
                return __real__cmocka_run_group_tests(group, tests, count, setup, teardown);
        note = mmap(NULL, sizeof(*note), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        int64_t start = now_ms();
        for (size_t i = 0; i < count; i++) {
                int64_t until = start + atoll(ms) * (int64_t)(i + 1) / (int64_t)count;
                unsigned step = 1;

                for (unsigned n = 1; n < CALLS_MAX; n += step) {
                        wrong += !run_failing(group, &tests[i], setup, teardown, n);
                        if (!note->failed[0])
                                break;
                        failed++;
                        if (now_ms() > until)
                                step = step * 2 + 1;
                        if (wrong > 10)
                                return 1;
                }
        }
        printf("%zu tests, %u calls that failed, %u ended badly\n", count, failed, wrong);
        return wrong ? 1 : 0;
}
