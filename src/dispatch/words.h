/*
 * dispatch/words.h - why no answer of a target came, as one word each: what callers are told, with which status, what agents call it,
 * and whether another address may try. Source: docs/protocol/dispatch.md 2, 3.
 *
 * Thread: any; constant tables.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"

enum words_again {
        WORDS_NEVER, /* the target may have done it, or another address would meet the same */
        WORDS_SAFE,  /* where doing it twice does no harm */
        WORDS_UNSENT /* nothing reached the target */
};

/* Of the word an agent refuses with (or we, on the way to it); "failed" for one that is not known. */
const char *words_of_refusal(struct str refused);

/* Of an answer of ours with that word; 502 for one without a status of its own. */
uint16_t words_status(const char *word);

enum words_again words_again(const char *word);
