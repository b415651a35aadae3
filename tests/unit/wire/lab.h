/*
 * tests/unit/wire/lab.h - documents for tests: made by hand, or at random from a seed.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "../test.h"

#include "base/hash.h"
#include "crypto/ed25519.h"
#include "wire/change.h"
#include "wire/document.h"

static const uint8_t lab_seed[WIRE_SEED_BYTES] = "thirty-two bytes of a known seed";

static inline const uint8_t *lab_key(void)
{
        static uint8_t key[WIRE_PUBLIC_BYTES];

        crypto_ed25519_public(lab_seed, key);
        return key;
}

static inline struct wire_header lab_header(uint64_t epoch, uint64_t version)
{
        return (struct wire_header){ WIRE_FORMAT,    WIRE_GATEWAY, STR("gw-aaaaaaaaaaaaaaaa"),
                                     STR("default"), epoch,        version,
                                     1790000000,     2592000 };
}

static inline uint64_t lab_random(uint64_t *state)
{
        *state += UINT64_C(0x9e3779b97f4a7c15);
        return hash_u64(*state);
}

/* Up to `items_max` items out of a small world of ids, so that two of them share some, differ in some. */
static inline struct wire_document *lab_document(struct wire_header header, uint64_t *random,
                                                 size_t items_max)
{
        static const char *const sections[] = { "agents", "services", "tokens" };
        struct wire_document *d;
        struct wire_draft *draft;

        assert_err(wire_draft_new(&header, &draft), ERR_OK);
        for (size_t i = 0; i < items_max; i++) {
                char id[32], json[64];
                uint64_t r = lab_random(random);
                if (r & 1)
                        continue;
                snprintf(id, sizeof(id), "id-%zu", i);
                snprintf(json, sizeof(json), "{\"n\": %u, \"b\":[true ,null]}", (unsigned)(r >> 8 & 3));
                assert_err(wire_draft_add_json(draft, str_of(sections[i % 3]), str_of(id), str_of(json)),
                           ERR_OK);
        }
        assert_err(wire_draft_finish(&draft, lab_seed, &d), ERR_OK);
        return d;
}
