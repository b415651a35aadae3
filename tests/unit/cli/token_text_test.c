/* Tokens are long enough, all different, and a wrong letter shows. */
#include "../test.h"
#include "cli/token_text.h"

static void shape(void **state)
{
        char token[TOKEN_TEXT_MAX], other[TOKEN_TEXT_MAX];
        struct str text = token_text_make(token);

        assert_int_equal(text.len, 42);
        assert_true(str_has_prefix(text, STR("sk-")));
        for (size_t i = 3; i < text.len; i++)
                assert_true(ascii_is_alpha(text.ptr[i]) || ascii_is_digit(text.ptr[i]));
        assert_false(str_eq(text, token_text_make(other)));
}

static void a_wrong_letter_shows(void **state)
{
        char token[TOKEN_TEXT_MAX];

        for (int round = 0; round < 50; round++) {
                struct str text = token_text_make(token);

                assert_true(token_text_is_ours(text));
                for (size_t i = 0; i < text.len; i++) {
                        char kept = token[i];

                        token[i] = kept == 'x' ? 'y' : 'x';
                        assert_false(token_text_is_ours(text));
                        token[i] = kept;
                }
        }
}

static void others(void **state)
{
        static const char *const foreign[] = { "", "sk-", "3f1c9a52-7d0e-4b6a-9c15-5be2d8a40c77",
                                               "sk-000000000000000000000000000000000000000" };

        for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
                assert_false(token_text_is_ours(str_of(foreign[i])));
}

static void letters_are_even(void **state)
{
        size_t count[128] = { 0 };
        char token[TOKEN_TEXT_MAX];

        for (int i = 0; i < 4000; i++) {
                struct str text = token_text_make(token);

                for (size_t j = 3; j < text.len; j++)
                        count[(unsigned char)text.ptr[j]]++;
        }
        /* 156,000 letters of 62: 2516 of each; six standard deviations are 300. */
        for (int c = 0; c < 128; c++)
                if (ascii_is_alpha((char)c) || ascii_is_digit((char)c))
                        assert_in_range(count[c], 2200, 2850);
}

static void hash(void **state)
{
        char out[TOKEN_HASH_TEXT_MAX];

        assert_str(token_text_hash(STR("test"), out),
                   STR("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(shape),  cmocka_unit_test(a_wrong_letter_shows),
                cmocka_unit_test(others), cmocka_unit_test(letters_are_even),
                cmocka_unit_test(hash),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
