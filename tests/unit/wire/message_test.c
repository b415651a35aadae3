#include "lab.h"

#include <glob.h>

#include "wire/message.h"

/* Every kind of message, written and read again and written again: the same bytes. */
static void what_is_written_is_read(void **state)
{
        static const struct str names[] = { STR_INIT("llama3"), STR_INIT("qwen\xc3\xa9") };
        static const struct wire_link_report links[] = { { STR_INIT("gw-a"), 1, 2, STR_INIT("refused") } };
        static const struct wire_health health[] = { { STR_INIT("tg-a"), true, STR_INIT("") },
                                                     { STR_INIT("tg-b"), false, STR_INIT("503") } };
        static const struct wire_models models[] = { { STR_INIT("tg-a"), STR_INIT(""), names, 2 } };
        const struct wire_message all[] = {
                { .type = WIRE_HELLO, .hello = { STR("sekisho/1"), 1, { .is_any = false } } },
                { .type = WIRE_HELLO,
                  .hello = { STR("sekisho/1"), 1, { true, 3, 42, 1790000000, { 1 }, { 2 } } } },
                { .type = WIRE_WELCOME, .welcome = { STR("sekisho/1"), 3, 15 } },
                { .type = WIRE_APPLIED, .applied = { true, 3, 42, 1790000000, { 1 }, { 2 } } },
                { .type = WIRE_REFUSED, .refused = { 3, 42, STR("why \"not\"") } },
                { .type = WIRE_RESYNC },
                { .type = WIRE_REPORT,
                  .report = { links, 1, health, 2, models, 1, names, 1, STR("sekisho/1"),
                              STR("Linux 6.1") } },
                { .type = WIRE_REPORT },
                { .type = WIRE_REPORT, .report = { .overlay = 51820 } },
                { .type = WIRE_RENEW },
                { .type = WIRE_CERTIFICATE, .certificate = { STR("-----BEGIN\n"), STR("-----A\n") } },
                { .type = WIRE_SHARE, .share = { 7, STR("http"), STR("http://localhost:3000"), STR("") } },
                { .type = WIRE_SHARED, .shared = { 7, STR("sv-a"), STR("x.example"), STR("https://x/") } },
                { .type = WIRE_UNSHARE, .unshare = { 8, STR("sv-a") } },
                { .type = WIRE_UNSHARED, .unshare = { 8, STR("sv-a") } },
                { .type = WIRE_ERROR, .error = { 8, STR("no") } },
                { .type = WIRE_GONE, .gone = { STR("removed") } },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
                struct wire_message m;
                struct buf text, again;
                const char *why = "";
                struct arena arena;
                arena_init(&arena, NULL, 0, 1 << 20);
                buf_init(&text, WIRE_SMALL_MAX);
                buf_init(&again, WIRE_SMALL_MAX);
                wire_message_write(&all[i], &text);
                if (wire_message_read(&arena, buf_str(&text), &m, &why) != ERR_OK)
                        fail_msg("%s: %.*s", why, STR_FMT(buf_str(&text)));
                assert_int_equal(m.type, all[i].type);
                wire_message_write(&m, &again);
                assert_str(buf_str(&again), buf_str(&text));
                buf_fini(&text);
                buf_fini(&again);
                arena_fini(&arena);
        }
}

#define HASH "\"0000000000000000000000000000000000000000000000000000000000000000\""

static void tolerant_and_safe(void **state)
{
        static const struct {
                const char *why, *text;
                enum err err;
                enum wire_type type;
        } cases[] = {
                { "members nobody knows", "{\"type\":\"hello\",\"format\":9,\"have\":null,\"new\":[1]}",
                  ERR_OK, WIRE_HELLO },
                { "the type last", "{\"reason\":\"removed\",\"type\":\"gone\"}", ERR_OK, WIRE_GONE },
                { "a type nobody knows", "{\"type\":\"dance\",\"steps\":3}", ERR_OK, WIRE_UNKNOWN },
                { "no type", "{}", ERR_OK, WIRE_UNKNOWN },
                { "an old node that does not say its items",
                  "{\"type\":\"applied\",\"epoch\":1,\"version\":2,\"hash\":" HASH "}", ERR_OK,
                  WIRE_APPLIED },
                { "a document is left to its own reader", "{\"type\":\"document\",\"document\":17}", ERR_OK,
                  WIRE_DOCUMENT },
                { "no object", "[]", ERR_MALFORMED, 0 },
                { "empty", "", ERR_MALFORMED, 0 },
                { "cut", "{\"type\":\"gone\",\"reason\":\"rem", ERR_MALFORMED, 0 },
                { "the type twice", "{\"type\":\"gone\",\"type\":\"resync\",\"reason\":\"\"}", ERR_MALFORMED,
                  0 },
                { "a format of zero", "{\"type\":\"hello\",\"format\":0}", ERR_MALFORMED, 0 },
                { "an epoch that is no whole number",
                  "{\"type\":\"welcome\",\"epoch\":1.5,\"program\":\"x\"}", ERR_MALFORMED, 0 },
                { "an epoch beyond what JSON carries", "{\"type\":\"welcome\",\"epoch\":9007199254740992}",
                  ERR_MALFORMED, 0 },
                { "a hash of another length",
                  "{\"type\":\"applied\",\"epoch\":1,\"version\":2,\"hash\":\"00\"}", ERR_MALFORMED, 0 },
                { "a NUL in a text", "{\"type\":\"share\",\"ref\":1,\"kind\":\"http\",\"url\":\"a\\u0000b\"}",
                  ERR_MALFORMED, 0 },
                { "a list that is none", "{\"type\":\"report\",\"links\":{}}", ERR_MALFORMED, 0 },
                { "a link that is none", "{\"type\":\"report\",\"links\":[1]}", ERR_MALFORMED, 0 },
                { "an address that is none", "{\"type\":\"report\",\"addresses\":[1]}", ERR_MALFORMED, 0 },
                { "a port that is none", "{\"type\":\"report\",\"overlay\":65536}", ERR_MALFORMED, 0 },
                { "deep", "{\"type\":\"gone\",\"x\":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}", ERR_TOO_LARGE,
                  0 },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct wire_message m;
                const char *why = "";
                struct arena arena;
                arena_init(&arena, NULL, 0, 1 << 20);
                enum err e = wire_message_read(&arena, str_of(cases[i].text), &m, &why);
                if (e != cases[i].err || (e == ERR_OK && m.type != cases[i].type))
                        fail_msg("%s: %s (%s)", cases[i].why, err_name(e), why);
                arena_fini(&arena);
        }
}

/* Whoever was released before us is still understood: one file a message, never changed once it is here. */
static void old_versions_are_understood(void **state)
{
        const char *root = getenv("SEKISHO_SOURCE_ROOT");
        char pattern[512];
        glob_t files;
        (void)state;

        snprintf(pattern, sizeof(pattern), "%s/tests/unit/wire/old/*.json", root ? root : ".");
        assert_int_equal(glob(pattern, 0, NULL, &files), 0);
        assert_true(files.gl_pathc >= 10);
        for (size_t i = 0; i < files.gl_pathc; i++) {
                static char bytes[64 * 1024];
                struct wire_document *d;
                struct wire_change *c;
                struct wire_message m;
                const char *why = "";
                struct arena arena;
                FILE *f = fopen(files.gl_pathv[i], "rb");
                assert_non_null(f);
                struct str text = { bytes, fread(bytes, 1, sizeof(bytes), f) };
                fclose(f);
                arena_init(&arena, NULL, 0, 1 << 20);
                enum err e = wire_message_read(&arena, text, &m, &why);
                if (e != ERR_OK || m.type == WIRE_UNKNOWN)
                        fail_msg("%s: %s", files.gl_pathv[i], why);
                if (m.type == WIRE_DOCUMENT) {
                        assert_err(wire_document_read(text, lab_key(), &d, &why), ERR_OK);
                        wire_document_put(d);
                } else if (m.type == WIRE_CHANGE) {
                        assert_err(wire_change_read(text, &c, &why), ERR_OK);
                        wire_change_free(c);
                }
                arena_fini(&arena);
        }
        globfree(&files);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_written_is_read),
                cmocka_unit_test(tolerant_and_safe),
                cmocka_unit_test(old_versions_are_understood),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
