/*
 * wg/checksum.h - the Internet checksum, also while copying. Source: RFC 1071, RFC 1624.
 *
 * A running sum is in memory order (not swapped) and not folded; parts after the first must begin at an even place.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t wg_checksum_add(uint64_t sum, const uint8_t *data, size_t len);

/* The same, and a copy: one pass over the bytes. */
uint64_t wg_checksum_copy(uint64_t sum, uint8_t *to, const uint8_t *from, size_t len);

/* The 16-bit one's complement sum, to be stored in memory order with wg_checksum_put; not inverted. */
uint16_t wg_checksum_fold(uint64_t sum);

/* A number as it stands on the wire, for adding. */
static inline uint64_t wg_checksum_be16(uint16_t value)
{
        return (uint64_t)(uint16_t)__builtin_bswap16(value);
}
static inline uint64_t wg_checksum_be32(uint32_t value)
{
        return (uint64_t)__builtin_bswap32(value);
}

static inline void wg_checksum_put(uint8_t *at, uint16_t memory_order)
{
        __builtin_memcpy(at, &memory_order, sizeof(memory_order));
}
