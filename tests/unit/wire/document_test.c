#include "lab.h"

#include "base/buf.h"
#include "crypto/sha256.h"
#include "crypto/text.h"

static struct str text_of(const struct wire_document *d, struct buf *out)
{
        buf_init(out, WIRE_DOCUMENT_MAX + WIRE_ITEM_MAX);
        wire_document_write(d, out);
        assert_false(out->full);
        return buf_str(out);
}

static struct wire_document *small(struct wire_header header)
{
        struct wire_document *d;
        struct wire_draft *draft;

        assert_err(wire_draft_new(&header, &draft), ERR_OK);
        assert_err(wire_draft_add_json(draft, STR("services"), STR("sv-b"), STR("{\"name\":\"b\"}")), ERR_OK);
        assert_err(wire_draft_add_json(draft, STR("services"), STR("sv-a"), STR("{\"name\":\"a\"}")), ERR_OK);
        assert_err(wire_draft_add_json(draft, STR("agents"), STR("ag-1"), STR("{}")), ERR_OK);
        assert_err(wire_draft_finish(&draft, lab_seed, &d), ERR_OK);
        return d;
}

static void stands_in_order_and_is_found(void **state)
{
        struct wire_document *d = small(lab_header(1, 1));
        size_t begin;
        (void)state;

        assert_int_equal(wire_document_items_count(d), 3);
        assert_str(wire_document_item(d, 0)->id, STR("ag-1"));
        assert_str(wire_document_item(d, 1)->id, STR("sv-a"));
        assert_int_equal(wire_document_section(d, STR("services"), &begin), 3);
        assert_int_equal(begin, 1);
        assert_int_equal(wire_document_section(d, STR("none"), &begin), begin);
        assert_str(wire_document_find(d, STR("services"), STR("sv-b"))->json, STR("{\"name\":\"b\"}"));
        assert_null(wire_document_find(d, STR("services"), STR("sv-c")));
        assert_null(wire_document_find(d, STR("agents"), STR("sv-b")));
        wire_document_put(d);
}

/* The numbers stand here so that another program can be held against them: tests/e2e/lib has one. */
static void the_hash_is_the_one_of_the_page(void **state)
{
        static const char canonical[] =
                "agents ag-1 44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\n"
                "services sv-a %s\nservices sv-b %s\n";
        struct wire_document *d = small(lab_header(3, 42));
        uint8_t a[32], b[32], want[32];
        char hex_a[65], hex_b[65], text[512], items[65];
        (void)state;

        crypto_sha256(STR("{\"name\":\"a\"}"), a);
        crypto_sha256(STR("{\"name\":\"b\"}"), b);
        crypto_hex_format((struct str){ (char *)a, 32 }, hex_a);
        crypto_hex_format((struct str){ (char *)b, 32 }, hex_b);
        snprintf(text, sizeof(text), canonical, hex_a, hex_b);
        crypto_sha256(str_of(text), want);
        assert_memory_equal(wire_document_items_hash(d), want, 32);
        crypto_hex_format((struct str){ (char *)want, 32 }, items);
        snprintf(
                text, sizeof(text),
                "format 1\nkind gateway\nnode gw-aaaaaaaaaaaaaaaa\norg default\nepoch 3\nversion 42\nitems %s\n",
                items);
        crypto_sha256(str_of(text), want);
        assert_memory_equal(wire_document_hash(d), want, 32);
        wire_document_put(d);
}

static void what_is_written_is_read(void **state)
{
        uint64_t random = 11;
        (void)state;

        for (size_t round = 0; round < 50; round++) {
                struct wire_document *d = lab_document(lab_header(1, round), &random, 4 * round), *again;
                struct buf text;
                const char *why = "";
                if (wire_document_read(text_of(d, &text), lab_key(), &again, &why) != ERR_OK)
                        fail_msg("%s", why);
                assert_memory_equal(wire_document_hash(d), wire_document_hash(again), WIRE_HASH_BYTES);
                assert_int_equal(wire_document_lease_end(again), 1790000000 + 2592000);
                buf_fini(&text);
                wire_document_put(d);
                wire_document_put(again);
        }
}

/* One byte changed anywhere is never taken for a document of the same control, unless it is blank space between. */
static void no_byte_may_change(void **state)
{
        struct wire_document *d = small(lab_header(1, 1)), *got;
        struct buf text;
        struct str s = text_of(d, &text);
        const char *why;
        (void)state;

        for (size_t i = 0; i < s.len; i++) {
                char was = text.ptr[i];
                for (unsigned bit = 0; bit < 8; bit += 3) {
                        text.ptr[i] = (char)(was ^ (char)(1 << bit));
                        enum err e = wire_document_read(s, lab_key(), &got, &why);
                        if (e == ERR_OK) {
                                /* Only the type, which is not looked at here, and members' names that become unknown. */
                                assert_memory_equal(wire_document_hash(d), wire_document_hash(got),
                                                    WIRE_HASH_BYTES);
                                wire_document_put(got);
                        }
                }
                text.ptr[i] = was;
        }
        for (size_t len = 0; len < s.len; len++)
                assert_int_not_equal(wire_document_read(str_sub(s, 0, len), lab_key(), &got, &why), ERR_OK);
        buf_fini(&text);
        wire_document_put(d);
}

static void who_may_follow(void **state)
{
        static const struct {
                const char *why;
                uint64_t epoch, version;
                int64_t issued;
                bool other_items;
                enum err err;
        } cases[] = {
                { "newer", 2, 11, 0, true, ERR_OK },
                { "a new epoch, fewer versions", 3, 1, 0, true, ERR_OK },
                { "an old epoch, more versions: a restored store", 1, 99, 0, true, ERR_DENIED },
                { "an older version", 2, 9, 0, true, ERR_DENIED },
                { "the same again", 2, 10, 0, false, ERR_EXISTS },
                { "issued anew", 2, 10, 86400, false, ERR_EXISTS },
                { "issued before", 2, 10, -1, false, ERR_DENIED },
                { "other items under the same number", 2, 10, 5, true, ERR_DENIED },
        };
        struct wire_document *have = small(lab_header(2, 10)), *next;
        struct wire_header other = lab_header(9, 9);
        const char *why = "";
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct wire_header h = lab_header(cases[i].epoch, cases[i].version);
                uint64_t random = i;
                h.issued += cases[i].issued;
                next = cases[i].other_items ? lab_document(h, &random, 20) : small(h);
                if (wire_document_follows(have, next, &why) != cases[i].err)
                        fail_msg("%s", cases[i].why);
                assert_err(wire_document_follows(NULL, next, &why), ERR_OK);
                wire_document_put(next);
        }
        other.node = STR("gw-bbbbbbbbbbbbbbbb");
        next = small(other);
        assert_err(wire_document_follows(have, next, &why), ERR_DENIED);
        wire_document_put(next);
        wire_document_put(have);
}

static void bounds(void **state)
{
        struct wire_header h = lab_header(1, 1);
        struct wire_draft *draft;
        struct wire_document *d = NULL;
        struct wire_item *item;
        static char big[WIRE_ITEM_MAX + 1];
        (void)state;

        memset(big, ' ', sizeof(big));
        big[0] = '{';
        big[sizeof(big) - 1] = '}';
        assert_err(wire_item_new(STR("s"), STR("i"), (struct str){ big, sizeof(big) }, &item), ERR_TOO_LARGE);
        big[sizeof(big) - 2] = '}';
        assert_err(wire_item_new(STR("s"), STR("i"), (struct str){ big, sizeof(big) - 1 }, &item), ERR_OK);
        assert_err(wire_draft_new(&h, &draft), ERR_OK);
        for (size_t i = 0; i < WIRE_DOCUMENT_MAX / WIRE_ITEM_MAX - 1; i++)
                assert_err(wire_draft_add(draft, item), ERR_OK);
        assert_err(wire_draft_add(draft, item), ERR_TOO_LARGE);
        /* And an id twice is no document. */
        assert_err(wire_draft_finish(&draft, lab_seed, &d), ERR_EXISTS);
        assert_null(d);
        wire_item_put(item);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(stands_in_order_and_is_found),
                cmocka_unit_test(the_hash_is_the_one_of_the_page),
                cmocka_unit_test(what_is_written_is_read),
                cmocka_unit_test(no_byte_may_change),
                cmocka_unit_test(who_may_follow),
                cmocka_unit_test(bounds),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
