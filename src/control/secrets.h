/*
 * control/secrets.h - what control is: its organisation, authority and document key, made at the first start and then read.
 *
 * The private halves lie in the store as boxes under `control.key` (certs/seal.h), so that neither of the two alone is of use.
 */
#pragma once

#include "base/arena.h"
#include "base/hash.h"
#include "certs/authority.h"
#include "certs/seal.h"
#include "conf/conf.h"
#include "crypto/ed25519.h"
#include "store/store.h"

struct secrets {
        struct certs_seal seal;
        struct certs_authority *authority;
        uint8_t document_seed[CRYPTO_ED25519_SEED_BYTES], document_public[CRYPTO_ED25519_PUBLIC_BYTES];
        struct hash_key id_key;
        char org[65];
        struct ip_prefix pool4, pool6;
        int64_t epoch; /* of what is signed now: as the last reading of the store has it (desired.h) */
};

/*
 * In one transaction of the store: reads all of it, makes what is not there. ERR_NOT_FOUND: the store has
 * boxes and `key_path` is not there; ERR_DENIED: the file is open to others; ERR_MALFORMED: another key's. May be called again.
 */
MUST_USE enum err secrets_load(struct secrets *s, struct store_txn *t, const struct conf_control *conf,
                               const char *key_path);
void secrets_fini(struct secrets *s);
