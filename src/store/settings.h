/*
 * store/settings.h - named values of an organisation, and the store's epoch.
 *
 * Control's own (its CA's key, its signing key, the pools) belong to STORE_ORG_DEFAULT. A secret is given sealed.
 */
#pragma once

#include "store/table.h"

struct store_setting {
        STORE_ROW;
        struct str name; /* unique in its organisation */
        struct str value;
        struct str sealed; /* hidden */
        unix_ms changed;
};

STORE_FAMILY(setting);

MUST_USE enum err store_setting_by_name(struct store_txn *t, int64_t org, struct str name, struct arena *a,
                                        struct store_setting *out);

/* Adds it or updates what is there, whatever its revision. A value that is the same changes nothing. */
MUST_USE enum err store_setting_put(struct store_change *c, int64_t org, struct str name, struct str value,
                                    struct str sealed);

/*
 * The epoch orders histories: it rises when a backup is restored and when another control takes the lead. What is signed for
 * nodes carries it, and a node refuses a lower one.
 */
MUST_USE enum err store_epoch(struct store_txn *t, int64_t *out);
MUST_USE enum err store_epoch_raise(struct store_change *c, int64_t at_least, int64_t *out);
