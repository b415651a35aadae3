#include "proxy/cache_store.h"

#include <stdio.h>
#include <string.h>

#include "../test.h"

static const struct hash_key hash_key = { 1, 2 };

static struct cache_entry *add(struct cache_store *s, const char *key, const char *vary, const char *body)
{
        struct http_field fields[4];
        struct http_head head = { .fields = fields, .fields_max = 4 };
        struct cache_draft d = { .key = str_of(key),
                                 .vary = str_of(vary),
                                 .status = 200,
                                 .head = &head,
                                 .age = { .lifetime_s = 60 },
                                 .body = str_of(body) };

        assert_err(http_add(&head, STR("ETag"), STR("\"v1\"")), ERR_OK);
        assert_err(http_add(&head, STR("Content-Type"), STR("text/plain")), ERR_OK);
        return cache_add(s, &d);
}

static struct cache_entry *find(struct cache_store *s, const char *key, const char *language)
{
        struct http_field fields[4];
        struct http_head head = { .fields = fields, .fields_max = 4 };

        if (language)
                assert_err(http_add(&head, STR("Accept-Language"), str_of(language)), ERR_OK);
        return cache_find(s, str_of(key), &head);
}

static void keeps_a_copy(void **state)
{
        struct cache_store *s = cache_store_new(100000, hash_key);
        struct cache_entry *e = add(s, "k", "", "body");

        assert_non_null(e);
        assert_ptr_equal(find(s, "k", NULL), e);
        assert_null(find(s, "other", NULL));
        assert_true(str_eq(e->body, STR("body")) && str_eq(e->etag, STR("\"v1\"")));
        assert_int_equal(e->fields_count, 2);
        assert_ptr_equal(find(s, "k", NULL), e);
        add(s, "k", "", "new"); /* in place of the old */
        assert_int_equal(s->entries_count, 1);
        assert_true(str_eq(find(s, "k", NULL)->body, STR("new")));
        cache_remove(s, STR("k"));
        assert_null(find(s, "k", NULL));
        assert_int_equal(s->bytes, 0);
        cache_store_free(s);
}

static void keeps_variants(void **state)
{
        struct cache_store *s = cache_store_new(1000000, hash_key);
        char vary[64];

        for (int i = 0; i < 40; i++) {
                snprintf(vary, sizeof(vary), "accept-language:l%d\n", i);
                assert_non_null(add(s, "k", vary, vary));
                assert_true(s->entries_count <= CACHE_VARIANTS_MAX);
        }
        assert_null(find(s, "k", "l0")); /* the oldest went */
        assert_non_null(find(s, "k", "l39"));
        assert_null(find(s, "k", NULL));
        cache_remove_hash(s, cache_key_hash(s, STR("k")));
        assert_int_equal(s->entries_count, 0);
        cache_store_free(s);
}

static void is_bounded_and_drops_the_longest_unused(void **state)
{
        char body[1000], key[16];
        struct cache_store *s;

        memset(body, 'x', sizeof(body));
        body[sizeof(body) - 1] = '\0';
        s = cache_store_new(10 * 1500, hash_key);
        for (int i = 0; i < 100; i++) {
                snprintf(key, sizeof(key), "k%d", i);
                assert_non_null(add(s, key, "", body));
                assert_true(s->bytes <= s->bytes_max);
                assert_non_null(find(s, "k0", NULL)); /* used each time: it stays */
        }
        assert_null(find(s, "k1", NULL));
        assert_non_null(find(s, "k99", NULL));
        assert_true(s->evictions > 80);
        assert_false(cache_reserve(s, s->bytes_max + 1));
        cache_store_free(s);
}

/* Who serves it keeps it, and its memory counts until then. */
static void what_is_served_stays(void **state)
{
        struct cache_store *s = cache_store_new(2000, hash_key);
        struct cache_entry *e = cache_entry_get(add(s, "k", "", "body"));

        cache_clear(s);
        assert_null(find(s, "k", NULL));
        assert_true(str_eq(e->body, STR("body")));
        assert_true(s->bytes > 0);
        assert_false(cache_reserve(s, s->bytes_max));
        cache_entry_put(s, e);
        assert_int_equal(s->bytes, 0);
        cache_store_free(s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(keeps_a_copy),
                cmocka_unit_test(keeps_variants),
                cmocka_unit_test(is_bounded_and_drops_the_longest_unused),
                cmocka_unit_test(what_is_served_stays),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
