/*
 * http/h2_gathered_priv.h - bytes that came for one stream in frames that follow each other, to be told together.
 *
 * Pointers into what h2_client_receive or h2_session_receive was given: told before that returns, and before anything else
 * of the connection is.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"

enum { H2_GATHERED_MAX = 8 };

struct h2_gathered {
        int32_t id; /* of the stream; 0: nothing is gathered */
        size_t count, bytes;
        struct str slices[H2_GATHERED_MAX];
};

/* False: there is room for no more. */
static inline bool h2_gathered_add(struct h2_gathered *g, int32_t id, struct str bytes)
{
        if (!g->id)
                g->count = g->bytes = 0;
        g->id = id;
        g->slices[g->count++] = bytes;
        g->bytes += bytes.len;
        return g->count < H2_GATHERED_MAX;
}
