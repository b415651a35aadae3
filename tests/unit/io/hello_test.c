#include "io/hello.h"

#include <stdio.h>

#include "../test.h"

/* A message is put together from these parts; each case breaks one. */
struct parts {
        struct str extensions; /* NUL pointer: none at all */
        uint8_t session_len, suites_len, compressions_len;
        uint8_t record_kind, record_major, message_kind;
        int length_off;    /* added to the message's own length */
        size_t record_max; /* how many bytes a record carries */
};

static const struct parts good = { .session_len = 32,
                                   .suites_len = 2,
                                   .compressions_len = 1,
                                   .record_kind = 22,
                                   .record_major = 3,
                                   .message_kind = 1,
                                   .record_max = 16384 };

static size_t message_make(const struct parts *p, uint8_t *out)
{
        size_t n = 4;

        memset(out, 0, HELLO_BYTES_MAX);
        out[n] = out[n + 1] = 3;
        n += 34;
        out[n++] = p->session_len;
        n += p->session_len;
        out[n + 1] = p->suites_len;
        n += 2u + p->suites_len;
        out[n++] = p->compressions_len;
        n += p->compressions_len;
        if (p->extensions.ptr) {
                out[n++] = (uint8_t)(p->extensions.len >> 8);
                out[n++] = (uint8_t)p->extensions.len;
                memcpy(out + n, p->extensions.ptr, p->extensions.len);
                n += p->extensions.len;
        }
        size_t len = n - 4 + (size_t)(ptrdiff_t)p->length_off;
        out[0] = p->message_kind;
        out[1] = 0;
        out[2] = (uint8_t)(len >> 8);
        out[3] = (uint8_t)len;
        return n;
}

static struct str records_make(const struct parts *p, uint8_t *out)
{
        uint8_t message[2 * HELLO_BYTES_MAX];
        size_t len = message_make(p, message), n = 0;

        for (size_t at = 0; at < len;) {
                size_t part = MIN(len - at, p->record_max);

                out[n++] = p->record_kind;
                out[n++] = p->record_major;
                out[n++] = 1;
                out[n++] = (uint8_t)(part >> 8);
                out[n++] = (uint8_t)part;
                memcpy(out + n, message + at, part);
                n += part;
                at += part;
        }
        return (struct str){ (const char *)out, n };
}

#define NAME(len2, list2, kind, name2, name) "\x00\x00\x00" len2 "\x00" list2 kind "\x00" name2 name
#define A_NAME                               NAME("\x0a", "\x08", "\x00", "\x05", "Ab.cd")

static const struct {
        const char *why;
        struct parts p;
        struct str extensions;
        enum err err;
        const char *name;
} cases[] = {
        { "a name, in lower case", good, STR_INIT(A_NAME), ERR_OK, "ab.cd" },
        { "another extension before it", good, STR_INIT("\x00\x17\x00\x00" A_NAME), ERR_OK, "ab.cd" },
        { "no name", good, STR_INIT("\x00\x17\x00\x00"), ERR_OK, "" },
        { "empty list of extensions", good, STR_INIT(""), ERR_OK, "" },
        { "no extensions", good, STR_NULL, ERR_OK, "" },
        { "name twice", good, STR_INIT(A_NAME A_NAME), ERR_MALFORMED, "" },
        { "any extension twice", good, STR_INIT("\x00\x17\x00\x00\x00\x17\x00\x00"), ERR_MALFORMED, "" },
        { "name of another kind", good, STR_INIT(NAME("\x0a", "\x08", "\x01", "\x05", "ab.cd")),
          ERR_MALFORMED, "" },
        { "empty name", good, STR_INIT(NAME("\x05", "\x03", "\x00", "\x00", "")), ERR_MALFORMED, "" },
        { "name longer than its list", good, STR_INIT(NAME("\x0a", "\x08", "\x00", "\x06", "ab.cd")),
          ERR_MALFORMED, "" },
        { "bytes behind the name", good, STR_INIT(NAME("\x0a", "\x08", "\x00", "\x04", "ab.cd")),
          ERR_MALFORMED, "" },
        { "list shorter than the extension", good, STR_INIT(NAME("\x0a", "\x07", "\x00", "\x05", "ab.cd")),
          ERR_MALFORMED, "" },
        { "a space in it", good, STR_INIT(NAME("\x0a", "\x08", "\x00", "\x05", "ab cd")), ERR_MALFORMED, "" },
        { "a NUL in it", good, STR_INIT(NAME("\x0a", "\x08", "\x00", "\x05", "ab\0cd")), ERR_MALFORMED, "" },
        { "extension past the end", good, STR_INIT("\x00\x17\x00\x01"), ERR_MALFORMED, "" },
        { "half an extension", good, STR_INIT("\x00\x17\x00"), ERR_MALFORMED, "" },
};

static void reads_names(void **state)
{
        uint8_t out[4 * HELLO_BYTES_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct parts p = cases[i].p;
                struct hello h;

                p.extensions = cases[i].extensions;
                for (p.record_max = 16384; p.record_max;
                     p.record_max = p.record_max == 16384 ? 7 : p.record_max == 7) {
                        enum err e = hello_read(records_make(&p, out), &h);

                        if (e != cases[i].err)
                                fail_msg("%s (records of %zu): ERR_%s", cases[i].why, p.record_max,
                                         err_name(e));
                        if (e == ERR_OK)
                                assert_str(hello_name(&h), str_of(cases[i].name));
                        if (p.record_max == 1)
                                break;
                }
        }
}

static void refuses_other_shapes(void **state)
{
        /* session, suites, compressions; record kind and version, message kind; what is added to its length */
#define SHAPE(session, suites, compressions, record, major, message, off)                \
        {                                                                                \
                { 0 }, session, suites, compressions, record, major, message, off, 16384 \
        }
        static const struct {
                const char *why;
                struct parts p;
                enum err err;
        } shapes[] = {
                { "an alert", SHAPE(32, 2, 1, 21, 3, 1, 0), ERR_MALFORMED },
                { "application data", SHAPE(32, 2, 1, 23, 3, 1, 0), ERR_MALFORMED },
                { "SSL 2", SHAPE(32, 2, 1, 22, 2, 1, 0), ERR_MALFORMED },
                { "a ServerHello", SHAPE(32, 2, 1, 22, 3, 2, 0), ERR_MALFORMED },
                { "session id too long", SHAPE(33, 2, 1, 22, 3, 1, 0), ERR_MALFORMED },
                { "no cipher suites", SHAPE(32, 0, 1, 22, 3, 1, 0), ERR_MALFORMED },
                { "half a cipher suite", SHAPE(32, 3, 1, 22, 3, 1, 0), ERR_MALFORMED },
                { "no compression", SHAPE(32, 2, 0, 22, 3, 1, 0), ERR_MALFORMED },
                { "length one short", SHAPE(32, 2, 1, 22, 3, 1, -1), ERR_MALFORMED },
                { "length one long: waits", SHAPE(32, 2, 1, 22, 3, 1, 1), ERR_AGAIN },
                { "too long", SHAPE(32, 2, 1, 22, 3, 1, HELLO_BYTES_MAX), ERR_TOO_LARGE },
        };
#undef SHAPE
        uint8_t out[4 * HELLO_BYTES_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
                struct parts p = shapes[i].p;
                struct hello h;

                p.extensions = STR(A_NAME);
                enum err e = hello_read(records_make(&p, out), &h);
                if (e != shapes[i].err)
                        fail_msg("%s: ERR_%s", shapes[i].why, err_name(e));
        }
        struct hello h;
        assert_err(hello_read(STR("GET / HTTP/1.1\r\n"), &h), ERR_MALFORMED);
        assert_err(hello_read(STR("\x16\x03\x01\x00\x00"), &h), ERR_MALFORMED);
        assert_err(hello_read(STR_NULL, &h), ERR_AGAIN);
}

static void waits_at_every_byte(void **state)
{
        uint8_t out[4 * HELLO_BYTES_MAX];
        struct parts p = good;
        struct hello h;

        p.extensions = STR(A_NAME);
        for (p.record_max = 100; p.record_max > 0; p.record_max /= 3) {
                struct str all = records_make(&p, out);

                for (size_t len = 0; len < all.len; len++)
                        assert_err(hello_read(str_sub(all, 0, len), &h), ERR_AGAIN);
                assert_err(hello_read(all, &h), ERR_OK);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_names),
                cmocka_unit_test(refuses_other_shapes),
                cmocka_unit_test(waits_at_every_byte),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
