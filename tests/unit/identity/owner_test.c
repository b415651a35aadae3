#include "../test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "identity/owner.h"
#include "store/keys.h"

static char folder[] = "/tmp/sekisho-owner-XXXXXX";
static struct store *store;
static unix_ms now = INT64_C(1790000000000);

static unix_ms clock_of(void)
{
        return now;
}

struct job {
        struct store_job job;
        char link[IDENTITY_SECRET_SIZE], key[IDENTITY_SECRET_SIZE];
        bool made;
        struct str presented;
        struct identity_caller caller;
        struct arena arena;
};

static enum err link_run(struct store_job *j, struct store_txn *t)
{
        struct job *job = CONTAINER_OF(j, struct job, job);

        return identity_owner_link(t, &job->arena, job->link, &job->made);
}

static enum err claim_run(struct store_job *j, struct store_txn *t)
{
        struct job *job = CONTAINER_OF(j, struct job, job);

        return identity_owner_claim(t, job->presented, STR("owner"), STR("192.0.2.1"), &job->arena, job->key);
}

static enum err who_run(struct store_job *j, struct store_txn *t)
{
        struct job *job = CONTAINER_OF(j, struct job, job);

        return identity_caller_of_key(t, job->presented, &job->arena, &job->caller);
}

static enum err run(struct job *job, store_run_fn *fn)
{
        job->job = (struct store_job){ .run = fn };
        return store_run(store, &job->job);
}

/* Link, claim, key; and all that must not work on the way. */
static void test_owner(void **state)
{
        struct job first = { 0 }, second = { 0 }, claim = { 0 };

        arena_init(&first.arena, NULL, 0, 1 << 20);
        arena_init(&second.arena, NULL, 0, 1 << 20);
        arena_init(&claim.arena, NULL, 0, 1 << 20);
        assert_err(run(&first, link_run), ERR_OK);
        assert_true(first.made);
        assert_err(run(&second, link_run), ERR_OK); /* the next start: the first link is no longer good */
        assert_true(second.made);
        claim.presented = str_of(first.link);
        assert_err(run(&claim, claim_run), ERR_DENIED);
        claim.presented = STR("skown-guess");
        assert_err(run(&claim, claim_run), ERR_DENIED);

        claim.presented = str_of(second.link);
        now += IDENTITY_OWNER_LINK_MS + 1;
        assert_err(run(&claim, claim_run), ERR_DENIED); /* too late */
        now -= IDENTITY_OWNER_LINK_MS + 1;
        assert_err(run(&claim, claim_run), ERR_OK);
        assert_true(identity_secret_is(IDENTITY_API_KEY, str_of(claim.key)));
        assert_err(run(&second, claim_run), ERR_DENIED);
        second.presented = str_of(second.link);
        assert_err(run(&second, claim_run), ERR_DENIED); /* used */

        assert_err(run(&first, link_run), ERR_OK); /* somebody owns it: no more links */
        assert_false(first.made);

        first.presented = str_of(claim.key);
        assert_err(run(&first, who_run), ERR_OK);
        assert_int_equal(first.caller.scopes, IDENTITY_SCOPES_ALL);
        assert_int_equal(first.caller.org, STORE_ORG_DEFAULT);
        assert_str(first.caller.name, STR("owner"));
        claim.key[10] ^= 1;
        assert_err(run(&first, who_run), ERR_DENIED);
        arena_fini(&first.arena);
        arena_fini(&second.arena);
        arena_fini(&claim.arena);
}

static int setup(void **state)
{
        struct store_options options = { .clock = clock_of };
        struct report report;
        char url[100];

        assert_non_null(mkdtemp(folder));
        snprintf(url, sizeof(url), "sqlite:%s/control.db", folder);
        report_init(&report, STR(""));
        assert_err(store_open(str_of(url), &options, &report, &store), ERR_OK);
        report_fini(&report);
        return 0;
}

static int teardown(void **state)
{
        static const char *const names[] = { "control.db", "control.db-wal", "control.db-shm",
                                             "control.db.lock" };
        char path[100];

        store_close(store);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
                unlink(path);
        }
        rmdir(folder);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_owner) };

        return cmocka_run_group_tests(tests, setup, teardown);
}
