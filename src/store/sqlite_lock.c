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

const char *store_sqlite_advice(int number)
{
        switch (number) {
        case EACCES:
        case EPERM: return ": the folder and its files must belong to the user control runs as";
        case EROFS: return ": the store must be on a file system that can be written to";
        case ENOSPC:
        case EDQUOT: return ": free some space";
        case ENOENT: return ": make the folder, or name another place by control.store";
        default: return "";
        }
}

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

static enum err lock(const char *path, int flags, struct report *r, int *fd_out)
{
        char name[PATH_MAX];
        int fd, n = snprintf(name, sizeof(name), "%s.lock", path);

        if (n < 0 || (size_t)n >= sizeof(name)) {
                report_error(r, 0, 0, "the path of the store is too long");
                return ERR_CONFIG;
        }
        fd = open(name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
        if (fd < 0) {
                if (errno == ENOENT && !(flags & O_CREAT))
                        return ERR_OK;
                enum err e = errno == ENOENT ? ERR_NOT_FOUND : err_from_errno(errno);

                report_error(r, 0, 0, "cannot open %s: %s%s", name, strerror(errno),
                             store_sqlite_advice(errno));
                return e;
        }
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
                enum err e = in_use(path, fd, r);
                close(fd);
                return e;
        }
        *fd_out = fd;
        return ERR_OK;
}

enum err store_sqlite_lock(const char *path, struct report *r, int *fd_out)
{
        char text[32];
        int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
        enum err e = lock(path, O_CREAT, r, fd_out);

        /* Without it only the holder's name is lost, and the lock holds: a full disk must not stop a start. */
        if (e == ERR_OK && (ftruncate(*fd_out, 0) != 0 || pwrite(*fd_out, text, (size_t)n, 0) != n))
                return ERR_OK;
        return e;
}

enum err store_sqlite_lock_if_any(const char *path, struct report *r, int *fd_out)
{
        *fd_out = -1;
        return lock(path, 0, r, fd_out);
}
