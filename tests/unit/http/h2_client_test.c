/*
 * An HTTP/2 connection from the client's end, against a server made of frames written here: what is passed on, what is
 * held back, and that nothing broken ever ends cleanly.
 */
#include "http/h2_client.h"

#include <stdio.h>
#include <string.h>

#include "../test.h"

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };

struct asked {
        struct h2_client_stream s;
        unsigned heads, interims, gifts, ends, resets, rooms;
        uint16_t status;
        char body[4096];
        size_t body_len, credit; /* credited at once up to this many */
        char trailer[64];
        enum err error;
        enum h2_client_reset how;
};

static struct {
        struct h2_client *c;
        struct arena arena;
        char first[4096];
        unsigned settings, goaways, flushes, reset_frames[2]; /* ours, theirs */
        uint32_t reset_code;
        struct buf sent;
} f;

static struct asked *asked_of(struct h2_client_stream *s)
{
        return CONTAINER_OF(s, struct asked, s);
}

static void on_settings(void *context)
{
        f.settings++;
}

static void on_flush(void *context)
{
        f.flushes++;
}

static void on_goaway(void *context)
{
        f.goaways++;
}

static void on_head(struct h2_client_stream *s, struct http_head *head, bool is_end)
{
        struct asked *a = asked_of(s);

        if (head->status < 200 && head->status != 101) {
                a->interims++;
                return;
        }
        a->heads++;
        a->status = head->status;
        a->ends += is_end;
}

static void on_data(struct h2_client_stream *s, const struct str *slices, size_t slices_count, bool is_end)
{
        struct asked *a = asked_of(s);
        size_t len = 0;

        for (size_t i = 0; i < slices_count; len += slices[i++].len) {
                size_t kept = MIN(slices[i].len, sizeof(a->body) - a->body_len);

                memcpy(a->body + a->body_len, slices[i].ptr, kept);
                a->body_len += kept;
        }
        a->gifts++;
        a->ends += is_end;
        size_t credit = MIN(len, a->credit);
        a->credit -= credit;
        h2_client_credit(f.c, s, credit);
}

static void on_end(struct h2_client_stream *s, const struct http_field *trailers, size_t count)
{
        struct asked *a = asked_of(s);

        a->ends++;
        if (count)
                snprintf(a->trailer, sizeof(a->trailer), "%.*s: %.*s", STR_FMT(trailers[0].name),
                         STR_FMT(trailers[0].value));
}

static void on_room(struct h2_client_stream *s)
{
        asked_of(s)->rooms++;
}

static void on_reset(struct h2_client_stream *s, enum err e, enum h2_client_reset how)
{
        struct asked *a = asked_of(s);

        a->resets++;
        a->error = e;
        a->how = how;
}

static void on_reset_frame(void *context, bool by_peer, uint32_t code)
{
        f.reset_frames[by_peer]++;
        f.reset_code = code;
}

static const struct h2_client_events events = { on_settings, on_flush, on_head,   on_data,       on_end,
                                                on_room,     on_reset, on_goaway, on_reset_frame };

/* ---- the server's frames ---- */

static size_t frame(char *out, int type, int flags, uint32_t stream, const void *payload, size_t len)
{
        const unsigned char head[9] = {
                (unsigned char)(len >> 16),    (unsigned char)(len >> 8),    (unsigned char)len,
                (unsigned char)type,           (unsigned char)flags,         (unsigned char)(stream >> 24),
                (unsigned char)(stream >> 16), (unsigned char)(stream >> 8), (unsigned char)stream
        };

        memcpy(out, head, 9);
        if (len)
                memcpy(out + 9, payload, len);
        return 9 + len;
}

/* "name=value" words to literals without a table (RFC 7541 6.2.2). */
static size_t list(char *out, const char *words)
{
        size_t at = 0;

        for (struct str rest = str_of(words), word; str_split(&rest, ' ', &word);) {
                size_t equals = str_find_char(word, '=');
                struct str parts[2] = { str_sub(word, 0, equals), str_from(word, equals + 1) };

                out[at++] = 0;
                for (int i = 0; i < 2; i++) {
                        assert_true(parts[i].len < 127);
                        out[at++] = (char)parts[i].len;
                        memcpy(out + at, parts[i].ptr, parts[i].len);
                        at += parts[i].len;
                }
        }
        return at;
}

static enum err say(int type, int flags, uint32_t stream, const void *payload, size_t len)
{
        char bytes[20000];

        return h2_client_receive(f.c, (struct str){ bytes, frame(bytes, type, flags, stream, payload, len) },
                                 1000);
}

static enum err say_list(int flags, uint32_t stream, const char *words)
{
        char payload[2048];

        return say(HEADERS, flags, stream, payload, list(payload, words));
}

/* Takes what the client wants to send; gives how many frames of the type are in it. */
static unsigned sent(int type)
{
        unsigned count = 0;
        size_t at = 0, len;

        buf_clear(&f.sent);
        do {
                char *room = buf_reserve(&f.sent, 4096);
                assert_non_null(room);
                len = h2_client_fill(f.c, room, 4096);
                buf_added(&f.sent, len);
        } while (len);
        struct str all = buf_str(&f.sent);
        if (str_has_prefix(all, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")))
                at = 24;
        for (; at + 9 <= all.len; at += len) {
                const unsigned char *h = (const unsigned char *)all.ptr + at;

                count += h[3] == type;
                len = 9 + ((size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2]);
        }
        return count;
}

static void ask(struct asked *a, bool has_body)
{
        struct http_field fields[8];
        struct http_head head = { .method = has_body ? HTTP_POST : HTTP_GET,
                                  .fields = fields,
                                  .fields_max = 8 };
        struct h2_list pairs;

        memset(a, 0, sizeof(*a));
        a->credit = SIZE_MAX;
        assert_err(http_add(&head, STR("Host"), STR("x")), ERR_OK);
        assert_err(h2_list_request(&head, STR("http"), STR("/"), &f.arena, &pairs), ERR_OK);
        assert_err(h2_client_request(f.c, &a->s, &head, &pairs, !has_body), ERR_OK);
        sent(HEADERS);
}

static void begin(void)
{
        const struct h1_limits limits = { .head_bytes_max = 4096, .target_bytes_max = 1024, .lines_max = 20 };

        memset(&f, 0, sizeof(f));
        arena_init(&f.arena, f.first, sizeof(f.first), 1 << 20);
        buf_init(&f.sent, 1 << 22);
        f.c = h2_client_new(&limits, false, &events, NULL);
        assert_non_null(f.c);
        sent(SETTINGS);
        assert_err(say(SETTINGS, 0, 0, NULL, 0), ERR_OK);
        assert_err(say(SETTINGS, ACK, 0, NULL, 0), ERR_OK); /* our window is in force */
}

static void end(void)
{
        h2_client_free(f.c);
        arena_fini(&f.arena);
        buf_fini(&f.sent);
}

/* ---- tests ---- */

static void test_an_answer(void **state)
{
        struct asked a, b;

        begin();
        assert_int_equal(f.settings, 1);
        ask(&a, false);
        ask(&b, false);
        assert_err(say_list(END_HEADERS, 1, ":status=103 link=x"), ERR_OK);
        assert_err(say_list(END_HEADERS, 3, ":status=204"), ERR_OK);
        assert_err(say_list(END_HEADERS, 1, ":status=200"), ERR_OK);
        assert_err(say(DATA, 0, 1, "hello ", 6), ERR_OK);
        assert_err(say(DATA, END_STREAM, 1, "world", 5), ERR_OK);
        assert_int_equal(a.status, 200);
        assert_int_equal(a.interims, 1);
        assert_int_equal(a.ends, 1);
        assert_str(((struct str){ a.body, a.body_len }), STR("hello world"));
        h2_client_forget(f.c, &a.s);
        assert_int_equal(sent(RST_STREAM), 0); /* it was whole */
        assert_int_equal(b.ends, 0);
        h2_client_forget(f.c, &b.s);
        assert_int_equal(sent(RST_STREAM), 1);
        assert_int_equal(a.resets + b.resets, 0);
        end();
}

static void test_trailers(void **state)
{
        struct asked a;

        begin();
        ask(&a, false);
        assert_err(say_list(END_HEADERS, 1, ":status=200"), ERR_OK);
        assert_err(say(DATA, 0, 1, "x", 1), ERR_OK);
        assert_err(say_list(END_HEADERS | END_STREAM, 1, "grpc-status=7"), ERR_OK);
        assert_int_equal(a.ends, 1);
        assert_string_equal(a.trailer, "grpc-status: 7");
        h2_client_forget(f.c, &a.s);
        /* All at once, interim answers too, and another's head between: each is what it is. */
        struct asked b, d;
        char bytes[1024], words[256];
        size_t len = 0;

        ask(&b, false);
        ask(&d, false);
        len += frame(bytes + len, HEADERS, END_HEADERS, 3, words, list(words, ":status=103"));
        len += frame(bytes + len, HEADERS, END_HEADERS, 3, words, list(words, ":status=200"));
        len += frame(bytes + len, HEADERS, END_HEADERS, 5, words, list(words, ":status=201"));
        len += frame(bytes + len, HEADERS, END_HEADERS | END_STREAM, 3, words, list(words, "x=y"));
        assert_err(h2_client_receive(f.c, (struct str){ bytes, len }, 1000), ERR_OK);
        assert_int_equal(b.interims + b.heads + b.ends, 3);
        assert_string_equal(b.trailer, "x: y");
        assert_int_equal(d.heads, 1);
        h2_client_forget(f.c, &b.s);
        h2_client_forget(f.c, &d.s);
        end();
}

/* Frames that follow each other are told together; whatever stands between ends that. */
static void test_what_comes_in_a_row(void **state)
{
        static const struct {
                const char *why;
                const char *
                        frames; /* a, b: a byte for that stream; A: the last one; z: an empty end of a; r: its reset */
                unsigned gifts; /* of a */
                const char *body;
                unsigned ends, resets;
        } cases[] = {
                { "in a row", "aaaa", 1, "aaaa", 0, 0 },
                { "with the end", "aaA", 1, "aaA", 1, 0 },
                { "with an end of no bytes", "aaz", 1, "aa", 1, 0 },
                { "another's between", "aabaa", 2, "aaaa", 0, 0 },
                { "more than are gathered", "aaaaaaaaaa", 2, "aaaaaaaaaa", 0, 0 },
                { "a reset behind them", "aar", 1, "aa", 0, 1 },
                { "a ping between", "aapa", 2, "aaa", 0, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct asked a, b;
                char bytes[1024];
                size_t len = 0;

                begin();
                ask(&a, false);
                ask(&b, false);
                assert_err(say_list(END_HEADERS, 1, ":status=200"), ERR_OK);
                assert_err(say_list(END_HEADERS, 3, ":status=200"), ERR_OK);
                a.credit = 100;
                for (const char *at = cases[i].frames; *at; at++) {
                        char *to = bytes + len;

                        switch (*at) {
                        case 'b': len += frame(to, DATA, 0, 3, at, 1); break;
                        case 'z': len += frame(to, DATA, END_STREAM, 1, NULL, 0); break;
                        case 'r': len += frame(to, RST_STREAM, 0, 1, "\0\0\0\2", 4); break;
                        case 'p': len += frame(to, PING, 0, 0, "12345678", 8); break;
                        default: len += frame(to, DATA, *at == 'A' ? END_STREAM : 0, 1, at, 1);
                        }
                }
                assert_err(h2_client_receive(f.c, (struct str){ bytes, len }, 1000), ERR_OK);
                if (a.gifts != cases[i].gifts || a.ends != cases[i].ends || a.resets != cases[i].resets)
                        fail_msg("%s: %u gifts, %u ends, %u resets", cases[i].why, a.gifts, a.ends, a.resets);
                assert_str(((struct str){ a.body, a.body_len }), str_of(cases[i].body));
                if (!a.resets)
                        h2_client_forget(f.c, &a.s);
                h2_client_forget(f.c, &b.s);
                end();
        }
}

/* However little room there is at a time. */
static void test_a_body_goes_in_small_rooms(void **state)
{
        static const size_t rooms[] = { 1100, 1034, 4096, 16384, 20000 };
        static char body[40000];
        struct str slice = { body, sizeof(body) };

        for (size_t i = 0; i < ARRAY_SIZE(rooms); i++) {
                struct asked a;
                char room[20000];
                size_t len, total = 0;

                begin();
                ask(&a, true);
                (void)sent(DATA);
                assert_int_equal(h2_client_write(f.c, &a.s, &slice, 1, true, NULL), sizeof(body));
                while ((len = h2_client_fill(f.c, room, rooms[i])) > 0) {
                        assert_true(len <= rooms[i]);
                        total += len;
                }
                assert_in_range(total, sizeof(body) + 3 * 9, sizeof(body) + 41 * 9);
                assert_false(h2_client_has_output(f.c));
                h2_client_forget(f.c, &a.s);
                end();
        }
}

struct piece {
        int type, flags;
        const char *text; /* a list's words, or bytes */
};
static const struct {
        const char *why;
        struct piece pieces[3];
        unsigned heads;
} broken[] = {
        { "no status", { { HEADERS, END_HEADERS, "x=y" } }, 0 },
        { "two", { { HEADERS, END_HEADERS, ":status=200 :status=200" } }, 0 },
        { "a pseudo-field behind others", { { HEADERS, END_HEADERS, "x=y :status=200" } }, 0 },
        { "a request's", { { HEADERS, END_HEADERS, ":status=200 :path=/" } }, 0 },
        { "capitals", { { HEADERS, END_HEADERS, ":status=200 X=y" } }, 0 },
        { "of one connection", { { HEADERS, END_HEADERS, ":status=200 upgrade=y" } }, 0 },
        { "101", { { HEADERS, END_HEADERS, ":status=101" } }, 0 },
        { "an interim end", { { HEADERS, END_HEADERS | END_STREAM, ":status=103" } }, 0 },
        { "a length and an end",
          { { HEADERS, END_HEADERS | END_STREAM, ":status=200 content-length=3" } },
          0 },
        { "a line end", { { HEADERS, END_HEADERS, ":status=200 x=a\r\nb" } }, 0 },
        { "a short body",
          { { HEADERS, END_HEADERS, ":status=200 content-length=3" }, { DATA, END_STREAM, "ab" } },
          1 },
        { "a long body",
          { { HEADERS, END_HEADERS, ":status=200 content-length=1" }, { DATA, END_STREAM, "ab" } },
          1 },
        { "a short body, and an empty end",
          { { HEADERS, END_HEADERS, ":status=200 content-length=3" },
            { DATA, 0, "ab" },
            { DATA, END_STREAM, "" } },
          1 },
        { "a short body, and trailers",
          { { HEADERS, END_HEADERS, ":status=200 content-length=3" },
            { DATA, 0, "ab" },
            { HEADERS, END_HEADERS | END_STREAM, "x=y" } },
          1 },
        { "a body where there is none",
          { { HEADERS, END_HEADERS, ":status=204" }, { DATA, END_STREAM, "ab" } },
          1 },
        { "a second head",
          { { HEADERS, END_HEADERS, ":status=200" }, { HEADERS, END_HEADERS, ":status=200" } },
          1 },
        { "a status behind the body",
          { { HEADERS, END_HEADERS, ":status=200" }, { HEADERS, END_HEADERS | END_STREAM, ":status=200" } },
          1 },
        { "a length behind the body",
          { { HEADERS, END_HEADERS, ":status=200" },
            { HEADERS, END_HEADERS | END_STREAM, "content-length=0" } },
          1 },
};

static void test_nothing_broken_ends(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
                struct asked a;

                begin();
                ask(&a, false);
                for (size_t j = 0; j < 3 && broken[i].pieces[j].text; j++) {
                        const struct piece *p = &broken[i].pieces[j];

                        if (p->type == HEADERS)
                                assert_err(say_list(p->flags, 1, p->text), ERR_OK);
                        else
                                assert_err(say(p->type, p->flags, 1, p->text, strlen(p->text)), ERR_OK);
                }
                assert_int_equal(sent(RST_STREAM), 1);
                assert_int_equal(f.reset_frames[false], 1);
                if (a.heads != broken[i].heads || a.ends || a.resets != 1 || a.error != ERR_MALFORMED)
                        fail_msg("%s: %u heads, %u ends, %u resets, %s", broken[i].why, a.heads, a.ends,
                                 a.resets, err_text(a.error));
                end();
        }
}

static void test_resets(void **state)
{
        static const struct {
                const char *why;
                bool after_head;
                char code;
                enum h2_client_reset how;
        } cases[] = {
                { "refused: again", false, 7, H2_RESET_UNPROCESSED },
                { "refused, but an answer began", true, 7, H2_RESET_BROKEN },
                { "over HTTP/1.1, please", false, 13, H2_RESET_USE_H1 },
                { "cancelled", false, 8, H2_RESET_BROKEN },
                { "no error, yet no end", false, 0, H2_RESET_BROKEN },
                { "no error within an answer", true, 0, H2_RESET_BROKEN },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct asked a;
                char code[4] = { 0, 0, 0, cases[i].code };

                begin();
                ask(&a, false);
                if (cases[i].after_head)
                        assert_err(say_list(END_HEADERS, 1, ":status=200"), ERR_OK);
                assert_err(say(RST_STREAM, 0, 1, code, 4), ERR_OK);
                assert_int_equal(f.reset_frames[true], 1);
                assert_int_equal(f.reset_frames[false], 0);
                assert_int_equal(f.reset_code, (uint8_t)code[3]);
                if (a.resets != 1 || a.how != cases[i].how || a.error != ERR_CLOSED || a.ends)
                        fail_msg("%s: %u resets, %d", cases[i].why, a.resets, (int)a.how);
                end();
        }
}

/* node leaves END_STREAM out now and then, when other streams of the connection wait for room. */
static void test_a_reset_behind_all_that_was_promised(void **state)
{
        static const struct {
                const char *why, *body;
                char code;
                unsigned ends;
        } cases[] = {
                { "every byte is here", "hello", 0, 1 },
                { "one is missing", "hell", 0, 0 },
                { "every byte, but the peer means it", "hello", 8, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct asked a;
                char code[4] = { 0, 0, 0, cases[i].code };

                begin();
                ask(&a, false);
                assert_err(say_list(END_HEADERS, 1, ":status=200 content-length=5"), ERR_OK);
                assert_err(say(DATA, 0, 1, cases[i].body, strlen(cases[i].body)), ERR_OK);
                assert_err(say(RST_STREAM, 0, 1, code, 4), ERR_OK);
                if (a.ends != cases[i].ends || a.resets != !cases[i].ends)
                        fail_msg("%s: %u ends, %u resets", cases[i].why, a.ends, a.resets);
                h2_client_forget(f.c, &a.s);
                assert_int_equal(sent(RST_STREAM), 0);
                end();
        }
}

static void test_goaway(void **state)
{
        struct asked a, b;

        begin();
        ask(&a, true);
        ask(&b, true);
        assert_err(say(GOAWAY, 0, 0, "\0\0\0\1\0\0\0\0", 8), ERR_OK);
        assert_int_equal(f.goaways, 1);
        assert_int_equal(a.resets, 0); /* it may still be answered */
        assert_int_equal(b.resets, 1);
        assert_int_equal(b.how, H2_RESET_UNPROCESSED);
        assert_int_equal(h2_client_room(f.c), 0);
        assert_err(say_list(END_HEADERS | END_STREAM, 1, ":status=200"), ERR_OK);
        assert_int_equal(a.ends, 1);
        h2_client_forget(f.c, &a.s);
        end();
}

static void test_windows_wait_for_the_reader(void **state)
{
        static char piece[16384];
        struct asked a;

        begin();
        ask(&a, false);
        a.credit = 0;
        assert_err(say_list(END_HEADERS, 1, ":status=200"), ERR_OK);
        for (int i = 0; i < 4; i++)
                assert_err(say(DATA, 0, 1, piece, sizeof(piece)), ERR_OK);
        assert_int_equal(sent(WINDOW_UPDATE), 0); /* all of the window came, nothing of it was used */
        h2_client_credit(f.c, &a.s, 48 * 1024);
        assert_int_equal(sent(WINDOW_UPDATE), 1);
        for (int i = 0; i < 3; i++)
                assert_err(say(DATA, 0, 1, piece, sizeof(piece)), ERR_OK);
        assert_int_equal(a.resets, 0);
        assert_int_equal(sent(GOAWAY), 0);
        (void)say(DATA, 0, 1, piece, sizeof(piece)); /* past its window */
        assert_true(sent(RST_STREAM) + sent(GOAWAY) > 0 || a.resets == 1);
        end();
}

static void test_a_body_goes_as_the_windows_allow(void **state)
{
        static char bytes[100 * 1024];
        struct str slice = { bytes, sizeof(bytes) };
        struct asked a;

        begin();
        ask(&a, true);
        size_t taken = h2_client_write(f.c, &a.s, &slice, 1, true, NULL);
        assert_int_equal(taken, H2_CLIENT_WINDOW_BYTES); /* no more is held */
        assert_int_equal(a.rooms, 0);
        sent(DATA);
        assert_int_equal(a.rooms, 0); /* the server's windows (65,535) are closed: a byte is left */
        assert_err(say(WINDOW_UPDATE, 0, 0, "\0\1\0\0", 4), ERR_OK);
        assert_err(say(WINDOW_UPDATE, 0, 1, "\0\1\0\0", 4), ERR_OK);
        sent(DATA);
        assert_int_equal(a.rooms, 1);
        slice = str_from(slice, taken);
        assert_int_equal(h2_client_write(f.c, &a.s, &slice, 1, true, NULL), slice.len);
        assert_true(sent(DATA) > 0);
        h2_client_forget(f.c, &a.s);
        end();
}

static void test_floods(void **state)
{
        static const struct {
                const char *why;
                int type;
                uint32_t stream;
                const char *payload;
                size_t len;
        } cases[] = {
                { "PING", PING, 0, "12345678", 8 },
                { "SETTINGS", SETTINGS, 0, NULL, 0 },
                { "empty DATA", DATA, 1, NULL, 0 },
                { "WINDOW_UPDATE", WINDOW_UPDATE, 0, "\0\0\0\1", 4 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                enum err e = ERR_OK;
                struct asked a;
                int n;

                begin();
                ask(&a, false);
                assert_err(say_list(END_HEADERS, 1, ":status=200"), ERR_OK);
                for (n = 0; n < 5000 && e == ERR_OK; n++)
                        e = say(cases[i].type, 0, cases[i].stream, cases[i].payload, cases[i].len);
                if (e != ERR_DENIED)
                        print_error("%s: %d frames, %s\n", cases[i].why, n, err_text(e));
                assert_err(e, ERR_DENIED);
                assert_int_equal(sent(GOAWAY), 1);
                assert_int_equal(h2_client_room(f.c), 0);
                end();
        }
}

static void test_no_http2_at_all(void **state)
{
        begin();
        assert_int_not_equal(h2_client_receive(f.c, STR("HTTP/1.1 400 Bad Request\r\n\r\n"), 1000),
                             ERR_AGAIN);
        sent(GOAWAY);
        assert_true(h2_client_is_over(f.c));
        end();
}

static void test_limits_of_the_peer(void **state)
{
        struct asked a;

        begin();
        assert_int_equal(h2_client_room(f.c), H2_CLIENT_STREAMS_MAX); /* none told */
        assert_false(h2_client_takes_tunnels(f.c));
        assert_err(say(SETTINGS, 0, 0, "\0\3\0\0\0\2\0\x8\0\0\0\1", 12), ERR_OK);
        assert_int_equal(h2_client_room(f.c), 2);
        assert_true(h2_client_takes_tunnels(f.c));
        ask(&a, false);
        assert_int_equal(h2_client_room(f.c), 1);
        h2_client_ping(f.c);
        assert_int_equal(sent(PING), 1);
        assert_err(say(PING, ACK, 0, "\0\0\0\0\0\0\0\0", 8), ERR_OK);
        assert_int_equal(h2_client_pongs(f.c), 1);
        h2_client_forget(f.c, &a.s);
        assert_int_equal(h2_client_room(f.c), 2);
        end();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_an_answer),
                cmocka_unit_test(test_trailers),
                cmocka_unit_test(test_what_comes_in_a_row),
                cmocka_unit_test(test_a_body_goes_in_small_rooms),
                cmocka_unit_test(test_nothing_broken_ends),
                cmocka_unit_test(test_resets),
                cmocka_unit_test(test_a_reset_behind_all_that_was_promised),
                cmocka_unit_test(test_goaway),
                cmocka_unit_test(test_windows_wait_for_the_reader),
                cmocka_unit_test(test_a_body_goes_as_the_windows_allow),
                cmocka_unit_test(test_floods),
                cmocka_unit_test(test_no_http2_at_all),
                cmocka_unit_test(test_limits_of_the_peer),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
