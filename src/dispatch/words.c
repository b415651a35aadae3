#include "dispatch/words.h"

#include <string.h>

#include "base/compiler.h"

static const struct word {
        const char *word, *refused; /* refused NULL: it is ours alone */
        uint16_t status;            /* 0: 502 */
        enum words_again again;
} words[] = {
        { "destination_denied", "address_denied", 403, WORDS_NEVER },
        { "no_such_address", NULL, 404, WORDS_NEVER },
        { "no_address_available", NULL, 503, WORDS_NEVER },
        { "agent_busy", "upstream_connections", 503, WORDS_UNSENT },
        { "queue_full", NULL, 503, WORDS_NEVER },
        { "queue_timeout", NULL, 503, WORDS_NEVER },
        { "no_memory", NULL, 503, WORDS_NEVER },
        { "timeout", "upstream_timeout", 504, WORDS_NEVER },
        { "unreachable", "upstream_unreachable", 0, WORDS_UNSENT },
        { "agent_gone", "no_target", 0, WORDS_UNSENT },
        { "agent_does_not_send", "link_target", 0, WORDS_UNSENT },
        { "tls", "upstream_tls", 0, WORDS_SAFE },
        { "closed", "upstream_closed", 0, WORDS_SAFE },
        { "malformed_answer", "upstream_malformed", 0, WORDS_NEVER },
        { "not_sendable", "dispatch_fields", 0, WORDS_NEVER },
};

const char *words_of_refusal(struct str refused)
{
        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (words[i].refused && str_eq(refused, str_of(words[i].refused)))
                        return words[i].word;
        return "failed";
}

static const struct word *find(const char *word)
{
        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (strcmp(word, words[i].word) == 0)
                        return &words[i];
        return NULL;
}

uint16_t words_status(const char *word)
{
        const struct word *w = find(word);

        return w && w->status ? w->status : 502;
}

enum words_again words_again(const char *word)
{
        const struct word *w = find(word);

        return w ? w->again : WORDS_NEVER;
}
