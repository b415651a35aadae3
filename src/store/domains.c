#include "store/domains.h"

#include "store/table_priv.h"

static const char *const states[] = { "pending", "verified", "refused" };

static const struct store_field fields[] = {
        FIELD(store_domain, name, STORE_TEXT, FIELD_FIXED),
        FIELD_WORDS(store_domain, state, 0, states),
        FIELD(store_domain, challenge, STORE_TEXT, 0),
        FIELD(store_domain, is_wildcard, STORE_BOOL, 0),
        FIELD(store_domain, settings, STORE_TEXT, 0),
        FIELD(store_domain, created, STORE_INT, FIELD_FIXED),
        FIELD(store_domain, verified, STORE_INT, 0),
};

const struct store_table store_domains_table = TABLE("domains", store_domain, fields);

STORE_FAMILY_BODY(domain, store_domains_table);

enum err store_domain_by_name(struct store_txn *t, struct str name, struct arena *a, struct store_domain *out)
{
        struct store_value args[] = { VALUE_TEXT(name) };

        return store_table_find(t, &store_domains_table, "name = $1", args, ARRAY_SIZE(args), a, out);
}
