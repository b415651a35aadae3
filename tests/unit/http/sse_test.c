#include "../test.h"

#include "base/buf.h"
#include "http/sse.h"

/* Events come out as "type|id|data;" in one text. */
static void note(void *context, const struct sse_event *event)
{
        struct buf *out = context;

        buf_addf(out, "%.*s|%.*s|%.*s;", STR_FMT(event->type), STR_FMT(event->id), STR_FMT(event->data));
}

static const struct {
        const char *why;
        struct str in;
        const char *out;
        uint64_t skipped;
} cases[] = {
        { "nothing", STR_INIT(""), "", 0 },
        { "one event", STR_INIT("data: a\n\n"), "message||a;", 0 },
        { "CRLF", STR_INIT("data: a\r\n\r\n"), "message||a;", 0 },
        { "CR", STR_INIT("data: a\r\rdata: b\r\r"), "message||a;message||b;", 0 },
        { "mixed line ends", STR_INIT("data: a\r\ndata: b\n\rdata: c\r\r\n"), "message||a\nb;message||c;",
          0 },
        { "no blank after the colon", STR_INIT("data:a\n\n"), "message||a;", 0 },
        { "one blank is taken", STR_INIT("data:  a\n\n"), "message|| a;", 0 },
        { "no colon", STR_INIT("data\n\n"), "message||;", 0 },
        { "two empty data lines", STR_INIT("data\ndata\n\n"), "message||\n;", 0 },
        { "lines joined", STR_INIT("data: a\ndata: b\n\n"), "message||a\nb;", 0 },
        { "type", STR_INIT("event: start\ndata: a\n\ndata: b\n\n"), "start||a;message||b;", 0 },
        { "type without data", STR_INIT("event: ping\n\ndata: b\n\n"), "message||b;", 0 },
        { "last type wins", STR_INIT("event: a\nevent: b\ndata: c\n\n"), "b||c;", 0 },
        { "id stays", STR_INIT("id: 7\ndata: a\n\ndata: b\n\n"), "message|7|a;message|7|b;", 0 },
        { "id emptied", STR_INIT("id: 7\ndata: a\n\nid\ndata: b\n\n"), "message|7|a;message||b;", 0 },
        { "id with NUL", STR_INIT("id: a\0b\ndata: a\n\n"), "message||a;", 0 },
        { "comment", STR_INIT(": keep-alive\n\ndata: a\n: x\n\n"), "message||a;", 0 },
        { "unknown field", STR_INIT("foo: bar\nretry: 10\ndata: a\n\n"), "message||a;", 0 },
        { "field names do not fold", STR_INIT("Data: a\n\n"), "", 0 },
        { "byte order mark",
          STR_INIT("\xef\xbb\xbf"
                   "data: a\n\n"),
          "message||a;", 0 },
        { "byte order mark later",
          STR_INIT("data: a\n\n\xef\xbb\xbf"
                   "data: b\n\n"),
          "message||a;", 0 },
        { "cut off", STR_INIT("data: a\n\ndata: b\n"), "message||a;", 0 },
        { "many empty lines", STR_INIT("\n\n\n\ndata: a\n\n\n\n"), "message||a;", 0 },
        { "line at the bound", STR_INIT("data: 0123456789\n\n"), "message||0123456789;", 0 },
        { "line over the bound", STR_INIT("data: 0123456789a\n\ndata: b\n\n"), "message||b;", 1 },
        { "comment over the bound", STR_INIT(":0123456789012345678901234567890\ndata: c\n\ndata: b\n\n"),
          "message||b;", 1 },
        { "a type as long as a line may be", STR_INIT("event:0123456789\ndata: a\n\n"), "0123456789||a;", 0 },
        { "data over its bound", STR_INIT("data: 0123456789\ndata: 0123456789\ndata: 0\n\ndata: b\n\n"),
          "message||b;", 1 },
        { "data at its bound", STR_INIT("data: 0123456789\ndata: 012345678\n\n"),
          "message||0123456789\n012345678;", 0 },
};

enum { LINE_MAX = 16, DATA_MAX = 20 };

static void check(size_t i, size_t piece)
{
        struct sse_reader r;
        struct buf out;
        struct str in = cases[i].in;

        buf_init(&out, 4096);
        sse_init(&r, LINE_MAX, DATA_MAX);
        for (size_t at = 0; at < in.len; at += piece)
                sse_feed(&r, str_sub(in, at, piece), note, &out);
        if (!str_eq(buf_str(&out), str_of(cases[i].out)) || r.skipped_count != cases[i].skipped)
                fail_msg("%s in pieces of %zu: \"%.*s\", %llu skipped", cases[i].why, piece,
                         STR_FMT(buf_str(&out)), (unsigned long long)r.skipped_count);
        sse_fini(&r);
        buf_fini(&out);
}

static void test_cases(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                for (size_t piece = 1; piece <= cases[i].in.len + 1; piece++)
                        check(i, piece);
}

static void test_splits(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                for (size_t cut = 0; cut <= cases[i].in.len; cut++) {
                        struct sse_reader r;
                        struct buf out;

                        buf_init(&out, 4096);
                        sse_init(&r, LINE_MAX, DATA_MAX);
                        sse_feed(&r, str_sub(cases[i].in, 0, cut), note, &out);
                        sse_feed(&r, str_from(cases[i].in, cut), note, &out);
                        assert_str(buf_str(&out), str_of(cases[i].out));
                        sse_fini(&r);
                        buf_fini(&out);
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cases),
                cmocka_unit_test(test_splits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
