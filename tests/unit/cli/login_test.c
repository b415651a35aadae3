/* The link that control prints at its first start, taken apart. */
#include "../test.h"
#include "cli/login_priv.h"

static const struct {
        const char *why, *link, *server, *token; /* server NULL: refused */
} cases[] = {
        { "a server with its fingerprint", "https://h.example:8000/setup#skown-abc.00ff",
          "https://h.example:8000#00ff", "skown-abc" },
        { "without: the system's authorities count", "https://h.example/setup#skown-abc", "https://h.example",
          "skown-abc" },
        { "an address", "https://[::1]:8000/setup#skown-abc.00ff", "https://[::1]:8000#00ff", "skown-abc" },
        { "no link", "https://h.example:8000/", NULL, NULL },
        { "the token alone", "skown-abc", NULL, NULL },
        { "empty", "", NULL, NULL },
};

static void links(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char server[REMOTE_URL_BYTES];
                struct str token;

                print_message("%s\n", cases[i].why);
                assert_int_equal(login_link_split(str_of(cases[i].link), server, &token),
                                 cases[i].server != NULL);
                if (cases[i].server) {
                        assert_string_equal(server, cases[i].server);
                        assert_str(token, str_of(cases[i].token));
                }
        }
}

/* A fingerprint cut short would let more servers pass for this one. */
static void too_long(void **state)
{
        char link[REMOTE_URL_BYTES + 40], server[REMOTE_URL_BYTES], host[REMOTE_URL_BYTES - 20];
        struct str token;

        memset(host, 'h', sizeof(host) - 1);
        host[sizeof(host) - 1] = '\0';
        snprintf(link, sizeof(link), "https://%s/setup#skown-a.%s", host, "00ff00ff00ff00ff");
        assert_false(login_link_split(str_of(link), server, &token));
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(links), cmocka_unit_test(too_long) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
