/*
 * A PROXY protocol header of either version: no prefix is judged otherwise than the whole, and what was read, written again
 * in both versions, reads the same.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err parse(struct str in, struct proxy_header *out, const char **reason)
{
        char *copy = malloc(in.len ? in.len : 1);

        if (in.len)
                memcpy(copy, in.ptr, in.len);
        enum err e = proxy_header_parse((struct str){ copy, in.len }, out, reason);
        free(copy);
        return e;
}

static void rewrite_check(const struct proxy_header *h)
{
        for (uint8_t version = 1; version <= 2; version++) {
                char out[PROXY_WRITE_MAX];
                struct str text = proxy_header_format(h, version, out);
                struct proxy_header again;
                const char *reason;
                enum err e = proxy_header_parse(text, &again, &reason);

                assert(e == ERR_OK && again.bytes == text.len && again.has_addresses == h->has_addresses);
                assert(ip_eq(again.source, h->source) && ip_eq(again.destination, h->destination));
                assert(again.source_port == h->source_port && again.destination_port == h->destination_port);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = { (const char *)data, size };
        struct proxy_header whole, part;
        const char *reason = NULL, *part_reason = NULL;
        enum err e = parse(in, &whole, &reason);

        assert(e == ERR_OK || e == ERR_AGAIN || e == ERR_MALFORMED || e == ERR_TOO_LARGE);
        assert(size < PROXY_BYTES_MAX || e != ERR_AGAIN);
        for (size_t n = 0; n < size && n < 300; n++) {
                enum err p = parse(str_sub(in, 0, n), &part, &part_reason);

                assert(p == ERR_AGAIN || p == e);
                assert(p != ERR_OK || part.bytes == whole.bytes);
                assert(p == ERR_AGAIN || p == ERR_OK || strcmp(reason, part_reason) == 0);
        }
        if (e == ERR_OK) {
                assert(whole.bytes <= size && whole.bytes <= PROXY_BYTES_MAX);
                rewrite_check(&whole);
        }
        return 0;
}
