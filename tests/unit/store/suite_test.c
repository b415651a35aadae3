/* The whole suite on one engine: suite_test sqlite|postgres. */
#include "kit.h"

int main(int argc, char **argv)
{
        int failed = 0;

        if (!kit_setup(argc > 1 ? argv[1] : "sqlite"))
                return 77;
        failed += families_tests();
        failed += changes_tests();
        failed += addresses_tests();
        failed += threads_tests();
        failed += copy_tests();
        failed += start_tests();
        failed += controls_tests();
        failed += crash_tests();
        kit_teardown();
        return failed != 0;
}
