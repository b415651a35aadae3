#include "base/hash.h"

#include <string.h>

static uint64_t rotate(uint64_t x, int bits)
{
        return x << bits | x >> (64 - bits);
}

static void sip_rounds(uint64_t v[4], int rounds)
{
        for (int i = 0; i < rounds; i++) {
                v[0] += v[1];
                v[1] = rotate(v[1], 13) ^ v[0];
                v[0] = rotate(v[0], 32);
                v[2] += v[3];
                v[3] = rotate(v[3], 16) ^ v[2];
                v[0] += v[3];
                v[3] = rotate(v[3], 21) ^ v[0];
                v[2] += v[1];
                v[1] = rotate(v[1], 17) ^ v[2];
                v[2] = rotate(v[2], 32);
        }
}

uint64_t hash_str(struct hash_key key, struct str s)
{
        uint64_t v[4] = { key.k0 ^ 0x736f6d6570736575ULL, key.k1 ^ 0x646f72616e646f6dULL,
                          key.k0 ^ 0x6c7967656e657261ULL, key.k1 ^ 0x7465646279746573ULL };
        size_t whole = s.len & ~(size_t)7;
        uint64_t word;

        for (size_t i = 0; i < whole; i += 8) {
                memcpy(&word, s.ptr + i, 8);
                v[3] ^= word;
                sip_rounds(v, 2);
                v[0] ^= word;
        }
        word = (uint64_t)s.len << 56;
        for (size_t i = whole; i < s.len; i++)
                word |= (uint64_t)(unsigned char)s.ptr[i] << (8 * (i - whole));
        v[3] ^= word;
        sip_rounds(v, 2);
        v[0] ^= word;
        v[2] ^= 0xff;
        sip_rounds(v, 4);
        return v[0] ^ v[1] ^ v[2] ^ v[3];
}
