/*
 * policy/set.h - sets of units (policy/unit.h) as bits, each different set kept once.
 *
 * Ten thousand machines have a few hundred different sets among them, so a set is interned and counted; two machines
 * with the same rights share one. A summary word says which words are not zero, so that meeting two sets costs what
 * they have in common, not how many rules there are.
 *
 * Thread: made and counted by the thread that compiles; read by any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

#define POLICY_BIT_NONE UINT32_MAX

struct policy_set {
        /* private */
        unsigned references;
        uint32_t hash;
        struct policy_set *next;
        uint32_t summary_count;
        uint64_t words[]; /* the summary, then the bits */
};

struct policy_set_pool {
        uint32_t bits, words_count; /* every set of the pool has as many */
        size_t sets_count;
        /* private */
        uint32_t summary_count;
        struct policy_set **buckets;
        size_t buckets_count;
};

MUST_USE bool policy_set_pool_init(struct policy_set_pool *p, uint32_t bits);
void policy_set_pool_fini(struct policy_set_pool *p);

/* The set with those words_count words: one reference more. NULL when memory runs out. */
MUST_USE const struct policy_set *policy_set_intern(struct policy_set_pool *p, const uint64_t *words);
const struct policy_set *policy_set_get(const struct policy_set *s);
void policy_set_put(struct policy_set_pool *p, const struct policy_set *s); /* NULL is fine */

static inline const uint64_t *policy_set_words(const struct policy_set *s)
{
        return s->words + s->summary_count;
}

static inline bool policy_set_has(const struct policy_set *s, uint32_t bit)
{
        return policy_set_words(s)[bit / 64] >> (bit % 64) & 1;
}

/* ---- words in the making ---- */

static inline void policy_words_add(uint64_t *words, uint32_t bit)
{
        words[bit / 64] |= 1ull << (bit % 64);
}

static inline void policy_words_flip(uint64_t *words, uint32_t bit)
{
        words[bit / 64] ^= 1ull << (bit % 64);
}

static inline bool policy_words_have(const uint64_t *words, uint32_t bit)
{
        return words[bit / 64] >> (bit % 64) & 1;
}

/* ---- walking what two sets have in common, in order ---- */

struct policy_meet {
        const struct policy_set *a, *b;
        uint64_t summary, word;
        uint32_t at_summary, at_word;
};

/* Before sets meet: fetched while other things are done. A few lines; what is longer the summary mostly leaves out. */
static inline void policy_set_fetch(const struct policy_set *s)
{
        for (int i = 0; i < 3; i++)
                __builtin_prefetch((const char *)s + 64 * i);
}

static inline struct policy_meet policy_sets_meet(const struct policy_set *a, const struct policy_set *b)
{
        struct policy_meet m = { .a = a, .b = b };

        m.summary = a->words[0] & b->words[0];
        return m;
}

/* The next bit, or POLICY_BIT_NONE. */
static inline uint32_t policy_meet_next(struct policy_meet *m)
{
        while (!m->word) {
                while (!m->summary) {
                        if (++m->at_summary >= m->a->summary_count)
                                return POLICY_BIT_NONE;
                        m->summary = m->a->words[m->at_summary] & m->b->words[m->at_summary];
                }
                m->at_word = m->at_summary * 64 + (uint32_t)__builtin_ctzll(m->summary);
                m->summary &= m->summary - 1;
                m->word = policy_set_words(m->a)[m->at_word] & policy_set_words(m->b)[m->at_word];
        }
        uint32_t bit = m->at_word * 64 + (uint32_t)__builtin_ctzll(m->word);
        m->word &= m->word - 1;
        return bit;
}
