/* Floods of frames that must be acknowledged, as the connection meets them: read in turns, with our answers sent between or not. */
#include "http/h2_session.h"

#include "../test.h"

enum { PING = 6, SETTINGS = 4, FRAMES_MAX = 3000, OUT_BYTES = 64 * 1024 };

static struct h2_stream *on_open(void *context)
{
        return NULL;
}

static void on_request(void *context, struct h2_stream *s) {}
static void on_data(void *context, struct h2_stream *s, const struct str *slices, size_t slices_count) {}
static void on_end(void *context, struct h2_stream *s, const struct http_field *trailers, size_t count) {}
static void on_closed(void *context, struct h2_stream *s, uint32_t code)
{
        h2_stream_request_drop(s);
}

static const struct h2_session_events events = { on_open, on_request, on_data, on_end, on_closed, NULL };

static struct str frames(unsigned type, size_t count)
{
        static char bytes[FRAMES_MAX * 17];
        size_t payload = type == PING ? 8 : 0, len = 9 + payload;

        memset(bytes, 0, count * len);
        for (size_t i = 0; i < count; i++) {
                bytes[i * len + 2] = (char)payload;
                bytes[i * len + 3] = (char)type;
        }
        return (struct str){ bytes, count * len };
}

/* All of it, in as many bites as it takes. */
static enum err receive(struct h2_session *s, struct str in, mono_ms now, const char **reason)
{
        enum err e = ERR_OK;

        while (in.len && e == ERR_OK) {
                size_t taken;

                e = h2_session_receive(s, in, now, &taken, reason);
                assert_true(e != ERR_OK || (taken > 0 && taken <= in.len));
                if (e == ERR_OK)
                        in = str_from(in, taken);
        }
        return e;
}

static const struct {
        const char *why;
        unsigned type;
        size_t per_turn;
        unsigned turns;
        mono_ms between;
        bool we_send;
        const char *reason; /* NULL: it is served */
} cases[] = {
        { "a burst within the budget, in one read", PING, 499, 1, 0, true, NULL },
        { "the same, and nothing could be sent yet", PING, 250, 2, 0, false, NULL },
        { "a flood in one read", PING, 2000, 1, 0, true, "h2_ping" },
        { "a flood in many reads of one turn", PING, 100, 20, 0, false, "h2_ping" },
        { "a flood just above what the library once allowed", PING, 201, 3, 0, false, "h2_ping" },
        { "a flood that is answered as it comes", PING, 100, 20, 0, true, "h2_ping" },
        { "settings", SETTINGS, 40, 10, 0, false, "h2_settings" },
        { "never too many at a time, and the answers are read", PING, 50, 100, 1000, true, NULL },
        { "never too many at a time, and nobody reads the answers", PING, 50, 100, 1000, false, "h2_acks" },
};

static void test_floods_are_named_by_their_budget(void **state)
{
        static char out[OUT_BYTES];
        const struct h2_session_conf conf = { .limits = { 32768, 8192, 100 } };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct h2_session *s;
                const char *reason = NULL;
                mono_ms now = 1000;
                enum err e;

                assert_err(h2_session_new(&conf, &events, NULL, now, &s), ERR_OK);
                assert_err(receive(s, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), now, &reason), ERR_OK);
                assert_err(receive(s, frames(SETTINGS, 1), now, &reason), ERR_OK);
                while (h2_session_wants_send(s))
                        assert_true(h2_session_send(s, out, sizeof(out)) > 0);
                e = ERR_OK;
                for (unsigned turn = 0; turn < cases[i].turns && e == ERR_OK;
                     turn++, now += cases[i].between) {
                        e = receive(s, frames(cases[i].type, cases[i].per_turn), now, &reason);
                        while (e == ERR_OK && cases[i].we_send && h2_session_wants_send(s))
                                assert_true(h2_session_send(s, out, sizeof(out)) > 0);
                }
                if (e != (cases[i].reason ? ERR_DENIED : ERR_OK))
                        fail_msg("%s: %s", cases[i].why, err_text(e));
                if (cases[i].reason && strcmp(reason, cases[i].reason) != 0)
                        fail_msg("%s: %s", cases[i].why, reason);
                h2_session_free(s);
        }
}

static struct h2_stream opened[H2_STREAMS_MAX];
static size_t opened_count;

static struct h2_stream *open_one(void *context)
{
        return opened_count < H2_STREAMS_MAX ? &opened[opened_count++] : NULL;
}

static struct h2_session *resetting; /* each request is reset as it comes; NULL: it stays */

static void reset_it(void *context, struct h2_stream *st)
{
        if (resetting)
                h2_stream_reset(resetting, st, H2_PROTOCOL_ERROR, false);
}

static const struct h2_session_events keeping = { open_one, reset_it, on_data, on_end, on_closed, NULL };

/* More streams than there may be, from a client who never says that it saw our settings. */
static void test_refused_streams_cost_the_budget(void **state)
{
        static const uint8_t get[] = { 0, 0, 6, 1, 5, 0, 0, 0, 0, 0x82, 0x86, 0x84, 0x41, 1, 'x' };
        static char out[OUT_BYTES];
        const struct h2_session_conf conf = { .limits = { 32768, 8192, 100 } };
        const char *reason = NULL;
        struct h2_session *s;
        uint32_t asked = 0;
        enum err e = ERR_OK;

        opened_count = 0;
        assert_err(h2_session_new(&conf, &keeping, NULL, 1000, &s), ERR_OK);
        assert_err(receive(s, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 1000, &reason), ERR_OK);
        assert_err(receive(s, frames(SETTINGS, 1), 1000, &reason), ERR_OK);
        while (e == ERR_OK && asked < 2000) {
                uint8_t frame[sizeof(get)];
                uint32_t id = 2 * asked++ + 1;

                memcpy(frame, get, sizeof(get));
                frame[7] = (uint8_t)(id >> 8);
                frame[8] = (uint8_t)id;
                e = receive(s, (struct str){ (char *)frame, sizeof(frame) }, 1000, &reason);
                while (e == ERR_OK && h2_session_wants_send(s))
                        assert_true(h2_session_send(s, out, sizeof(out)) > 0);
                if (e == ERR_OK)
                        e = h2_session_judge(s, &reason);
        }
        assert_err(e, ERR_DENIED);
        assert_string_equal(reason, "h2_resets");
        assert_int_equal(opened_count, H2_STREAMS_MAX);
        assert_int_equal(asked, H2_RESET_STREAMS);
        h2_session_free(s);
}

/* Streams that come to nothing make a connection doubtful: then only a bite of what was read is taken, and a second later all. */
static void test_bites_of_a_doubtful_connection(void **state)
{
        /* GET /, whose name in capitals is no field */
        static const uint8_t bad[] = { 0,    0,    10,   1, 5,   0, 0, 0,   0, 0x82,
                                       0x86, 0x84, 0x41, 1, 'x', 0, 1, 'X', 0 };
        enum { LISTS = 40 };
        static uint8_t bytes[LISTS * sizeof(bad)];
        const struct h2_session_conf conf = { .limits = { 32768, 8192, 100 } };
        const char *reason;
        struct h2_session *s;
        size_t taken, calls = 0;

        opened_count = 0;
        assert_err(h2_session_new(&conf, &keeping, NULL, 1000, &s), ERR_OK);
        assert_err(receive(s, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 1000, &reason), ERR_OK);
        assert_err(receive(s, frames(SETTINGS, 1), 1000, &reason), ERR_OK);
        resetting = s;
        for (uint8_t i = 0; i < LISTS; i++) {
                memcpy(bytes + i * sizeof(bad), bad, sizeof(bad));
                bytes[i * sizeof(bad) + 8] = (uint8_t)(2 * i + 1);
        }
        for (size_t at = 0; at < sizeof(bytes); at += taken, calls++) {
                assert_err(h2_session_receive(s, (struct str){ (char *)bytes + at, sizeof(bytes) - at }, 1000,
                                              &taken, &reason),
                           ERR_OK);
                assert_int_equal(taken % sizeof(bad), 0);
                /* Two bites pass before it is doubtful; with the next stream it is found out again. */
                assert_true(taken <= (calls ? H2_BITE_LISTS : H2_DOUBTS) * sizeof(bad));
        }
        assert_true(h2_session_is_doubtful(s, 1000));
        assert_true(h2_session_is_doubtful(s, 1999));
        assert_false(h2_session_is_doubtful(s, 2000));
        resetting = NULL;
        h2_session_free(s);
}

static char told[64]; /* what on_data was given, a space behind each time; "." for the end */

static void tell_data(void *context, struct h2_stream *st, const struct str *slices, size_t slices_count)
{
        for (size_t i = 0; i < slices_count; i++)
                strncat(told, slices[i].ptr, slices[i].len);
        strcat(told, " ");
}

static void tell_end(void *context, struct h2_stream *st, const struct http_field *trailers, size_t count)
{
        strcat(told, ".");
}

static const struct h2_session_events telling = { open_one, reset_it, tell_data, tell_end, on_closed, NULL };

/* Frames that follow each other are told together; whatever stands between ends that. */
static void test_what_comes_in_a_row(void **state)
{
        static const struct {
                const char *
                        frames; /* a byte each, in capitals for the second stream; '.': the first one's end */
                const char *told;
        } rows[] = {
                { "abc", "abc " },
                { "abc.", "abc ." },
                { "abXcd", "ab X cd " },
                { "aX.", "a X ." },
                { "abcdefghij", "abcdefgh ij " },
                { ".", "." },
        };
        static const uint8_t post[] = { 0, 0, 6, 1, 4, 0, 0, 0, 1, 0x83, 0x86, 0x84, 0x41, 1, 'x' };
        const struct h2_session_conf conf = { .limits = { 32768, 8192, 100 } };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                uint8_t bytes[512];
                struct h2_session *s;
                const char *reason;
                size_t len = 0;

                opened_count = 0;
                told[0] = '\0';
                resetting = NULL;
                assert_err(h2_session_new(&conf, &telling, NULL, 1000, &s), ERR_OK);
                assert_err(receive(s, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 1000, &reason), ERR_OK);
                assert_err(receive(s, frames(SETTINGS, 1), 1000, &reason), ERR_OK);
                for (unsigned id = 1; id <= 3; id += 2) {
                        memcpy(bytes + len, post, sizeof(post));
                        bytes[len + 8] = (uint8_t)id;
                        len += sizeof(post);
                }
                for (const char *at = rows[i].frames; *at; at++) {
                        bool is_end = *at == '.', is_second = *at >= 'A' && *at <= 'Z';
                        const uint8_t head[] = { 0, 0, !is_end, 0, is_end, 0, 0, 0, is_second ? 3 : 1 };

                        memcpy(bytes + len, head, sizeof(head));
                        len += sizeof(head);
                        if (!is_end)
                                bytes[len++] = (uint8_t)*at;
                }
                assert_err(receive(s, (struct str){ (char *)bytes, len }, 1000, &reason), ERR_OK);
                assert_string_equal(told, rows[i].told);
                h2_session_free(s);
        }
}

static void test_codes_have_names(void **state)
{
        assert_string_equal(h2_code_name(H2_NO_ERROR), "NO_ERROR");
        assert_string_equal(h2_code_name(H2_ENHANCE_YOUR_CALM), "ENHANCE_YOUR_CALM");
        assert_string_equal(h2_code_name(13), "HTTP_1_1_REQUIRED");
        assert_string_equal(h2_code_name(14), "other");
        assert_string_equal(h2_code_name(UINT32_MAX), "other");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_floods_are_named_by_their_budget),
                cmocka_unit_test(test_refused_streams_cost_the_budget),
                cmocka_unit_test(test_bites_of_a_doubtful_connection),
                cmocka_unit_test(test_what_comes_in_a_row),
                cmocka_unit_test(test_codes_have_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
