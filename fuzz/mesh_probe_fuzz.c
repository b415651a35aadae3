/*
 * fuzz/mesh_probe_fuzz.c - any datagram as a probe, as it comes and, since a stranger cannot make a box, also with its text
 * sealed for us.
 */
#include <stdlib.h>
#include <string.h>

#include "mesh/probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const struct crypto_pairbox_key key = { { 7 } };
        static const uint8_t nonce[CRYPTO_PAIRBOX_NONCE_BYTES] = { 1 };
        struct mesh_probe probe;
        uint8_t *in;

        if (size > 4096 || !(in = malloc(size + 128)))
                return 0;
        memcpy(in, data, size);
        (void)!mesh_probe_read((struct str){ (char *)in, size }, &key, &probe);

        memcpy(in, "TS\xf0\x9f\x92\xac", 6);
        memset(in + 6, 1, 32);
        memcpy(in + 38, nonce, sizeof(nonce));
        crypto_pairbox_seal(&key, nonce, (struct str){ (const char *)data, size }, in + 62);
        struct str sealed = { (char *)in, 62 + CRYPTO_PAIRBOX_OVERHEAD + size };
        bool is_probe = mesh_probe_is(sealed);
        enum err e = mesh_probe_read(sealed, &key, &probe);
        if (e == ERR_OK && (!is_probe || (data[0] != 1 && data[0] != 2) ||
                            memcmp(probe.id, data + 2, sizeof(probe.id)) != 0))
                abort();
        free(in);
        return 0;
}
