/*
 * proxy/retry_budget.h - how many of an upstream's requests may be sent again.
 *
 * A struggling upstream is not helped by more requests: retries are a share of the requests of the last ten seconds, and a
 * few a second beside that share, so that a quiet service has some. Pure; one worker's own. Zeroed is a new one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

enum { RETRY_BUDGET_SECONDS = 10, RETRY_BUDGET_LEAST = 3 /* a second */ };

struct retry_budget {
        uint32_t percent; /* of the requests */
        /* private */
        int64_t second; /* the newest that is counted */
        uint32_t requests[RETRY_BUDGET_SECONDS], retries[RETRY_BUDGET_SECONDS];
};

void retry_budget_request(struct retry_budget *b, mono_ms now); /* one that is no retry */
bool retry_budget_has(struct retry_budget *b, mono_ms now);
/* Takes one; false: none is left, and none was taken. */
bool retry_budget_take(struct retry_budget *b, mono_ms now);
