#include "identity/permit.h"

#include <assert.h>

enum { SEAL = 0x5e715ee1 };

enum err identity_decide(const struct identity_caller *caller, unsigned scopes, struct identity_permit *out,
                         const char **why)
{
        *out = (struct identity_permit){ 0 };
        if (caller->kind == IDENTITY_NOBODY || !caller->org) {
                *why = "An API key is needed: send it as \"Authorization: Bearer skapi-…\".";
                return ERR_DENIED;
        }
        if (!(caller->scopes & (scopes | IDENTITY_ADMIN))) {
                *why = "This API key does not have a scope that allows it.";
                return ERR_DENIED;
        }
        *out = (struct identity_permit){ caller, scopes, SEAL };
        return ERR_OK;
}

const struct identity_caller *identity_permit_caller(const struct identity_permit *p)
{
        assert(p->seal == SEAL);
        return p->caller;
}

int64_t identity_permit_org(const struct identity_permit *p)
{
        return identity_permit_caller(p)->org;
}

struct store_actor identity_permit_actor(const struct identity_permit *p)
{
        return identity_actor(identity_permit_caller(p));
}
