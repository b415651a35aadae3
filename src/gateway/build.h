/*
 * gateway/build.h - a configuration made into the snapshot a worker's requests begin with.
 */
#pragma once

#include "conf/conf.h"
#include "llm/llm.h"
#include "proxy/worker.h"

struct build_input {
        struct conf *conf; /* taken on success: the snapshot frees it */
        uint64_t number;   /* of this configuration: 1, then one more a reload */
        struct shared *shared;
        struct llm_shared *llm_shared;
        struct tls_signer
                *signer; /* of the listeners' keys, whose public halves `conf` has; NULL: it has them */
        const uint8_t *ticket_key;        /* TLS_TICKET_KEY_BYTES, the same in every worker */
        const uint8_t *ticket_key_before; /* the one before, for taking up sessions; NULL: none */
};

/* ERR_CONFIG with the report saying why (a certificate that cannot be used), ERR_NO_MEMORY. */
MUST_USE enum err build_snapshot(const struct build_input *in, struct report *r, struct snapshot **out);
