#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/log.h"
#include "control/routes_priv.h"
#include "control/text.h"
#include "crypto/random.h"
#include "store/copy.h"

/* Where it goes is ours to say: no path comes from a request. "control-20261121-091500-1f3a.db" in the state folder. */
static void path_make(const struct control *c, unix_ms now, char *out, size_t size)
{
        time_t seconds = (time_t)(now / 1000);
        struct tm tm;

        gmtime_r(&seconds, &tm);
        snprintf(out, size, "%s/control-%04d%02d%02d-%02d%02d%02d-%04x.db", c->state, tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                 (unsigned)(crypto_random_u64() & 0xffff));
}

static enum err report_failed(struct api_call *c, enum err e, const struct report *r, const char *what)
{
        if (e == ERR_NO_MEMORY)
                return e;
        return api_fail(c, 500, NULL, "%s: %.*s", what,
                        STR_FMT(r->entries_count ? r->entries[0].text : str_of(err_text(e))));
}

API_RUN(backup_make)
{
        char path[CONTROL_PATH_BYTES + 64];
        struct object_backup o = { .time = store_now(t) };
        struct report report;
        struct stat st;
        enum err e;

        path_make(c->control, store_now(t), path, sizeof(path));
        report_init(&report, STR(""));
        e = store_backup(t, path, &report);
        if (e != ERR_OK)
                e = report_failed(c, e, &report, "The backup was not made");
        report_fini(&report);
        if (e != ERR_OK)
                return e;
        o.path = str_of(path);
        o.bytes = stat(path, &st) == 0 ? st.st_size : 0;
        return api_answer(c, &object_backup_schema, &o, 0);
}

/*
 * A backup reads beside those who change something, so its record is a change of its own behind it. The answer waits for it: what was
 * acknowledged is in the trail.
 */
struct record {
        struct store_job job;
        struct api_call *call;
};

static enum err record_run(struct store_job *job, struct store_txn *t)
{
        struct api_call *c = CONTAINER_OF(job, struct record, job)->call;
        const struct store_actor actor = { c->caller.actor, c->source };
        struct store_change *change = store_change_begin(t, c->caller.org, &actor, "store.backup");

        store_change_note(change, STR("store"), buf_str(&c->answer));
        return store_change_finish(change);
}

static void record_done(struct store_job *job, enum err e)
{
        struct record *r = CONTAINER_OF(job, struct record, job);
        struct api_call *c = r->call;

        c->is_running = false;
        if (e != ERR_OK) {
                log_error("backup_not_recorded", LOG_E(e));
                api_fail(c, 500, NULL, "The backup was made, and the record of it could not be written: %s.",
                         err_text(e));
        }
        api_answer_now(c);
        free(r);
}

void backup_recorded(struct api_call *c)
{
        struct record *r = calloc(1, sizeof(*r));
        enum err e = ERR_NO_MEMORY;

        if (r) {
                *r = (struct record){ .job = { .run = record_run, .done = record_done }, .call = c };
                c->is_running = true;
                if ((e = store_submit(c->control->store, &r->job)) == ERR_OK)
                        return;
                c->is_running = false;
                free(r);
        }
        log_error("backup_not_recorded", LOG_E(e));
        api_fail(c, 503, NULL, "The backup was made, and the record of it could not be written. Try again.");
        api_answer_now(c);
}

API_RUN(store_check)
{
        struct object_verified o = { 0 };
        struct store_verified found;
        struct report report;
        enum err e;

        report_init(&report, STR(""));
        e = store_verify(t, &report, &found);
        if (e != ERR_OK)
                e = report_failed(c, e, &report, "The store is damaged");
        report_fini(&report);
        if (e != ERR_OK)
                return e;
        o.rows = found.rows_count;
        o.records = found.records_count;
        o.last_hash =
                text_hex(&c->work, (struct str){ (const char *)found.last_hash, sizeof(found.last_hash) });
        return api_answer(c, &object_verified_schema, &o, 0);
}
