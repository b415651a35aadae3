#include "http/h2_budget.h"

#include <stdio.h>

#include "../test.h"

enum { FRAME = 9 };

static const char magic[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static struct str frame(char *out, unsigned type, unsigned flags, unsigned stream, size_t payload)
{
        memset(out, 0, FRAME + payload);
        out[1] = (char)(payload >> 8);
        out[2] = (char)payload;
        out[3] = (char)type;
        out[4] = (char)flags;
        out[8] = (char)stream;
        return (struct str){ out, FRAME + payload };
}

static struct h2_budget new_budget(void)
{
        struct h2_budget b;
        const char *reason;

        h2_budget_init(&b, 0);
        assert_int_equal(h2_budget_receive(&b, (struct str){ magic, 24 }, 0, &reason), 24);
        assert_null(reason);
        return b;
}

/* All of it, in pieces of `piece` bytes. */
static const char *receive(struct h2_budget *b, struct str in, size_t piece, mono_ms now)
{
        const char *reason = NULL;

        while (in.len && !reason) {
                size_t n = h2_budget_receive(b, str_sub(in, 0, piece), now, &reason);

                in = str_from(in, n);
        }
        return reason;
}

/* Each kind passes its burst exactly, is refused one later, and comes back with time. */
static const struct {
        const char *why;
        unsigned type, flags, stream;
        size_t payload;
        int burst, per_second;
        const char *reason; /* NULL: free */
} kinds[] = {
        { "settings", 4, 0, 0, 0, 100, 5, "h2_settings" },
        { "settings acknowledged", 4, 1, 0, 0, 5000, 0, NULL },
        { "ping", 6, 0, 0, 8, 500, 50, "h2_ping" },
        { "priority", 2, 0, 0, 5, 1000, 100, "h2_self_dependency" }, /* all zero: on itself */
        { "data of nothing", 0, 0, 1, 0, 100, 10, "h2_empty_data" },
        { "data of nothing at the end", 0, 1, 1, 0, 5000, 0, NULL },
        { "data", 0, 0, 1, 1, 5000, 0, NULL },
        { "headers of nothing", 1, 4, 1, 0, 100, 10, "h2_empty_headers" },
        { "window update", 8, 0, 0, 4, 2000, 1000, "h2_window_update" },
        { "reset", 3, 0, 1, 4, 2000, 500, "h2_reset_frames" },
        { "unknown", 0x77, 0, 0, 3, 100, 10, "h2_unknown_frames" },
};

static void test_buckets(void **state)
{
        char bytes[64];

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                struct h2_budget b = new_budget();
                struct str f = frame(bytes, kinds[i].type, kinds[i].flags, kinds[i].stream, kinds[i].payload);
                const char *reason = NULL;
                int sent = 0;

                if (b.is_violation || kinds[i].type == 2)
                        continue;
                while (sent < kinds[i].burst && !(reason = receive(&b, f, 1 + (size_t)sent % 12, 0)))
                        sent++;
                if (reason)
                        fail_msg("%s: refused after %d: %s", kinds[i].why, sent, reason);
                if (!kinds[i].reason)
                        continue;
                struct h2_budget later = b;
                reason = receive(&b, f, 64, 0);
                if (!reason || strcmp(reason, kinds[i].reason) != 0)
                        fail_msg("%s: %s", kinds[i].why, reason ? reason : "not refused");
                for (sent = 0; sent < kinds[i].per_second; sent++)
                        assert_null(receive(&later, f, 64, 1000));
                assert_non_null(receive(&later, f, 64, 1000));
        }
}

static void test_priority(void **state)
{
        char bytes[64];
        struct h2_budget b = new_budget();
        struct str f = frame(bytes, 2, 0, 3, 5);

        bytes[FRAME + 3] = 1;
        for (int i = 0; i < 1000; i++)
                assert_null(receive(&b, f, 3, 0));
        assert_string_equal(receive(&b, f, 3, 0), "h2_priority");
        for (size_t piece = 1; piece < 15; piece++) {
                b = new_budget();
                bytes[FRAME + 3] = 3;
                assert_string_equal(receive(&b, f, piece, 0), "h2_self_dependency");
                assert_true(b.is_violation);
        }
}

static void test_lists_that_go_on(void **state)
{
        static char bytes[FRAME + 16384];
        struct h2_budget b = new_budget();

        assert_null(receive(&b, frame(bytes, 1, 0, 1, 10), 64, 0));
        for (int i = 0; i < H2_CONTINUATIONS_MAX; i++)
                assert_null(receive(&b, frame(bytes, 9, 0, 1, 10), 64, 0));
        assert_string_equal(receive(&b, frame(bytes, 9, 0, 1, 10), 64, 0), "h2_continuation");

        b = new_budget();
        assert_null(receive(&b, frame(bytes, 1, 0, 1, 16384), 4096, 0));
        assert_null(receive(&b, frame(bytes, 9, 0, 1, 16384), 4096, 0)); /* the limit itself */
        assert_string_equal(receive(&b, frame(bytes, 9, 0, 1, 1), 4096, 0), "h2_header_block");
        b = new_budget(); /* the next list begins anew */
        for (int i = 0; i < 10; i++)
                assert_null(receive(&b, frame(bytes, 1, 4, 1, 16384), 4096, 0));
}

static void test_stops_at_data(void **state)
{
        char bytes[128];
        struct h2_budget b = new_budget();
        const char *reason;
        size_t len = frame(bytes, 6, 0, 0, 8).len;

        len += frame(bytes + len, 0, 0, 5, 20).len;
        for (size_t cut = 0; cut <= len; cut++) {
                struct h2_budget c = b;
                size_t n = h2_budget_receive(&c, (struct str){ bytes, cut }, 0, &reason);

                assert_int_equal(n, cut < 26 ? cut : 26);
                assert_int_equal(c.data_header, cut < 26 ? 0 : 9);
                if (cut >= 17 + 1 && cut < 26) { /* the rest of the header, in a buffer of its own */
                        n = h2_budget_receive(&c, (struct str){ bytes + cut, len - cut }, 0, &reason);
                        assert_int_equal(n, 26 - cut);
                        assert_int_equal(c.data_header, 26 - cut);
                }
                if (cut >= 18)
                        assert_int_equal(c.stream, 5);
        }
}

static void test_doubts(void **state)
{
        struct h2_budget b = new_budget();

        for (int i = 0; i < H2_DOUBTS - 1; i++)
                h2_budget_doubt(&b, 1000 + i);
        assert_false(h2_budget_is_doubtful(&b, 1000 + H2_DOUBTS)); /* one too few */
        h2_budget_doubt(&b, 2000);                                 /* and then the second is over */
        assert_false(h2_budget_is_doubtful(&b, 2000));
        for (int i = 0; i < H2_DOUBTS - 1; i++)
                h2_budget_doubt(&b, 2500);
        assert_true(h2_budget_is_doubtful(&b, 2500));
        h2_budget_doubt(&b, 3400); /* one more keeps it so */
        assert_true(h2_budget_is_doubtful(&b, 4399));
        assert_false(h2_budget_is_doubtful(&b, 4400));
        h2_budget_doubt(&b, 5000); /* from the beginning */
        assert_false(h2_budget_is_doubtful(&b, 5000));
}

static void test_resets(void **state)
{
        struct h2_budget b = new_budget();
        const char *reason = NULL;
        int streams = 0;

        for (; streams < 1000 && !reason; streams++) { /* each is reset at once */
                h2_budget_opened(&b);
                reason = h2_budget_reset(&b, 0);
        }
        assert_int_equal(streams, H2_RESET_STREAMS);
        assert_string_equal(reason, "h2_resets");

        b = new_budget();
        for (int i = 0; i < 100000; i++) { /* half of them is what may be */
                h2_budget_opened(&b);
                if (i % 2)
                        assert_null(h2_budget_reset(&b, 0));
        }
        for (int i = 0; i < 100000; i++) { /* late ones are honest work */
                h2_budget_opened(&b);
                assert_null(h2_budget_reset(&b, H2_RESET_AGE_MS + 1));
        }
        for (streams = 0; streams < 5000 && !reason; streams++) { /* a long good life pays for little */
                h2_budget_opened(&b);
                reason = h2_budget_reset(&b, 0);
        }
        assert_true(streams < 2000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_buckets),          cmocka_unit_test(test_priority),
                cmocka_unit_test(test_lists_that_go_on), cmocka_unit_test(test_stops_at_data),
                cmocka_unit_test(test_doubts),           cmocka_unit_test(test_resets),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
