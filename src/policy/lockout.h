/*
 * policy/lockout.h - before a policy is put in force: does somebody still administer, and can the caller undo this?
 *
 * An administrator is a user whose role may change the policy (owner, admin, network-admin). Where the facts mark services
 * as the way to do so (`"admin": true`), an administrator must also have a way in to one of them under the new policy,
 * conditions of time and place taken as met by whoever waits or moves; a posture that no device of theirs meets, and a
 * "before" that has passed, are not.
 */
#pragma once

#include <stdbool.h>

#include "base/compiler.h"
#include "policy/tables.h"

struct policy_lockout {
        bool somebody_can; /* at least one administrator can still change the policy */
        bool caller_can;   /* the caller can; true when no caller was named */
        bool caller_could; /* with the tables in force until now; true when there are none */
        size_t administrators_count, able_count;
        const struct policy_user *able; /* one of them, or NULL */
};

/* `now` may be NULL: no policy is in force. `caller` may be NULL: nobody in particular (a program, the console's root). */
struct policy_lockout policy_lockout_check(const struct policy_tables *now, const struct policy_tables *next,
                                           const struct policy_user *caller);
