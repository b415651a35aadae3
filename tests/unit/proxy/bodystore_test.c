#include "proxy/bodystore.h"

#include <stdlib.h>

#include "../test.h"

/* All that is read out from `offset`, in slices of at most `slices_max` at a time. */
static size_t read_all(const struct bodystore *b, size_t offset, size_t slices_max, char *out)
{
        struct str slices[8];
        size_t len = 0, n;

        while ((n = bodystore_read(b, offset + len, slices, slices_max)) > 0)
                for (size_t i = 0; i < n; i++) {
                        memcpy(out + len, slices[i].ptr, slices[i].len);
                        len += slices[i].len;
                }
        return len;
}

static void fill(struct bodystore *b, const char *content, size_t len, size_t step)
{
        bodystore_init(b);
        for (size_t at = 0; at < len; at += step)
                assert_err(bodystore_add(b, (struct str){ content + at, MIN(step, len - at) }, len), ERR_OK);
}

static void gives_back_what_was_put_in(void **state)
{
        enum { LEN = 70000 };
        char *content = malloc(LEN), *out = malloc(LEN);

        for (size_t i = 0; i < LEN; i++)
                content[i] = (char)(i * 31 + i / 251);
        for (size_t step = 1; step < 20000; step = step * 3 + 1) {
                struct bodystore b;

                fill(&b, content, LEN, step);
                assert_int_equal(b.len, LEN);
                assert_int_equal(read_all(&b, 0, 3, out), LEN);
                assert_memory_equal(out, content, LEN);
                bodystore_copy(&b, out);
                assert_memory_equal(out, content, LEN);
                assert_err(bodystore_add(&b, STR("x"), LEN), ERR_TOO_LARGE);
                assert_int_equal(b.len, LEN);
                bodystore_fini(&b);
        }
        free(content);
        free(out);
}

static void replaces_a_range(void **state)
{
        static const char body[] = "{\"model\":\"alias\",\"n\":1}";
        static const struct {
                const char *with, *result;
        } edits[] = {
                { "\"a-much-longer-name\"", "{\"model\":\"a-much-longer-name\",\"n\":1}" },
                { "\"x\"", "{\"model\":\"x\",\"n\":1}" },
                { "", "{\"model\":,\"n\":1}" },
        };
        char out[128];

        for (size_t i = 0; i < ARRAY_SIZE(edits); i++)
                for (size_t step = 1; step < sizeof(body); step++) {
                        struct str result = str_of(edits[i].result);
                        struct bodystore b;

                        fill(&b, body, sizeof(body) - 1, step);
                        bodystore_replace(&b, 9, 7, str_of("\"other\""));
                        bodystore_replace(&b, 9, 7, str_of(edits[i].with)); /* the last one counts */
                        assert_int_equal(bodystore_read_len(&b), result.len);
                        for (size_t from = 0; from <= result.len; from++) {
                                size_t len = read_all(&b, from, 1 + from % 3, out);
                                assert_str(((struct str){ out, len }), str_from(result, from));
                        }
                        bodystore_fini(&b);
                }
}

static void dropped_keeps_nothing(void **state)
{
        struct bodystore b;

        fill(&b, "abc", 3, 1);
        bodystore_drop(&b);
        assert_true(b.is_dropped);
        assert_err(bodystore_add(&b, STR("more"), 100), ERR_OK);
        assert_int_equal(bodystore_read_len(&b), 0);
        bodystore_fini(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(gives_back_what_was_put_in),
                cmocka_unit_test(replaces_a_range),
                cmocka_unit_test(dropped_keeps_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
