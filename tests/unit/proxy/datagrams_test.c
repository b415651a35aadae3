#include "proxy/datagrams.h"

#include <string.h>

#include "../test.h"

/* An exchange that takes as much as it is told to, and remembers what it took. */
static struct buf taken;
static size_t room;
static size_t heard_count;
static struct buf heard;

static size_t offer(struct exchange *x, const struct side_data *d)
{
        size_t before = taken.len;

        (void)x;
        for (size_t i = 0; i < d->slices_count; i++) {
                struct str part = str_sub(d->slices[i], 0, room);

                buf_add(&taken, part);
                room -= part.len;
        }
        return taken.len - before;
}

static void hear(struct side *s, struct str datagram)
{
        (void)s;
        heard_count++;
        buf_add(&heard, datagram);
        buf_add_char(&heard, '|');
}

struct fixture {
        struct side side;
        size_t all_bytes;
        struct datagrams datagrams;
};

static void begin(struct fixture *f)
{
        static char somewhere; /* nothing looks into the exchange but `offer` */

        *f = (struct fixture){ .side.x = (struct exchange *)(void *)&somewhere };
        buf_init(&taken, 1 << 20);
        buf_init(&heard, 1 << 20);
        room = 0;
        heard_count = 0;
        datagrams_init(&f->datagrams, &f->side, &f->all_bytes, offer, hear);
}

static void end(struct fixture *f)
{
        datagrams_fini(&f->datagrams);
        assert_int_equal(f->all_bytes, 0);
        buf_fini(&taken);
        buf_fini(&heard);
}

/* What was taken, read again. */
static void read_back(struct fixture *f, size_t count)
{
        struct str bytes = buf_str(&taken);
        struct side_data d = { &bytes, 1, false, NULL, 0 };

        assert_err(datagrams_take(&f->datagrams, &d), ERR_OK);
        assert_int_equal(heard_count, count);
}

static void whole_ones_whatever_is_taken_at_a_time(void **state)
{
        (void)state;
        for (size_t step = 1; step < 40; step++) {
                struct fixture f;
                size_t put = 0;

                begin(&f);
                assert_true(datagrams_put(&f.datagrams, STR("zero")));
                assert_int_equal(taken.len, 0); /* nothing before it is asked for */
                for (; put < 20; put++) {
                        room = step;
                        datagrams_pull(&f.datagrams);
                        assert_true(datagrams_put(&f.datagrams, STR("ten bytes!")));
                }
                room = SIZE_MAX;
                datagrams_pull(&f.datagrams);
                assert_true(datagrams_is_empty(&f.datagrams));
                assert_int_equal(f.all_bytes, 0);
                read_back(&f, put + 1);
                assert_true(str_has_prefix(buf_str(&heard), STR("zero|ten bytes!|ten bytes!|")));
                end(&f);
        }
}

static void what_does_not_fit_is_lost_and_the_rest_is_whole(void **state)
{
        static char large[60000];
        struct fixture f;
        size_t kept = 0, lost = 0;
        (void)state;

        begin(&f);
        room = 10; /* a capsule that was begun is finished */
        datagrams_pull(&f.datagrams);
        for (int i = 0; i < 5; i++)
                *(datagrams_put(&f.datagrams, (struct str){ large, sizeof(large) }) ? &kept : &lost) += 1;
        assert_int_equal(taken.len, 10);
        assert_int_equal(kept, 2);
        assert_int_equal(lost, 3);
        assert_true(datagrams_put(&f.datagrams, STR("a small one still fits")));
        assert_true(f.all_bytes <= DATAGRAMS_QUEUE_BYTES);
        assert_false(datagrams_put(&f.datagrams, (struct str){ large, CAPSULE_DATAGRAM_BYTES_MAX + 1 }));
        room = SIZE_MAX;
        datagrams_pull(&f.datagrams);
        read_back(&f, kept + 1);
        end(&f);
}

/* Of all flows together there is a bound, but for what was begun: a half capsule would be the end of its flow. */
static void where_all_have_much_one_has_little(void **state)
{
        static char large[30000];
        struct fixture f;
        (void)state;

        begin(&f);
        f.all_bytes = DATAGRAMS_ALL_BYTES;
        assert_false(datagrams_put(&f.datagrams, STR("x")));
        room = 7;
        datagrams_pull(&f.datagrams);
        assert_true(datagrams_put(&f.datagrams, (struct str){ large, sizeof(large) }));
        assert_false(datagrams_put(&f.datagrams, STR("x")));
        room = SIZE_MAX;
        datagrams_pull(&f.datagrams);
        assert_int_equal(f.all_bytes, DATAGRAMS_ALL_BYTES);
        read_back(&f, 1);
        f.all_bytes = 0;
        end(&f);
}

static void what_is_no_capsule_ends_it(void **state)
{
        struct str parts[] = { STR_INIT("\0\3\0hi\0"), STR_INIT("\0never read") };
        struct side_data d = { parts, 2, false, NULL, 0 };
        struct fixture f;
        (void)state;

        begin(&f);
        assert_err(datagrams_take(&f.datagrams, &d), ERR_MALFORMED);
        assert_int_equal(heard_count, 1);
        assert_true(str_eq(buf_str(&heard), STR("hi|")));
        end(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(whole_ones_whatever_is_taken_at_a_time),
                cmocka_unit_test(what_does_not_fit_is_lost_and_the_rest_is_whole),
                cmocka_unit_test(where_all_have_much_one_has_little),
                cmocka_unit_test(what_is_no_capsule_ends_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
