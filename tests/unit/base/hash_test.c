#include "base/hash.h"

#include "../test.h"

/*
 * Key 00 01 … 0f, input 00 01 … (n-1) modulo 256. The value for 15 bytes stands in the SipHash paper, appendix A; the
 * others were computed with `openssl mac -macopt size:8 SIPHASH` and are read as little-endian numbers.
 */
static void test_reference_vectors(void **state)
{
        static const struct {
                size_t len;
                uint64_t hash;
        } cases[] = {
                { 0, 0x726fdb47dd0e0e31ULL },   { 1, 0x74f839c593dc67fdULL },
                { 2, 0x0d6c8009d9a94f5aULL },   { 3, 0x85676696d7fb7e2dULL },
                { 4, 0xcf2794e0277187b7ULL },   { 5, 0x18765564cd99a68dULL },
                { 6, 0xcbc9466e58fee3ceULL },   { 7, 0xab0200f58b01d137ULL },
                { 8, 0x93f5f5799a932462ULL },   { 9, 0x9e0082df0ba9e4b0ULL },
                { 15, 0xa129ca6149be45e5ULL },  { 16, 0x3f2acc7f57c29bdbULL },
                { 17, 0x699ae9f52cbe4794ULL },  { 23, 0xa80c038ccd5ccec8ULL },
                { 24, 0xb8ad50c6f649af94ULL },  { 31, 0x32d892fad841c342ULL },
                { 32, 0x7127512f72f27cceULL },  { 63, 0x958a324ceb064572ULL },
                { 64, 0xacd2c40b8502cad8ULL },  { 255, 0xa9c169fec74db21aULL },
                { 256, 0x999d0526d2a7bfd7ULL }, { 257, 0x8a817b8d55b29748ULL },
        };
        const struct hash_key key = { 0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL };
        char in[257];

        for (size_t i = 0; i < sizeof(in); i++)
                in[i] = (char)i;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (hash_str(key, (struct str){ in, cases[i].len }) != cases[i].hash)
                        fail_msg("%zu bytes", cases[i].len);
}

/* As above, from `openssl mac -macopt size:16 SIPHASH`. */
static void test_wide_reference_vectors(void **state)
{
        static const struct {
                size_t len;
                uint64_t hash[2];
        } cases[] = {
                { 0, { 0xe6a825ba047f81a3ULL, 0x930255c71472f66dULL } },
                { 1, { 0x44af996bd8c187daULL, 0x45fc229b11597634ULL } },
                { 7, { 0x53c1dbd8beebf1a1ULL, 0x3982f01fa64ab8c0ULL } },
                { 8, { 0x61f55862baa9623bULL, 0xb49714f364e2830fULL } },
                { 15, { 0x11a8b03399e99354ULL, 0xd9c3cf970fec087eULL } },
                { 16, { 0xbb54b067caa4e26eULL, 0x77052385bf1533fdULL } },
                { 24, { 0xd850bd78ae79b42dULL, 0xad32618a178a2a88ULL } },
                { 63, { 0x4a83502f77d15051ULL, 0x7cbd3f979a063e50ULL } },
        };
        const struct hash_key key = { 0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL };
        uint64_t out[2];
        char in[64];

        for (size_t i = 0; i < sizeof(in); i++)
                in[i] = (char)i;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                hash_str_wide(key, (struct str){ in, cases[i].len }, out);
                if (out[0] != cases[i].hash[0] || out[1] != cases[i].hash[1])
                        fail_msg("%zu bytes", cases[i].len);
        }
}

static void test_key_matters(void **state)
{
        const struct hash_key a = { 1, 2 }, b = { 1, 3 }, c = { 2, 2 };

        assert_int_equal(hash_str(a, STR("x")), hash_str(a, STR("x")));
        assert_int_not_equal(hash_str(a, STR("x")), hash_str(b, STR("x")));
        assert_int_not_equal(hash_str(a, STR("x")), hash_str(c, STR("x")));
        assert_int_not_equal(hash_str(a, STR("x")), hash_str(a, STR("y")));
        assert_int_not_equal(hash_str(a, STR("")), hash_str(a, STR("\0"))); /* the length counts */
        assert_int_equal(hash_str(a, STR_NULL), hash_str(a, STR("")));
}

static void test_unaligned_input(void **state)
{
        const struct hash_key key = { 5, 6 };
        char in[32] = "_abcdefghijklmnopqrstuvwxyz";

        assert_int_equal(hash_str(key, (struct str){ in + 1, 26 }),
                         hash_str(key, STR("abcdefghijklmnopqrstuvwxyz")));
}

static void test_number_mix(void **state)
{
        /* The finaliser is a bijection with one fixed point at 0; neighbours must land far apart. */
        assert_int_equal(hash_u64(0), 0);
        for (uint64_t i = 1; i < 1000; i++) {
                unsigned changed = (unsigned)__builtin_popcountll(hash_u64(i) ^ hash_u64(i + 1));
                assert_in_range(changed, 10, 54);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reference_vectors), cmocka_unit_test(test_wide_reference_vectors),
                cmocka_unit_test(test_key_matters),       cmocka_unit_test(test_unaligned_input),
                cmocka_unit_test(test_number_mix),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
