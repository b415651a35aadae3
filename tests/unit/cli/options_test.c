/* Options into a struct; what is wrong is said with the nearest right one. */
#include <stdlib.h>

#include "../test.h"
#include "cli/options.h"

struct filled {
        bool json, print;
        struct str config, token;
};

static const struct option table[] = {
        { "config", 'c', OPTION_TEXT, offsetof(struct filled, config), "PATH", "" },
        { "json", 0, OPTION_FLAG, offsetof(struct filled, json), NULL, "" },
        { "print", 'p', OPTION_FLAG, offsetof(struct filled, print), NULL, "" },
        { "token", 0, OPTION_SECRET, offsetof(struct filled, token), "TOKEN", "" },
        { NULL },
};

enum { WORDS_MAX = 6 };

static const struct {
        const char *why;
        const char *words[WORDS_MAX];
        enum options_result result;
        bool json, print;
        const char *config, *argument, *problem;
} cases[] = {
        { "nothing", { NULL }, OPTIONS_OK, false, false, "", "", "" },
        { "a flag", { "--json" }, OPTIONS_OK, true, false, "", "", "" },
        { "a value behind", { "--config", "a b" }, OPTIONS_OK, false, false, "a b", "", "" },
        { "a value with =", { "--config=a=b" }, OPTIONS_OK, false, false, "a=b", "", "" },
        { "an empty value", { "--config=" }, OPTIONS_OK, false, false, "", "", "" },
        { "letters", { "-p", "-c", "x" }, OPTIONS_OK, false, true, "x", "", "" },
        { "the last counts", { "-c", "x", "--config=y" }, OPTIONS_OK, false, false, "y", "", "" },
        { "a value that looks like an option",
          { "--config", "--json" },
          OPTIONS_OK,
          false,
          false,
          "--json",
          "",
          "" },
        { "mixed", { "one", "--json" }, OPTIONS_OK, true, false, "", "one", "" },
        { "after --", { "--", "--json" }, OPTIONS_OK, false, false, "", "--json", "" },
        { "a dash alone", { "-" }, OPTIONS_OK, false, false, "", "-", "" },
        { "help", { "--json", "--help" }, OPTIONS_HELP, true, false, "", "", "" },
        { "help, short", { "-h" }, OPTIONS_HELP, false, false, "", "", "" },
        { "unknown, near one",
          { "--jsn" },
          OPTIONS_WRONG,
          false,
          false,
          "",
          "",
          "there is no option --jsn; did you mean --json?" },
        { "unknown, near none",
          { "--xyzzy" },
          OPTIONS_WRONG,
          false,
          false,
          "",
          "",
          "there is no option --xyzzy" },
        { "unknown with a value",
          { "--confg=secret" },
          OPTIONS_WRONG,
          false,
          false,
          "",
          "",
          "there is no option --confg; did you mean --config?" },
        { "unknown letter", { "-x" }, OPTIONS_WRONG, false, false, "", "", "there is no option -x" },
        { "letters together", { "-pc" }, OPTIONS_WRONG, false, false, "", "", "there is no option -pc" },
        { "value missing",
          { "--config" },
          OPTIONS_WRONG,
          false,
          false,
          "",
          "",
          "--config wants a value: PATH" },
        { "value for a flag",
          { "--json=yes" },
          OPTIONS_WRONG,
          false,
          false,
          "",
          "",
          "--json takes no value" },
        { "too many arguments",
          { "one", "two" },
          OPTIONS_WRONG,
          false,
          false,
          "",
          "one",
          "there is an argument too many: two" },
        { "an escape for the terminal",
          { "--\x1b[31m" },
          OPTIONS_WRONG,
          false,
          false,
          "",
          "",
          "there is no option --\\x1b[31m" },
};

static void what_is_typed(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char *argv[WORDS_MAX + 2] = { strdup("command") };
                struct filled filled = { 0 };
                struct arguments arguments;
                struct buf problem;
                int argc = 1;

                for (; argc <= WORDS_MAX && cases[i].words[argc - 1]; argc++)
                        argv[argc] = strdup(cases[i].words[argc - 1]);
                buf_init(&problem, 4096);
                if (options_parse(table, 1, argc, argv, &filled, &arguments, &problem) != cases[i].result)
                        fail_msg("%s", cases[i].why);
                assert_true(filled.json == cases[i].json && filled.print == cases[i].print);
                assert_str(filled.config, str_of(cases[i].config));
                assert_str(arguments.count ? arguments.items[0] : STR(""), str_of(cases[i].argument));
                assert_str(buf_str(&problem), str_of(cases[i].problem));
                buf_fini(&problem);
                while (argc--)
                        free(argv[argc]);
        }
}

static void a_long_word_is_cut(void **state)
{
        size_t len = 1 << 20;
        char *word = malloc(len + 1), *argv[] = { word, word };
        struct filled filled = { 0 };
        struct arguments arguments;
        struct buf problem;

        memset(word, 'a', len);
        memcpy(word, "--", 2);
        word[len] = '\0';
        buf_init(&problem, 4096);
        assert_int_equal(options_parse(table, 1, 2, argv, &filled, &arguments, &problem), OPTIONS_WRONG);
        assert_false(problem.full);
        assert_true(problem.len < 200);
        buf_fini(&problem);
        free(word);
}

static void a_secret_leaves_the_arguments(void **state)
{
        char command[] = "connect", name[] = "--token", secret[] = "sk-abc", joined[] = "--token=sk-def";
        char *argv[] = { command, name, secret, joined };
        struct filled filled = { 0 };
        struct arguments arguments;
        struct buf problem;

        buf_init(&problem, 4096);
        assert_int_equal(options_parse(table, 1, 3, argv, &filled, &arguments, &problem), OPTIONS_OK);
        assert_str(filled.token, STR("sk-abc"));
        assert_string_equal(secret, "xxxxxx"); /* as long as it was: still one argument */
        free((char *)(uintptr_t)filled.token.ptr);
        argv[1] = joined;
        assert_int_equal(options_parse(table, 1, 2, argv, &filled, &arguments, &problem), OPTIONS_OK);
        assert_str(filled.token, STR("sk-def"));
        assert_string_equal(joined, "--token=xxxxxx");
        free((char *)(uintptr_t)filled.token.ptr);
        buf_fini(&problem);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_typed),
                cmocka_unit_test(a_long_word_is_cut),
                cmocka_unit_test(a_secret_leaves_the_arguments),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
