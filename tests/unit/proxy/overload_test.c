#include "proxy/overload.h"

#include "../test.h"

static const struct {
        const char *why;
        enum overload_level level;
        uint64_t used, max;
        enum overload_level next;
} cases[] = {
        { "no bound", OVERLOAD_EASY, 1000, 0, OVERLOAD_EASY },
        { "no bound any more", OVERLOAD_CLOSED, 1000, 0, OVERLOAD_EASY },
        { "room", OVERLOAD_EASY, 79, 100, OVERLOAD_EASY },
        { "the first mark", OVERLOAD_EASY, 80, 100, OVERLOAD_SHEDDING },
        { "the second, at once", OVERLOAD_EASY, 90, 100, OVERLOAD_CLOSED },
        { "still shedding", OVERLOAD_SHEDDING, 75, 100, OVERLOAD_SHEDDING },
        { "over it", OVERLOAD_SHEDDING, 74, 100, OVERLOAD_EASY },
        { "shedding does not close earlier", OVERLOAD_SHEDDING, 89, 100, OVERLOAD_SHEDDING },
        { "still closed", OVERLOAD_CLOSED, 85, 100, OVERLOAD_CLOSED },
        { "open again, and shedding", OVERLOAD_CLOSED, 84, 100, OVERLOAD_SHEDDING },
        { "all at once over it", OVERLOAD_CLOSED, 10, 100, OVERLOAD_EASY },
        { "more than there is", OVERLOAD_EASY, UINT64_MAX / 2, 1000, OVERLOAD_CLOSED },
};

static void table(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (overload_next(cases[i].level, cases[i].used, cases[i].max) != cases[i].next)
                        fail_msg("%s", cases[i].why);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(table) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
