/* A log file: its last lines, and what is added. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/logs_priv.h"
#include "cli/out.h"
#include "json/reader.h"

enum { LINE_BYTES_MAX = 64 * 1024, TAIL_BYTES = 4 << 20, LINE_MEMORY_MAX = 2 << 20, READ_BYTES = 16 * 1024 };

void logs_wait(void)
{
        const struct timespec t = { 0, LOGS_WAIT_MS * 1000000L };

        nanosleep(&t, NULL);
}

/* ---- a line ---- */

static bool is_head(struct str key)
{
        return str_eq(key, STR("time")) || str_eq(key, STR("level")) || str_eq(key, STR("event"));
}

void logs_line_say(struct str line)
{
        const struct json_value *root;
        struct arena arena;

        arena_init(&arena, NULL, 0, LINE_MEMORY_MAX);
        if (json_read_strict(&arena, line, NULL, &root) != ERR_OK || !json_is(root, JSON_OBJECT)) {
                out_foreign(line);
        } else {
                struct str level = json_str(json_find(root, STR("level")));

                out_foreign(json_str(json_find(root, STR("time"))));
                out_coloured(str_eq(level, STR("error"))     ? OUT_RED
                             : str_eq(level, STR("warning")) ? OUT_YELLOW
                                                             : OUT_PLAIN,
                             " %-7.*s ", STR_FMT(level));
                out_foreign(json_str(json_find(root, STR("event"))));
                for (size_t i = 0; i < root->count; i++) {
                        const struct json_member *m = &root->members[i];

                        if (is_head(m->key))
                                continue;
                        out_print(" ");
                        out_foreign(m->key);
                        out_print("=");
                        out_foreign(json_is(&m->value, JSON_STRING) ? m->value.text : m->value.raw);
                }
        }
        out_print("\n");
        arena_fini(&arena);
}

struct reading {
        const struct logs_options *options;
        int fd;
        off_t at; /* what is before it was read */
        char line[LINE_BYTES_MAX];
        size_t len;
};

static void line_end(struct reading *r)
{
        const struct str line = { r->line, r->len };

        if (r->options->json) {
                out_str(line);
                out_print("\n");
        } else {
                logs_line_say(line);
        }
        r->len = 0;
}

/* The next bytes of the file; 0: there are none now. */
static size_t bytes_get(int fd, off_t at, char out[READ_BYTES])
{
        ssize_t n = pread(fd, out, READ_BYTES, at);

        return n > 0 ? (size_t)n : 0;
}

/* All there is by now; a line that is not whole waits. */
static void read_on(struct reading *r)
{
        char bytes[READ_BYTES];
        size_t n;

        for (; (n = bytes_get(r->fd, r->at, bytes)) > 0; r->at += (off_t)n)
                for (size_t i = 0; i < n; i++)
                        if (bytes[i] == '\n')
                                line_end(r);
                        else if (r->len < sizeof(r->line))
                                r->line[r->len++] = bytes[i];
        fflush(stdout);
}

/* ---- the file ---- */

static uint64_t newlines_count(int fd, off_t at)
{
        char bytes[READ_BYTES];
        uint64_t count = 0;
        size_t n;

        for (; (n = bytes_get(fd, at, bytes)) > 0; at += (off_t)n)
                for (size_t i = 0; i < n; i++)
                        count += bytes[i] == '\n';
        return count;
}

/* Where its last lines begin. */
static off_t tail_find(int fd, uint64_t lines)
{
        char bytes[READ_BYTES];
        struct stat st;
        off_t at = fstat(fd, &st) == 0 ? MAX(st.st_size - TAIL_BYTES, (off_t)0) : 0;
        uint64_t newlines = newlines_count(fd, at);
        size_t n;

        for (; newlines > lines && (n = bytes_get(fd, at, bytes)) > 0; at += (off_t)n)
                for (size_t i = 0; i < n; i++)
                        if (bytes[i] == '\n' && --newlines == lines)
                                return at + (off_t)i + 1;
        return at;
}

/* Another file has its name now, or it was begun anew. */
static bool is_replaced(const struct reading *r, const char *path)
{
        struct stat mine, theirs;

        return fstat(r->fd, &mine) == 0 && stat(path, &theirs) == 0 &&
               (mine.st_ino != theirs.st_ino || theirs.st_size < r->at);
}

enum exit_code logs_file(const struct logs_options *o, const char *path, uint64_t lines)
{
        static struct reading r; /* one a process; large */

        r = (struct reading){ .options = o, .fd = open(path, O_RDONLY | O_CLOEXEC) };
        if (r.fd < 0) {
                out_problem("%s: %s", path, strerror(errno));
                return errno == EACCES ? EXIT_DENIED : EXIT_FAILED;
        }
        r.at = tail_find(r.fd, lines);
        for (read_on(&r); o->follow; read_on(&r)) {
                int fresh = is_replaced(&r, path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;

                if (fresh >= 0) {
                        read_on(&r);
                        close(r.fd);
                        r.fd = fresh;
                        r.at = 0;
                        r.len = 0;
                } else {
                        logs_wait();
                }
        }
        close(r.fd);
        return EXIT_OK;
}
