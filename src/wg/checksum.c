#include "wg/checksum.h"

#include <string.h>

/*
 * 32-bit words are added into 64-bit lanes, so that no carry is lost before 2^32 words; the loops are plain enough for
 * the compiler to use vectors, and are built once for each level the processor may have.
 */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default"), optimize("O3")))
#else
#define CLONES
#endif

enum { LANES = 16 };

static uint64_t tail(uint64_t sum, const uint8_t *data, size_t len)
{
        uint32_t word;

        for (; len >= 4; data += 4, len -= 4) {
                memcpy(&word, data, 4);
                sum += word;
        }
        word = 0;
        memcpy(&word, data, len);
        return sum + word;
}

CLONES uint64_t wg_checksum_add(uint64_t sum, const uint8_t *data, size_t len)
{
        uint64_t lanes[LANES] = { 0 };

        for (; len >= 4 * LANES; data += 4 * LANES, len -= 4 * LANES) {
                uint32_t words[LANES];
                memcpy(words, data, sizeof(words));
                for (size_t i = 0; i < LANES; i++)
                        lanes[i] += words[i];
        }
        for (size_t i = 0; i < LANES; i++)
                sum += lanes[i];
        return tail(sum, data, len);
}

CLONES uint64_t wg_checksum_copy(uint64_t sum, uint8_t *to, const uint8_t *from, size_t len)
{
        uint64_t lanes[LANES] = { 0 };

        for (; len >= 4 * LANES; from += 4 * LANES, to += 4 * LANES, len -= 4 * LANES) {
                uint32_t words[LANES];
                memcpy(words, from, sizeof(words));
                for (size_t i = 0; i < LANES; i++)
                        lanes[i] += words[i];
                memcpy(to, words, sizeof(words));
        }
        for (size_t i = 0; i < LANES; i++)
                sum += lanes[i];
        memcpy(to, from, len);
        return tail(sum, from, len);
}

uint16_t wg_checksum_fold(uint64_t sum)
{
        sum = (sum & 0xffffffff) + (sum >> 32);
        sum = (sum & 0xffffffff) + (sum >> 32);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        return (uint16_t)sum;
}
