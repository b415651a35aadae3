/*
 * certs/facts.h - what a certificate says, as a plain struct; and whether a chain ends at a root that is trusted.
 *
 * Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/ip.h"

enum { CERTS_FACTS_NAMES_MAX = 256 };

struct certs_facts {
        uint8_t sha256[32];      /* of the certificate's DER */
        uint8_t spki_sha256[32]; /* of its public key's */
        unix_ms from, to;
        bool is_authority;
        struct str common_name; /* empty: none, or not to be read */
        struct str uri;         /* the first URI name; empty: none */
        struct str *names;      /* DNS names, lower case */
        size_t names_count;     /* at most CERTS_FACTS_NAMES_MAX are given */
};

/* The first certificate of a PEM text. Texts lie in the arena. ERR_MALFORMED; ERR_NO_MEMORY. */
MUST_USE enum err certs_facts_read(struct str pem, struct arena *arena, struct certs_facts *out);

/*
 * A chain, leaf first, PEM, up to 8 certificates: ERR_OK when it ends at `root_pem` and all of it is in force at `now`.
 * ERR_DENIED: it does not; ERR_MALFORMED: no such texts.
 */
MUST_USE enum err certs_chain_check(struct str chain_pem, struct str root_pem, unix_ms now);
