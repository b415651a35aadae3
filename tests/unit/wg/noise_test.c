#include "wg/noise.h"

#include "crypto/secret.h"
#include "lab.h"

static struct wg_identity alice, bob;
static struct wg_handshake at_alice, at_bob; /* each about the other */
static struct lab_random rng;
static uint8_t stamp[WG_TIMESTAMP_BYTES];

static void fresh(uint8_t out[32])
{
        lab_fill(&rng, out, 32);
}

static int setup(void **state)
{
        uint8_t key[32];

        rng.state = 42;
        fresh(key);
        wg_identity_set(&alice, key);
        fresh(key);
        wg_identity_set(&bob, key);
        wg_handshake_init(&at_alice, &alice, bob.public_key);
        wg_handshake_init(&at_bob, &bob, alice.public_key);
        memset(stamp, 1, sizeof(stamp));
        return 0;
}

static enum err initiate(uint8_t message[WG_INITIATION_BYTES])
{
        uint8_t ephemeral[32];

        fresh(ephemeral);
        stamp[11]++;
        return wg_noise_create_initiation(&at_alice, &alice, ephemeral, stamp, 0x01020304, message);
}

static enum err take(const uint8_t message[WG_INITIATION_BYTES], mono_ms now)
{
        struct wg_initiation half;
        enum err e = wg_noise_read_initiation(&bob, message, &half);

        if (e != ERR_OK)
                return e;
        assert_memory_equal(half.remote_static, alice.public_key, 32);
        return wg_noise_accept_initiation(&at_bob, &half, message, now);
}

static enum err respond(uint8_t message[WG_RESPONSE_BYTES])
{
        uint8_t ephemeral[32];

        fresh(ephemeral);
        return wg_noise_create_response(&at_bob, ephemeral, 0x0a0b0c0d, message);
}

static void expect_same_session(void)
{
        static struct wg_keypair a, b;

        wg_noise_begin_session(&at_alice, &a, 7);
        wg_noise_begin_session(&at_bob, &b, 8);
        assert_memory_equal(a.sending.bytes, b.receiving.bytes, 32);
        assert_memory_equal(a.receiving.bytes, b.sending.bytes, 32);
        assert_memory_not_equal(a.sending.bytes, a.receiving.bytes, 32);
        assert_int_equal(a.local_index, b.remote_index);
        assert_int_equal(a.remote_index, b.local_index);
        assert_true(a.is_initiator && !b.is_initiator);
        assert_int_equal(at_alice.state, WG_HANDSHAKE_NONE);
        assert_true(crypto_is_zero(at_alice.chaining_key, 32));
        assert_true(crypto_is_zero(at_bob.ephemeral_private, 32));
}

static void both_ends_get_the_same_keys(void **state)
{
        uint8_t initiation[WG_INITIATION_BYTES], response[WG_RESPONSE_BYTES];

        assert_err(initiate(initiation), ERR_OK);
        assert_int_equal(wg_get_u32(initiation), WG_MESSAGE_INITIATION);
        assert_err(take(initiation, 1000), ERR_OK);
        assert_err(respond(response), ERR_OK);
        assert_int_equal(wg_get_u32(response), WG_MESSAGE_RESPONSE);
        assert_int_equal(wg_get_u32(response + WG_RESPONSE_RECEIVER), 0x01020304);
        assert_err(wg_noise_consume_response(&at_alice, &alice, response), ERR_OK);
        expect_same_session();
}

static void a_preshared_key_must_be_the_same(void **state)
{
        uint8_t initiation[WG_INITIATION_BYTES], response[WG_RESPONSE_BYTES];

        memset(at_bob.preshared_key, 9, 32);
        assert_err(initiate(initiation), ERR_OK);
        assert_err(take(initiation, 1000), ERR_OK);
        assert_err(respond(response), ERR_OK);
        assert_err(wg_noise_consume_response(&at_alice, &alice, response), ERR_DENIED);
        memset(at_alice.preshared_key, 9, 32);
        assert_err(wg_noise_consume_response(&at_alice, &alice, response), ERR_OK);
        expect_same_session();
}

static void every_bit_of_an_initiation_counts(void **state)
{
        uint8_t initiation[WG_INITIATION_BYTES];

        assert_err(initiate(initiation), ERR_OK);
        /* The type and the macs are not Noise's, and the sender is only a number to answer to. */
        for (size_t bit = 8 * WG_INITIATION_EPHEMERAL; bit < 8 * WG_INITIATION_MAC1; bit += 3) {
                /* The highest bit of a point is not part of it, but is hashed all the same. */
                initiation[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_err(take(initiation, 1000), ERR_DENIED);
                assert_int_equal(at_bob.state, WG_HANDSHAKE_NONE);
                initiation[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_err(take(initiation, 1000), ERR_OK);
}

static void every_bit_of_a_response_counts(void **state)
{
        uint8_t initiation[WG_INITIATION_BYTES], response[WG_RESPONSE_BYTES];

        assert_err(initiate(initiation), ERR_OK);
        assert_err(take(initiation, 1000), ERR_OK);
        assert_err(respond(response), ERR_OK);
        for (size_t bit = 8 * WG_RESPONSE_EPHEMERAL; bit < 8 * WG_RESPONSE_MAC1; bit += 3) {
                struct wg_handshake before = at_alice;
                response[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_err(wg_noise_consume_response(&at_alice, &alice, response), ERR_DENIED);
                assert_memory_equal(&before, &at_alice, sizeof(before));
                response[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_err(wg_noise_consume_response(&at_alice, &alice, response), ERR_OK);
        expect_same_session();
}

static void a_repeated_initiation_is_refused(void **state)
{
        uint8_t first[WG_INITIATION_BYTES], second[WG_INITIATION_BYTES], third[WG_INITIATION_BYTES];

        assert_err(initiate(first), ERR_OK);
        assert_err(initiate(second), ERR_OK);
        assert_err(take(second, 1000), ERR_OK);
        assert_err(take(second, 5000), ERR_DENIED); /* the same timestamp */
        assert_err(take(first, 5000), ERR_DENIED);  /* an older one */
        assert_err(initiate(third), ERR_OK);
        assert_err(take(third, 1000 + WG_INITIATION_LEAST_MS - 1), ERR_DENIED); /* too soon */
        assert_int_equal(at_bob.state, WG_HANDSHAKE_INITIATION_CONSUMED);
        assert_err(take(third, 1000 + WG_INITIATION_LEAST_MS), ERR_OK);
}

static void a_timestamp_far_in_the_future_is_taken(void **state)
{
        uint8_t message[WG_INITIATION_BYTES];

        memset(stamp, 0x7f, sizeof(stamp));
        assert_err(initiate(message), ERR_OK);
        assert_err(take(message, 1000), ERR_OK);
        memset(stamp, 1, sizeof(stamp));
        assert_err(initiate(message), ERR_OK);
        assert_err(take(message, 9000), ERR_DENIED);
}

static void a_response_counts_once(void **state)
{
        uint8_t initiation[WG_INITIATION_BYTES], response[WG_RESPONSE_BYTES];

        assert_err(initiate(initiation), ERR_OK);
        assert_err(take(initiation, 1000), ERR_OK);
        assert_err(respond(response), ERR_OK);
        assert_err(wg_noise_consume_response(&at_alice, &alice, response), ERR_OK);
        assert_err(wg_noise_consume_response(&at_alice, &alice, response), ERR_DENIED);
        expect_same_session();
        assert_err(wg_noise_consume_response(&at_alice, &alice, response), ERR_DENIED);
}

static void a_response_to_an_older_initiation_is_refused(void **state)
{
        uint8_t initiation[WG_INITIATION_BYTES], response[WG_RESPONSE_BYTES];

        assert_err(initiate(initiation), ERR_OK);
        assert_err(take(initiation, 1000), ERR_OK);
        assert_err(respond(response), ERR_OK);
        assert_err(initiate(initiation), ERR_OK);
        assert_err(wg_noise_consume_response(&at_alice, &alice, response), ERR_DENIED);
}

static void keys_of_small_order_are_refused(void **state)
{
        static const uint8_t zero[32], one[32] = { 1 };
        const uint8_t *const points[] = { zero, one };
        uint8_t message[WG_INITIATION_BYTES];
        struct wg_initiation half;

        for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
                struct wg_handshake h;
                wg_handshake_init(&h, &alice, points[i]);
                assert_false(h.has_static_static);
                assert_err(wg_noise_create_initiation(&h, &alice, alice.private_key, stamp, 1, message),
                           ERR_DENIED);

                memset(message, 0, sizeof(message));
                memcpy(message + WG_INITIATION_EPHEMERAL, points[i], 32);
                assert_err(wg_noise_read_initiation(&bob, message, &half), ERR_DENIED);
                assert_true(crypto_is_zero((uint8_t *)&half, sizeof(half)));
        }
}

static void without_a_key_there_is_no_handshake(void **state)
{
        static const uint8_t zero[32];
        uint8_t message[WG_INITIATION_BYTES];
        struct wg_initiation half;
        struct wg_identity nobody;

        assert_err(initiate(message), ERR_OK);
        wg_identity_set(&nobody, zero);
        assert_false(nobody.has_key);
        wg_handshake_set_identity(&at_alice, &nobody);
        assert_err(wg_noise_create_initiation(&at_alice, &nobody, alice.private_key, stamp, 1, message),
                   ERR_DENIED);
        assert_err(wg_noise_read_initiation(&nobody, message, &half), ERR_DENIED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(both_ends_get_the_same_keys, setup),
                cmocka_unit_test_setup(a_preshared_key_must_be_the_same, setup),
                cmocka_unit_test_setup(every_bit_of_an_initiation_counts, setup),
                cmocka_unit_test_setup(every_bit_of_a_response_counts, setup),
                cmocka_unit_test_setup(a_repeated_initiation_is_refused, setup),
                cmocka_unit_test_setup(a_timestamp_far_in_the_future_is_taken, setup),
                cmocka_unit_test_setup(a_response_counts_once, setup),
                cmocka_unit_test_setup(a_response_to_an_older_initiation_is_refused, setup),
                cmocka_unit_test_setup(keys_of_small_order_are_refused, setup),
                cmocka_unit_test_setup(without_a_key_there_is_no_handshake, setup),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
