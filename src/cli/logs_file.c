/* A log file: its last lines, and what is added. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/logs_priv.h"
#include "cli/out.h"
#include "json/reader.h"

enum { LINE_BYTES_MAX = 64 * 1024, TAIL_BYTES = 4 << 20, LINE_MEMORY_MAX = 2 << 20 };

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
        FILE *file;
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

/* All there is by now; a line that is not whole waits. */
static void read_on(struct reading *r)
{
        int c;

        clearerr(r->file);
        while ((c = fgetc(r->file)) != EOF)
                if (c == '\n')
                        line_end(r);
                else if (r->len < sizeof(r->line))
                        r->line[r->len++] = (char)c;
        fflush(stdout);
}

/* ---- the file ---- */

/* To where its last lines begin. */
static void tail_find(FILE *f, uint64_t lines)
{
        long end = fseek(f, 0, SEEK_END) == 0 ? ftell(f) : 0, at = MAX(end - TAIL_BYTES, 0L);
        uint64_t newlines = 0;
        int c;

        (void)fseek(f, at, SEEK_SET);
        while ((c = fgetc(f)) != EOF)
                newlines += c == '\n';
        (void)fseek(f, at, SEEK_SET);
        while (newlines > lines && (c = fgetc(f)) != EOF)
                newlines -= c == '\n';
}

/* Another file has its name now. */
static bool is_replaced(FILE *f, const char *path)
{
        struct stat mine, theirs;

        return fstat(fileno(f), &mine) == 0 && stat(path, &theirs) == 0 &&
               (mine.st_ino != theirs.st_ino || theirs.st_size < ftell(f));
}

enum exit_code logs_file(const struct logs_options *o, const char *path, uint64_t lines)
{
        static struct reading r; /* one a process; large */

        r = (struct reading){ .options = o, .file = fopen(path, "re") };
        if (!r.file) {
                out_problem("%s: %s", path, strerror(errno));
                return errno == EACCES ? EXIT_DENIED : EXIT_FAILED;
        }
        tail_find(r.file, lines);
        for (read_on(&r); o->follow; read_on(&r)) {
                FILE *fresh = is_replaced(r.file, path) ? fopen(path, "re") : NULL;

                if (fresh) {
                        read_on(&r);
                        (void)fclose(r.file);
                        r.file = fresh;
                        r.len = 0;
                } else {
                        logs_wait();
                }
        }
        (void)fclose(r.file);
        return EXIT_OK;
}
