/*
 * wg/random.h - where the engine gets random bytes: the caller brings them.
 */
#pragma once

#include <stddef.h>

struct wg_random {
        void (*fill)(void *context, void *out, size_t len); /* cannot fail */
        void *context;
};
