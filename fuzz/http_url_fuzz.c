/*
 * Paths and authorities. What is accepted is a fixed point, and decoding it once more shows no dot segment, no empty
 * segment, no separator or control and nothing left to decode.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "http/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str decode(struct str in, char *out)
{
        size_t n = 0;

        for (size_t i = 0; i < in.len; i++) {
                if (in.ptr[i] == '%' && i + 2 < in.len && ascii_hex(in.ptr[i + 1]) >= 0 &&
                    ascii_hex(in.ptr[i + 2]) >= 0) {
                        out[n++] = (char)(ascii_hex(in.ptr[i + 1]) << 4 | ascii_hex(in.ptr[i + 2]));
                        i += 2;
                } else {
                        out[n++] = in.ptr[i];
                }
        }
        return (struct str){ out, n };
}

static void path_check(struct str path, struct arena *a)
{
        static char once[8192], twice[8192];
        struct str again, segment;
        enum err e = http_path_canonical(path, a, &again);

        assert(e == ERR_OK && str_eq(path, again));
        for (size_t i = 0; i < path.len; i++)
                assert(path.ptr[i] > ' ' && path.ptr[i] < 0x7f && !strchr("\\;#?", path.ptr[i]));
        struct str decoded = decode(path, once), rest = str_from(decoded, 1);
        assert(str_is_utf8(decoded));
        for (size_t i = 0; i < decoded.len; i++)
                assert((uint8_t)decoded.ptr[i] >= 0x20 && decoded.ptr[i] != 0x7f && decoded.ptr[i] != '\\' &&
                       decoded.ptr[i] != ';');
        while (rest.len && str_split(&rest, '/', &segment)) {
                assert(segment.len || !rest.ptr);
                assert(!str_eq(segment, STR(".")) && !str_eq(segment, STR("..")));
        }
        assert(str_eq(decode(decoded, twice), decoded));
}

static void authority_check(const struct http_authority *authority, struct arena *a)
{
        struct http_authority again;
        struct str text = arena_format(a, authority->is_ipv6 ? "[%.*s]" : "%.*s", STR_FMT(authority->host));

        assert(authority->host.len > 0);
        if (authority->port)
                text = arena_format(a, "%.*s:%u", STR_FMT(text), authority->port);
        enum err e = http_authority_parse(text, a, &again);
        assert(e == ERR_OK && str_eq(again.host, authority->host) && again.port == authority->port);
        assert(again.is_ipv6 == authority->is_ipv6);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static char memory[65536];
        struct str in = { (const char *)data, size }, path;
        struct http_authority authority;
        struct arena arena;

        if (size > 2048)
                return 0;
        arena_init(&arena, memory, sizeof(memory), sizeof(memory));
        enum err e = http_path_canonical(in, &arena, &path);
        assert(e == ERR_OK || e == ERR_MALFORMED);
        if (e == ERR_OK)
                path_check(path, &arena);
        e = http_authority_parse(in, &arena, &authority);
        assert(e == ERR_OK || e == ERR_MALFORMED);
        if (e == ERR_OK)
                authority_check(&authority, &arena);
        arena_fini(&arena);
        return 0;
}
