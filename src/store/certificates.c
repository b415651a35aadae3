#include "store/certificates.h"

#include "store/table_priv.h"

static const char *const sources[] = { "uploaded", "internal", "acme" };

static const struct store_field fields[] = {
        FIELD(store_certificate, name, STORE_TEXT, 0),
        FIELD(store_certificate, hosts, STORE_TEXT, FIELD_FIXED),
        FIELD_WORDS(store_certificate, source, FIELD_FIXED, sources),
        FIELD(store_certificate, chain, STORE_TEXT, 0),
        FIELD(store_certificate, fingerprint, STORE_BYTES, FIELD_FIXED),
        FIELD(store_certificate, not_before, STORE_INT, FIELD_FIXED),
        FIELD(store_certificate, not_after, STORE_INT, FIELD_FIXED),
        FIELD(store_certificate, created, STORE_INT, FIELD_FIXED),
};

static const struct store_field key_fields[] = {
        FIELD(store_certificate_key, certificate, STORE_REF, FIELD_FIXED),
        FIELD(store_certificate_key, node, STORE_REF, FIELD_FIXED),
        FIELD(store_certificate_key, sealed, STORE_BYTES, FIELD_HIDDEN),
        FIELD(store_certificate_key, created, STORE_INT, FIELD_FIXED),
};

const struct store_table store_certificates_table = TABLE("certificates", store_certificate, fields);
const struct store_table store_certificate_keys_table =
        TABLE("certificate_keys", store_certificate_key, key_fields);

STORE_FAMILY_BODY(certificate, store_certificates_table);
STORE_FAMILY_BODY(certificate_key, store_certificate_keys_table);

enum err store_certificate_retire(struct store_change *c, int64_t org, int64_t id, int64_t revision)
{
        struct store_value args[] = { VALUE_INT(id), VALUE_INT(org), VALUE_INT(revision) };
        int64_t found;
        enum err e = store_number(
                c->txn,
                STR("SELECT CASE WHEN revision = $3 OR $3 = 0 THEN 1 ELSE 0 END FROM certificates WHERE "
                    "id = $1 AND (org = $2 OR $2 = 0)"),
                args, 3, &found);

        if (e == ERR_OK && !found)
                e = ERR_STALE;
        if (e == ERR_OK)
                e = store_table_remove_all(c, &store_certificate_keys_table, "certificate = $1", args, 1);
        return e == ERR_OK ? store_certificate_remove(c, org, id, revision) : e;
}

static enum err list_keys(struct store_txn *t, const char *where, int64_t id, struct store_page *page,
                          struct arena *a, struct store_certificate_key **out)
{
        struct store_value args[] = { VALUE_INT(id) };
        void *rows = NULL;
        enum err e = store_table_list(t, &store_certificate_keys_table, where, args, ARRAY_SIZE(args), page,
                                      a, &rows);

        *out = rows;
        return e;
}

enum err store_certificate_key_of(struct store_txn *t, int64_t certificate, struct store_page *page,
                                  struct arena *a, struct store_certificate_key **out)
{
        return list_keys(t, "certificate = $4", certificate, page, a, out);
}

enum err store_certificate_key_of_node(struct store_txn *t, int64_t node, struct store_page *page,
                                       struct arena *a, struct store_certificate_key **out)
{
        return list_keys(t, "node = $4", node, page, a, out);
}
