#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

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
