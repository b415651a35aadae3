#include "json/pointer.h"

#include "../test.h"
#include "json/reader.h"

/* RFC 6901 5, and what is no pointer. */
static void test_pointers(void **state)
{
        static const struct str text =
                STR_INIT("{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,"
                         "\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8}");
        static const struct {
                struct str pointer, raw; /* empty raw: nothing there */
        } cases[] = {
                { STR_INIT("/foo"), STR_INIT("[\"bar\",\"baz\"]") },
                { STR_INIT("/foo/0"), STR_INIT("\"bar\"") },
                { STR_INIT("/foo/1"), STR_INIT("\"baz\"") },
                { STR_INIT("/"), STR_INIT("0") },
                { STR_INIT("/a~1b"), STR_INIT("1") },
                { STR_INIT("/c%d"), STR_INIT("2") },
                { STR_INIT("/e^f"), STR_INIT("3") },
                { STR_INIT("/g|h"), STR_INIT("4") },
                { STR_INIT("/i\\j"), STR_INIT("5") },
                { STR_INIT("/k\"l"), STR_INIT("6") },
                { STR_INIT("/ "), STR_INIT("7") },
                { STR_INIT("/m~0n"), STR_INIT("8") },
                { STR_INIT("/foo/2"), STR_INIT("") },
                { STR_INIT("/foo/00"), STR_INIT("") },
                { STR_INIT("/foo/01"), STR_INIT("") },
                { STR_INIT("/foo/-1"), STR_INIT("") },
                { STR_INIT("/foo/-"), STR_INIT("") },
                { STR_INIT("/foo/99999999999999999999"), STR_INIT("") },
                { STR_INIT("/foo/0/x"), STR_INIT("") },
                { STR_INIT("/foo/"), STR_INIT("") },
                { STR_INIT("/a/b"), STR_INIT("") },
                { STR_INIT("/m~n"), STR_INIT("") },
                { STR_INIT("/m~2n"), STR_INIT("") },
                { STR_INIT("/m~"), STR_INIT("") },
                { STR_INIT("foo"), STR_INIT("") },
        };
        const struct json_value *root;
        struct arena arena;
        struct buf b;

        arena_init(&arena, NULL, 0, 64 * 1024);
        buf_init(&b, 4096);
        assert_err(json_read_strict(&arena, text, NULL, &root), ERR_OK);
        assert_ptr_equal(json_pointer_find(root, STR("")), root);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const struct json_value *v = json_pointer_find(root, cases[i].pointer);

                if (!str_eq(v ? v->raw : STR_NULL, cases[i].raw))
                        fail_msg("%s", cases[i].pointer.ptr);
        }
        for (size_t i = 0; i < root->count; i++) { /* a key, encoded, finds itself and is decoded to itself */
                buf_clear(&b);
                json_pointer_encode(&b, root->members[i].key);
                assert_ptr_equal(json_pointer_find(root, buf_str(&b)), &root->members[i].value);
                struct str part, all = buf_str(&b);
                assert_int_equal(json_pointer_parent(all, &part).len, 0);
                size_t encoded = b.len;
                json_pointer_decode(&b, part);
                assert_str(str_from(buf_str(&b), encoded), root->members[i].key);
        }
        buf_fini(&b);
        arena_fini(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pointers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
