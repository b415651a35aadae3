/*
 * control/shares.h - temporary public names, whoever asks for one: a person's program by the API, an agent on its channel.
 */
#pragma once

#include "store/change.h"
#include "store/nodes.h"
#include "store/shares.h"

/* Without a word from who made it, a share ends after this. */
#define SHARE_SILENCE_MS (INT64_C(2) * 60 * 1000)

struct share_request {
        const struct store_node *agent;
        struct str url, host; /* host empty: a random one */
        struct str owner;
        bool is_of_node; /* the agent asks for itself: it may fall, so its word takes less than a person's */
};

/*
 * A service and its share, as parts of a change. ERR_DENIED: *why is a sentence (no domain to take a name from, a name that is
 * none or taken by a share or a service, a target that cannot be). An agent's own word takes only names that lie below a domain
 * with a wildcard, and that no service's wildcard has.
 */
MUST_USE enum err share_make(struct store_change *c, const struct share_request *r, struct arena *a,
                             struct store_share *out, const char **why);

/* The share and its service are gone. */
MUST_USE enum err share_end(struct store_change *c, const struct store_share *share);
