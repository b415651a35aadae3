#include "crypto/wide_priv.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "crypto/secret.h"

/*
 * Theory of operation. OpenSSL seals one packet after the other: each pays for the interface, for a block of ChaCha20 that
 * only makes the Poly1305 key, for a last vector that is mostly empty, and for the powers of r. Sixteen packets side by side
 * pay for none of that. ChaCha20 works on sixteen (packet, block) pairs at a time, whichever come next. Poly1305 works on
 * eight packets at a time, one a lane, block after block, as in the specification; numbers are kept in three limbs of 44, 44
 * and 42 bits. Nothing here branches on, or indexes by, a secret; only lengths and counters are looked at.
 */
#if defined(__x86_64__)

#include <immintrin.h>

#define WIDE   __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")))
#define INLINE static inline __attribute__((always_inline)) WIDE

enum { LANES = 16, BLOCK = 64, MAC_LANES = 8, MAC_BLOCK = 16 };

bool crypto_wide_is_there(void)
{
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512ifma");
}

/* ---- ChaCha20 (RFC 8439 2.3) ---- */

/* Sixteen blocks to make: what differs from lane to lane. */
struct blocks {
        uint32_t block[LANES], counter_low[LANES], counter_high[LANES];
        uint8_t *at[LANES]; /* what the lane's block is xored with; NULL: nothing */
        size_t len[LANES];  /* up to 64 */
        size_t count;
};

INLINE void quarter(__m512i *a, __m512i *b, __m512i *c, __m512i *d)
{
        *a = _mm512_add_epi32(*a, *b), *d = _mm512_rol_epi32(_mm512_xor_si512(*d, *a), 16);
        *c = _mm512_add_epi32(*c, *d), *b = _mm512_rol_epi32(_mm512_xor_si512(*b, *c), 12);
        *a = _mm512_add_epi32(*a, *b), *d = _mm512_rol_epi32(_mm512_xor_si512(*d, *a), 8);
        *c = _mm512_add_epi32(*c, *d), *b = _mm512_rol_epi32(_mm512_xor_si512(*b, *c), 7);
}

/* From word i of every lane in x[i] to every word of lane i in x[i]. */
INLINE void transpose(__m512i x[LANES])
{
        __m512i t[LANES] UNINITIALIZED, u[LANES] UNINITIALIZED;

        for (int i = 0; i < 16; i += 2) {
                t[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
                t[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
        }
        for (int i = 0; i < 16; i += 4)
                for (int j = 0; j < 2; j++) {
                        u[i + 2 * j] = _mm512_unpacklo_epi64(t[i + j], t[i + j + 2]);
                        u[i + 2 * j + 1] = _mm512_unpackhi_epi64(t[i + j], t[i + j + 2]);
                }
        /* u[4q + r] holds words 4q..4q+3 of lanes r, r+4, r+8, r+12. */
        for (int r = 0; r < 4; r++) {
                __m512i a = _mm512_shuffle_i32x4(u[r], u[4 + r], 0x44),
                        b = _mm512_shuffle_i32x4(u[8 + r], u[12 + r], 0x44);
                __m512i c = _mm512_shuffle_i32x4(u[r], u[4 + r], 0xee),
                        d = _mm512_shuffle_i32x4(u[8 + r], u[12 + r], 0xee);
                x[r] = _mm512_shuffle_i32x4(a, b, 0x88);
                x[4 + r] = _mm512_shuffle_i32x4(a, b, 0xdd);
                x[8 + r] = _mm512_shuffle_i32x4(c, d, 0x88);
                x[12 + r] = _mm512_shuffle_i32x4(c, d, 0xdd);
        }
}

INLINE void keystream(const uint32_t key[8], const struct blocks *b, __m512i x[LANES])
{
        __m512i start[LANES] UNINITIALIZED;

        start[0] = _mm512_set1_epi32(0x61707865); /* "expa" "nd 3" "2-by" "te k" */
        start[1] = _mm512_set1_epi32(0x3320646e);
        start[2] = _mm512_set1_epi32(0x79622d32);
        start[3] = _mm512_set1_epi32(0x6b206574);
        for (int i = 0; i < 8; i++)
                start[4 + i] = _mm512_set1_epi32((int)key[i]);
        start[12] = _mm512_loadu_si512(b->block);
        start[13] = _mm512_setzero_si512();
        start[14] = _mm512_loadu_si512(b->counter_low);
        start[15] = _mm512_loadu_si512(b->counter_high);
        for (int i = 0; i < LANES; i++)
                x[i] = start[i];
        for (int round = 0; round < 10; round++) {
                quarter(&x[0], &x[4], &x[8], &x[12]);
                quarter(&x[1], &x[5], &x[9], &x[13]);
                quarter(&x[2], &x[6], &x[10], &x[14]);
                quarter(&x[3], &x[7], &x[11], &x[15]);
                quarter(&x[0], &x[5], &x[10], &x[15]);
                quarter(&x[1], &x[6], &x[11], &x[12]);
                quarter(&x[2], &x[7], &x[8], &x[13]);
                quarter(&x[3], &x[4], &x[9], &x[14]);
        }
        for (int i = 0; i < LANES; i++)
                x[i] = _mm512_add_epi32(x[i], start[i]);
        transpose(x);
}

/* Makes the blocks and xors them where they belong. */
WIDE static void blocks_apply(const uint32_t key[8], struct blocks *b)
{
        __m512i x[LANES] UNINITIALIZED;

        keystream(key, b, x);
        for (size_t i = 0; i < b->count; i++) {
                if (__builtin_expect(b->len[i] == BLOCK, 1)) {
                        __m512i text = _mm512_loadu_si512(b->at[i]);
                        _mm512_storeu_si512(b->at[i], _mm512_xor_si512(text, x[i]));
                } else {
                        __mmask64 part = (UINT64_C(1) << b->len[i]) - 1;
                        __m512i text = _mm512_maskz_loadu_epi8(part, b->at[i]);
                        _mm512_mask_storeu_epi8(b->at[i], part, _mm512_xor_si512(text, x[i]));
                }
        }
        b->count = 0;
}

static void blocks_add(struct blocks *b, uint64_t counter, uint32_t block, uint8_t *at, size_t len)
{
        size_t i = b->count++;

        b->block[i] = block;
        b->counter_low[i] = (uint32_t)counter;
        b->counter_high[i] = (uint32_t)(counter >> 32);
        b->at[i] = at;
        b->len[i] = len;
}

/* One-time keys of Poly1305: the first half of each packet's block 0 (RFC 8439 2.6). */
WIDE static void mac_keys(const uint32_t key[8], const struct crypto_aead_packet *packets, size_t count,
                          uint8_t (*out)[32])
{
        struct blocks b UNINITIALIZED;
        __m512i x[LANES] UNINITIALIZED;

        for (size_t first = 0; first < count; first += LANES) {
                size_t n = count - first < LANES ? count - first : LANES;
                b.count = 0;
                for (size_t i = 0; i < n; i++)
                        blocks_add(&b, packets[first + i].counter, 0, NULL, 0);
                keystream(key, &b, x);
                for (size_t i = 0; i < n; i++)
                        _mm256_storeu_si256((__m256i *)(void *)out[first + i], _mm512_castsi512_si256(x[i]));
        }
}

/* `lens` are of the texts. */
static void crypt(const uint32_t key[8], const struct crypto_aead_packet *packets, const size_t *lens,
                  size_t count)
{
        struct blocks b UNINITIALIZED;

        b.count = 0;
        for (size_t p = 0; p < count; p++)
                for (size_t at = 0; at < lens[p]; at += BLOCK) {
                        size_t left = lens[p] - at;
                        blocks_add(&b, packets[p].counter, (uint32_t)(at / BLOCK) + 1, packets[p].text + at,
                                   left < BLOCK ? left : BLOCK);
                        if (b.count == LANES)
                                blocks_apply(key, &b);
                }
        if (b.count > 0)
                blocks_apply(key, &b);
}

/* ---- Poly1305 (RFC 8439 2.5), eight packets a vector ---- */

#define MASK44 0xfffffffffffu
#define MASK42 0x3ffffffffffu

/* Each member holds one limb of eight numbers. */
struct limbs {
        __m512i l0, l1, l2;
};

struct mac {
        struct limbs h, r;
        __m512i s1, s2; /* 20 r1, 20 r2: limb 3 is worth 2^132 = 4 * 2^130, and 2^130 is 5 */
        const uint8_t *at[MAC_LANES];
        size_t len[MAC_LANES];
};

INLINE struct limbs split(__m512i low, __m512i high)
{
        __m512i mask = _mm512_set1_epi64(MASK44);

        return (struct limbs){
                _mm512_and_si512(low, mask),
                _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64(low, 44), _mm512_slli_epi64(high, 20)),
                                 mask),
                _mm512_srli_epi64(high, 24),
        };
}

/* h = (h + block) * r, with limbs left a little over their size. */
INLINE struct limbs step(const struct mac *m, struct limbs h, struct limbs block)
{
        const __m512i zero = _mm512_setzero_si512(), mask44 = _mm512_set1_epi64(MASK44),
                      mask42 = _mm512_set1_epi64(MASK42);
        __m512i h0 = _mm512_add_epi64(h.l0, block.l0), h1 = _mm512_add_epi64(h.l1, block.l1);
        __m512i h2 = _mm512_add_epi64(h.l2, block.l2);

        __m512i lo0 = _mm512_madd52lo_epu64(zero, h0, m->r.l0),
                hi0 = _mm512_madd52hi_epu64(zero, h0, m->r.l0);
        __m512i lo1 = _mm512_madd52lo_epu64(zero, h0, m->r.l1),
                hi1 = _mm512_madd52hi_epu64(zero, h0, m->r.l1);
        __m512i lo2 = _mm512_madd52lo_epu64(zero, h0, m->r.l2),
                hi2 = _mm512_madd52hi_epu64(zero, h0, m->r.l2);
        lo0 = _mm512_madd52lo_epu64(lo0, h1, m->s2), hi0 = _mm512_madd52hi_epu64(hi0, h1, m->s2);
        lo1 = _mm512_madd52lo_epu64(lo1, h1, m->r.l0), hi1 = _mm512_madd52hi_epu64(hi1, h1, m->r.l0);
        lo2 = _mm512_madd52lo_epu64(lo2, h1, m->r.l1), hi2 = _mm512_madd52hi_epu64(hi2, h1, m->r.l1);
        lo0 = _mm512_madd52lo_epu64(lo0, h2, m->s1), hi0 = _mm512_madd52hi_epu64(hi0, h2, m->s1);
        lo1 = _mm512_madd52lo_epu64(lo1, h2, m->s2), hi1 = _mm512_madd52hi_epu64(hi1, h2, m->s2);
        lo2 = _mm512_madd52lo_epu64(lo2, h2, m->r.l0), hi2 = _mm512_madd52hi_epu64(hi2, h2, m->r.l0);

        /* A product is lo + hi * 2^52, so what goes over 44 bits is lo >> 44 and hi << 8; over 42: lo >> 42, hi << 10. */
        __m512i carry = _mm512_add_epi64(_mm512_srli_epi64(lo0, 44), _mm512_slli_epi64(hi0, 8));
        lo1 = _mm512_add_epi64(lo1, carry);
        carry = _mm512_add_epi64(_mm512_srli_epi64(lo1, 44), _mm512_slli_epi64(hi1, 8));
        lo2 = _mm512_add_epi64(lo2, carry);
        carry = _mm512_add_epi64(_mm512_srli_epi64(lo2, 42), _mm512_slli_epi64(hi2, 10));
        carry = _mm512_add_epi64(carry, _mm512_slli_epi64(carry, 2)); /* times 5 */
        h0 = _mm512_add_epi64(_mm512_and_si512(lo0, mask44), carry);
        h1 = _mm512_add_epi64(_mm512_and_si512(lo1, mask44), _mm512_srli_epi64(h0, 44));
        return (struct limbs){ _mm512_and_si512(h0, mask44), h1, _mm512_and_si512(lo2, mask42) };
}

INLINE __m512i chunk_load(const struct mac *m, size_t lane, size_t at)
{
        size_t left = m->len[lane] > at ? m->len[lane] - at : 0;

        if (__builtin_expect(left >= BLOCK, 1))
                return _mm512_loadu_si512(m->at[lane] + at);
        return _mm512_maskz_loadu_epi8((UINT64_C(1) << left) - 1, m->at[lane] + at);
}

/* 64 bytes of each packet: out[2 j] is the low, out[2 j + 1] the high half of everybody's block j. */
INLINE void chunk_transpose(const struct mac *m, size_t at, __m512i out[8])
{
        __m512i x[8] UNINITIALIZED, t[8] UNINITIALIZED;

        for (size_t i = 0; i < MAC_LANES; i++)
                x[i] = chunk_load(m, i, at);
        for (int i = 0; i < 8; i += 2) {
                t[i] = _mm512_unpacklo_epi64(x[i], x[i + 1]);     /* words 0 2 4 6 of packets i, i+1 */
                t[i + 1] = _mm512_unpackhi_epi64(x[i], x[i + 1]); /* words 1 3 5 7 */
        }
        for (int odd = 0; odd < 2; odd++) {
                __m512i a = _mm512_shuffle_i64x2(t[odd], t[2 + odd], 0x44),
                        b = _mm512_shuffle_i64x2(t[4 + odd], t[6 + odd], 0x44);
                __m512i c = _mm512_shuffle_i64x2(t[odd], t[2 + odd], 0xee),
                        d = _mm512_shuffle_i64x2(t[4 + odd], t[6 + odd], 0xee);
                out[odd] = _mm512_shuffle_i64x2(a, b, 0x88);
                out[2 + odd] = _mm512_shuffle_i64x2(a, b, 0xdd);
                out[4 + odd] = _mm512_shuffle_i64x2(c, d, 0x88);
                out[6 + odd] = _mm512_shuffle_i64x2(c, d, 0xdd);
        }
}

/* The lanes whose text reaches into the 16 bytes at `at`. */
static __mmask8 reaching(const struct mac *m, size_t at)
{
        unsigned mask = 0;

        for (unsigned i = 0; i < MAC_LANES; i++)
                mask |= (unsigned)(m->len[i] > at) << i;
        return (__mmask8)mask;
}

INLINE struct limbs choose(__mmask8 mask, struct limbs otherwise, struct limbs wanted)
{
        return (struct limbs){ _mm512_mask_mov_epi64(otherwise.l0, mask, wanted.l0),
                               _mm512_mask_mov_epi64(otherwise.l1, mask, wanted.l1),
                               _mm512_mask_mov_epi64(otherwise.l2, mask, wanted.l2) };
}

INLINE struct limbs block_of(__m512i low, __m512i high)
{
        struct limbs b = split(low, high);

        b.l2 = _mm512_or_si512(
                b.l2, _mm512_set1_epi64(INT64_C(1) << 40)); /* 2^128: every block is padded to 16 bytes */
        return b;
}

WIDE static void mac_init(struct mac *m, const uint8_t (*keys)[32], const struct crypto_aead_packet *packets,
                          const size_t *lens, size_t count)
{
        static const uint8_t nothing[1];
        uint64_t low[MAC_LANES] = { 0 }, high[MAC_LANES] = { 0 };
        const __m512i zero = _mm512_setzero_si512();

        for (size_t i = 0; i < MAC_LANES; i++) {
                m->at[i] = i < count ? packets[i].text : nothing;
                m->len[i] = i < count ? lens[i] : 0;
                if (i >= count)
                        continue;
                memcpy(&low[i], keys[i], 8);
                memcpy(&high[i], keys[i] + 8, 8);
                low[i] &= UINT64_C(0x0ffffffc0fffffff); /* "clamp", RFC 8439 2.5.1 */
                high[i] &= UINT64_C(0x0ffffffc0ffffffc);
        }
        m->r = split(_mm512_loadu_si512(low), _mm512_loadu_si512(high));
        m->s1 = _mm512_slli_epi64(_mm512_add_epi64(m->r.l1, _mm512_slli_epi64(m->r.l1, 2)), 2);
        m->s2 = _mm512_slli_epi64(_mm512_add_epi64(m->r.l2, _mm512_slli_epi64(m->r.l2, 2)), 2);
        m->h = (struct limbs){ zero, zero, zero };
        crypto_wipe(low, sizeof(low));
        crypto_wipe(high, sizeof(high));
}

static size_t shortest(const struct mac *m)
{
        size_t least = SIZE_MAX;

        for (size_t i = 0; i < MAC_LANES; i++)
                least = m->len[i] < least ? m->len[i] : least;
        return least;
}

static size_t longest(const struct mac *m)
{
        size_t most = 0;

        for (size_t i = 0; i < MAC_LANES; i++)
                most = m->len[i] > most ? m->len[i] : most;
        return most;
}

/* What is left of packets of different lengths, from `at` on: a lane that is over keeps its number. */
WIDE static void mac_rest(struct mac *m, size_t at)
{
        size_t end = longest(m);
        __m512i words[8] UNINITIALIZED;

        for (; at < end; at += BLOCK) {
                chunk_transpose(m, at, words);
                for (size_t j = 0; j < 4 && at + MAC_BLOCK * j < end; j++) {
                        struct limbs next = step(m, m->h, block_of(words[2 * j], words[2 * j + 1]));
                        m->h = choose(reaching(m, at + MAC_BLOCK * j), m->h, next);
                }
        }
        /* The last block says how long the associated data (0) and the text are. */
        uint64_t lens[MAC_LANES];
        for (size_t i = 0; i < MAC_LANES; i++)
                lens[i] = m->len[i];
        m->h = step(m, m->h, block_of(_mm512_setzero_si512(), _mm512_loadu_si512(lens)));
}

/* Two vectors in step: one's multiplications fill the time in which the other's are not ready. */
WIDE static void mac_two(struct mac *a, struct mac *b)
{
        size_t least = shortest(a) < shortest(b) ? shortest(a) : shortest(b), at = 0;
        struct limbs ha = a->h, hb = b->h;
        __m512i wa[8] UNINITIALIZED, wb[8] UNINITIALIZED;

        for (; least - at >= BLOCK; at += BLOCK) {
                chunk_transpose(a, at, wa);
                chunk_transpose(b, at, wb);
                for (size_t j = 0; j < 4; j++) {
                        ha = step(a, ha, block_of(wa[2 * j], wa[2 * j + 1]));
                        hb = step(b, hb, block_of(wb[2 * j], wb[2 * j + 1]));
                }
        }
        a->h = ha;
        b->h = hb;
        mac_rest(a, at);
        mac_rest(b, at);
}

WIDE static void mac_one(struct mac *m)
{
        size_t least = shortest(m), at = 0;
        __m512i words[8] UNINITIALIZED;

        for (; least - at >= BLOCK; at += BLOCK) {
                chunk_transpose(m, at, words);
                for (size_t j = 0; j < 4; j++)
                        m->h = step(m, m->h, block_of(words[2 * j], words[2 * j + 1]));
        }
        mac_rest(m, at);
}

/* One lane's number, fully reduced modulo 2^130 - 5, plus the second half of its key (RFC 8439 2.5). */
static void tag_finish(uint64_t h0, uint64_t h1, uint64_t h2, const uint8_t key[32], uint8_t tag[16])
{
        for (int i = 0; i < 2; i++) {
                h1 += h0 >> 44, h0 &= MASK44;
                h2 += h1 >> 44, h1 &= MASK44;
                h0 += 5 * (h2 >> 42), h2 &= MASK42;
        }
        h1 += h0 >> 44, h0 &= MASK44;
        h2 += h1 >> 44, h1 &= MASK44;

        /* g = h + 5 - 2^130: if that is not negative, it is h reduced. */
        uint64_t g0 = h0 + 5, g1 = h1 + (g0 >> 44), g2 = h2 + (g1 >> 44) - (UINT64_C(1) << 42);
        uint64_t keep_h = 0 - (g2 >> 63);
        h0 = (h0 & keep_h) | (g0 & MASK44 & ~keep_h);
        h1 = (h1 & keep_h) | (g1 & MASK44 & ~keep_h);
        h2 = (h2 & keep_h) | (g2 & MASK42 & ~keep_h);

        uint64_t low = h0 | h1 << 44, high = h1 >> 20 | h2 << 24, s[2];
        memcpy(s, key + 16, 16);
        low += s[0];
        high += s[1] + (low < s[0]);
        memcpy(tag, &low, 8);
        memcpy(tag + 8, &high, 8);
}

WIDE static void mac_finish(struct mac *m, const uint8_t (*keys)[32], size_t count, uint8_t (*tags)[16])
{
        uint64_t h[3][MAC_LANES];

        _mm512_storeu_si512(h[0], m->h.l0);
        _mm512_storeu_si512(h[1], m->h.l1);
        _mm512_storeu_si512(h[2], m->h.l2);
        for (size_t i = 0; i < count; i++)
                tag_finish(h[0][i], h[1][i], h[2][i], keys[i], tags[i]);
        crypto_wipe(h, sizeof(h));
}

static void macs(const uint8_t (*keys)[32], const struct crypto_aead_packet *packets, const size_t *lens,
                 size_t count, uint8_t (*tags)[16])
{
        struct mac m[2] UNINITIALIZED;

        for (size_t at = 0; at < count; at += 2 * MAC_LANES) {
                size_t left = count - at, first = left < MAC_LANES ? left : MAC_LANES;
                size_t second = left - first < MAC_LANES ? left - first : MAC_LANES;
                mac_init(&m[0], keys + at, packets + at, lens + at, first);
                if (second > 0) {
                        mac_init(&m[1], keys + at + first, packets + at + first, lens + at + first, second);
                        mac_two(&m[0], &m[1]);
                        mac_finish(&m[1], keys + at + first, second, tags + at + first);
                } else {
                        mac_one(&m[0]);
                }
                mac_finish(&m[0], keys + at, first, tags + at);
        }
        crypto_wipe(m, sizeof(m));
}

void crypto_wide_seal(const struct crypto_aead_key *key, struct crypto_aead_packet *packets,
                      size_t packets_count)
{
        uint8_t keys[CRYPTO_WIDE_PACKETS_MAX][32] UNINITIALIZED,
                tags[CRYPTO_WIDE_PACKETS_MAX][16] UNINITIALIZED;
        size_t lens[CRYPTO_WIDE_PACKETS_MAX] UNINITIALIZED;
        uint32_t words[8];

        assert(packets_count > 0 && packets_count <= CRYPTO_WIDE_PACKETS_MAX);
        memcpy(words, key->bytes, sizeof(words));
        for (size_t i = 0; i < packets_count; i++)
                lens[i] = packets[i].len;
        mac_keys(words, packets, packets_count, keys);
        crypt(words, packets, lens, packets_count);
        macs(keys, packets, lens, packets_count, tags);
        for (size_t i = 0; i < packets_count; i++)
                memcpy(packets[i].text + lens[i], tags[i], sizeof(tags[i]));
        crypto_wipe(keys, packets_count * sizeof(keys[0]));
        crypto_wipe(words, sizeof(words));
}

void crypto_wide_open(const struct crypto_aead_key *key, struct crypto_aead_packet *packets,
                      size_t packets_count)
{
        uint8_t keys[CRYPTO_WIDE_PACKETS_MAX][32] UNINITIALIZED,
                tags[CRYPTO_WIDE_PACKETS_MAX][16] UNINITIALIZED;
        size_t lens[CRYPTO_WIDE_PACKETS_MAX] UNINITIALIZED, texts[CRYPTO_WIDE_PACKETS_MAX] UNINITIALIZED;
        uint32_t words[8];

        assert(packets_count > 0 && packets_count <= CRYPTO_WIDE_PACKETS_MAX);
        memcpy(words, key->bytes, sizeof(words));
        for (size_t i = 0; i < packets_count; i++)
                lens[i] = packets[i].len < CRYPTO_AEAD_TAG_BYTES ? 0 : packets[i].len - CRYPTO_AEAD_TAG_BYTES;
        mac_keys(words, packets, packets_count, keys);
        macs(keys, packets, lens, packets_count, tags);
        for (size_t i = 0; i < packets_count; i++) {
                packets[i].is_authentic =
                        packets[i].len >= CRYPTO_AEAD_TAG_BYTES &&
                        crypto_eq(packets[i].text + lens[i], tags[i], CRYPTO_AEAD_TAG_BYTES);
                /* What is not authentic is not even opened. */
                texts[i] = packets[i].is_authentic ? lens[i] : 0;
                if (!packets[i].is_authentic)
                        crypto_wipe(packets[i].text, lens[i]);
        }
        crypt(words, packets, texts, packets_count);
        crypto_wipe(keys, packets_count * sizeof(keys[0]));
        crypto_wipe(tags, packets_count * sizeof(tags[0]));
        crypto_wipe(words, sizeof(words));
}

#else

bool crypto_wide_is_there(void)
{
        return false;
}

void crypto_wide_seal(const struct crypto_aead_key *key, struct crypto_aead_packet *packets,
                      size_t packets_count)
{
        assert(!"asked for where it is not there");
}

void crypto_wide_open(const struct crypto_aead_key *key, struct crypto_aead_packet *packets,
                      size_t packets_count)
{
        assert(!"asked for where it is not there");
}

#endif
