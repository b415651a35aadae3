/*
 * fuzz/mesh_stun_fuzz.c - any datagram to the STUN server and client. An answer is never larger than the question, and is
 * itself read back as what it says.
 */
#include <stdlib.h>
#include <string.h>

#include "mesh/stun.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = { (const char *)data, size };
        uint8_t answer[MESH_STUN_ANSWER_MAX];
        struct ip from = ip_from_bytes(size % 2 ? 4 : 6, (const uint8_t *)"\x20\x01\x0d\xb8 stun client"),
                  seen;
        uint16_t port;
        size_t len;

        if (mesh_stun_answer(in, from, 4711, answer, &len) == ERR_OK) {
                struct str out = { (char *)answer, len };
                if (len > size || !mesh_stun_is(out))
                        abort();
                enum err e = mesh_stun_read(out, data + 8, &seen, &port);
                if (e != ERR_DENIED && (e != ERR_OK || !ip_eq(seen, from) || port != 4711))
                        abort();
        }
        if (size >= 20 && mesh_stun_read(in, data + 8, &seen, &port) == ERR_OK &&
            (seen.family == 0 || port == 0))
                abort();
        return 0;
}
