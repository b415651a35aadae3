#include "io/logsink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GATHER_BYTES_MAX = 64 * 1024, LINE_BYTES_MAX = 64 * 1024 };

/* Whether a write of some bytes would go through now. Files always; the flags of a shared terminal are not ours to change. */
static bool is_writable(int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLOUT };

        return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

static uint64_t lines_count(struct str lines)
{
        uint64_t count = 0;

        for (size_t i = 0; i < lines.len; i++)
                count += lines.ptr[i] == '\n';
        return count;
}

/* A pipe takes up to PIPE_BUF bytes whole or not at all once it says it is writable: lines go in such portions. */
static size_t portion(struct str lines)
{
        enum { PORTION_BYTES = 4096 };
        size_t end = MIN(lines.len, (size_t)PORTION_BYTES);

        while (end > 0 && lines.ptr[end - 1] != '\n')
                end--;
        if (end)
                return end;
        end = str_find_char(lines, '\n');
        return end == STR_NONE ? lines.len : end + 1;
}

static void lines_write(struct log_sink *s, struct str lines)
{
        while (lines.len) {
                size_t n = s->is_file ? lines.len : portion(lines);
                ssize_t written = -1;

                if (s->fd >= 0 && (s->is_file || is_writable(s->fd)))
                        written = write(s->fd, lines.ptr, n);
                if (written < 0 && errno == EINTR)
                        continue;
                if (written !=
                    (ssize_t)n) /* a file: the disk is full; what went through of the last line stays */
                        s->dropped_count +=
                                lines_count(str_sub(lines, 0, n)) -
                                (written > 0 ? lines_count(str_sub(lines, 0, (size_t)written)) : 0);
                lines = str_from(lines, n);
        }
}

static void journal_lines(struct log_sink *s, struct str lines)
{
        enum { PRIORITY_INFO = 6 };
        struct str line;

        while (str_split(&lines, '\n', &line))
                if (line.len && journal_write(s->journal, PRIORITY_INFO, line) != ERR_OK)
                        s->dropped_count++;
}

void log_sink_flush(void *sink)
{
        struct log_sink *s = sink;

        (s->journal ? journal_lines : lines_write)(s, buf_str(&s->lines));
        buf_clear(&s->lines);
}

void log_sink_write(void *sink, struct str line)
{
        struct log_sink *s = sink;

        if (!s->loop) {
                (s->journal ? journal_lines : lines_write)(s, line);
                return;
        }
        if (line.len > GATHER_BYTES_MAX - s->lines.len)
                log_sink_flush(s);
        buf_add(&s->lines, line);
        if (s->lines.full) {
                s->dropped_count++;
                buf_clear(&s->lines);
        }
}

/* A regular file takes all at once and never makes us wait for a reader. */
static bool is_regular(int fd)
{
        struct stat st;

        return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

void log_sink_open(struct log_sink *s, int fd, struct loop *l)
{
        *s = (struct log_sink){ .loop = l, .fd = fd, .is_file = is_regular(fd) };
        buf_init(&s->lines, GATHER_BYTES_MAX + LINE_BYTES_MAX);
        if (l)
                loop_before_wait(l, log_sink_flush, s);
}

enum err log_file_open(const char *path, int *fd)
{
        *fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
        return *fd < 0 ? err_from_errno(errno) : ERR_OK;
}

enum err log_sink_open_file(struct log_sink *s, const char *path, struct loop *l)
{
        int fd;
        enum err e = log_file_open(path, &fd);

        if (e != ERR_OK)
                return e;
        log_sink_open(s, fd, l);
        s->is_ours = true;
        return ERR_OK;
}

void log_sink_move(struct log_sink *s, int fd)
{
        log_sink_flush(s);
        if (s->is_ours)
                close(s->fd);
        s->fd = fd;
        s->is_ours = false;
        s->is_file = is_regular(fd);
        s->journal = NULL;
}

void log_sink_move_journal(struct log_sink *s, struct journal *journal)
{
        log_sink_move(s, -1);
        s->journal = journal;
}

enum err log_sink_move_file(struct log_sink *s, const char *path)
{
        int fd;
        enum err e = log_file_open(path, &fd);

        if (e != ERR_OK)
                return e;
        log_sink_move(s, fd);
        s->is_ours = true;
        return ERR_OK;
}

void log_sink_close(struct log_sink *s)
{
        log_sink_move(s, -1);
        if (s->loop)
                loop_before_wait_remove(s->loop, log_sink_flush, s);
        buf_fini(&s->lines);
}
