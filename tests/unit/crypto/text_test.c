#include "crypto/text.h"

#include "../test.h"

static const struct {
        const char *why;
        struct str text;
        struct str bytes;
        enum err err;
} hex_cases[] = {
        { "empty", STR_INIT(""), STR_INIT(""), ERR_OK },
        { "both cases", STR_INIT("00fFAa09"), STR_INIT("\x00\xff\xaa\x09"), ERR_OK },
        { "not hex: just after 9", STR_INIT("0:"), STR_INIT("."), ERR_MALFORMED },
        { "not hex: just before 0", STR_INIT("/0"), STR_INIT("."), ERR_MALFORMED },
        { "not hex: just before A", STR_INIT("@0"), STR_INIT("."), ERR_MALFORMED },
        { "not hex: just after f", STR_INIT("0g"), STR_INIT("."), ERR_MALFORMED },
        { "not hex: high byte", STR_INIT("\xff\x30"), STR_INIT("."), ERR_MALFORMED },
        { "odd number of digits", STR_INIT("000"), STR_INIT("."), ERR_MALFORMED },
        { "too long for the field", STR_INIT("0000"), STR_INIT("."), ERR_MALFORMED },
        { "too short for the field", STR_INIT(""), STR_INIT("."), ERR_MALFORMED },
        { "space", STR_INIT(" 1"), STR_INIT("."), ERR_MALFORMED },
};

static void hex_is_strict(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(hex_cases); i++) {
                uint8_t out[8] = { 0 };
                print_message("%s\n", hex_cases[i].why);
                assert_err(crypto_hex_parse(hex_cases[i].text, out, hex_cases[i].bytes.len),
                           hex_cases[i].err);
                if (hex_cases[i].err == ERR_OK)
                        assert_memory_equal(out, hex_cases[i].bytes.ptr, hex_cases[i].bytes.len);
        }
}

static void hex_round_trip(void **state)
{
        char text[CRYPTO_HEX_SIZE(256)];
        uint8_t bytes[256], back[256];

        for (size_t i = 0; i < 256; i++)
                bytes[i] = (uint8_t)i;
        struct str s = crypto_hex_format((struct str){ (char *)bytes, 256 }, text);
        assert_int_equal(s.len, 512);
        assert_int_equal(text[512], 0);
        assert_err(crypto_hex_parse(s, back, 256), ERR_OK);
        assert_memory_equal(bytes, back, 256);
}

enum { STANDARD = 1, URL = 2 };
static const struct {
        const char *why;
        int alphabets;
        struct str text;
        struct str bytes;
        enum err err;
} base64_cases[] = {
        { "RFC 4648 10: empty", STANDARD | URL, STR_INIT(""), STR_INIT(""), ERR_OK },
        { "RFC 4648 10: f", STANDARD, STR_INIT("Zg=="), STR_INIT("f"), ERR_OK },
        { "RFC 4648 10: fo", STANDARD, STR_INIT("Zm8="), STR_INIT("fo"), ERR_OK },
        { "RFC 4648 10: foo", STANDARD | URL, STR_INIT("Zm9v"), STR_INIT("foo"), ERR_OK },
        { "RFC 4648 10: foob", STANDARD, STR_INIT("Zm9vYg=="), STR_INIT("foob"), ERR_OK },
        { "RFC 4648 10: foobar", STANDARD | URL, STR_INIT("Zm9vYmFy"), STR_INIT("foobar"), ERR_OK },
        { "the last two letters", STANDARD, STR_INIT("+/+/"), STR_INIT("\xfb\xff\xbf"), ERR_OK },
        { "the last two letters of url", URL, STR_INIT("-_-_"), STR_INIT("\xfb\xff\xbf"), ERR_OK },
        { "url without padding", URL, STR_INIT("Zg"), STR_INIT("f"), ERR_OK },
        { "url without padding", URL, STR_INIT("Zm8"), STR_INIT("fo"), ERR_OK },
        { "padding missing", STANDARD, STR_INIT("Zg"), STR_INIT(""), ERR_MALFORMED },
        { "padding short", STANDARD, STR_INIT("Zg="), STR_INIT(""), ERR_MALFORMED },
        { "padding surplus", STANDARD, STR_INIT("Zm8=="), STR_INIT(""), ERR_MALFORMED },
        { "padding alone", STANDARD, STR_INIT("===="), STR_INIT(""), ERR_MALFORMED },
        { "three paddings", STANDARD, STR_INIT("Z==="), STR_INIT(""), ERR_MALFORMED },
        { "padding within", STANDARD, STR_INIT("Zg==Zg=="), STR_INIT(""), ERR_MALFORMED },
        { "padding in url", URL, STR_INIT("Zg=="), STR_INIT(""), ERR_MALFORMED },
        { "one digit over", URL, STR_INIT("Zm9vY"), STR_INIT(""), ERR_MALFORMED },
        { "unused bits set, 1 byte", STANDARD, STR_INIT("Zh=="), STR_INIT(""), ERR_MALFORMED },
        { "unused bits set, 2 bytes", STANDARD, STR_INIT("Zm9="), STR_INIT(""), ERR_MALFORMED },
        { "unused bits set, url", URL, STR_INIT("Zh"), STR_INIT(""), ERR_MALFORMED },
        { "line end", STANDARD, STR_INIT("Zm9v\n"), STR_INIT(""), ERR_MALFORMED },
        { "space", STANDARD, STR_INIT("Zm 9"), STR_INIT(""), ERR_MALFORMED },
        { "url letter in standard", STANDARD, STR_INIT("-_-_"), STR_INIT(""), ERR_MALFORMED },
        { "standard letter in url", URL, STR_INIT("+/+/"), STR_INIT(""), ERR_MALFORMED },
        { "NUL", STANDARD | URL, STR_INIT("Zm9\0"), STR_INIT(""), ERR_MALFORMED },
        { "high byte", STANDARD | URL, STR_INIT("Zm9\xc1"), STR_INIT(""), ERR_MALFORMED },
        { "over the room", STANDARD | URL, STR_INIT("Zm9vZm9vZm9v"), STR_INIT(""), ERR_TOO_LARGE },
};

static void base64_is_strict(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(base64_cases); i++)
                for (int which = STANDARD; which <= URL; which++) {
                        uint8_t out[8];
                        size_t len = 99;
                        if (!(base64_cases[i].alphabets & which))
                                continue;
                        print_message("%s\n", base64_cases[i].why);
                        enum err e = which == STANDARD ? crypto_base64_parse(base64_cases[i].text, out,
                                                                             sizeof(out), &len)
                                                       : crypto_base64url_parse(base64_cases[i].text, out,
                                                                                sizeof(out), &len);
                        assert_err(e, base64_cases[i].err);
                        if (e != ERR_OK) {
                                assert_int_equal(len, 99);
                                continue;
                        }
                        assert_str(((struct str){ (char *)out, len }), base64_cases[i].bytes);
                        char text[CRYPTO_BASE64_SIZE(8)];
                        struct str bytes = base64_cases[i].bytes;
                        assert_str(which == STANDARD ? crypto_base64_format(bytes, text)
                                                     : crypto_base64url_format(bytes, text),
                                   base64_cases[i].text);
                }
}

static void base64_every_digit(void **state)
{
        uint8_t bytes[48], back[48];
        char text[CRYPTO_BASE64_SIZE(48)];
        size_t len;

        /* 0, 1, 2 ... 63 in six bits each. */
        for (unsigned i = 0; i < 64; i += 4) {
                unsigned group = i << 18 | (i + 1) << 12 | (i + 2) << 6 | (i + 3);
                bytes[i / 4 * 3] = (uint8_t)(group >> 16);
                bytes[i / 4 * 3 + 1] = (uint8_t)(group >> 8);
                bytes[i / 4 * 3 + 2] = (uint8_t)group;
        }
        struct str all = { (char *)bytes, sizeof(bytes) };
        assert_str(crypto_base64_format(all, text),
                   STR("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"));
        assert_err(crypto_base64_parse(str_of(text), back, sizeof(back), &len), ERR_OK);
        assert_int_equal(len, 48);
        assert_memory_equal(back, bytes, 48);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(hex_is_strict),
                cmocka_unit_test(hex_round_trip),
                cmocka_unit_test(base64_is_strict),
                cmocka_unit_test(base64_every_digit),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
