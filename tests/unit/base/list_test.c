#include "base/list.h"

#include "../test.h"

struct item {
        char name;
        struct list link;
};

/* The names of a list from front to back, checked against the way from back to front. */
static const char *names(const struct list *head)
{
        static char text[16];
        size_t n = 0, back = 0;

        list_for_each(node, head) {
                text[n++] = CONTAINER_OF(node, struct item, link)->name;
                assert_true(n < sizeof(text));
        }
        text[n] = '\0';
        for (const struct list *node = head->prev; node != head; node = node->prev)
                assert_int_equal(text[n - 1 - back++], CONTAINER_OF(node, struct item, link)->name);
        assert_int_equal(back, n);
        return text;
}

static void test_add_and_remove(void **state)
{
        struct list head;
        struct item a = { .name = 'a' }, b = { .name = 'b' }, c = { .name = 'c' };

        list_init(&head);
        assert_true(list_is_empty(&head));
        assert_null(LIST_FIRST(&head, struct item, link));
        list_add_last(&head, &b.link);
        list_add_last(&head, &c.link);
        list_add(&head, &a.link);
        assert_string_equal(names(&head), "abc");
        assert_ptr_equal(LIST_FIRST(&head, struct item, link), &a);

        list_remove(&b.link);
        assert_string_equal(names(&head), "ac");
        assert_true(list_is_empty(&b.link));
        list_remove(&b.link); /* twice is fine */
        assert_string_equal(names(&head), "ac");
        list_add(&a.link, &b.link);
        assert_string_equal(names(&head), "abc");
        list_remove(&a.link);
        list_remove(&c.link);
        list_remove(&b.link);
        assert_true(list_is_empty(&head));
}

static void test_remove_while_walking(void **state)
{
        struct list head;
        struct item items[5];

        list_init(&head);
        for (int i = 0; i < 5; i++) {
                items[i].name = (char)('a' + i);
                list_add_last(&head, &items[i].link);
        }
        list_for_each_safe(node, &head) {
                struct item *item = CONTAINER_OF(node, struct item, link);

                if (item->name == 'a' || item->name == 'c' || item->name == 'e') {
                        list_remove(node);
                        memset(item, 0, sizeof(*item)); /* as if freed */
                }
        }
        assert_string_equal(names(&head), "bd");
}

static void test_move_all(void **state)
{
        static const struct {
                const char *why, *to, *from, *wanted;
        } cases[] = {
                { "both hold some", "ab", "cd", "abcd" }, { "nothing to move", "ab", "", "ab" },
                { "into an empty list", "", "cd", "cd" }, { "both empty", "", "", "" },
                { "one each", "a", "b", "ab" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct list to, from;
                struct item items[8];
                size_t n = 0;

                list_init(&to);
                list_init(&from);
                for (const char *c = cases[i].to; *c; c++) {
                        items[n].name = *c;
                        list_add_last(&to, &items[n++].link);
                }
                for (const char *c = cases[i].from; *c; c++) {
                        items[n].name = *c;
                        list_add_last(&from, &items[n++].link);
                }
                list_move_all(&to, &from);
                if (strcmp(names(&to), cases[i].wanted) != 0 || !list_is_empty(&from))
                        fail_msg("%s", cases[i].why);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_add_and_remove),
                cmocka_unit_test(test_remove_while_walking),
                cmocka_unit_test(test_move_all),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
