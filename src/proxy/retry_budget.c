#include "proxy/retry_budget.h"

#include "base/compiler.h"

/* Empties the seconds that have passed since. */
static void advance(struct retry_budget *b, mono_ms now)
{
        int64_t second = now / 1000;
        int64_t passed = MIN(MAX(second - b->second, (int64_t)0), (int64_t)RETRY_BUDGET_SECONDS);

        for (int64_t i = 0; i < passed; i++) {
                b->requests[(second - i) % RETRY_BUDGET_SECONDS] = 0;
                b->retries[(second - i) % RETRY_BUDGET_SECONDS] = 0;
        }
        b->second = MAX(second, b->second);
}

void retry_budget_request(struct retry_budget *b, mono_ms now)
{
        advance(b, now);
        b->requests[b->second % RETRY_BUDGET_SECONDS]++;
}

bool retry_budget_has(struct retry_budget *b, mono_ms now)
{
        uint64_t requests = 0, retries = 0;

        advance(b, now);
        for (int i = 0; i < RETRY_BUDGET_SECONDS; i++) {
                requests += b->requests[i];
                retries += b->retries[i];
        }
        return b->percent &&
               retries < requests * b->percent / 100 + RETRY_BUDGET_LEAST * RETRY_BUDGET_SECONDS;
}

bool retry_budget_take(struct retry_budget *b, mono_ms now)
{
        if (!retry_budget_has(b, now))
                return false;
        b->retries[b->second % RETRY_BUDGET_SECONDS]++;
        return true;
}
