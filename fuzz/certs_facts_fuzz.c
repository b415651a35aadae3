/*
 * fuzz/certs_facts_fuzz.c - any bytes as the PEM of a certificate, a chain, a key: whatever is read is within its bounds.
 */
#include <stdlib.h>

#include "certs/facts.h"
#include "crypto/p256.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str text = { (const char *)data, size };
        uint8_t spki[CRYPTO_P256_SPKI_BYTES];
        struct certs_facts facts;
        struct arena a;

        arena_init(&a, NULL, 0, 1 << 20);
        if (certs_facts_read(text, &a, &facts) == ERR_OK) {
                if (facts.names_count > CERTS_FACTS_NAMES_MAX)
                        abort();
                for (size_t i = 0; i < facts.names_count; i++)
                        for (size_t j = 0; j < facts.names[i].len; j++)
                                if (facts.names[i].ptr[j] <= ' ' || facts.names[i].ptr[j] > '~')
                                        abort();
                if (certs_chain_check(text, text, facts.from) == ERR_NO_MEMORY)
                        abort();
        }
        if (crypto_p256_public(text, spki) == ERR_OK &&
            !crypto_p256_spki_is_valid((struct str){ (char *)spki, sizeof(spki) }))
                abort();
        (void)!crypto_p256_spki_is_valid(text);
        arena_fini(&a);
        return 0;
}
