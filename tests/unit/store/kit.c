#include "kit.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "postgres_server.h"

enum kit_engine kit_engine;
unix_ms kit_now = 1800000000000;
const struct store_actor kit_actor = { STR_INIT("owner"), STR_INIT("192.0.2.7") };

static char folder[64];
static unsigned places_count;

unix_ms kit_clock(void)
{
        return kit_now;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
        return remove(path);
}

bool kit_setup(const char *engine)
{
        kit_engine = strcmp(engine, "postgres") == 0 ? KIT_POSTGRES : KIT_SQLITE;
        /* In memory where that is possible: thousands of files are made and synced, and no power is lost here. */
        snprintf(folder, sizeof(folder), "%s/sekisho-store-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        assert_non_null(mkdtemp(folder));
        return kit_engine == KIT_SQLITE || postgres_start();
}

void kit_teardown(void)
{
        if (kit_engine == KIT_POSTGRES)
                postgres_stop();
        nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void remove_place(const struct kit *k)
{
        const char *const endings[] = { "", "-wal", "-shm", ".lock" };

        for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
                char name[300];
                snprintf(name, sizeof(name), "%s%s", k->path, endings[i]);
                unlink(name);
        }
}

void kit_file(const char *name, char out[256])
{
        snprintf(out, 256, "%s/%s", folder, name);
}

void kit_place_sqlite(struct kit *k)
{
        enum kit_engine engine = kit_engine;

        kit_engine = KIT_SQLITE;
        kit_place(k);
        kit_engine = engine;
}

void kit_place(struct kit *k)
{
        memset(k, 0, sizeof(*k));
        places_count++;
        snprintf(k->path, sizeof(k->path), "%s/store%u.db", folder, places_count);
        remove_place(k); /* a test that was cut off left it (torture.c) */
        if (kit_engine == KIT_POSTGRES)
                postgres_place(places_count, k->url, sizeof(k->url));
        else
                snprintf(k->url, sizeof(k->url), "sqlite:%s", k->path);
        arena_init(&k->arena, NULL, 0, 64 * 1024 * 1024);
        report_init(&k->report, STR_NULL);
}

void kit_reopen(struct kit *k)
{
        const struct store_options options = { .clock = kit_clock };

        store_close(k->store);
        k->store = NULL;
        if (store_open(str_of(k->url), &options, &k->report, &k->store) != ERR_OK) {
                struct buf text;
                buf_init(&text, 4096);
                report_format(&k->report, &text);
                fail_msg("%.*s", STR_FMT(buf_str(&text)));
        }
        assert_true(str_has_prefix(store_engine(k->store), str_has_prefix(str_of(k->url), STR("sqlite:"))
                                                                   ? STR("SQLite ")
                                                                   : STR("PostgreSQL ")));
}

void kit_begin(struct kit *k)
{
        kit_place(k);
        kit_reopen(k);
}

void kit_end(struct kit *k)
{
        store_close(k->store);
        arena_fini(&k->arena);
        report_fini(&k->report);
        remove_place(k);
}

int kit_test_setup(void **state)
{
        static struct kit kit;

        kit_begin(&kit);
        *state = &kit;
        return 0;
}

int kit_test_teardown(void **state)
{
        kit_end(*state);
        return 0;
}

struct asked {
        struct store_job job;
        kit_fn *fn;
        void *context;
};

static enum err run_asked(struct store_job *job, struct store_txn *t)
{
        struct asked *a = CONTAINER_OF(job, struct asked, job);

        return a->fn(t, a->context);
}

enum err kit_try(struct store *s, kit_fn *fn, void *context)
{
        struct asked a = { { .run = run_asked }, fn, context };

        return store_run(s, &a.job);
}

void kit_run(struct kit *k, kit_fn *fn, void *context)
{
        struct asked a = { { .run = run_asked }, fn, context };
        enum err e = store_run(k->store, &a.job);

        if (e != ERR_OK)
                fail_msg("ERR_%s: %s", err_name(e), a.job.reason);
}

struct str kit_bytes(struct arena *a, size_t n, uint8_t value)
{
        char *bytes = arena_alloc(a, n, 1);

        memset(bytes, value, n);
        return (struct str){ bytes, n };
}
