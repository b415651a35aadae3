/*
 * A process that changes a store is killed at its n-th system call that writes, syncs or sends, for every n, from the making of the
 * file to the last checkpoint. What it acknowledged is there, the rest is there whole or not at all, and the store opens.
 */
#include "kit.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/audit.h"
#include "store/copy.h"
#include "store/keys.h"
#include "store/outbox.h"
#include "store/settings.h"
#include "store/txn_priv.h"

enum { CHANGES = 3, CALLS_MAX = 2000 };

static enum err change(struct store_txn *t, void *context)
{
        const unsigned *number = context;
        struct store_change *c = store_change_begin(t, 1, &kit_actor, "test.change");
        char name[16];
        struct store_key key = { .org = 1, .owner = STR("o") };
        enum err e;

        snprintf(name, sizeof(name), "change%u", *number);
        key.name = key.hash = str_of(name);
        e = store_key_add(c, &key);
        if (e == ERR_OK)
                e = store_setting_put(c, 1, str_of(name), STR("both or none"), STR_NULL);
        return e == ERR_OK ? store_change_finish(c) : e;
}

/* In the child: never returns. */
static void victim(const char *url, int ack_fd)
{
        const struct store_options options = { .clock = kit_clock };
        struct store *s = NULL;
        struct report r;

        report_init(&r, STR_NULL);
        if (kit_engine ==
            KIT_SQLITE) { /* its making too; a server's schema is made by the same few statements */
                ptrace(PTRACE_TRACEME, 0, NULL, NULL);
                raise(SIGSTOP);
        }
        if (store_open(str_of(url), &options, &r, &s) != ERR_OK)
                _exit(1);
        if (kit_engine == KIT_POSTGRES) {
                ptrace(PTRACE_TRACEME, 0, NULL, NULL);
                raise(SIGSTOP);
        }
        for (unsigned i = 0; i < CHANGES; i++) {
                if (kit_try(s, change, &i) != ERR_OK)
                        _exit(2);
                char word = (char)i;
                if (write(ack_fd, &word, 1) != 1)
                        _exit(3);
        }
        store_close(s);
        _exit(0);
}

static bool counts(uint64_t call)
{
        switch (call) {
        case SYS_write:
        case SYS_pwrite64:
        case SYS_writev:
        case SYS_fsync:
        case SYS_fdatasync:
        case SYS_ftruncate:
        case SYS_fallocate:
        case SYS_openat:
        case SYS_sendto:
        case SYS_sendmsg:
        case SYS_unlinkat:
#ifdef SYS_unlink
        case SYS_unlink:
#endif
                return true;
        default: return false;
        }
}

/* Lets it run up to its n-th call that counts, and kills it there. False: it ended before. */
static bool kill_at(pid_t pid, unsigned n)
{
        struct __ptrace_syscall_info info = { 0 };
        unsigned seen = 0;
        int status, signal = 0;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSTOPPED(status));
        ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
        for (;;) {
                if (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(intptr_t)signal) != 0)
                        fail_msg("ptrace: %s", strerror(errno));
                assert_int_equal(waitpid(pid, &status, 0), pid);
                if (WIFEXITED(status)) {
                        assert_int_equal(WEXITSTATUS(status), 0);
                        return false;
                }
                assert_true(WIFSTOPPED(status));
                signal = WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);
                if (signal)
                        continue;
                if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(info), &info) <= 0 ||
                    info.op != PTRACE_SYSCALL_INFO_ENTRY || !counts(info.entry.nr) || ++seen != n)
                        continue;
                kill(pid, SIGKILL);
                assert_int_equal(waitpid(pid, &status, 0), pid);
                return true;
        }
}

struct found {
        bool there[CHANGES];
        int64_t changes, events;
        struct report *report;
};

static enum err look(struct store_txn *t, void *context)
{
        struct found *f = context;
        struct store_verified verified;
        int64_t first;
        char name[16], first_block[8192];

        f->changes = 0;
        for (unsigned i = 0; i < CHANGES; i++) {
                struct arena a;
                struct store_key key;
                struct store_setting setting;
                arena_init(&a, first_block, sizeof(first_block), sizeof(first_block));
                snprintf(name, sizeof(name), "change%u", i);
                f->there[i] = store_key_by_hash(t, str_of(name), &a, &key) == ERR_OK;
                assert_int_equal(store_setting_by_name(t, 1, str_of(name), &a, &setting) == ERR_OK,
                                 f->there[i]);
                f->changes += f->there[i];
                arena_fini(&a);
        }
        assert_err(store_outbox_range(t, &first, &f->events), ERR_OK);
        assert_int_equal(f->events, 2 * f->changes);
        assert_err(store_verify(t, f->report, &verified), ERR_OK);
        assert_int_equal(verified.records_count, f->changes);
        return ERR_OK;
}

/* Every acknowledged change is there, and no later one without those before it. */
static void judge(struct kit *k, const bool *acknowledged)
{
        struct found f = { .report = &k->report };

        kit_reopen(k);
        kit_run(k, look, &f);
        for (unsigned i = 0; i < CHANGES; i++) {
                assert_true(f.there[i] || !acknowledged[i]);
                assert_true(i == 0 || f.there[i - 1] || !f.there[i]);
        }
        unsigned next = CHANGES;
        kit_run(k, change, &next); /* and it goes on */
}

static void test_killed_at_every_call(void **state)
{
        bool was_killed = true;
        unsigned n = 0;

        while (was_killed && n < CALLS_MAX) {
                bool acknowledged[CHANGES] = { false };
                int ack[2];
                struct kit k;
                char word;
                n++;
                kit_place(&k);
                assert_int_equal(pipe(ack), 0);
                pid_t pid = fork();
                assert_true(pid >= 0);
                if (pid == 0) {
                        close(ack[0]);
                        victim(k.url, ack[1]);
                }
                close(ack[1]);
                was_killed = kill_at(pid, n);
                while (read(ack[0], &word, 1) == 1)
                        acknowledged[(unsigned char)word] = true;
                close(ack[0]);
                judge(&k, acknowledged);
                kit_end(&k);
        }
        print_message("killed at %u calls\n", n - 1);
        assert_true(n > 20 && !was_killed);
}

int crash_tests(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_killed_at_every_call) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
