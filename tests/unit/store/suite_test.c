/* The suite on one engine, or the named groups of it: suite_test sqlite|postgres [GROUP...]. */
#include "kit.h"

static const struct {
        const char *name;
        int (*run)(void);
} groups[] = {
        { "families", families_tests },   { "changes", changes_tests },
        { "addresses", addresses_tests }, { "threads", threads_tests },
        { "copy", copy_tests },           { "start", start_tests },
        { "controls", controls_tests },   { "dispatches", dispatches_tests },
        { "crash", crash_tests },
};

static bool is_wanted(const char *name, int argc, char **argv)
{
        for (int i = 2; i < argc; i++)
                if (strcmp(argv[i], name) == 0)
                        return true;
        return argc <= 2;
}

int main(int argc, char **argv)
{
        int failed = 0;

        if (!kit_setup(argc > 1 ? argv[1] : "sqlite"))
                return 77;
        for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
                if (is_wanted(groups[i].name, argc, argv))
                        failed += groups[i].run();
        kit_teardown();
        return failed != 0;
}
