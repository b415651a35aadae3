/* The helper threads: jobs go and come back, changes are told, a full queue refuses, a one-use token is used once. */
#include "kit.h"

#include <stdlib.h>

#include "store/keys.h"
#include "store/outbox.h"
#include "store/tokens.h"

struct ends {
        struct loop *loop;
        struct store *store;
        unsigned ok_count, denied_count, other_count, changes_told;
};

static void on_change(void *context)
{
        ((struct ends *)context)->changes_told++;
}

static void ends_begin(struct ends *x, struct kit *k)
{
        struct store_options options = { .clock = kit_clock, .on_change = on_change, .context = x };

        store_close(k->store);
        k->store = NULL;
        *x = (struct ends){ 0 };
        assert_err(loop_new(&x->loop), ERR_OK);
        options.loop = x->loop;
        assert_err(store_open(str_of(k->url), &options, &k->report, &x->store), ERR_OK);
}

static void ends_end(struct ends *x)
{
        store_close(x->store);
        loop_free(x->loop);
}

static size_t waiting(struct ends *x)
{
        struct store_stats stats;

        store_stats(x->store, &stats);
        return stats.waiting_count;
}

static void settle(struct ends *x)
{
        while (waiting(x))
                loop_turn(x->loop, 1000);
}

struct ask {
        struct store_job job;
        struct ends *ends;
        unsigned number;
        int64_t got;
};

static void count_done(struct store_job *job, enum err e)
{
        struct ask *a = CONTAINER_OF(job, struct ask, job);

        *(e == ERR_OK       ? &a->ends->ok_count
          : e == ERR_DENIED ? &a->ends->denied_count
                            : &a->ends->other_count) += 1;
}

static enum err add_token(struct store_job *job, struct store_txn *t)
{
        struct store_change *c = store_change_begin(t, 1, &kit_actor, "token.create");
        struct store_token token = { .org = 1, .hash = STR("h"), .uses_max = 1, .expires = kit_now + 1 };
        enum err e = store_token_add(c, &token);

        return e == ERR_OK ? store_change_finish(c) : e;
}

static enum err take_token(struct store_job *job, struct store_txn *t)
{
        struct store_change *c = store_change_begin(t, 1, &kit_actor, "node.join");
        struct store_token token;
        char first[4096];
        struct arena a;
        enum err e;

        arena_init(&a, first, sizeof(first), sizeof(first));
        e = store_token_take(c, STORE_TOKEN_GATEWAY, STR("h"), &a, &token);
        arena_fini(&a);
        return e == ERR_OK ? store_change_finish(c) : e;
}

static enum err add_key(struct store_job *job, struct store_txn *t)
{
        struct ask *a = CONTAINER_OF(job, struct ask, job);
        struct store_change *c = store_change_begin(t, 1, &kit_actor, "key.create");
        char name[16];
        struct store_key key = { .org = 1, .owner = STR("o") };
        enum err e;

        snprintf(name, sizeof(name), "key%u", a->number % 100); /* the second hundred are taken */
        key.name = key.hash = str_of(name);
        e = store_key_add(c, &key);
        return e == ERR_OK ? store_change_finish(c) : e;
}

static enum err last_change(struct store_job *job, struct store_txn *t)
{
        int64_t first;

        return store_outbox_range(t, &first, &CONTAINER_OF(job, struct ask, job)->got);
}

static void test_two_hundred_take_one_use(void **state)
{
        static struct ask asks[200];
        struct ask first;
        struct ends x;

        ends_begin(&x, *state);
        first = (struct ask){ { .run = add_token, .done = count_done }, &x, 0, 0 };
        assert_err(store_submit(x.store, &first.job), ERR_OK);
        settle(&x);
        x.ok_count = 0;
        for (unsigned i = 0; i < ARRAY_SIZE(asks); i++) {
                asks[i] = (struct ask){ { .run = take_token, .done = count_done }, &x, i, 0 };
                assert_err(store_submit(x.store, &asks[i].job), ERR_OK);
        }
        settle(&x);
        assert_int_equal(x.ok_count, 1);
        assert_int_equal(x.denied_count, 199);
        assert_int_equal(x.other_count, 0);
        ends_end(&x);
}

/* Some of a batch fail: theirs is taken back, the others' stays; and reads go on beside. */
static void test_a_batch_of_good_and_bad(void **state)
{
        static struct ask asks[200], reads[50];
        struct store_stats stats;
        struct ends x;

        ends_begin(&x, *state);
        for (unsigned i = 0; i < ARRAY_SIZE(asks); i++) {
                asks[i] = (struct ask){ { .run = add_key, .done = count_done }, &x, i, 0 };
                assert_err(store_submit(x.store, &asks[i].job), ERR_OK);
        }
        for (unsigned i = 0; i < ARRAY_SIZE(reads); i++) {
                reads[i] =
                        (struct ask){ { .run = last_change, .done = count_done, .is_read = true }, &x, i, 0 };
                assert_err(store_submit(x.store, &reads[i].job), ERR_OK);
        }
        settle(&x);
        assert_int_equal(x.ok_count, 100 + 50);
        assert_int_equal(x.other_count, 100);
        assert_true(x.changes_told >= 1);
        reads[0].job.is_read = true;
        assert_err(store_submit(x.store, &reads[0].job), ERR_OK);
        settle(&x);
        assert_int_equal(reads[0].got, 100);
        store_stats(x.store, &stats);
        assert_int_equal(stats.changes_count, 200);
        assert_int_equal(stats.reads_count, 51);
        assert_int_equal(stats.failed_count, 100);
        assert_true(stats.commits_count < 200); /* some shared one */
        ends_end(&x);
}

static void test_a_full_queue_refuses(void **state)
{
        struct ask *asks = calloc(STORE_QUEUE_MAX + 1, sizeof(*asks));
        struct store_stats stats;
        struct ends x;

        ends_begin(&x, *state);
        for (unsigned i = 0; i < STORE_QUEUE_MAX; i++) {
                asks[i] = (struct ask){ { .run = last_change, .done = count_done }, &x, i, 0 };
                assert_err(store_submit(x.store, &asks[i].job), ERR_OK);
        }
        asks[STORE_QUEUE_MAX] = asks[0];
        assert_err(store_submit(x.store, &asks[STORE_QUEUE_MAX].job), ERR_AGAIN);
        store_stats(x.store, &stats);
        assert_int_equal(stats.refused_count, 1);
        assert_int_equal(stats.waiting_count, STORE_QUEUE_MAX);
        ends_end(&x); /* closing finishes what was taken */
        assert_int_equal(x.ok_count, STORE_QUEUE_MAX);
        free(asks);
}

int threads_tests(void)
{
        const struct CMUnitTest tests[] = {
                KIT_TEST(test_two_hundred_take_one_use),
                KIT_TEST(test_a_batch_of_good_and_bad),
                KIT_TEST(test_a_full_queue_refuses),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
