/* A stand-in socket for the journal: what arrives there, byte by byte. */
#include "io/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../test.h"
#include "io/logsink.h"

static struct {
        char folder[64], path[108];
        int fd;
} f;

static void listen_at(const char *path)
{
        struct sockaddr_un at = { .sun_family = AF_UNIX };

        snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
        f.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        assert_true(f.fd >= 0);
        assert_int_equal(bind(f.fd, (struct sockaddr *)&at, sizeof(at)), 0);
}

static int setup(void **state)
{
        snprintf(f.folder, sizeof(f.folder), "/tmp/sekisho-journal-XXXXXX");
        assert_non_null(mkdtemp(f.folder));
        snprintf(f.path, sizeof(f.path), "%s/socket", f.folder);
        listen_at(f.path);
        return 0;
}

static int teardown(void **state)
{
        close(f.fd);
        unlink(f.path);
        rmdir(f.folder);
        return 0;
}

static struct str received(void)
{
        static char bytes[1 << 18];
        ssize_t n = recv(f.fd, bytes, sizeof(bytes), 0);

        return n < 0 ? STR_NULL : (struct str){ bytes, (size_t)n };
}

static void entries(void **state)
{
        static const struct {
                const char *why;
                struct str line, entry;
                unsigned priority;
        } cases[] = {
                { "ordinary", STR_INIT("{\"a\":1}"),
                  STR_INIT("PRIORITY=6\nSYSLOG_IDENTIFIER=sekisho\nMESSAGE={\"a\":1}\n"), 6 },
                { "its own line end is not part of it", STR_INIT("x\n"),
                  STR_INIT("PRIORITY=3\nSYSLOG_IDENTIFIER=sekisho\nMESSAGE=x\n"), 3 },
                { "a line end inside: by length, so that it begins no field of its own",
                  STR_INIT("x\nPRIORITY=0"),
                  STR_INIT(
                          "PRIORITY=6\nSYSLOG_IDENTIFIER=sekisho\nMESSAGE\n\x0c\0\0\0\0\0\0\0x\nPRIORITY=0\n"),
                  6 },
                { "no such level", STR_INIT("x"),
                  STR_INIT("PRIORITY=7\nSYSLOG_IDENTIFIER=sekisho\nMESSAGE=x\n"), 99 },
                { "empty", STR_INIT(""), STR_INIT("PRIORITY=6\nSYSLOG_IDENTIFIER=sekisho\nMESSAGE=\n"), 6 },
        };
        struct journal j;

        assert_err(journal_open(&j, str_of(f.path)), ERR_OK);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                assert_err(journal_write(&j, cases[i].priority, cases[i].line), ERR_OK);
                assert_str(received(), cases[i].entry);
        }
        journal_close(&j);
        journal_close(&j);
}

static void what_cannot_be_written(void **state)
{
        static char large[JOURNAL_LINE_BYTES_MAX + 1];
        struct journal j;
        enum err e = ERR_OK;
        int written = 0;

        assert_err(journal_open(&j, STR("")), ERR_MALFORMED);
        assert_err(journal_open(&j, (struct str){ large, 200 }), ERR_MALFORMED);
        memset(large, 'x', sizeof(large));
        assert_err(journal_open(&j, (struct str){ large, sizeof(j.to.sun_path) }), ERR_MALFORMED);
        assert_err(journal_open(&j, str_of(f.path)), ERR_OK);
        assert_err(journal_write(&j, 6, (struct str){ large, sizeof(large) }), ERR_TOO_LARGE);
        assert_err(journal_write(&j, 6, (struct str){ large, sizeof(large) - 1 }), ERR_OK);
        assert_int_equal(received().len, JOURNAL_LINE_BYTES_MAX +
                                                 strlen("PRIORITY=6\nSYSLOG_IDENTIFIER=sekisho\nMESSAGE=\n"));
        /* Nobody reads: it says so and does not wait. */
        while (written < 10000 && (e = journal_write(&j, 6, STR("line"))) == ERR_OK)
                written++;
        assert_err(e, ERR_AGAIN);
        assert_true(written > 0);
        /* Restarted, as journald is at an upgrade: gone, then met again without opening anew. */
        close(f.fd);
        unlink(f.path);
        assert_int_not_equal(journal_write(&j, 6, STR("lost")), ERR_OK);
        listen_at(f.path);
        assert_err(journal_write(&j, 6, STR("again")), ERR_OK);
        assert_true(str_has_suffix(received(), STR("MESSAGE=again\n")));
        journal_close(&j);
}

static void a_sink_of_it(void **state)
{
        struct journal j;
        struct log_sink s;

        assert_err(journal_open(&j, str_of(f.path)), ERR_OK);
        log_sink_open(&s, -1, NULL);
        log_sink_move_journal(&s, &j);
        log_sink_write(&s, STR("one\ntwo\n"));
        assert_true(str_has_suffix(received(), STR("MESSAGE=one\n")));
        assert_true(str_has_suffix(received(), STR("MESSAGE=two\n")));
        assert_null(received().ptr);
        unlink(f.path);
        log_sink_write(&s, STR("three\n"));
        assert_int_equal(s.dropped_count, 1);
        log_sink_close(&s);
        journal_close(&j);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(entries, setup, teardown),
                cmocka_unit_test_setup_teardown(what_cannot_be_written, setup, teardown),
                cmocka_unit_test_setup_teardown(a_sink_of_it, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
