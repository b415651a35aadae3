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

/* All of the input and its length; v[1] begins with `width`. */
static void absorb(uint64_t v[4], struct hash_key key, struct str s, uint64_t width)
{
        size_t whole = s.len & ~(size_t)7;
        uint64_t word;

        v[0] = key.k0 ^ 0x736f6d6570736575ULL;
        v[1] = key.k1 ^ 0x646f72616e646f6dULL ^ width;
        v[2] = key.k0 ^ 0x6c7967656e657261ULL;
        v[3] = key.k1 ^ 0x7465646279746573ULL;
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
}

uint64_t hash_str(struct hash_key key, struct str s)
{
        uint64_t v[4];

        absorb(v, key, s, 0);
        v[2] ^= 0xff;
        sip_rounds(v, 4);
        return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void hash_str_wide(struct hash_key key, struct str s, uint64_t out[2])
{
        uint64_t v[4];

        absorb(v, key, s, 0xee);
        v[2] ^= 0xee;
        sip_rounds(v, 4);
        out[0] = v[0] ^ v[1] ^ v[2] ^ v[3];
        v[1] ^= 0xdd;
        sip_rounds(v, 4);
        out[1] = v[0] ^ v[1] ^ v[2] ^ v[3];
}
