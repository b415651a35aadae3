#include "../test.h"

#include "base/compiler.h"
#include "proxy/caller.h"

static const struct {
        const char *why, *login, *tags[2], *entry;
        bool is_meant;
} cases[] = {
        { "a user", "alice@example.com", { 0 }, "alice@example.com", true },
        { "another", "alice@example.com", { 0 }, "bob@example.com", false },
        { "case does not count", "Alice@Example.com", { 0 }, "alice@example.com", true },
        { "everybody of a domain", "alice@example.com", { 0 }, "*@example.com", true },
        { "not of a longer one", "a@example.com.evil", { 0 }, "*@example.com", false },
        { "a star in a login is a star", "*", { 0 }, "alice@example.com", false },
        { "every user", "alice", { 0 }, "*", true },
        { "a user has no tag", "alice", { 0 }, "tag:*", false },
        { "a tagged machine", "", { "tag:ci", "tag:x" }, "tag:x", true },
        { "is no user", "", { "tag:ci" }, "*", false },
        { "tags go by the letter", "", { "tag:CI" }, "tag:ci", false },
        { "and without patterns", "", { "tag:ci" }, "tag:c*", false },
        { "every tagged machine", "", { "tag:ci" }, "tag:*", true },
        { "nobody", "", { 0 }, "*", false },
        { "nobody at all", "", { 0 }, "", false },
};

static void who_is_meant(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct str tags[2];
                struct caller c = { .login = str_of(cases[i].login), .tags = tags };

                while (c.tags_count < 2 && cases[i].tags[c.tags_count]) {
                        tags[c.tags_count] = str_of(cases[i].tags[c.tags_count]);
                        c.tags_count++;
                }
                if (caller_is(&c, str_of(cases[i].entry)) != cases[i].is_meant)
                        fail_msg("%s", cases[i].why);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(who_is_meant) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
