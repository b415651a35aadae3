#include "gateway/upgrade.h"

#include "../test.h"

static const uint8_t key[TLS_TICKET_KEY_BYTES] = { 1, 2, 3, [TLS_TICKET_KEY_BYTES - 1] = 9 };

static void what_is_written_is_read(void **state)
{
        struct upgrade_reader r;
        struct upgrade_entry e;
        struct buf b;

        buf_init(&b, 65536);
        upgrade_begin(&b, key);
        upgrade_add(&b, 0, 7, STR("127.0.0.1:80"));
        upgrade_add(&b, UPGRADE_HANDED, 9, STR("web [::1]:443"));
        assert_int_equal(upgrade_open(&r, buf_str(&b)), ERR_OK);
        assert_memory_equal(r.ticket_key, key, sizeof(key));
        assert_true(upgrade_next(&r, &e));
        assert_true(e.place == 0 && e.fd == 7 && str_eq(e.text, STR("127.0.0.1:80")));
        assert_true(upgrade_next(&r, &e));
        assert_true(e.place == UPGRADE_HANDED && e.fd == 9 && str_eq(e.text, STR("web [::1]:443")));
        assert_false(upgrade_next(&r, &e));
        buf_fini(&b);
}

/* Cut at each byte: only where an entry ends is it whole. */
static void a_part_of_it_is_refused(void **state)
{
        struct upgrade_reader r;
        struct buf b;
        size_t begin, entry;

        buf_init(&b, 65536);
        upgrade_begin(&b, key);
        begin = b.len;
        upgrade_add(&b, 1, 7, STR("127.0.0.1:80"));
        entry = b.len;
        upgrade_add(&b, 1, 8, STR("127.0.0.1:81"));
        for (size_t n = 0; n <= b.len; n++) {
                enum err wanted = n == begin || n == entry || n == b.len ? ERR_OK : ERR_MALFORMED;
                if (upgrade_open(&r, str_sub(buf_str(&b), 0, n)) != wanted)
                        fail_msg("%zu bytes", n);
        }
        buf_fini(&b);
}

static void nonsense_is_refused(void **state)
{
        struct upgrade_reader r;
        struct buf b;

        buf_init(&b, 65536);
        upgrade_begin(&b, key);
        upgrade_add(&b, 1, -1, STR("127.0.0.1:80"));
        assert_int_equal(upgrade_open(&r, buf_str(&b)), ERR_MALFORMED); /* no descriptor */
        buf_clear(&b);
        upgrade_begin(&b, key);
        b.ptr[0] = 'X';
        assert_int_equal(upgrade_open(&r, buf_str(&b)), ERR_MALFORMED); /* something else */
        buf_clear(&b);
        upgrade_begin(&b, key);
        for (int i = 0; i <= UPGRADE_ENTRIES_MAX; i++)
                upgrade_add(&b, 1, 7, STR("a"));
        assert_false(b.full);
        assert_int_equal(upgrade_open(&r, buf_str(&b)), ERR_MALFORMED); /* more than anybody has */
        buf_fini(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_written_is_read),
                cmocka_unit_test(a_part_of_it_is_refused),
                cmocka_unit_test(nonsense_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
