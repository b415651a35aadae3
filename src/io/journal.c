#include "io/journal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ENTRY_BYTES_MAX = JOURNAL_LINE_BYTES_MAX + 256 };

enum err journal_open(struct journal *j, struct str path)
{
        *j = (struct journal){ .fd = -1, .to.sun_family = AF_UNIX };
        if (path.len == 0 || path.len >= sizeof(j->to.sun_path) || str_find_char(path, '\0') != STR_NONE)
                return ERR_MALFORMED;
        memcpy(j->to.sun_path, path.ptr, path.len);
        j->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (j->fd < 0)
                return err_from_errno(errno);
        buf_init(&j->entry, ENTRY_BYTES_MAX);
        return ERR_OK;
}

void journal_close(struct journal *j)
{
        if (j->fd < 0)
                return;
        close(j->fd);
        buf_fini(&j->entry);
        j->fd = -1;
}

static void field_add(struct buf *out, struct str name, struct str value)
{
        uint8_t len[8];

        buf_add(out, name);
        if (str_find_char(value, '\n') == STR_NONE) {
                buf_add_char(out, '=');
        } else {
                for (size_t i = 0; i < sizeof(len); i++)
                        len[i] = (uint8_t)((uint64_t)value.len >> (8 * i));
                buf_add_char(out, '\n');
                buf_add(out, (struct str){ (const char *)len, sizeof(len) });
        }
        buf_add(out, value);
        buf_add_char(out, '\n');
}

enum err journal_write(struct journal *j, unsigned priority, struct str line)
{
        char digit = (char)('0' + MIN(priority, 7u));
        ssize_t sent;

        if (line.len && line.ptr[line.len - 1] == '\n')
                line.len--;
        if (line.len > JOURNAL_LINE_BYTES_MAX)
                return ERR_TOO_LARGE;
        buf_clear(&j->entry);
        field_add(&j->entry, STR("PRIORITY"), (struct str){ &digit, 1 });
        field_add(&j->entry, STR("SYSLOG_IDENTIFIER"), STR("sekisho"));
        field_add(&j->entry, STR("MESSAGE"), line);
        if (j->entry.full)
                return ERR_NO_MEMORY;
        do
                sent = sendto(j->fd, j->entry.ptr, j->entry.len, MSG_NOSIGNAL, (struct sockaddr *)&j->to,
                              sizeof(j->to));
        while (sent < 0 && errno == EINTR);
        if (sent >= 0)
                return ERR_OK;
        return errno == EMSGSIZE ? ERR_TOO_LARGE : err_from_errno(errno);
}
