#include "wg/cookie.h"

#include "lab.h"

static struct lab_random rng;
static const struct wg_random random_source = { lab_fill, &rng };
static struct wg_cookie_checker checker;
static struct wg_cookie_maker maker;
static uint8_t message[WG_INITIATION_BYTES];
static struct ip source;

static int setup(void **state)
{
        uint8_t key[32] = { 1, 2, 3 };

        rng.state = 11;
        wg_cookie_checker_init(&checker, key);
        wg_cookie_maker_init(&maker, key);
        lab_fill(&rng, message, sizeof(message));
        source = lab_ip("198.51.100.1");
        return 0;
}

static bool mac2_holds(struct ip from, uint16_t port, mono_ms now)
{
        return wg_cookie_mac2_holds(&checker, message, WG_INITIATION_MAC1, from, port, now, &random_source);
}

/* Asks at `now` and takes the answer; the next message carries the cookie. */
static void get_cookie(mono_ms now)
{
        uint8_t reply[WG_COOKIE_REPLY_BYTES];

        wg_cookie_add_macs(&maker, message, WG_INITIATION_MAC1, now);
        wg_cookie_reply(&checker, message, WG_INITIATION_MAC1, 99, source, 5000, now, &random_source, reply);
        assert_int_equal(wg_get_u32(reply), WG_MESSAGE_COOKIE_REPLY);
        assert_int_equal(wg_get_u32(reply + WG_COOKIE_REPLY_RECEIVER), 99);
        assert_err(wg_cookie_consume(&maker, reply, now), ERR_OK);
}

static void mac1_needs_the_public_key(void **state)
{
        struct wg_cookie_maker stranger;
        uint8_t other[32] = { 9 };

        wg_cookie_add_macs(&maker, message, WG_INITIATION_MAC1, 0);
        assert_true(wg_cookie_mac1_holds(&checker, message, WG_INITIATION_MAC1));
        for (size_t i = 0; i < WG_INITIATION_MAC2; i += 7) {
                message[i] ^= 1;
                assert_false(wg_cookie_mac1_holds(&checker, message, WG_INITIATION_MAC1));
                message[i] ^= 1;
        }
        wg_cookie_maker_init(&stranger, other);
        wg_cookie_add_macs(&stranger, message, WG_INITIATION_MAC1, 0);
        assert_false(wg_cookie_mac1_holds(&checker, message, WG_INITIATION_MAC1));
}

static void a_cookie_proves_an_address(void **state)
{
        get_cookie(1000);
        wg_cookie_add_macs(&maker, message, WG_INITIATION_MAC1, 2000);
        assert_true(mac2_holds(source, 5000, 2000));
        assert_false(mac2_holds(source, 5001, 2000));
        assert_false(mac2_holds(lab_ip("198.51.100.2"), 5000, 2000));
        assert_false(mac2_holds(lab_ip("2001:db8::1"), 5000, 2000));
        message[WG_INITIATION_MAC2 + 3] ^= 1;
        assert_false(mac2_holds(source, 5000, 2000));
}

static void without_a_cookie_mac2_is_zero(void **state)
{
        static const uint8_t zero[WG_MAC_BYTES];

        wg_cookie_add_macs(&maker, message, WG_INITIATION_MAC1, 0);
        assert_memory_equal(message + WG_INITIATION_MAC2, zero, sizeof(zero));
        assert_false(mac2_holds(source, 5000, 0));
}

static void cookies_age_at_both_ends(void **state)
{
        static const uint8_t zero[WG_MAC_BYTES];

        get_cookie(0);
        /* Used until 115 s, */
        wg_cookie_add_macs(&maker, message, WG_INITIATION_MAC1, 114999);
        assert_true(mac2_holds(source, 5000, 114999));
        assert_true(mac2_holds(source, 5000, 119999));  /* taken until 120, */
        assert_false(mac2_holds(source, 5000, 120000)); /* since then the secret is another. */
        wg_cookie_add_macs(&maker, message, WG_INITIATION_MAC1, 115000);
        assert_memory_equal(message + WG_INITIATION_MAC2, zero, sizeof(zero));
}

static void a_reply_is_for_the_last_message_only(void **state)
{
        uint8_t reply[WG_COOKIE_REPLY_BYTES];

        wg_cookie_reply(&checker, message, WG_INITIATION_MAC1, 1, source, 5000, 0, &random_source, reply);
        assert_err(wg_cookie_consume(&maker, reply, 0), ERR_DENIED); /* nothing was sent yet */
        wg_cookie_add_macs(&maker, message, WG_INITIATION_MAC1, 0);
        wg_cookie_reply(&checker, message, WG_INITIATION_MAC1, 1, source, 5000, 0, &random_source, reply);
        message[5] ^= 1;
        wg_cookie_add_macs(&maker, message, WG_INITIATION_MAC1, 0);
        assert_err(wg_cookie_consume(&maker, reply, 0), ERR_DENIED); /* to the one before */
        wg_cookie_reply(&checker, message, WG_INITIATION_MAC1, 1, source, 5000, 0, &random_source, reply);
        for (size_t i = WG_COOKIE_REPLY_NONCE; i < sizeof(reply); i++) {
                reply[i] ^= 0x10;
                assert_err(wg_cookie_consume(&maker, reply, 0), ERR_DENIED);
                reply[i] ^= 0x10;
        }
        assert_err(wg_cookie_consume(&maker, reply, 0), ERR_OK);
        assert_err(wg_cookie_consume(&maker, reply, 0), ERR_DENIED); /* once */
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(mac1_needs_the_public_key),
                T(a_cookie_proves_an_address),
                T(without_a_cookie_mac2_is_zero),
                T(cookies_age_at_both_ends),
                T(a_reply_is_for_the_last_message_only),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
