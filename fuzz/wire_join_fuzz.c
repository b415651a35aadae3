/*
 * The token people copy and the bodies of a join, from anybody.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "wire/join.h"

enum { MEMORY_MAX = 4 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void request_round(struct arena *arena, struct str text)
{
        struct wire_join_request r, again;
        const char *why = NULL;
        struct buf out;

        if (wire_join_request_read(arena, text, &r, &why) != ERR_OK) {
                assert(why);
                return;
        }
        buf_init(&out, MEMORY_MAX);
        wire_join_request_write(&r, &out);
        if (out.len <= WIRE_JOIN_BODY_MAX) {
                enum err e = wire_join_request_read(arena, buf_str(&out), &again, &why);
                assert(e == ERR_OK && str_eq(r.token, again.token) && str_eq(r.name, again.name) &&
                       memcmp(r.tunnel, again.tunnel, WIRE_KEY_BYTES) == 0);
        }
        buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str text = { (const char *)data, size }, url;
        struct wire_join_challenge challenge;
        struct wire_join_result result;
        struct wire_join_proof proof;
        struct wire_token token;
        const char *why = NULL;
        struct arena arena;

        if (wire_token_url_parse(text, &token, &url) == ERR_OK)
                assert(url.len > 0 && token.secret.len == WIRE_TOKEN_SECRET_LEN);
        arena_init(&arena, NULL, 0, MEMORY_MAX);
        request_round(&arena, text);
        (void)!wire_join_challenge_read(&arena, text, &challenge);
        (void)!wire_join_result_read(&arena, text, &result);
        (void)!wire_join_proof_read(&arena, text, &proof, &why);
        arena_fini(&arena);
        return 0;
}
