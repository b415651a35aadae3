/*
 * What somebody at a usual port answers: a server of models or none, within the bounds. The first byte says how it was asked.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "find/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const uint16_t statuses[] = { 200, 401, 404, 500 };

        if (size < 1)
                return 0;
        const struct server_place place = { data[0] & 1 ? 0 : server_any.kind, 8000 };
        const struct server_answer answer = { statuses[data[0] >> 1 & 3],
                                              { (const char *)data + 1, size - 1 },
                                              STR("llama.cpp") };
        struct server found;
        struct arena arena;

        arena_init(&arena, NULL, 0, 64 << 10);
        if (server_read(&place, &answer, &arena, &found)) {
                assert(found.models_count <= SERVER_MODELS_MAX && found.base_url.len && found.name.len);
                for (size_t i = 0; i < found.models_count; i++)
                        assert(found.models[i].len && found.models[i].len <= SERVER_NAME_BYTES_MAX);
        }
        arena_fini(&arena);
        return 0;
}
