/*
 * store/orgs.h - organisations: every other row belongs to one. STORE_ORG_DEFAULT is there from the start.
 *
 * An organisation belongs to itself: `org` is its own id, whatever add is given.
 */
#pragma once

#include "store/table.h"

struct store_org {
        STORE_ROW;
        struct str name; /* unique */
        unix_ms created;
};

STORE_FAMILY(org);

MUST_USE enum err store_org_by_name(struct store_txn *t, struct str name, struct arena *a,
                                    struct store_org *out);
