/*
 * identity/permit.h - a decision, as an object: a handler cannot run without one, and only this room makes it.
 *
 * Does:   deny by default. What a route asks for is a set of scopes of which the caller has one, or `admin`.
 * Not:    whose object it is: the permit names the organisation, and every question to the store is asked with it.
 * Thread: a value; any.
 */
#pragma once

#include "identity/caller.h"

struct identity_permit {
        /* private */
        const struct identity_caller *caller;
        unsigned scopes;
        uint32_t seal;
};

/* Keeps `caller` as long as the permit. ERR_DENIED: *why is a sentence for the caller, and *out of no use. */
MUST_USE enum err identity_decide(const struct identity_caller *caller, unsigned scopes,
                                  struct identity_permit *out, const char **why);

/* The organisation that may be touched, and who does it. A permit that was not decided is our bug: assert. */
int64_t identity_permit_org(const struct identity_permit *p);
struct store_actor identity_permit_actor(const struct identity_permit *p);
const struct identity_caller *identity_permit_caller(const struct identity_permit *p);
