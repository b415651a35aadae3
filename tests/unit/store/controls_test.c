/* Several controls on one PostgreSQL: they hear of each other's changes, one leads, a server that dies loses nothing. */
#include "kit.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <time.h>

#include "postgres_server.h"
#include "store/copy.h"
#include "store/keys.h"
#include "store/leader.h"
#include "store/settings.h"
#include "store/tokens.h"
#include "store/txn_priv.h"

enum { NOTICED_MS = 60 * 1000 };

/* Controls of their own: a store each, threads and all, on one loop. */
struct control {
        struct store *store;
        const char *name;
        unsigned told, done, failed, won;
};

static struct loop *loop;

static void on_change(void *context)
{
        ((struct control *)context)->told++;
}

static void control_begin(struct control *c, struct kit *k, const char *name)
{
        const struct store_options options = {
                .loop = loop, .clock = kit_clock, .on_change = on_change, .context = c
        };

        *c = (struct control){ .name = name };
        assert_err(store_open(str_of(k->url), &options, &k->report, &c->store), ERR_OK);
}

struct ask {
        struct store_job job;
        struct control *control;
        unsigned number;
        struct store_leader leader;
        char first[4096];
};

static void done(struct store_job *job, enum err e)
{
        struct ask *a = CONTAINER_OF(job, struct ask, job);

        a->control->done++;
        a->control->failed += e != ERR_OK;
        a->control->won += e == ERR_OK;
}

static void submit(struct control *c, struct ask *a, store_run_fn *run, unsigned number)
{
        *a = (struct ask){ .job = { .run = run, .done = done }, .control = c, .number = number };
        assert_err(store_submit(c->store, &a->job), ERR_OK);
}

static void settle(struct control *c)
{
        struct store_stats stats;

        do {
                loop_turn(loop, 100);
                store_stats(c->store, &stats);
        } while (stats.waiting_count);
}

static enum err add_key(struct store_job *job, struct store_txn *t)
{
        struct ask *a = CONTAINER_OF(job, struct ask, job);
        struct store_change *c = store_change_begin(t, 1, &kit_actor, "key.create");
        struct store_key key = { .org = 1, .owner = STR("o") };
        char name[64];
        enum err e;

        snprintf(name, sizeof(name), "%s%u", a->control->name, a->number);
        key.name = key.hash = str_of(name);
        e = store_key_add(c, &key);
        return e == ERR_OK ? store_change_finish(c) : e;
}

static enum err lead(struct store_job *job, struct store_txn *t)
{
        struct ask *a = CONTAINER_OF(job, struct ask, job);
        struct arena arena;
        enum err e;

        arena_init(&arena, a->first, sizeof(a->first), sizeof(a->first));
        e = store_lead(t, str_of(a->control->name), &kit_actor, &arena, &a->leader);
        arena_fini(&arena);
        return e;
}

static enum err lead_end(struct store_job *job, struct store_txn *t)
{
        return store_lead_end(t);
}

static bool leads(struct control *c, int64_t *epoch)
{
        struct ask a;

        submit(c, &a, lead, 0);
        settle(c);
        assert_int_equal(a.job.err, ERR_OK);
        *epoch = a.leader.epoch;
        return a.leader.is_us;
}

static enum err verify(struct store_txn *t, void *context)
{
        struct kit *k = context;
        struct store_verified verified;

        return store_verify(t, &k->report, &verified);
}

static int loop_setup(void **state)
{
        assert_err(loop_new(&loop), ERR_OK);
        return kit_test_setup(state);
}

static int loop_teardown(void **state)
{
        loop_free(loop);
        return kit_test_teardown(state);
}

static enum err lead_alone(struct store_txn *t, void *context)
{
        struct store_leader leader;
        struct kit *k = context;

        assert_err(store_lead(t, STR("one"), &kit_actor, &k->arena, &leader), ERR_OK);
        assert_true(leader.is_us);
        assert_int_equal(leader.epoch, 2);
        assert_err(store_lead(t, STR("one"), &kit_actor, &k->arena, &leader), ERR_OK);
        assert_int_equal(leader.epoch, 2); /* it goes on leading */
        assert_err(store_lead(t, STR("the next process"), &kit_actor, &k->arena, &leader), ERR_OK);
        assert_int_equal(leader.epoch, 3);
        return store_lead_end(t);
}

static void test_one_control_leads(void **state)
{
        kit_run(*state, lead_alone, *state);
}

static void test_they_hear_of_each_other(void **state)
{
        struct control a, b;
        struct ask ask;

        if (kit_engine != KIT_POSTGRES)
                return;
        control_begin(&a, *state, "a");
        control_begin(&b, *state, "b");
        submit(&a, &ask, add_key, 1);
        for (int i = 0; i < 300 && (!a.told || !b.told); i++)
                loop_turn(loop, 100);
        assert_int_equal(a.won, 1);
        assert_true(a.told > 0 && b.told > 0);
        store_close(a.store);
        store_close(b.store);
}

static void test_the_lead_moves_with_the_session(void **state)
{
        struct control a, b;
        struct ask ask;
        int64_t first, second, third;

        if (kit_engine != KIT_POSTGRES)
                return;
        control_begin(&a, *state, "a");
        control_begin(&b, *state, "b");
        assert_true(leads(&a, &first));
        assert_false(leads(&b, &second));
        assert_int_equal(second, first);
        assert_true(leads(&a, &second));
        assert_int_equal(second, first);
        store_close(a.store); /* gone, as by a crash */
        mono_ms end = loop_now(loop) + NOTICED_MS;
        while (!leads(&b, &second) && loop_now(loop) < end) /* until the server has noticed */
                loop_turn(loop, 50);
        assert_int_equal(second, first + 1);
        control_begin(&a, *state, "a, again");
        assert_false(leads(&a, &third));
        submit(&b, &ask, lead_end, 0); /* a planned stop */
        settle(&b);
        assert_true(leads(&a, &third));
        assert_int_equal(third, first + 2);
        store_close(a.store);
        store_close(b.store);
}

static enum err add_token(struct store_txn *t, void *context)
{
        struct store_change *c = store_change_begin(t, 1, &kit_actor, "token.create");
        struct store_token token = { .org = 1, .hash = STR("h"), .uses_max = 1, .expires = kit_now + 1 };
        enum err e = store_token_add(c, &token);

        return e == ERR_OK ? store_change_finish(c) : e;
}

static enum err take_token(struct store_job *job, struct store_txn *t)
{
        struct ask *a = CONTAINER_OF(job, struct ask, job);
        struct store_change *c = store_change_begin(t, 1, &kit_actor, "node.join");
        struct store_token token;
        struct arena arena;
        enum err e;

        arena_init(&arena, a->first, sizeof(a->first), sizeof(a->first));
        e = store_token_take(c, STORE_TOKEN_GATEWAY, STR("h"), &arena, &token);
        arena_fini(&arena);
        return e == ERR_OK ? store_change_finish(c) : e;
}

static void test_controls_share_a_token_of_one_use(void **state)
{
        enum { CONTROLS = 8, EACH = 25 };
        static struct ask asks[CONTROLS][EACH];
        struct control controls[CONTROLS];
        unsigned won = 0;

        if (kit_engine != KIT_POSTGRES)
                return;
        kit_run(*state, add_token, NULL);
        for (unsigned i = 0; i < CONTROLS; i++)
                control_begin(&controls[i], *state, "c");
        for (unsigned j = 0; j < EACH; j++)
                for (unsigned i = 0; i < CONTROLS; i++)
                        submit(&controls[i], &asks[i][j], take_token, j);
        for (unsigned i = 0; i < CONTROLS; i++) {
                settle(&controls[i]);
                assert_int_equal(controls[i].done, EACH);
                won += controls[i].won;
                store_close(controls[i].store);
        }
        assert_int_equal(won, 1);
}

struct wanted {
        struct str name;
        int64_t count;
};

static enum err count_key(struct store_txn *t, void *context)
{
        struct wanted *w = context;

        return STORE_NUMBER_OF(t, "SELECT count(*) FROM api_keys WHERE name = $1", &w->count,
                               VALUE_TEXT(w->name));
}

static mono_ms now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (mono_ms)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The server dies under changes: what was acknowledged is there, once; the rest was tried again, or said to have failed. */
static void test_a_server_that_dies(void **state)
{
        enum { EACH = 60, WAITED_MS = 4000 }; /* of the five seconds a job waits for a server */
        static struct ask asks[EACH];
        struct kit *k = *state;
        mono_ms begin = 0, took = 0;
        struct control a;

        if (kit_engine != KIT_POSTGRES)
                return;
        store_close(k->store);
        k->store = NULL;
        control_begin(&a, k, "a");
        for (unsigned i = 0; i < EACH; i++) {
                submit(&a, &asks[i], add_key, i);
                if (i % 20 == 7) {
                        begin = begin ? begin : now_ms();
                        loop_turn(loop, 1);
                        postgres_crash();
                        took = now_ms() - begin;
                }
        }
        settle(&a);
        assert_int_equal(a.done, EACH);
        store_close(a.store);
        kit_reopen(k);
        kit_run(k, verify, k);
        for (unsigned i = 0; i < EACH; i++) {
                char name[16];
                snprintf(name, sizeof(name), "a%u", i);
                struct wanted wanted = { str_of(name), 0 };
                kit_run(k, count_key, &wanted);
                assert_int_equal(wanted.count, asks[i].job.err == ERR_OK);
        }
        print_message("%u changes made, %u said to have failed\n", a.won, a.failed);
        if (took < WAITED_MS)
                assert_int_equal(a.failed, 0); /* it came back in time */
        else
                print_message("the server was away for %lld ms: jobs need not wait for that\n",
                              (long long)took);
}

int controls_tests(void)
{
        const struct CMUnitTest tests[] = {
                KIT_TEST(test_one_control_leads),
                cmocka_unit_test_setup_teardown(test_they_hear_of_each_other, loop_setup, loop_teardown),
                cmocka_unit_test_setup_teardown(test_the_lead_moves_with_the_session, loop_setup,
                                                loop_teardown),
                cmocka_unit_test_setup_teardown(test_controls_share_a_token_of_one_use, loop_setup,
                                                loop_teardown),
                cmocka_unit_test_setup_teardown(test_a_server_that_dies, loop_setup, loop_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
