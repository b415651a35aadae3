#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK_BYTES = 64 * 1024, NAME_TRIES = 16 };

static enum err err_of(int number)
{
        switch (number) {
        case ENOSPC:
        case EDQUOT: return ERR_IO; /* a full disk is no configured limit */
        case ENOTDIR: return ERR_NOT_FOUND;
        case EROFS: return ERR_DENIED;
        case ENAMETOOLONG: return ERR_TOO_LARGE;
        default: return err_from_errno(number);
        }
}

enum err file_read(const char *path, struct buf *out)
{
        char chunk[CHUNK_BYTES];
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        enum err e = ERR_OK;
        ssize_t n;

        if (fd < 0)
                return err_of(errno);
        while (e == ERR_OK && (n = read(fd, chunk, sizeof(chunk))) != 0) {
                if (n > 0) {
                        buf_add(out, (struct str){ chunk, (size_t)n });
                        e = out->full ? ERR_TOO_LARGE : ERR_OK;
                } else if (errno != EINTR) {
                        e = err_of(errno);
                }
        }
        explicit_bzero(chunk, sizeof(chunk)); /* it may have been a key */
        close(fd);
        return e;
}

enum err file_mode(const char *path, unsigned *mode, bool *is_ours)
{
        struct stat st;

        if (stat(path, &st) != 0)
                return err_of(errno);
        *mode = st.st_mode & 07777;
        *is_ours = st.st_uid == geteuid() || st.st_uid == 0;
        return ERR_OK;
}

static enum err write_all(int fd, struct str content)
{
        while (content.len) {
                ssize_t n = write(fd, content.ptr, content.len);
                if (n >= 0)
                        content = str_from(content, (size_t)n);
                else if (errno != EINTR)
                        return err_of(errno);
        }
        return ERR_OK;
}

/* A name beside `path` that nobody else has chosen: PATH.0123456789abcdef.tmp */
static bool temporary_name(const char *path, char out[PATH_MAX])
{
        uint64_t number;
        int n;

        if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
                return false;
        n = snprintf(out, PATH_MAX, "%s.%016llx.tmp", path, (unsigned long long)number);
        return n > 0 && n < PATH_MAX;
}

/* A new file with all of the content on the disk. On an error there is none. */
static enum err write_temporary(const char *path, struct str content, unsigned mode, char name[PATH_MAX])
{
        struct stat old;
        enum err e;
        int fd = -1;

        for (int i = 0; i < NAME_TRIES && fd < 0; i++) {
                if (!temporary_name(path, name))
                        return ERR_TOO_LARGE;
                fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
                if (fd < 0 && errno != EEXIST)
                        return err_of(errno);
        }
        if (fd < 0)
                return ERR_EXISTS;
        e = write_all(fd, content);
        /* Root rewriting a service's file must not lock it out; another user cannot give files away, and need not. */
        if (e == ERR_OK && stat(path, &old) == 0 && (old.st_uid != geteuid() || old.st_gid != getegid()) &&
            fchown(fd, old.st_uid, old.st_gid) != 0 && errno != EPERM)
                e = err_of(errno);
        if (e == ERR_OK && (fchmod(fd, (mode_t)mode) != 0 || fsync(fd) != 0))
                e = err_of(errno);
        if (close(fd) != 0 && e == ERR_OK)
                e = err_of(errno);
        if (e != ERR_OK)
                unlink(name);
        return e;
}

/* A rename is on the disk when its folder is. */
static enum err sync_folder(const char *path)
{
        char folder[PATH_MAX];
        const char *slash = strrchr(path, '/');
        size_t len = slash ? (size_t)(slash - path) : 0;
        enum err e = ERR_OK;
        int fd;

        if (len >= sizeof(folder))
                return ERR_TOO_LARGE;
        memcpy(folder, path, len);
        folder[len] = '\0';
        fd = open(!slash ? "." : len == 0 ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return err_of(errno);
        if (fsync(fd) != 0 && errno != EINVAL) /* some file systems cannot, and need not */
                e = err_of(errno);
        close(fd);
        return e;
}

/* Where the file system has no links, or does not let us make one to this file. */
static enum err back_up_by_copy(const char *path, const char *backup)
{
        struct buf content;
        struct stat st;
        enum err e;

        if (stat(path, &st) != 0)
                return err_of(errno);
        buf_init(&content, SIZE_MAX / 2);
        e = file_read(path, &content);
        if (e == ERR_OK)
                e = file_write_atomic(backup, buf_str(&content), st.st_mode & 07777, false);
        buf_wipe(&content);
        return e;
}

static enum err back_up(const char *path)
{
        char backup[PATH_MAX], temporary[PATH_MAX];

        if ((size_t)snprintf(backup, sizeof(backup), "%s.bak", path) >= sizeof(backup) ||
            !temporary_name(backup, temporary))
                return ERR_TOO_LARGE;
        if (link(path, temporary) != 0)
                return errno == ENOENT ? ERR_OK : back_up_by_copy(path, backup);
        if (rename(temporary, backup) != 0) {
                enum err e = err_of(errno);
                unlink(temporary);
                return e;
        }
        /* After a crash between backup and renaming, both names were the same file already: rename(2) then does nothing. */
        if (unlink(temporary) != 0 && errno != ENOENT)
                return err_of(errno);
        return ERR_OK;
}

enum err file_write_atomic(const char *path, struct str content, unsigned mode, bool backup)
{
        char name[PATH_MAX],
                *target = realpath(path, NULL); /* a symbolic link goes on pointing to the file */
        const char *final = target ? target : path;
        enum err e = write_temporary(final, content, mode, name);

        if (e == ERR_OK && backup && (e = back_up(final)) != ERR_OK)
                unlink(name);
        if (e == ERR_OK && rename(name, final) != 0) {
                e = err_of(errno);
                unlink(name);
        }
        if (e == ERR_OK)
                e = sync_folder(final);
        free(target);
        return e;
}

static enum err make_folder(const char *path, mode_t mode)
{
        struct stat st;

        if (mkdir(path, mode) == 0)
                return ERR_OK;
        if (errno != EEXIST && errno != EROFS && errno != EACCES)
                return err_of(errno);
        enum err e = err_of(errno);
        if (stat(path, &st) != 0)
                return e;
        return S_ISDIR(st.st_mode) ? ERR_OK : ERR_EXISTS;
}

enum err file_make_folders(const char *path, unsigned mode)
{
        char part[PATH_MAX];
        size_t len = strlen(path);
        enum err e = ERR_OK;

        if (len == 0 || len >= sizeof(part))
                return len ? ERR_TOO_LARGE : ERR_NOT_FOUND;
        for (size_t i = 1; i <= len && e == ERR_OK; i++)
                if (i == len || path[i] == '/') {
                        memcpy(part, path, i);
                        part[i] = '\0';
                        e = make_folder(part, (mode_t)mode);
                }
        return e;
}
