/*
 * What is said before is kept within its bounds, per key, and a worker's death at the worst moment costs no more than that.
 */
#include "llm/conversation.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../test.h"

static const struct conversation_limits usual = {
        .sessions_max = 8, .messages_max = 6, .bytes_max = 4000, .total_bytes_max = 1 << 20, .age_ms = 1000
};

static const uint8_t *key(unsigned n)
{
        static uint8_t bytes[CONVERSATION_KEY_BYTES];

        memset(bytes, 0, sizeof(bytes));
        bytes[0] = (uint8_t)n;
        bytes[31] = (uint8_t)(n >> 8);
        return bytes;
}

/* "u:text a:text " of all that is kept. */
static const char *said(struct conversations *c, unsigned n, mono_ms now)
{
        static char text[64 * 1024];
        enum conversation_role role;
        struct buf records, out;
        struct str one, rest;

        buf_init(&records, 1 << 20);
        buf_init(&out, sizeof(text) - 1);
        conversation_read(c, key(n), now, &records);
        rest = buf_str(&records);
        while (conversation_next(&rest, &role, &one))
                buf_addf(&out, "%c:%.*s ", role == CONVERSATION_USER ? 'u' : 'a', STR_FMT(one));
        assert_int_equal(rest.len, 0);
        assert_false(out.full);
        snprintf(text, sizeof(text), "%.*s", STR_FMT(buf_str(&out)));
        buf_fini(&out);
        buf_fini(&records);
        return text;
}

static void keeps_what_was_said(void **state)
{
        struct conversations *c = conversations_new(&usual);

        assert_string_equal(said(c, 1, 0), "");
        conversation_add(c, key(1), 0, STR("q1"), STR("a1"));
        conversation_add(c, key(2), 0, STR("other"), STR(""));
        conversation_add(c, key(1), 1, STR("q2"), STR("a2"));
        assert_string_equal(said(c, 1, 2), "u:q1 a:a1 u:q2 a:a2 ");
        assert_string_equal(said(c, 2, 2), "u:other a: ");
        assert_string_equal(said(c, 257, 2), ""); /* the first byte alone is not the key */
        assert_int_equal(conversations_count(c), 2);
        conversations_free(c);
}

static void messages_are_bounded_in_pairs(void **state)
{
        struct conversations *c = conversations_new(&usual);
        char q[8], a[8];

        for (unsigned i = 0; i < 20; i++) {
                snprintf(q, sizeof(q), "q%u", i);
                snprintf(a, sizeof(a), "a%u", i);
                conversation_add(c, key(1), 0, str_of(q), str_of(a));
        }
        assert_string_equal(said(c, 1, 0), "u:q17 a:a17 u:q18 a:a18 u:q19 a:a19 ");
        conversations_free(c);
}

static void bytes_are_bounded(void **state)
{
        static char big[5000];
        struct conversations *c = conversations_new(&usual);

        memset(big, 'x', sizeof(big));
        conversation_add(c, key(1), 0, STR("old"), (struct str){ big, 1800 });
        conversation_add(c, key(1), 0, STR("mid"), (struct str){ big, 1800 });
        conversation_add(c, key(1), 0, STR("new"), (struct str){ big, 1800 });
        assert_int_equal(strncmp(said(c, 1, 0), "u:mid ", 6), 0);
        conversation_add(c, key(1), 0, STR("huge"), (struct str){ big, 5000 }); /* more than all may be */
        assert_string_equal(said(c, 1, 0), "");
        conversation_add(c, key(1), 0, STR("q"), STR("a"));
        assert_string_equal(said(c, 1, 0), "u:q a:a ");
        conversations_free(c);
}

static void age_ends_it(void **state)
{
        struct conversations *c = conversations_new(&usual);

        conversation_add(c, key(1), 0, STR("q"), STR("a"));
        conversation_add(c, key(1), 900, STR("r"), STR("b"));
        assert_string_equal(said(c, 1, 1900), "u:q a:a u:r a:b ");
        assert_string_equal(said(c, 1, 1901), "");
        assert_int_equal(conversations_count(c), 0);
        conversations_free(c);
}

static void the_longest_unused_gives_way(void **state)
{
        struct conversations *c = conversations_new(&usual);

        for (unsigned i = 0; i < 9; i++)
                conversation_add(c, key(i), i, STR("q"), STR("a"));
        assert_int_equal(conversations_count(c), 8);
        assert_string_equal(said(c, 0, 9), "");
        for (unsigned i = 1; i < 9; i++)
                assert_string_equal(said(c, i, 9), "u:q a:a ");
        conversations_free(c);
}

/* Blocks run out before places do: the others give way, and none is lost for ever. */
static void all_bytes_are_bounded(void **state)
{
        static char big[3000];
        struct conversation_limits small = usual;

        memset(big, 'x', sizeof(big));
        small.total_bytes_max = 8 * 1024;
        struct conversations *c = conversations_new(&small);
        for (unsigned round = 0; round < 100; round++)
                conversation_add(c, key(round % 5), round, STR("q"), (struct str){ big, sizeof(big) });
        assert_true(strlen(said(c, 99 % 5, 100)) > 3000);
        assert_int_equal(conversations_count(c), 3); /* of three blocks each, as nine blocks allow */
        conversations_free(c);
        small.total_bytes_max = 1000; /* not even one has room */
        c = conversations_new(&small);
        conversation_add(c, key(1), 0, STR("q"), (struct str){ big, sizeof(big) });
        assert_string_equal(said(c, 1, 0), "");
        assert_int_equal(conversations_count(c), 0);
        conversation_add(c, key(1), 0, STR("q"), STR("a"));
        assert_string_equal(said(c, 1, 0), "u:q a:a ");
        conversations_free(c);
}

static void another_process_sees_it(void **state)
{
        struct conversations *c = conversations_new(&usual);
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                conversation_add(c, key(1), 0, STR("from"), STR("there"));
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_string_equal(said(c, 1, 0), "u:from a:there ");
        conversations_free(c);
}

/* Killed while it writes as fast as it can: whatever it held, the next one gets a sound table, and goes on. */
static void a_killed_owner_costs_conversations_only(void **state)
{
        static char big[1500];

        memset(big, 'x', sizeof(big));
        for (unsigned round = 0; round < 40; round++) {
                struct conversations *c = conversations_new(&usual);
                int ready[2], status;

                assert_int_equal(pipe(ready), 0);
                pid_t pid = fork();
                if (pid == 0) {
                        for (unsigned i = 0;; i++) {
                                conversation_add(c, key(i % 12), 0, STR("q"),
                                                 (struct str){ big, sizeof(big) });
                                if (i == 0 && write(ready[1], "r", 1) != 1)
                                        _exit(1);
                        }
                }
                char byte;
                assert_int_equal(read(ready[0], &byte, 1), 1);
                usleep(round * 53);
                assert_int_equal(kill(pid, SIGKILL), 0);
                assert_int_equal(waitpid(pid, &status, 0), pid);
                for (unsigned i = 0; i < 12; i++) { /* each is whole or not there */
                        size_t len = strlen(said(c, i, 0));
                        assert_true(len % (2 + 1 + 1 + 2 + sizeof(big) + 1) == 0);
                }
                conversation_add(c, key(100), 0, STR("q"), STR("a"));
                assert_string_equal(said(c, 100, 0), "u:q a:a ");
                assert_in_range(conversations_count(c), 1, 8);
                conversations_free(c);
                close(ready[0]);
                close(ready[1]);
        }
}

static void records_that_are_cut_are_none(void **state)
{
        char bytes[8] = { 0, 4, 0, 0, 0, 'a', 'b', 'c' };
        enum conversation_role role;
        struct str text;

        for (size_t len = 0; len <= sizeof(bytes); len++) {
                struct str records = { bytes, len };
                assert_false(conversation_next(&records, &role, &text));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(keeps_what_was_said),
                cmocka_unit_test(messages_are_bounded_in_pairs),
                cmocka_unit_test(bytes_are_bounded),
                cmocka_unit_test(age_ends_it),
                cmocka_unit_test(the_longest_unused_gives_way),
                cmocka_unit_test(all_bytes_are_bounded),
                cmocka_unit_test(another_process_sees_it),
                cmocka_unit_test(a_killed_owner_costs_conversations_only),
                cmocka_unit_test(records_that_are_cut_are_none),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
