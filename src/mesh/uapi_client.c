#include "mesh/uapi_client.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/units.h"
#include "mesh/quick.h"
#include "mesh/uapi.h"
#include "mesh/uapi_server.h"

enum { TIMEOUT_S = 10, STEP = 64 * 1024 };

static enum err connect_to(struct str name, int *fd)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        struct timeval timeout = { .tv_sec = TIMEOUT_S };

        if (!mesh_quick_is_name(name))
                return ERR_NOT_FOUND;
        snprintf(a.sun_path, sizeof(a.sun_path), "%s/%.*s.sock", MESH_UAPI_FOLDER, STR_FMT(name));
        *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (*fd < 0)
                return err_from_errno(errno);
        if (setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
            setsockopt(*fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
            connect(*fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
                int error = errno;
                close(*fd);
                return error == ENOENT || error == ECONNREFUSED ? ERR_NOT_FOUND : err_from_errno(error);
        }
        return ERR_OK;
}

static enum err write_all(int fd, struct str text)
{
        while (text.len > 0) {
                ssize_t n = send(fd, text.ptr, text.len, MSG_NOSIGNAL);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return errno == EAGAIN ? ERR_TIMED_OUT : ERR_CLOSED;
                text = str_from(text, (size_t)n);
        }
        return ERR_OK;
}

static enum err read_answer(int fd, struct buf *answer)
{
        size_t start = answer->len;

        while (mesh_uapi_request_len(str_from(buf_str(answer), start)) == 0) {
                char *room = buf_reserve(answer, STEP);
                if (!room)
                        return ERR_NO_MEMORY;
                ssize_t n = recv(fd, room, STEP, 0);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 && errno == EAGAIN ? ERR_TIMED_OUT : ERR_MALFORMED;
                buf_added(answer, (size_t)n);
        }
        return ERR_OK;
}

enum err mesh_uapi_call(struct str interface_name, struct str request, struct buf *answer)
{
        int fd;
        enum err e = connect_to(interface_name, &fd);

        if (e != ERR_OK)
                return e;
        if ((e = write_all(fd, request)) == ERR_OK)
                e = read_answer(fd, answer);
        close(fd);
        return e;
}

int mesh_uapi_errno(struct str answer)
{
        struct str line;
        uint64_t number;

        while (str_split(&answer, '\n', &line))
                if (str_has_prefix(line, STR("errno=")))
                        return units_parse_u64(str_from(line, 6), 4096, &number) == ERR_OK ? (int)number : -1;
        return -1;
}

enum err mesh_uapi_names(struct buf *out)
{
        DIR *folder = opendir(MESH_UAPI_FOLDER);
        int fd;

        if (!folder)
                return errno == ENOENT ? ERR_OK : err_from_errno(errno);
        for (struct dirent *entry; (entry = readdir(folder));) {
                struct str name = str_of(entry->d_name);
                if (!str_has_suffix(name, STR(".sock")))
                        continue;
                name = str_sub(name, 0, name.len - 5);
                if (connect_to(name, &fd) != ERR_OK)
                        continue;
                close(fd);
                buf_addf(out, "%.*s\n", STR_FMT(name));
        }
        closedir(folder);
        return ERR_OK;
}
