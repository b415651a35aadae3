#include "http/encoding.h"

#include "../test.h"

static const struct {
        const char *why, *list, *token;
        int weight;
} qualities[] = {
        { "alone", "gzip", "gzip", 1000 },
        { "case folds", "GZip", "gzip", 1000 },
        { "not named", "br", "gzip", HTTP_QUALITY_ABSENT },
        { "empty list", "", "gzip", HTTP_QUALITY_ABSENT },
        { "weight", "gzip;q=0.5", "gzip", 500 },
        { "three digits", "gzip;q=0.125", "gzip", 125 },
        { "zero", "gzip;q=0", "gzip", 0 },
        { "zero in full", "gzip;q=0.000", "gzip", 0 },
        { "one in full", "gzip;q=1.000", "gzip", 1000 },
        { "point and nothing", "gzip;q=0.", "gzip", 0 },
        { "blanks", "br , gzip ; q=0.3 ", "gzip", 300 },
        { "capital Q", "gzip;Q=0.3", "gzip", 300 },
        { "another parameter first", "gzip;a=b;q=0.3", "gzip", 300 },
        { "star", "br, *;q=0.2", "gzip", 200 },
        { "own before star", "gzip;q=0.1, *", "gzip", 100 },
        { "own after star", "*, gzip;q=0", "gzip", 0 },
        { "twice: the larger", "gzip;q=0.1, gzip;q=0.7", "gzip", 700 },
        { "over one", "gzip;q=1.5", "gzip", HTTP_QUALITY_ABSENT },
        { "two", "gzip;q=2", "gzip", HTTP_QUALITY_ABSENT },
        { "four digits", "gzip;q=0.1234", "gzip", HTTP_QUALITY_ABSENT },
        { "sign", "gzip;q=-1", "gzip", HTTP_QUALITY_ABSENT },
        { "no number", "gzip;q=", "gzip", HTTP_QUALITY_ABSENT },
        { "a word", "gzip;q=high", "gzip", HTTP_QUALITY_ABSENT },
        { "bad weight, good star", "gzip;q=x, *;q=0.4", "gzip", 400 },
        { "part of a name", "gzipped", "gzip", HTTP_QUALITY_ABSENT },
        { "empty elements", ",,gzip,,", "gzip", 1000 },
};

static void test_qualities(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(qualities); i++)
                if (http_quality(str_of(qualities[i].list), str_of(qualities[i].token)) !=
                    qualities[i].weight)
                        fail_msg("%s", qualities[i].why);
}

/* We offer br, then gzip. */
static const struct {
        const char *why;
        const char *first, *second; /* Accept-Encoding fields; NULL: none */
        int coding;                 /* -1: 406 */
} choices[] = {
        { "no field", NULL, NULL, HTTP_IDENTITY },
        { "empty field", "", NULL, HTTP_IDENTITY },
        { "browser", "gzip, deflate, br", NULL, HTTP_BR },
        { "curl --compressed of old", "deflate, gzip", NULL, HTTP_GZIP },
        { "weights go before our order", "br;q=0.5, gzip", NULL, HTTP_GZIP },
        { "equal weights: our order", "gzip;q=0.5, br;q=0.5", NULL, HTTP_BR },
        { "old name", "x-gzip", NULL, HTTP_GZIP },
        { "old name does not undo a refusal by name", "x-gzip;q=0, *", NULL, HTTP_BR },
        { "refused by name, star", "gzip;q=0, br;q=0, *", NULL, HTTP_IDENTITY },
        { "only gzip refused", "gzip;q=0, *", NULL, HTTP_BR },
        { "star", "*", NULL, HTTP_BR },
        { "nothing we have", "zstd, compress", NULL, HTTP_IDENTITY },
        { "identity preferred", "identity, gzip;q=0.5", NULL, HTTP_IDENTITY },
        { "identity less liked", "identity;q=0.5, gzip;q=0.8", NULL, HTTP_GZIP },
        { "identity refused, gzip taken", "gzip, identity;q=0", NULL, HTTP_GZIP },
        { "nothing at all", "*;q=0", NULL, -1 },
        { "identity refused, nothing else", "identity;q=0", NULL, -1 },
        { "identity refused, what we lack", "zstd, identity;q=0", NULL, -1 },
        { "star refused, identity named", "*;q=0, identity", NULL, HTTP_IDENTITY },
        { "two fields", "gzip;q=0.2", "br;q=0.1", HTTP_GZIP },
        { "a name in one field, a star in the other", "br;q=0", "*", HTTP_GZIP },
};

static void test_choices(void **state)
{
        static const enum http_coding offered[] = { HTTP_BR, HTTP_GZIP };

        for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
                struct http_field fields[2];
                struct http_head h = { .fields = fields, .fields_max = ARRAY_SIZE(fields) };
                enum http_coding coding = HTTP_CODINGS;

                if (choices[i].first)
                        assert_err(http_add(&h, STR("Accept-Encoding"), str_of(choices[i].first)), ERR_OK);
                if (choices[i].second)
                        assert_err(http_add(&h, STR("accept-encoding"), str_of(choices[i].second)), ERR_OK);
                enum err e = http_coding_choose(&h, offered, ARRAY_SIZE(offered), &coding);
                if (e != (choices[i].coding < 0 ? ERR_UNSUPPORTED : ERR_OK) ||
                    (e == ERR_OK && (int)coding != choices[i].coding))
                        fail_msg("%s: ERR_%s %.*s", choices[i].why, err_name(e),
                                 STR_FMT(http_coding_name(coding)));
        }
}

static void test_names(void **state)
{
        assert_str(http_coding_name(HTTP_IDENTITY), STR("identity"));
        assert_str(http_coding_name(HTTP_ZSTD), STR("zstd"));
        assert_str(http_coding_name(HTTP_CODINGS), STR(""));
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_qualities), cmocka_unit_test(test_names),
                                            cmocka_unit_test(test_choices) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
