#include "../test.h"

#include "control/dispatch_bodies.h"
#include "crypto/random.h"

static struct certs_seal seal, other;

static struct store_dispatch row_of(const char *request, struct str asked, struct str answered)
{
        return (struct store_dispatch){
                .request = str_of(request), .has_bodies = true, .asked = asked, .answered = answered
        };
}

static void a_body_comes_back_as_it_was(void **state)
{
        static const struct {
                const char *why;
                struct str body;
        } cases[] = {
                { "nothing", STR_INIT("") },
                { "text", STR_INIT("{\"password\":\"hunter2\"}") },
                { "bytes", { "\xff\x00\x01", 3 } },
                { "what a box begins with", STR_INIT("1") },
        };
        struct arena a;

        arena_init(&a, NULL, 0, 1 << 20);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct store_dispatch row = row_of("r1", cases[i].body, STR("answer"));
                struct str found;

                assert_err(dispatch_bodies_close(&seal, &a, &row), ERR_OK);
                assert_true(row.has_bodies);
                if (cases[i].body.len) {
                        assert_int_equal(row.asked.len, cases[i].body.len + CERTS_SEAL_OVERHEAD);
                        assert_true(cases[i].body.len < 3 || str_find(row.asked, cases[i].body) == STR_NONE);
                } else {
                        assert_int_equal(row.asked.len, 0);
                }
                assert_true(dispatch_bodies_open(&seal, &a, &row, DISPATCH_ASKED, &found));
                assert_true(str_eq(found, cases[i].body));
                assert_true(dispatch_bodies_open(&seal, &a, &row, DISPATCH_ANSWERED, &found));
                assert_str(found, STR("answer"));
        }
        arena_fini(&a);
}

static void a_box_is_of_one_key_one_request_and_one_side(void **state)
{
        struct store_dispatch row = row_of("r1", STR("asked with"), STR("answered")), swapped, moved, cut,
                              plain;
        struct str found;
        struct arena a;

        arena_init(&a, NULL, 0, 1 << 20);
        assert_err(dispatch_bodies_close(&seal, &a, &row), ERR_OK);
        swapped = moved = cut = plain = row;
        swapped.asked = row.answered;
        moved.request = STR("r2");
        cut.asked = str_sub(row.asked, 0, row.asked.len - 1);
        plain.asked = STR("asked with");
        assert_false(dispatch_bodies_open(&other, &a, &row, DISPATCH_ASKED, &found));
        assert_int_equal(found.len, 0);
        assert_false(dispatch_bodies_open(&seal, &a, &swapped, DISPATCH_ASKED, &found));
        assert_false(dispatch_bodies_open(&seal, &a, &moved, DISPATCH_ASKED, &found));
        assert_false(dispatch_bodies_open(&seal, &a, &cut, DISPATCH_ASKED, &found));
        assert_false(dispatch_bodies_open(&seal, &a, &plain, DISPATCH_ASKED, &found));
        arena_fini(&a);
}

static void without_memory_no_body_is_kept(void **state)
{
        struct store_dispatch row = row_of("r1", STR("asked with"), STR("answered"));
        struct arena a;
        char few[48];

        arena_init(&a, few, sizeof(few), sizeof(few));
        assert_err(dispatch_bodies_close(&seal, &a, &row), ERR_NO_MEMORY);
        assert_false(row.has_bodies);
        assert_int_equal(row.asked.len + row.answered.len, 0);
        arena_fini(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_body_comes_back_as_it_was),
                cmocka_unit_test(a_box_is_of_one_key_one_request_and_one_side),
                cmocka_unit_test(without_memory_no_body_is_kept),
        };

        crypto_random(&seal.key, sizeof(seal.key));
        crypto_random(&other.key, sizeof(other.key));
        return cmocka_run_group_tests(tests, NULL, NULL);
}
