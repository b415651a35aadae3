#include "gateway/reader.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/source.h"
#include "gateway/overlay.h"
#include "gateway/supervisor_priv.h"
#include "gateway/tailnetcert.h"
#include "io/process.h"
#include "published/published.h"

enum { READ_MS = 30 * 1000, TEXT_BYTES_MAX = 1 << 20 };

/* ---- the child ---- */

static void report_print(const struct report *r)
{
        struct buf text;

        buf_init(&text, TEXT_BYTES_MAX);
        report_format(r, &text);
        fprintf(stderr, "%.*s", STR_FMT(buf_str(&text)));
        buf_fini(&text);
}

static void report_log(const struct report *r)
{
        for (size_t i = 0; i < r->entries_count; i++) {
                const struct report_entry *entry = &r->entries[i];

                if (entry->severity == REPORT_ERROR)
                        log_error("config_problem", LOG_S("file", entry->file), LOG_N("line", entry->line),
                                  LOG_N("column", entry->column), LOG_S("problem", entry->text));
                else
                        log_warning("config_warning", LOG_S("file", entry->file), LOG_N("line", entry->line),
                                    LOG_S("problem", entry->text));
        }
        if (r->errors_count)
                log_error("config_reload_refused", LOG_N("errors", r->errors_count),
                          LOG_C("kept", "the old configuration stays in force"));
}

static void report_tell(const struct report *r, enum reader_task task, struct message_read *m)
{
        struct str first = STR_NULL;

        if (task == READER_FIRST)
                report_print(r);
        else
                report_log(r);
        for (size_t i = r->entries_count; i-- > 0;)
                if (r->entries[i].severity == REPORT_ERROR)
                        first = r->entries[i].text;
        snprintf(m->text, sizeof(m->text), "%.*s", STR_FMT(first));
}

/* Both memory files, or an error. */
static enum err config_read(struct supervisor *s, enum reader_task task, struct message_read *m, int fds[2])
{
        struct conf_source system;
        struct tailnetcert tailnet;
        struct published published;
        struct overlay overlay;
        struct conf_recorder recorder;
        struct report report;
        struct conf *conf;
        enum err e;

        conf_source_system(&system, s->options->config_file, process_wall_ms());
        envkeeper_over(&s->environment, &system);
        tailnetcert_over(&tailnet, &s->environment.source, s->pair.fd);
        published_over(&published, &tailnet.source, str_of(s->node.folder), s->options->listen);
        overlay_init(&overlay, &published.source,
                     s->options->no_auth ? STR("false")
                     : s->options->auth  ? STR("true")
                                         : STR(""));
        if (published_is_on(&published) && access(s->options->config_file.ptr, F_OK) == 0)
                overlay_listen(&overlay, s->options->listen);
        conf_recorder_init(&recorder, &overlay.source);
        report_init(&report, s->options->config_file);
        e = conf_load(&recorder.source, &report, &conf);
        report_tell(&report, task, m);
        if (e == ERR_CONFIG && task == READER_FIRST && published_is_on(&published)) {
                /* It was refused once, or the program is another now: the operator's own file is served all the same. */
                fprintf(stderr, "sekisho: starting without what control published\n");
                published_off(&published);
                overlay_listen(&overlay, STR_NULL); /* its certificate was published, too */
                conf_recorder_fini(&recorder);
                conf_recorder_init(&recorder, &overlay.source);
                report_fini(&report);
                report_init(&report, s->options->config_file);
                e = conf_load(&recorder.source, &report, &conf);
                report_tell(&report, task, m);
        }
        if (e != ERR_OK)
                return e;
        struct str bundle = conf_recorder_bundle(&recorder);

        if (bundle.len == 0 || recorder.keys.full)
                return ERR_NO_MEMORY;
        if ((e = mailbox_memfd(bundle, &fds[0])) == ERR_OK)
                e = mailbox_memfd(conf_recorder_keys(&recorder), &fds[1]);
        return e; /* nothing is freed: the process ends */
}

/* The configuration itself may have been edited meanwhile; the keys' files have the names they had. */
static enum err keys_read(struct supervisor *s, struct message_read *m, int fds[1])
{
        struct conf_source system;
        struct tailnetcert tailnet;
        struct published published;
        struct conf_bundle bundle;
        struct str bytes, name;
        struct buf keys;
        size_t at = 0;
        enum err e = mailbox_map(s->bundle_fd, CONF_BUNDLE_BYTES_MAX, &bytes);

        if (e != ERR_OK || (e = conf_bundle_open(&bundle, bytes)) != ERR_OK)
                return e;
        conf_source_system(&system, s->options->config_file, process_wall_ms());
        tailnetcert_over(&tailnet, &system, s->pair.fd);
        published_over(&published, &tailnet.source, str_of(s->node.folder), s->options->listen);
        buf_init(&keys, CONF_BUNDLE_BYTES_MAX);
        while (conf_bundle_next(&bundle, CONF_READ_KEY, &at, &name)) {
                struct conf_text text = { 0 };

                buf_init(&text.bytes, CONF_TEXT_BYTES_MAX);
                if ((e = published.source.read(&published.source, CONF_READ_KEY, name, &text)) != ERR_OK) {
                        snprintf(m->text, sizeof(m->text), "%.*s: %s", STR_FMT(name), err_text(e));
                        return e;
                }
                conf_keys_add(&keys, buf_str(&text.bytes));
        }
        return keys.full ? ERR_NO_MEMORY : mailbox_memfd(buf_str(&keys), &fds[0]);
}

/* It waits for tailscaled, perhaps for a minute: nothing of the supervisor's stays open for so long. */
static enum err pair_read(struct supervisor *s, struct message_read *m, int fds[1])
{
        struct tailnetcert_pair pair;
        struct buf problem;

        child_forget(s, NULL);
        envkeeper_fini(&s->environment);
        buf_init(&problem, sizeof(m->text));
        enum err e = tailnetcert_ask(str_of(s->tailnet.socket), str_of(s->tailnet.ours.certificate),
                                     process_wall_ms(), &problem, &pair);

        snprintf(m->text, sizeof(m->text), "%.*s", STR_FMT(buf_str(&problem)));
        memcpy(m->pair_sha256, pair.sha256, sizeof(m->pair_sha256));
        m->pair_not_after = pair.not_after;
        fds[0] = pair.fd;
        return e;
}

static enum err task_do(struct supervisor *s, enum reader_task task, struct message_read *m, int fds[2])
{
        switch (task) {
        case READER_KEYS: return keys_read(s, m, fds);
        case READER_PAIR: return pair_read(s, m, fds);
        default: return config_read(s, task, m, fds);
        }
}

static size_t fds_of(enum reader_task task)
{
        return task == READER_FIRST || task == READER_RELOAD ? 2 : 1;
}

static _Noreturn void become_reader(struct supervisor *s, enum reader_task task, int fd)
{
        struct mailbox to_supervisor = { .watch = { .fd = fd } };
        struct message_read m = { 0 };
        int fds[2] = { -1, -1 };
        size_t fds_count = fds_of(task);

        process_forbid_dumps();
        m.error = (int32_t)task_do(s, task, &m, fds);
        if (m.error != ERR_OK)
                fds_count = 0;
        _exit(mailbox_send(&to_supervisor, MESSAGE_READ, (struct str){ (const char *)&m, sizeof(m) }, fds,
                           fds_count) == ERR_OK
                      ? 0
                      : 1);
}

/* ---- the supervisor ---- */

enum err conf_of_bundle(int fd, struct conf **out)
{
        struct conf_bundle bundle;
        struct report report;
        struct str bytes;
        enum err e = mailbox_map(fd, CONF_BUNDLE_BYTES_MAX, &bytes);

        *out = NULL;
        if (e != ERR_OK)
                return e;
        report_init(&report, STR("bundle"));
        if ((e = conf_bundle_open(&bundle, bytes)) == ERR_OK)
                e = conf_load(&bundle.source, &report, out);
        report_fini(&report);
        mailbox_unmap(bytes);
        return e;
}

/* What the reader found in the environment is taken out of it here too. */
static void environment_keep(struct supervisor *s, int bundle_fd)
{
        struct conf_source system;
        struct conf_bundle bundle;
        struct str bytes, name;
        size_t at = 0;

        if (mailbox_map(bundle_fd, CONF_BUNDLE_BYTES_MAX, &bytes) != ERR_OK)
                return;
        conf_source_system(&system, s->options->config_file, 0);
        envkeeper_over(&s->environment, &system);
        if (conf_bundle_open(&bundle, bytes) == ERR_OK)
                while (conf_bundle_next(&bundle, CONF_READ_ENV, &at, &name)) {
                        struct conf_text text = { 0 };

                        buf_init_secret(&text.bytes, CONF_TEXT_BYTES_MAX);
                        enum err e = s->environment.source.read(&s->environment.source, CONF_READ_ENV, name,
                                                                &text);
                        if (e != ERR_OK)
                                log_debug("environment_not_kept", LOG_S("name", name));
                        buf_wipe(&text.bytes);
                }
        mailbox_unmap(bytes);
}

void reading_drop(struct reading *what)
{
        conf_free(what->conf);
        fds_close((int[]){ what->bundle_fd, what->keys_fd }, 2);
}

static void over(struct reader *r, struct reading *what)
{
        mailbox_close(&r->mailbox);
        timer_clear(&r->timer);
        /* It has nothing left to do. One that hangs in a file may take its time: SIGCHLD tells of it. */
        waitpid(r->pid, NULL, what->error == ERR_OK ? 0 : WNOHANG);
        r->pid = 0;
        r->done(r, what);
}

static void failed(struct reader *r, enum err e, struct str problem)
{
        struct reading what = { .error = e, .problem = problem, .bundle_fd = -1, .keys_fd = -1 };

        over(r, &what);
}

static void on_message(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count)
{
        struct reader *r = CONTAINER_OF(m, struct reader, mailbox);
        struct reading what = { .bundle_fd = -1, .keys_fd = -1 };
        struct message_read read;

        if (kind != MESSAGE_READ || body.len != sizeof(read))
                return;
        memcpy(&read, body.ptr, sizeof(read));
        read.text[sizeof(read.text) - 1] = '\0';
        if (read.error != ERR_OK || fds_count != fds_of(r->task)) {
                failed(r, read.error != ERR_OK ? (enum err)read.error : ERR_IO,
                       read.text[0] ? str_of(read.text) : STR("it cannot be read"));
                return;
        }
        if (fds_count == 2) {
                enum err e = conf_of_bundle(fds[0], &what.conf);

                if (e != ERR_OK) {
                        failed(r, e, STR("what was read cannot be built"));
                        return;
                }
                environment_keep(r->supervisor, fds[0]);
                what.bundle_fd = fds[0];
                fds[0] = -1;
        }
        memcpy(what.pair_sha256, read.pair_sha256, sizeof(what.pair_sha256));
        what.pair_not_after = read.pair_not_after;
        what.keys_fd = fds[fds_count - 1];
        fds[fds_count - 1] = -1;
        over(r, &what);
}

static void on_gone(struct mailbox *m)
{
        failed(CONTAINER_OF(m, struct reader, mailbox), ERR_IO,
               STR("the reading process ended before it was done"));
}

static void on_slow(struct timer *t)
{
        struct reader *r = CONTAINER_OF(t, struct reader, timer);

        kill(r->pid, SIGKILL);
        failed(r, ERR_TIMED_OUT, STR("its files took too long to read"));
}

enum err reader_start(struct reader *r, struct supervisor *s, enum reader_task task, reader_fn *done)
{
        int pair[2];
        enum err e = mailbox_pair(pair);

        if (e != ERR_OK)
                return e;
        r->supervisor = s;
        r->task = task;
        r->done = done;
        fflush(stderr);
        if ((r->pid = fork()) == 0) {
                close(pair[0]);
                become_reader(s, task, pair[1]);
        }
        close(pair[1]);
        if (r->pid < 0) {
                r->pid = 0;
                close(pair[0]);
                return ERR_NO_MEMORY;
        }
        timer_init(&r->timer, on_slow);
        if ((e = mailbox_open(&r->mailbox, s->loop, pair[0], on_message, on_gone)) != ERR_OK) {
                r->pid = 0;
                return e;
        }
        timer_set(s->loop, &r->timer,
                  loop_now(s->loop) + READ_MS + (task == READER_PAIR ? TAILNETCERT_WAIT_MS : 0));
        return ERR_OK;
}
