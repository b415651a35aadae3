/*
 * An answer, whole and in pieces: the same usage, within its bound. The first byte chooses dialect, form and piece size.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "llm/usage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_in(struct usage *u, uint8_t choice, struct str in, size_t piece)
{
        usage_begin(u, choice & 1 ? CONF_ANTHROPIC : CONF_OPENAI, choice & 2);
        for (; in.len; in = str_from(in, piece))
                usage_feed(u, str_sub(in, 0, piece));
        usage_end(u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct usage a, b;

        if (size < 1)
                return 0;
        struct str in = { (const char *)data + 1, size - 1 };

        usage_init(&a);
        usage_init(&b);
        read_in(&a, data[0], in, SIZE_MAX);
        read_in(&b, data[0] ^ 3, in, SIZE_MAX); /* leaves nothing behind */
        read_in(&b, data[0], in, 1 + data[0] / 4);
        assert(a.is_known == b.is_known && a.tokens_in == b.tokens_in && a.tokens_out == b.tokens_out);
        assert(a.is_known || (a.tokens_in == 0 && a.tokens_out == 0));
        assert(a.tokens_in <= 3ull * USAGE_TOKENS_MAX && a.tokens_out <= USAGE_TOKENS_MAX);
        usage_fini(&a);
        usage_fini(&b);
        return 0;
}
