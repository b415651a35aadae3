/*
 * http/h2_nv_priv.h - our pairs as nghttp2 takes them. It only reads them, whatever its type says.
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "http/h2_list.h"

/* Points into the pair; good as long as that. */
static inline nghttp2_nv h2_nv_of(const struct h2_pair *p)
{
        return (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)p->name.ptr,
                             .value = (uint8_t *)(uintptr_t)(p->value.len ? p->value.ptr : ""),
                             .namelen = p->name.len,
                             .valuelen = p->value.len,
                             .flags = p->is_unindexed ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE };
}
