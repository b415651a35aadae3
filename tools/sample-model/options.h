/*
 * options.h - what the server was started with. Read-only once the threads run.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

enum { LISTENS_MAX = 16, MODELS_MAX = 32 };

struct options {
        const char *listens[LISTENS_MAX], *unix_path;
        unsigned listens_count;
        struct str models[MODELS_MAX]; /* names, or patterns with '*' */
        unsigned models_count;
        struct str api_key; /* empty: none asked */
        unsigned threads, delay_ms, interval_ms, tokens, slots;
        bool is_strict, is_recording;
        const char *fault;
};

/* The names a caller may use, for one that is served; STR_NULL for another. */
struct str options_model_find(const struct options *o, struct str name, unsigned *index);
