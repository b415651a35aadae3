/*
 * store/certificates.h - chains, and their private keys sealed to one gateway each: the store holds no usable key.
 */
#pragma once

#include "store/table.h"

enum store_certificate_source {
        STORE_CERTIFICATE_UPLOADED,
        STORE_CERTIFICATE_INTERNAL,
        STORE_CERTIFICATE_ACME
};

struct store_certificate {
        STORE_ROW;
        struct str name;
        struct str hosts; /* JSON array */
        enum store_certificate_source source;
        struct str chain;       /* PEM, leaf first */
        struct str fingerprint; /* SHA-256 of the leaf; unique in its organisation */
        unix_ms not_before, not_after;
        unix_ms created;
};

STORE_FAMILY(certificate);

/* With its sealed keys. revision 0: whatever it is now. */
MUST_USE enum err store_certificate_retire(struct store_change *c, int64_t org, int64_t id, int64_t revision);

struct store_certificate_key {
        STORE_ROW;
        int64_t certificate, node; /* unique together */
        struct str sealed;         /* hidden */
        unix_ms created;
};

STORE_FAMILY(certificate_key);

/* Of one certificate, or of one gateway. */
MUST_USE enum err store_certificate_key_of(struct store_txn *t, int64_t certificate, struct store_page *page,
                                           struct arena *a, struct store_certificate_key **out);
MUST_USE enum err store_certificate_key_of_node(struct store_txn *t, int64_t node, struct store_page *page,
                                                struct arena *a, struct store_certificate_key **out);
