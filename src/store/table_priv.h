/*
 * store/table_priv.h - a family's table: which column is which member. The families are tables of these and little else.
 */
#pragma once

#include "store/table.h"
#include "store/txn_priv.h"

enum store_type {
        STORE_INT,    /* int64_t: a count, a time */
        STORE_REF,    /* int64_t: another row's id; 0 is NULL */
        STORE_BOOL,   /* bool */
        STORE_CHOICE, /* an enum, stored as one of the words */
        STORE_TEXT,   /* struct str */
        STORE_BYTES,  /* struct str; empty is NULL */
        STORE_IP,     /* struct ip; none is NULL */
};

enum {
        FIELD_FIXED = 1, /* written once */
        FIELD_QUIET =
                2, /* written by functions of its own, outside changes: raises no revision, leaves no record */
        FIELD_HIDDEN = 4, /* its value is not shown in records */
};

struct store_field {
        const char *name;
        enum store_type type;
        unsigned flags;
        size_t offset;
        const char *const *words;
        size_t words_count;
};

struct store_table {
        const char *name;
        size_t row_bytes;
        const struct store_field *fields; /* without id, org, revision */
        size_t fields_count;
        bool is_org; /* each row belongs to itself */
};

struct store_row_head {
        STORE_ROW;
};

extern const struct store_table store_orgs_table, store_tokens_table, store_nodes_table,
        store_addresses_table, store_services_table, store_targets_table, store_shares_table,
        store_domains_table, store_certificates_table, store_certificate_keys_table, store_keys_table,
        store_settings_table, store_controls_table;

#define TABLE(name_, row_, fields_)                                                     \
        {                                                                               \
                .name = (name_), .row_bytes = sizeof(struct row_), .fields = (fields_), \
                .fields_count = ARRAY_SIZE(fields_)                                     \
        }
#define FIELD(row, member, type_, flags_)                                         \
        {                                                                         \
#member, (type_), (flags_), offsetof(struct row, member), NULL, 0 \
        }
#define FIELD_WORDS(row, member, flags_, words_)                                                            \
        {                                                                                                   \
#member, STORE_CHOICE, (flags_), offsetof(struct row, member), (words_), ARRAY_SIZE(words_) \
        }

enum err store_table_add(struct store_change *c, const struct store_table *table, void *row);
enum err store_table_update(struct store_change *c, const struct store_table *table, void *row);
enum err store_table_remove(struct store_change *c, const struct store_table *table, int64_t org, int64_t id,
                            int64_t revision);
enum err store_table_get(struct store_txn *t, const struct store_table *table, int64_t org, int64_t id,
                         struct arena *a, void *out);

/* The one row that `where` names ("org = $1 AND name = $2"); the first by id where there are several. */
enum err store_table_find(struct store_txn *t, const struct store_table *table, const char *where,
                          const struct store_value *args, size_t args_count, struct arena *a, void *out);

/* A page of the rows that `where` names (NULL: all); its arguments begin at $4. */
enum err store_table_list(struct store_txn *t, const struct store_table *table, const char *where,
                          const struct store_value *args, size_t args_count, struct store_page *page,
                          struct arena *a, void **out);

/* Removes each row that `where` names, one by one, so that each is recorded. */
enum err store_table_remove_all(struct store_change *c, const struct store_table *table, const char *where,
                                const struct store_value *args, size_t args_count);

/* The columns, "id, org, revision, …". */
void store_table_columns(const struct store_table *table, struct buf *out);

/* Value of a member, and back from a column; texts are copied into the arena. */
struct store_value store_field_get(const struct store_field *f, const void *row);
enum err store_field_set(const struct store_field *f, const struct store_value *v, struct arena *a,
                         void *row);

/* clang-format off */
#define STORE_FAMILY_BODY(noun, table)                                                                                    \
        enum err store_##noun##_add(struct store_change *c, struct store_##noun *row)                                    \
        { return store_table_add(c, &(table), row); }                                                                    \
        STORE_FAMILY_BODY_WITHOUT_ADD(noun, table)
#define STORE_FAMILY_BODY_WITHOUT_ADD(noun, table)                                                                        \
        enum err store_##noun##_update(struct store_change *c, struct store_##noun *row)                                 \
        { return store_table_update(c, &(table), row); }                                                                 \
        enum err store_##noun##_remove(struct store_change *c, int64_t org, int64_t id, int64_t revision)                \
        { return store_table_remove(c, &(table), org, id, revision); }                                                   \
        enum err store_##noun##_get(struct store_txn *t, int64_t org, int64_t id, struct arena *a,                       \
                                    struct store_##noun *out)                                                            \
        { return store_table_get(t, &(table), org, id, a, out); }                                                        \
        enum err store_##noun##_list(struct store_txn *t, struct store_page *page, struct arena *a,                      \
                                     struct store_##noun **out)                                                          \
        {                                                                                                                \
                void *rows = NULL;                                                                                       \
                enum err e = store_table_list(t, &(table), NULL, NULL, 0, page, a, &rows);                               \
                *out = rows;                                                                                             \
                return e;                                                                                                \
        }                                                                                                                \
        _Static_assert(offsetof(struct store_##noun, id) == 0 &&                                                         \
                       offsetof(struct store_##noun, revision) == offsetof(struct store_row_head, revision), #noun)
/* clang-format on */
