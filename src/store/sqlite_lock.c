#include "store/sqlite_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/str.h"
#include "base/units.h"

static enum err in_use(const char *path, int fd, struct report *r)
{
        char text[32];
        ssize_t n = pread(fd, text, sizeof(text), 0);
        struct str pid = str_sub((struct str){ text, n > 0 ? (size_t)n : 0 }, 0, SIZE_MAX);
        uint64_t number;

        pid = str_sub(pid, 0, str_find_char(pid, '\n'));
        if (units_parse_u64(pid, INT_MAX, &number) == ERR_OK)
                report_error(
                        r, 0, 0,
                        "the store %s is in use by process %llu: stop it first, or ask it (one program opens a "
                        "SQLite store)",
                        path, (unsigned long long)number);
        else
                report_error(r, 0, 0, "the store %s is in use by another process: stop it first", path);
        return ERR_EXISTS;
}

enum err store_sqlite_lock(const char *path, struct report *r, int *fd_out)
{
        char name[PATH_MAX], text[32];
        int fd, n = snprintf(name, sizeof(name), "%s.lock", path);

        if (n < 0 || (size_t)n >= sizeof(name)) {
                report_error(r, 0, 0, "the path of the store is too long");
                return ERR_CONFIG;
        }
        fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0) {
                report_error(r, 0, 0, "cannot open %s: %s", name, strerror(errno));
                return errno == ENOENT ? ERR_NOT_FOUND : err_from_errno(errno);
        }
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
                enum err e = in_use(path, fd, r);
                close(fd);
                return e;
        }
        n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
        if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n) {
                /* Only the name of the holder is lost: the lock holds, so go on (a full disk must not stop a start). */
                *fd_out = fd;
                return ERR_OK;
        }
        *fd_out = fd;
        return ERR_OK;
}
