/*
 * fuzz/torture.c - runs every file of a corpus folder through one fuzz target, again and again: the first call that can fail
 * fails, then the second, until there are no more of them (tests/unit/calls.h). A target then finds its checks not met, and
 * stops: that is no failure here. A crash is, an assert of ours, a sanitizer's report, and memory that nobody refers to any
 * more at the moment when the target stops.
 *
 * $TORTURE is how many milliseconds there are: what does not fit in is tried in growing steps. TORTURE_TELL=1 names each call.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "calls.h"
#include "file.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#else
static int __lsan_do_recoverable_leak_check(void)
{
        return 0;
}
#endif

enum { MILLISECONDS_DEFAULT = 500, SECONDS_MAX = 60, CALLS_MAX = 1000000, LEAKS_LOOKED_FOR = 64 };

/* How a child ended. */
enum { ALL_TRIED, STOPPED, LEFT_BEHIND, FAILS_ALONE };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __real___assert_fail(const char *what, const char *file, unsigned line, const char *function)
        __attribute__((noreturn));
void __wrap___assert_fail(const char *what, const char *file, unsigned line, const char *function)
        __attribute__((noreturn));
void __real_abort(void) __attribute__((noreturn));
void __wrap_abort(void) __attribute__((noreturn));

/* What the children tell. */
static struct note {
        unsigned call, failed; /* which one is tried; how many have failed in all */
        unsigned step;
        char name[32];
} * note;

static bool is_leaky(void)
{
        calls_count_on(false);
        return __lsan_do_recoverable_leak_check() != 0;
}

/* The target's own pointers are on the stack or in registers still: what they lead to is not lost. */
static void stop(const char *what)
{
        if (!calls_failed()) {
                fprintf(stderr, "%s: fails though no call does\n", what);
                _exit(FAILS_ALONE);
        }
        note->failed++;
        _exit(is_leaky() ? LEFT_BEHIND : STOPPED);
}

void __wrap___assert_fail(const char *what, const char *file, unsigned line, const char *function)
{
        if (strstr(file, "fuzz/"))
                stop(what);
        __real___assert_fail(what, file, line, function);
}

void __wrap_abort(void)
{
        stop("a check");
        __real_abort();
}

static int64_t now_ms(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void call_next(int64_t until_ms)
{
        note->call += note->step;
        if (now_ms() > until_ms)
                note->step = note->step * 2 + 1;
}

/* From note->call on, until the target stops or all were tried. */
static void child(const uint8_t *data, size_t size, int64_t until_ms)
{
        LLVMFuzzerTestOneInput(data, size); /* what is made once is made */
        alarm(SECONDS_MAX);
        for (unsigned runs = 1; note->call < CALLS_MAX; runs++) {
                calls_fail_at(note->call);
                calls_count_on(true);
                LLVMFuzzerTestOneInput(data, size);
                calls_count_on(false);
                const char *failed = calls_failed();
                snprintf(note->name, sizeof(note->name), "%s", failed ? failed : "");
                bool looks = !failed || runs % LEAKS_LOOKED_FOR == 0 || getenv("TORTURE_TELL");
                if (looks && is_leaky())
                        _exit(LEFT_BEHIND);
                if (!failed)
                        break;
                note->failed++;
                call_next(until_ms);
        }
        _exit(ALL_TRIED);
}

/* False when it ended badly. */
static bool torture(const char *path, int64_t until_ms)
{
        size_t size;
        uint8_t *data = file_read(path, &size);
        int status = 0;

        note->call = note->step = 1;
        do {
                fflush(NULL);
                pid_t pid = fork();
                if (pid == 0)
                        child(data, size, until_ms);
                while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                        ;
                if (getenv("TORTURE_TELL"))
                        printf("%s: call %u: status %#x\n", path, note->call, (unsigned)status);
                if (!WIFEXITED(status) || WEXITSTATUS(status) != STOPPED)
                        break;
                call_next(until_ms);
        } while (note->call < CALLS_MAX);
        free(data);
        bool is_well = WIFEXITED(status) && WEXITSTATUS(status) == ALL_TRIED;
        if (!is_well)
                printf("%s: ended badly where call %u failed, or shortly before (status %#x)\n", path,
                       note->call, (unsigned)status);
        return is_well;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_shown(const struct dirent *d)
{
        return d->d_name[0] != '.';
}

int main(int argc, char **argv)
{
        const char *time_text = getenv("TORTURE");
        int64_t start = now_ms();
        uint64_t given = MILLISECONDS_DEFAULT;
        struct dirent **entries = NULL;
        int count = argc == 2 ? scandir(argv[1], &entries, is_shown, by_name) : 0, wrong = 0;

        if (time_text && units_parse_u64(str_of(time_text), 1000000000, &given) != ERR_OK) {
                fprintf(stderr, "torture: $TORTURE is a number of milliseconds\n");
                return 1;
        }
        note = mmap(NULL, sizeof(*note), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        for (int i = 0; i < count; i++) {
                char path[4096];

                snprintf(path, sizeof(path), "%s/%s", argv[1], entries[i]->d_name);
                wrong += !torture(path, start + (int64_t)given * (i + 1) / count);
                free(entries[i]);
        }
        free(entries);
        printf("%d files, %u calls that failed, %d files that ended badly\n", count, note->failed, wrong);
        return count <= 0 || wrong ? 1 : 0;
}
