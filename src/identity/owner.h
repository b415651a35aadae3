/*
 * identity/owner.h - the first identity: a one-time link gives the owner's key, and before that nothing is open.
 */
#pragma once

#include "identity/permit.h"
#include "identity/secret.h"

/* A link is good for so long; control makes another at its next start. */
#define IDENTITY_OWNER_LINK_MS (INT64_C(24) * 3600 * 1000)

/*
 * Where nobody has a key yet: makes a link's secret (*made), and revokes the links before it. Else *made is false. Part of
 * the start; `out` is shown once.
 */
MUST_USE enum err identity_owner_link(struct store_txn *t, struct arena *a, char out[IDENTITY_SECRET_SIZE],
                                      bool *made);

/* The same for who may do everything already: another owner, or the same in another place. The link before it is no longer good. */
MUST_USE enum err identity_owner_link_more(struct store_txn *t, const struct identity_permit *permit,
                                           struct arena *a, char out[IDENTITY_SECRET_SIZE]);

/*
 * Uses the link's secret: one conditional UPDATE, in one transaction with the owner's new key. ERR_DENIED: unknown, used or
 * expired. ERR_EXISTS: there is a key of that name.
 */
MUST_USE enum err identity_owner_claim(struct store_txn *t, struct str presented, struct str name,
                                       struct str source, struct arena *a, char key[IDENTITY_SECRET_SIZE]);
