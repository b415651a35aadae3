/*
 * bench/aead.c - what sealing and opening packets costs: OpenSSL one by one, and what crypto_aead_*_many does here.
 *
 * Prints nanoseconds a packet and GB/s, the best of several rounds; the rounds alternate, so that a busy machine is fair.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/aead.h"

enum { COUNT_MAX = 64, ROOM = 2048, ROUNDS = 40 };

static uint8_t memory[COUNT_MAX][ROOM] __attribute__((aligned(64)));
static struct crypto_aead_packet packets[COUNT_MAX];
static const struct crypto_aead_key key = { { 1, 2, 3 } };

static double now_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void prepare(size_t len, size_t count)
{
        for (size_t i = 0; i < count; i++)
                packets[i] = (struct crypto_aead_packet){ memory[i] + 16, len, i, false };
}

static double seal_one_by_one(size_t len, size_t count)
{
        double begin = now_ns();

        for (size_t i = 0; i < count; i++) {
                uint8_t nonce[12] = { 0, 0, 0, 0, (uint8_t)i };
                crypto_aead_seal(&key, nonce, STR_NULL, packets[i].text, len);
        }
        return now_ns() - begin;
}

static double seal_many(size_t len, size_t count)
{
        double begin = now_ns();

        crypto_aead_seal_many(&key, packets, count);
        return now_ns() - begin;
}

static double open_many(size_t len, size_t count)
{
        crypto_aead_seal_many(&key, packets, count);
        for (size_t i = 0; i < count; i++)
                packets[i].len += 16;
        double begin = now_ns();
        crypto_aead_open_many(&key, packets, count);
        double took = now_ns() - begin;
        for (size_t i = 0; i < count; i++) {
                packets[i].len -= 16;
                if (!packets[i].is_authentic)
                        abort();
        }
        return took;
}

int main(void)
{
        static const size_t lens[] = { 64, 576, 1420 }, counts[] = { 1, 2, 3, 4, 8, 16, 44, 64 };
        double (*const ways[])(size_t, size_t) = { seal_one_by_one, seal_many, open_many };

        printf("%6s %6s | %22s %22s %22s\n", "bytes", "count", "seal one by one", "seal many", "open many");
        for (size_t l = 0; l < sizeof(lens) / sizeof(lens[0]); l++)
                for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
                        double best[3] = { 1e18, 1e18, 1e18 };
                        prepare(lens[l], counts[c]);
                        for (int round = 0; round < ROUNDS * 20; round++)
                                for (size_t w = 0; w < 3; w++) {
                                        double took = ways[w](lens[l], counts[c]) / (double)counts[c];
                                        best[w] = took < best[w] ? took : best[w];
                                }
                        printf("%6zu %6zu |", lens[l], counts[c]);
                        for (size_t w = 0; w < 3; w++)
                                printf(" %8.0f ns %5.2f GB/s", best[w], (double)lens[l] / best[w]);
                        printf("\n");
                }
        return 0;
}
