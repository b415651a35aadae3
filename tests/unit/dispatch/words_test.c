#include "../test.h"

#include "base/compiler.h"
#include "dispatch/words.h"

static void what_agents_say(void **state)
{
        static const struct {
                const char *why, *refused, *word;
                uint16_t status;
                enum words_again again;
        } cases[] = {
                { "its owner's rules", "address_denied", "destination_denied", 403, WORDS_NEVER },
                { "too many at a time", "upstream_connections", "agent_busy", 503, WORDS_UNSENT },
                { "nobody listens", "upstream_unreachable", "unreachable", 502, WORDS_UNSENT },
                { "its link is gone", "no_target", "agent_gone", 502, WORDS_UNSENT },
                { "an older agent", "link_target", "agent_does_not_send", 502, WORDS_UNSENT },
                { "not the one it should be", "upstream_tls", "tls", 502, WORDS_SAFE },
                { "closed", "upstream_closed", "closed", 502, WORDS_SAFE },
                { "too late", "upstream_timeout", "timeout", 504, WORDS_NEVER },
                { "no HTTP", "upstream_malformed", "malformed_answer", 502, WORDS_NEVER },
                { "our own fault", "dispatch_fields", "not_sendable", 502, WORDS_NEVER },
                { "a newer agent's word", "whatever", "failed", 502, WORDS_NEVER },
                { "nothing at all", "", "failed", 502, WORDS_NEVER },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const char *word = words_of_refusal(str_of(cases[i].refused));

                if (strcmp(word, cases[i].word) != 0 || words_status(word) != cases[i].status ||
                    words_again(word) != cases[i].again)
                        fail_msg("%s: %s %u", cases[i].why, word, words_status(word));
        }
}

static void what_is_ours_is_not_tried_again(void **state)
{
        static const struct {
                const char *word;
                uint16_t status;
        } cases[] = { { "no_such_address", 404 }, { "no_address_available", 503 },
                      { "queue_full", 503 },      { "queue_timeout", 503 },
                      { "no_memory", 503 },       { "answer_too_large", 502 },
                      { "bad_redirect", 502 } };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                assert_int_equal(words_status(cases[i].word), cases[i].status);
                assert_int_equal(words_again(cases[i].word), WORDS_NEVER);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_agents_say),
                cmocka_unit_test(what_is_ours_is_not_tried_again),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
