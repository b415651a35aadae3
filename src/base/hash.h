/*
 * base/hash.h - keyed hash of bytes a stranger may choose. Source: SipHash-2-4, Aumasson and Bernstein, 2012.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"

struct hash_key {
        uint64_t k0, k1;
};

uint64_t hash_str(struct hash_key key, struct str s);

/* 128 bits of it, by the same authors' variant of that width. */
void hash_str_wide(struct hash_key key, struct str s, uint64_t out[2]);

/* Mixes a number; not keyed, for numbers nobody outside chooses (murmur3 finaliser). */
static inline uint64_t hash_u64(uint64_t x)
{
        x ^= x >> 33;
        x *= 0xff51afd7ed558ccdULL;
        x ^= x >> 33;
        x *= 0xc4ceb9fe1a85ec53ULL;
        return x ^ x >> 33;
}
