#include "http/capsule.h"

#include <string.h>

#include "../test.h"

#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

static const struct {
        const char *why;
        const uint8_t *bytes;
        size_t len;
        const char *datagrams; /* each followed by '|' */
        enum err err;          /* what ends it; ERR_AGAIN: all was read */
        bool is_between;
} cases[] = {
        { "nothing", BYTES(0), "", ERR_AGAIN, false }, /* a type without a length */
        { "one", BYTES(0, 3, 0, 'h', 'i'), "hi|", ERR_AGAIN, true },
        { "two", BYTES(0, 2, 0, 'a', 0, 3, 0, 'b', 'c'), "a|bc|", ERR_AGAIN, true },
        { "an empty datagram", BYTES(0, 1, 0, 0, 2, 0, 'x'), "|x|", ERR_AGAIN, true },
        { "no context", BYTES(0, 0), "", ERR_MALFORMED, false },
        { "another context is passed over", BYTES(0, 3, 2, 'n', 'o', 0, 2, 0, 'y'), "y|", ERR_AGAIN, true },
        { "an empty one of another context", BYTES(0, 1, 2, 0, 2, 0, 'y'), "y|", ERR_AGAIN, true },
        { "a context that is cut by its length", BYTES(0, 1, 0x40, 0), "", ERR_MALFORMED, false },
        { "a context in two bytes", BYTES(0, 4, 0x40, 0, 'o', 'k'), "ok|", ERR_AGAIN, true },
        { "another capsule is passed over", BYTES(0x17, 3, 1, 2, 3, 0, 2, 0, 'y'), "y|", ERR_AGAIN, true },
        { "one of nothing", BYTES(0x17, 0, 0, 2, 0, 'y'), "y|", ERR_AGAIN, true },
        { "a type of eight bytes", BYTES(0xc0, 0, 0, 0, 0, 0, 0, 9, 1, 7, 0, 2, 0, 'y'), "y|", ERR_AGAIN,
          true },
        { "the type datagram, written long", BYTES(0x80, 0, 0, 0, 2, 0, 'y'), "y|", ERR_AGAIN, true },
        { "a length written long", BYTES(0, 0xc0, 0, 0, 0, 0, 0, 0, 2, 0, 'y'), "y|", ERR_AGAIN, true },
        { "longer than any datagram", BYTES(0, 0x80, 1, 0, 0), "", ERR_TOO_LARGE, false },
        { "as long as numbers go", BYTES(0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), "",
          ERR_TOO_LARGE, false },
        { "one byte over with a short context", BYTES(0, 0x80, 0, 0xff, 0xf9, 0), "", ERR_TOO_LARGE, false },
        { "a huge capsule of another kind is only skipped",
          BYTES(1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 'x'), "", ERR_AGAIN, false },
};

/* In pieces of `step` bytes. */
static void read_all(const char *why, struct str bytes, size_t step, const char *wanted, enum err err,
                     bool is_between)
{
        struct capsule_reader r;
        enum err e = ERR_AGAIN;
        struct buf got;

        capsule_init(&r);
        buf_init(&got, 1 << 20);
        for (size_t at = 0; at < bytes.len && e == ERR_AGAIN; at += step) {
                struct str in = str_sub(bytes, at, step), out;

                while ((e = capsule_read(&r, &in, &out)) == ERR_OK) {
                        buf_add(&got, out);
                        buf_add_char(&got, '|');
                }
                if (e == ERR_AGAIN)
                        assert_int_equal(in.len, 0);
        }
        if (e != err || !str_eq(buf_str(&got), str_of(wanted)) ||
            (e == ERR_AGAIN && capsule_is_between(&r) != is_between))
                fail_msg("%s, by %zu: %s, \"%.*s\"", why, step, err_name(e), STR_FMT(buf_str(&got)));
        buf_fini(&got);
        capsule_fini(&r);
}

static void reads_in_any_pieces(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                for (size_t step = 1; step <= cases[i].len; step++)
                        read_all(cases[i].why, (struct str){ (const char *)cases[i].bytes, cases[i].len },
                                 step, cases[i].datagrams, cases[i].err, cases[i].is_between);
}

static void what_is_written_is_read(void **state)
{
        static const size_t sizes[] = {
                0, 1, 61, 62, 63, 64, 16381, 16382, 16383, 1200, CAPSULE_DATAGRAM_BYTES_MAX
        };
        static char payload[CAPSULE_DATAGRAM_BYTES_MAX];
        (void)state;

        memset(payload, 'p', sizeof(payload));
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
                for (size_t cut = 0; cut < 3; cut++) {
                        uint8_t head[CAPSULE_HEAD_MAX];
                        struct capsule_reader r;
                        struct buf all;
                        struct str out, in;

                        buf_init(&all, 1 << 20);
                        buf_add(&all, capsule_head(sizes[i], head));
                        buf_add(&all, (struct str){ payload, sizes[i] });
                        capsule_init(&r);
                        in = str_sub(buf_str(&all), 0, all.len - MIN(cut, all.len - 1));
                        enum err e = capsule_read(&r, &in, &out);
                        if (cut) {
                                assert_err(e, ERR_AGAIN);
                                in = str_from(buf_str(&all), all.len - MIN(cut, all.len - 1));
                                e = capsule_read(&r, &in, &out);
                        }
                        assert_err(e, ERR_OK);
                        assert_int_equal(out.len, sizes[i]);
                        assert_true(str_eq(out, (struct str){ payload, sizes[i] }));
                        assert_true(capsule_is_between(&r));
                        /* A flow that waits for its next datagram holds nothing of a large one. */
                        in = STR("");
                        assert_err(capsule_read(&r, &in, &out), ERR_AGAIN);
                        if (sizes[i] > 4096)
                                assert_null(r.gathered.ptr);
                        capsule_fini(&r);
                        buf_fini(&all);
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(reads_in_any_pieces),
                                            cmocka_unit_test(what_is_written_is_read) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
