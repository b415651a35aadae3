/*
 * The Engine's stream, whole and in pieces (the first byte gives their size): the same word, and a bounded line.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "find/engine_events.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct engine_events a, b;
        bool pieces = false;

        if (size < 1)
                return 0;
        struct str in = { (const char *)data + 1, size - 1 };
        size_t piece = 1 + data[0] % 64;

        engine_events_init(&a);
        engine_events_init(&b);
        bool whole = engine_events_feed(&a, in);
        for (size_t at = 0; at < in.len; at += piece) {
                pieces |= engine_events_feed(&b, str_sub(in, at, piece));
                assert(b.line.len <= ENGINE_EVENT_BYTES_MAX);
        }
        assert(whole == pieces);
        engine_events_fini(&a);
        engine_events_fini(&b);
        return 0;
}
