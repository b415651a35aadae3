#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "store/line_priv.h"
#include "store/schema_priv.h"
#include "store/url.h"

struct store {
        struct store_line writer, reader;
        bool has_reader, is_closing, is_delivering, is_shared;

        struct loop *loop; /* NULL: jobs run in the caller's thread */
        struct watch watch;
        int told_fd;
        void (*on_change)(void *context);
        void *context;

        struct store_stats stats;
        struct str engine;
};

static unix_ms system_clock(void)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (unix_ms)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Gives back what the lines have done. A `done` may submit again. */
static void deliver(struct store *s)
{
        struct store_line *lines[] = { &s->writer, &s->reader };
        uint64_t commits;
        bool has_news = false;

        s->is_delivering = true;
        for (int i = 0; i < (s->has_reader ? 2 : 1); i++) {
                struct list done;
                list_init(&done);
                store_line_take(lines[i], &done, &has_news, &commits);
                if (i == 0)
                        s->stats.commits_count = commits;
                while (!list_is_empty(&done)) {
                        struct store_job *job = LIST_FIRST(&done, struct store_job, node);
                        list_remove(&job->node);
                        lines[i]->waiting_count--;
                        *(job->is_read ? &s->stats.reads_count : &s->stats.changes_count) += 1;
                        s->stats.failed_count += job->err != ERR_OK;
                        job->done(job, job->err); /* may free it */
                }
        }
        s->is_delivering = false;
        if (has_news && s->on_change)
                s->on_change(s->context);
}

static void told(struct watch *w, unsigned events)
{
        struct store *s = CONTAINER_OF(w, struct store, watch);
        uint64_t count;

        if (read(s->told_fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
                deliver(s);
}

/* Check, migrate: what must be right before anyone is served. */
static enum err prepare(struct store_conn *c, const struct store_options *options, struct report *r)
{
        int version;
        enum err e = c->backend->check(c, false, r);

        if (e == ERR_OK && (e = store_schema_version(c, &version)) != ERR_OK)
                report_error(r, 0, 0, "cannot read the store's schema: %s", c->reason);
        if (e == ERR_OK && (options->must_exist || options->is_read_only) && version == 0) {
                report_error(r, 0, 0, "there is no store of sekisho there");
                e = ERR_NOT_FOUND;
        }
        if (e != ERR_OK || !options->is_read_only)
                return e == ERR_OK ? store_schema_migrate(c, store_steps_count, r) : e;
        if (version == store_steps_count)
                return ERR_OK;
        report_error(r, 0, 0, "the schema is %d, this program's %d: %s", version, store_steps_count,
                     version > store_steps_count ? "use the newer sekisho that wrote it"
                                                 : "control brings it forward when it starts");
        return ERR_UNSUPPORTED;
}

static enum err start_threads(struct store *s, const struct store_url *url, struct report *r)
{
        struct store_conn *reader = NULL;
        enum err e = store_conn_open(url, STORE_READER, true, r, &reader);

        if (e != ERR_OK)
                return e;
        store_line_init(&s->reader, reader, false, s->writer.clock);
        s->has_reader = true;
        s->told_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (s->told_fd < 0 || loop_add(s->loop, &s->watch, s->told_fd, told) != ERR_OK ||
            store_line_start(&s->writer, s->told_fd) != ERR_OK ||
            store_line_start(&s->reader, s->told_fd) != ERR_OK) {
                report_error(r, 0, 0, "out of memory, threads or descriptors");
                return ERR_NO_MEMORY;
        }
        return ERR_OK;
}

/* Whom to blame for what, years later. SQLite before 3.51.3 has a fault that this room's rules keep away (sqlite.c). */
static void log_opened(const struct store *s, const struct store_url *url)
{
        struct buf shown;

        buf_init(&shown, 2 * STORE_URL_BYTES_MAX);
        store_url_show(url, &shown);
        log_info("store_opened", LOG_S("store", buf_str(&shown)), LOG_S("engine", s->engine),
                 LOG_N("schema", store_steps_count));
        buf_fini(&shown);
}

enum err store_open(struct str text, const struct store_options *options, struct report *r,
                    struct store **out)
{
        struct store_conn *writer = NULL;
        struct store_url url;
        struct store *s;
        enum err e;

        if ((e = store_url_parse(text, r, &url)) != ERR_OK)
                return e;
        assert(!options->is_read_only || !options->loop);
        if ((e = store_conn_open(&url, options->is_read_only ? STORE_SOURCE : STORE_WRITER,
                                 options->must_exist, r, &writer)) != ERR_OK)
                return e;
        if ((e = prepare(writer, options, r)) != ERR_OK || !(s = calloc(1, sizeof(*s)))) {
                store_conn_close(writer);
                return e == ERR_OK ? ERR_NO_MEMORY : e;
        }
        s->loop = options->loop;
        s->told_fd = s->watch.fd = -1;
        s->on_change = options->on_change;
        s->context = options->context;
        store_line_init(&s->writer, writer, !options->is_read_only,
                        options->clock ? options->clock : system_clock);
        writer->backend->about(writer, &s->engine);
        s->is_shared = writer->backend == &store_postgres;
        if (s->loop && (e = start_threads(s, &url, r)) != ERR_OK) {
                store_close(s);
                return e;
        }
        if (s->loop)
                log_opened(s, &url);
        *out = s;
        return ERR_OK;
}

void store_close(struct store *s)
{
        if (!s)
                return;
        assert(!s->is_delivering);
        s->is_closing = true;
        /* The reader first: the last one to close the file is the one that writes. */
        if (s->has_reader)
                store_line_stop(&s->reader);
        store_line_stop(&s->writer);
        deliver(s);
        store_line_fini(&s->writer);
        if (s->has_reader)
                store_line_fini(&s->reader);
        if (s->watch.fd >= 0)
                loop_remove(s->loop, &s->watch);
        if (s->told_fd >= 0)
                close(s->told_fd);
        free(s);
}

enum err store_submit(struct store *s, struct store_job *job)
{
        enum err e;

        assert(s->loop && job->run && job->done);
        if (s->is_closing)
                return ERR_CLOSED;
        e = store_line_submit(job->is_read ? &s->reader : &s->writer, job);
        s->stats.refused_count += e != ERR_OK;
        return e;
}

enum err store_run(struct store *s, struct store_job *job)
{
        struct list one;
        bool has_news = false;

        assert(!s->loop);
        list_init(&one);
        list_add_last(&one, &job->node);
        store_line_run(&s->writer, &one, &has_news);
        list_remove(&job->node);
        *(job->is_read ? &s->stats.reads_count : &s->stats.changes_count) += 1;
        s->stats.failed_count += job->err != ERR_OK;
        s->stats.commits_count = s->writer.commits_count;
        return job->err;
}

void store_stats(const struct store *s, struct store_stats *out)
{
        *out = s->stats;
        out->waiting_count = s->writer.waiting_count + (s->has_reader ? s->reader.waiting_count : 0);
}

bool store_is_shared(const struct store *s)
{
        return s->is_shared;
}

struct str store_engine(const struct store *s)
{
        return s->engine;
}
