/*
 * store/domains.h - names an organisation may publish under, once it has shown that they are its own.
 */
#pragma once

#include "store/table.h"

enum store_domain_state { STORE_DOMAIN_PENDING, STORE_DOMAIN_VERIFIED, STORE_DOMAIN_REFUSED };

struct store_domain {
        STORE_ROW;
        struct str name; /* unique over all organisations */
        enum store_domain_state state;
        struct str challenge; /* what must be shown */
        bool is_wildcard;     /* names below it too */
        struct str settings;  /* JSON */
        unix_ms created;
        unix_ms verified; /* 0: not yet */
};

STORE_FAMILY(domain);

MUST_USE enum err store_domain_by_name(struct store_txn *t, struct str name, struct arena *a,
                                       struct store_domain *out);
