#include "wg/replay.h"

#include <string.h>

#include "base/compiler.h"

void wg_replay_init(struct wg_replay *r)
{
        memset(r, 0, sizeof(*r));
}

/* Words between the old and the new front hold what is a whole window old. */
static void advance(struct wg_replay *r, uint64_t counter)
{
        uint64_t word = counter / 64, front = r->next ? (r->next - 1) / 64 : 0;
        uint64_t steps = MIN(word - front, (uint64_t)WG_REPLAY_WORDS);

        for (uint64_t i = 1; i <= steps; i++)
                r->seen[(front + i) % WG_REPLAY_WORDS] = 0;
        r->next = counter + 1;
}

bool wg_replay_accept(struct wg_replay *r, uint64_t counter)
{
        if (UNLIKELY(counter >= WG_REJECT_AFTER_MESSAGES))
                return false;
        if (LIKELY(counter >= r->next))
                advance(r, counter);
        else if (r->next - counter > WG_REPLAY_WINDOW)
                return false;

        uint64_t bit = UINT64_C(1) << counter % 64, *word = &r->seen[counter / 64 % WG_REPLAY_WORDS];
        if (*word & bit)
                return false;
        *word |= bit;
        return true;
}
