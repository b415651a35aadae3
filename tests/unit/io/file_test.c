#include "../test.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/file.h"

static char folder[64];

static const char *in_folder(const char *name)
{
        static char path[4][384];
        static int at;
        char *out = path[at++ % 4];

        snprintf(out, sizeof(path[0]), "%s/%s", folder, name);
        return out;
}

static void put(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        close(fd);
}

static int setup(void **state)
{
        snprintf(folder, sizeof(folder), "/tmp/sekisho-file-XXXXXX");
        return mkdtemp(folder) ? 0 : -1;
}

static void empty_folder(void)
{
        DIR *d = opendir(folder);
        struct dirent *e;

        while ((e = readdir(d)))
                if (e->d_name[0] != '.')
                        remove(in_folder(e->d_name));
        closedir(d);
}

static int teardown(void **state)
{
        empty_folder();
        return rmdir(folder);
}

static unsigned files_count(void)
{
        DIR *d = opendir(folder);
        struct dirent *e;
        unsigned n = 0;

        while ((e = readdir(d)))
                n += e->d_name[0] != '.';
        closedir(d);
        return n;
}

static void expect_content(const char *path, struct str want)
{
        struct buf b;

        buf_init(&b, 1 << 20);
        assert_err(file_read(path, &b), ERR_OK);
        assert_str(buf_str(&b), want);
        buf_fini(&b);
}

static void test_read(void **state)
{
        struct buf b;
        char big[70001];
        const char *path = in_folder("f");
        int pipe_fds[2];
        char name[64];

        memset(big, 'x', sizeof(big));
        big[70000] = '\0';
        put(path, big);
        expect_content(path, (struct str){ big, 70000 });
        buf_init(&b, 70000); /* just at the bound */
        assert_err(file_read(path, &b), ERR_OK);
        buf_fini(&b);
        buf_init(&b, 69999);
        assert_err(file_read(path, &b), ERR_TOO_LARGE);
        buf_fini(&b);
        buf_init(&b, 100);
        put(path, "");
        assert_err(file_read(path, &b), ERR_OK);
        assert_int_equal(b.len, 0);
        assert_err(file_read(in_folder("none"), &b), ERR_NOT_FOUND);
        assert_err(file_read(in_folder("f/below"), &b), ERR_NOT_FOUND);
        assert_err(file_read(folder, &b), ERR_IO);
        assert_int_equal(pipe(pipe_fds), 0);
        assert_int_equal(write(pipe_fds[1], "piped", 5), 5);
        close(pipe_fds[1]);
        snprintf(name, sizeof(name), "/proc/self/fd/%d", pipe_fds[0]);
        assert_err(file_read(name, &b), ERR_OK);
        assert_str(buf_str(&b), STR("piped"));
        close(pipe_fds[0]);
        buf_fini(&b);
}

static void test_mode(void **state)
{
        const char *path = in_folder("f");
        unsigned mode;
        bool is_ours;

        assert_err(file_mode(path, &mode, &is_ours), ERR_NOT_FOUND);
        put(path, "x");
        chmod(path, 0640);
        assert_err(file_mode(path, &mode, &is_ours), ERR_OK);
        assert_int_equal(mode, 0640);
        assert_true(is_ours);
        if (geteuid() == 0) {
                assert_int_equal(chown(path, 12345, 12345), 0);
                assert_err(file_mode(path, &mode, &is_ours), ERR_OK);
                assert_false(is_ours);
        }
}

static void test_write(void **state)
{
        const char *path = in_folder("f"), *backup = in_folder("f.bak");
        mode_t old_mask = umask(0777); /* the mode is as asked, whatever the mask */
        struct stat st;

        assert_err(file_write_atomic(path, STR("one"), 0640, true), ERR_OK);
        umask(old_mask);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
        assert_int_equal(files_count(), 1); /* nothing to back up, nothing left over */
        assert_err(file_write_atomic(path, STR("two"), 0600, true), ERR_OK);
        expect_content(path, STR("two"));
        expect_content(backup, STR("one"));
        assert_err(file_write_atomic(path, STR("three"), 0600, true), ERR_OK);
        expect_content(backup, STR("two"));
        assert_err(file_write_atomic(path, STR(""), 0600, false), ERR_OK);
        expect_content(path, STR(""));
        expect_content(backup, STR("two"));
        assert_int_equal(files_count(), 2);
        if (geteuid() == 0) {
                assert_int_equal(chown(path, 12345, 12346), 0);
                assert_err(file_write_atomic(path, STR("four"), 0600, false), ERR_OK);
                assert_int_equal(stat(path, &st), 0);
                assert_int_equal(st.st_uid, 12345); /* the service can still read it */
                assert_int_equal(st.st_gid, 12346);
        }
}

/* A crash after the backup left both names on one file; rename(2) then does nothing and leaves its source. */
static void test_backup_of_the_same_file(void **state)
{
        const char *path = in_folder("f"), *backup = in_folder("f.bak");

        put(path, "one");
        assert_int_equal(link(path, backup), 0);
        assert_err(file_write_atomic(path, STR("two"), 0600, true), ERR_OK);
        expect_content(path, STR("two"));
        expect_content(backup, STR("one"));
        assert_int_equal(files_count(), 2);
}

static void test_symbolic_link_stays(void **state)
{
        const char *path = in_folder("real"), *name = in_folder("link");
        struct stat st;

        put(path, "one");
        assert_int_equal(symlink(path, name), 0);
        assert_err(file_write_atomic(name, STR("two"), 0600, false), ERR_OK);
        expect_content(path, STR("two"));
        assert_int_equal(lstat(name, &st), 0);
        assert_true(S_ISLNK(st.st_mode));
}

static void test_write_errors(void **state)
{
        char long_name[PATH_MAX + 10];

        assert_err(file_write_atomic(in_folder("none/f"), STR("x"), 0600, false), ERR_NOT_FOUND);
        assert_int_not_equal(file_write_atomic(folder, STR("x"), 0600, false),
                             ERR_OK); /* a folder has the name */
        assert_int_equal(files_count(), 0);
        memset(long_name, 'a', sizeof(long_name));
        long_name[sizeof(long_name) - 1] = '\0';
        assert_err(file_write_atomic(long_name, STR("x"), 0600, false), ERR_TOO_LARGE);
}

static void test_make_folders(void **state)
{
        char path[128];
        struct stat st;

        snprintf(path, sizeof(path), "%s/a/b//c/", folder);
        assert_err(file_make_folders(path, 0700), ERR_OK);
        assert_err(file_make_folders(path, 0700), ERR_OK);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        rmdir(path);
        rmdir(in_folder("a/b"));
        put(in_folder("a/b"), "a file");
        assert_err(file_make_folders(in_folder("a/b"), 0700), ERR_EXISTS);
        assert_int_not_equal(file_make_folders(in_folder("a/b/c"), 0700), ERR_OK);
        assert_err(file_make_folders("", 0700), ERR_NOT_FOUND);
        assert_err(file_make_folders("/", 0700), ERR_OK);
        unlink(in_folder("a/b"));
        rmdir(in_folder("a"));
}

/* --- kill -9 at each system call --- */

static const char old_text[] =
        "{\"old\": true, \"padding\": \"................................................\"}";
static const char new_text[] = "{\"new\": true}";

enum { CANNOT_TRACE = 99 };

static int replace(void)
{
        return file_write_atomic(in_folder("f"), str_of(new_text), 0600, true) == ERR_OK ? 0 : 1;
}

/* Runs replace() in a child that is killed when it enters or leaves its n-th system call. False: it ended before. */
static bool killed_at(unsigned n)
{
        int status;
        pid_t child = fork();

        if (child == 0) {
                if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
                        _exit(CANNOT_TRACE);
                raise(SIGSTOP);
                _exit(replace());
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_TRACE)
                leave_out("needs ptrace");
        assert_true(WIFSTOPPED(status));
        for (unsigned i = 0; i < n; i++) {
                assert_int_equal(ptrace(PTRACE_SYSCALL, child, NULL, NULL), 0);
                assert_int_equal(waitpid(child, &status, 0), child);
                if (WIFEXITED(status)) {
                        assert_int_equal(WEXITSTATUS(status), 0);
                        return false;
                }
        }
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        return true;
}

static void expect_old_or_new(bool *is_new_out)
{
        struct buf b, backup;
        bool is_new;

        buf_init(&b, 1 << 16);
        buf_init(&backup, 1 << 16);
        assert_err(file_read(in_folder("f"), &b), ERR_OK); /* never absent */
        is_new = str_eq(buf_str(&b), str_of(new_text));
        assert_true(is_new || str_eq(buf_str(&b), str_of(old_text)));
        enum err e = file_read(in_folder("f.bak"), &backup);
        if (e == ERR_OK)
                assert_str(buf_str(&backup), str_of(old_text));
        else
                assert_false(is_new); /* with the new one, the old one is kept */
        buf_fini(&b);
        buf_fini(&backup);
        *is_new_out = is_new;
}

static void test_killed_at_each_system_call(void **state)
{
        unsigned n = 0, old_count = 0, new_count = 0;
        bool is_new, was_new = false;

        for (bool was_killed = true; was_killed; n++) {
                empty_folder();
                put(in_folder("f"), old_text);
                was_killed = killed_at(n);
                expect_old_or_new(&is_new);
                assert_true(is_new || !was_new); /* there is one moment at which it changes */
                was_new = is_new;
                *(is_new ? &new_count : &old_count) += 1;
                /* And the next attempt succeeds on what was left. */
                assert_int_equal(replace(), 0);
                expect_content(in_folder("f"), str_of(new_text));
        }
        print_message("%u moments: %u with the old content, %u with the new\n", n, old_count, new_count);
        assert_true(old_count > 10 && new_count > 4);
}

static void test_killed_at_random(void **state)
{
        bool is_new;

        for (int i = 0; i < 200; i++) {
                int status;
                empty_folder();
                put(in_folder("f"), old_text);
                pid_t child = fork();
                if (child == 0)
                        for (;;)
                                replace();
                usleep((useconds_t)(rand() % 800));
                kill(child, SIGKILL);
                waitpid(child, &status, 0);
                struct buf b;
                buf_init(&b, 1 << 16);
                assert_err(file_read(in_folder("f"), &b), ERR_OK);
                is_new = str_eq(buf_str(&b), str_of(new_text));
                assert_true(is_new || str_eq(buf_str(&b), str_of(old_text)));
                buf_fini(&b);
        }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(test_read),
                T(test_mode),
                T(test_write),
                T(test_backup_of_the_same_file),
                T(test_symbolic_link_stays),
                T(test_write_errors),
                T(test_make_folders),
                T(test_killed_at_each_system_call),
                T(test_killed_at_random),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
