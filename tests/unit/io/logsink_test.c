#include "io/logsink.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../test.h"

static void gathers_until_the_end_of_the_turn(void **state)
{
        struct loop *loop;
        struct log_sink s;
        int fds[2];
        char got[64];

        assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
        assert_err(loop_new(&loop), ERR_OK);
        log_sink_open(&s, fds[1], loop);
        log_sink_write(&s, STR("one\n"));
        log_sink_write(&s, STR("two\n"));
        assert_int_equal(read(fds[0], got, sizeof(got)), -1);
        loop_turn(loop, 0);
        assert_int_equal(read(fds[0], got, sizeof(got)), 8);
        assert_memory_equal(got, "one\ntwo\n", 8);
        log_sink_close(&s);
        loop_free(loop);
        close(fds[0]);
        close(fds[1]);
}

/* Nobody reads the pipe: no wait, whole lines lost, all of them counted, and those that came through whole. */
static void full_pipe_drops_whole_lines(void **state)
{
        struct log_sink s;
        int fds[2];
        char line[101], got[101];
        size_t received = 0;
        enum { LINES = 5000 };

        memset(line, 'x', 99);
        line[99] = '\n';
        assert_int_equal(pipe(fds), 0);
        log_sink_open(&s, fds[1], NULL);
        for (int i = 0; i < LINES; i++)
                log_sink_write(&s, (struct str){ line, 100 });
        assert_true(s.dropped_count > 0);
        fcntl(fds[0], F_SETFL, O_NONBLOCK);
        while (read(fds[0], got, 100) == 100) {
                assert_memory_equal(got, line, 100);
                received++;
        }
        assert_int_equal(received + s.dropped_count, LINES);
        log_sink_close(&s);
        close(fds[0]);
        close(fds[1]);
}

static void moves_to_another_file(void **state)
{
        char folder[] = "/tmp/logsink.XXXXXX", a[64], b[64], got[64];
        struct log_sink s;

        assert_non_null(mkdtemp(folder));
        snprintf(a, sizeof(a), "%s/a", folder);
        snprintf(b, sizeof(b), "%s/b", folder);
        assert_err(log_sink_open_file(&s, a, NULL), ERR_OK);
        log_sink_write(&s, STR("first\n"));
        assert_err(log_sink_move_file(&s, b), ERR_OK);
        log_sink_write(&s, STR("second\n"));
        assert_err(log_sink_move_file(&s, "/nonexistent/c"), ERR_NOT_FOUND); /* stays where it is */
        log_sink_write(&s, STR("third\n"));
        log_sink_close(&s);
        FILE *f = fopen(b, "r");
        assert_non_null(f);
        assert_int_equal(fread(got, 1, sizeof(got), f), 13);
        assert_memory_equal(got, "second\nthird\n", 13);
        fclose(f);
        unlink(a);
        unlink(b);
        rmdir(folder);
}

/* A file takes all of a turn at once; a full disk loses lines, and they are counted. */
static void full_disk_is_counted(void **state)
{
        struct log_sink s;
        int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
        char path[] = "/tmp/logsink.XXXXXX";
        struct rlimit old, low;

        if (fd >= 0) {
                log_sink_open(&s, fd, NULL);
                log_sink_write(&s, STR("one\n"));
                assert_int_equal(s.dropped_count, 1);
                log_sink_close(&s);
                close(fd);
        }
        fd = mkstemp(path);
        assert_true(fd >= 0);
        unlink(path);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
        low = (struct rlimit){ 10, old.rlim_max };
        signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
        log_sink_open(&s, fd, NULL);
        log_sink_write(&s, STR("1234\n5678\nabcd\nefgh\n")); /* two lines fit */
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_int_equal(s.dropped_count, 2);
        log_sink_close(&s);
        close(fd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(gathers_until_the_end_of_the_turn),
                cmocka_unit_test(full_pipe_drops_whole_lines),
                cmocka_unit_test(moves_to_another_file),
                cmocka_unit_test(full_disk_is_counted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
