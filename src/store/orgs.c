#include "store/orgs.h"

#include "store/table_priv.h"

static const struct store_field fields[] = {
        FIELD(store_org, name, STORE_TEXT, 0),
        FIELD(store_org, created, STORE_INT, FIELD_FIXED),
};

const struct store_table store_orgs_table = {
        .name = "orgs",
        .row_bytes = sizeof(struct store_org),
        .fields = fields,
        .fields_count = ARRAY_SIZE(fields),
        .is_org = true,
};

STORE_FAMILY_BODY(org, store_orgs_table);

enum err store_org_by_name(struct store_txn *t, struct str name, struct arena *a, struct store_org *out)
{
        struct store_value args[] = { VALUE_TEXT(name) };

        return store_table_find(t, &store_orgs_table, "name = $1", args, ARRAY_SIZE(args), a, out);
}
