#include "control/id.h"

#include <assert.h>
#include <string.h>

enum { HALF_BITS = 40, ROUNDS = 4, CHARS = 16, CHAR_BITS = 5 };

#define HALF_MASK ((UINT64_C(1) << HALF_BITS) - 1)

/* The kind is part of the round, so that rows of the same number look unlike. */
static uint64_t round_of(struct hash_key key, const char *prefix, int round, uint64_t half)
{
        uint8_t bytes[8 + 1 + 4] = { 0 };

        memcpy(bytes, &half, sizeof(half));
        bytes[8] = (uint8_t)round;
        memcpy(bytes + 9, prefix, 2);
        return hash_str(key, (struct str){ (const char *)bytes, sizeof(bytes) }) & HALF_MASK;
}

struct str id_format(struct hash_key key, const char *prefix, int64_t row, char out[WIRE_ID_SIZE])
{
        uint64_t left = 0, right = (uint64_t)row;
        uint8_t bytes[WIRE_ID_RANDOM_BYTES];

        assert(row > 0 && right <= HALF_MASK);
        for (int i = 0; i < ROUNDS; i++) {
                uint64_t next = left ^ round_of(key, prefix, i, right);

                left = right;
                right = next;
        }
        for (int i = 0; i < 5; i++) {
                bytes[i] = (uint8_t)(left >> (8 * (4 - i)));
                bytes[5 + i] = (uint8_t)(right >> (8 * (4 - i)));
        }
        return wire_id_format(str_of(prefix), bytes, out);
}

static int value_of(char c)
{
        return c >= 'a' && c <= 'z' ? c - 'a' : c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

enum err id_parse(struct hash_key key, const char *prefix, struct str text, int64_t *row)
{
        uint64_t halves[2] = { 0 }, left, right;

        if (text.len != 3 + CHARS || memcmp(text.ptr, prefix, 2) != 0 || text.ptr[2] != '-')
                return ERR_NOT_FOUND;
        for (int i = 0; i < CHARS; i++) {
                int value = value_of(text.ptr[3 + i]);

                if (value < 0)
                        return ERR_NOT_FOUND;
                halves[i / 8] = halves[i / 8] << CHAR_BITS | (uint64_t)value;
        }
        left = halves[0];
        right = halves[1];
        for (int i = ROUNDS - 1; i >= 0; i--) {
                uint64_t before = right ^ round_of(key, prefix, i, left);

                right = left;
                left = before;
        }
        if (left != 0 || right == 0)
                return ERR_NOT_FOUND;
        *row = (int64_t)right;
        return ERR_OK;
}
