/*
 * Bad input from the network that device_test.c does not have: docs/protocol/wg.md lists each kind, its counter and its test.
 */
#include "lab.h"

static struct lab lab;

static int setup(void **state)
{
        lab_init(&lab, 7);
        return 0;
}

static int teardown(void **state)
{
        lab_fini(&lab);
        return 0;
}

/* A data message of a's session with b with these bytes inside; returns its length. */
static size_t sealed(uint8_t *message, const uint8_t *text, size_t len, uint64_t counter)
{
        struct wg_keypair *k = lab.a.peer->current;
        struct crypto_aead_packet p = { message + WG_DATA_PACKET, len, counter, false };

        memcpy(p.text, text, len);
        wg_put_u32(message, WG_MESSAGE_DATA);
        wg_put_u32(message + WG_DATA_RECEIVER, k->remote_index);
        wg_put_u64(message + WG_DATA_COUNTER, counter);
        crypto_aead_seal_many(&k->sending, &p, 1);
        return len + WG_DATA_OVERHEAD;
}

static void nobody_is_answered(struct lab_end *e)
{
        (void)lab_tick(&lab, e);
        assert_int_equal(e->out.bursts_count, 0);
}

/* The right index, and any length from nothing to a whole packet: only the whole one is data. */
static void cut_short_at_each_byte(void **state)
{
        uint8_t packet[64], message[128], copy[128];

        lab_establish(&lab);
        size_t packet_len = lab_packet(packet, "10.0.0.1", "10.0.0.2", 10, 1);
        size_t len = sealed(message, packet, packet_len, 1000);
        for (size_t n = 0; n < len; n++) {
                memcpy(copy, message, len);
                lab_arrive(&lab, &lab.b, &lab.a.at, copy, n, 0);
                lab.b.in_used = 0;
        }
        assert_int_equal(lab_drops(&lab.b, WG_DROP_MALFORMED), WG_DATA_OVERHEAD);
        assert_int_equal(lab_drops(&lab.b, WG_DROP_NOT_AUTHENTIC), len - WG_DATA_OVERHEAD);
        assert_int_equal(lab.b.in.packets_count, 0);
        nobody_is_answered(&lab.b);
        lab_arrive(&lab, &lab.b, &lab.a.at, message, len, 0);
        assert_int_equal(lab.b.in.packets_count, 1);
}

/* Others pad to 16; who does not is heard all the same (paper 5.4.6 asks it of the sender). */
static void lengths_that_are_no_multiple_of_16(void **state)
{
        uint8_t packet[128], message[192];

        lab_establish(&lab);
        for (size_t payload = 0; payload < 33; payload++) {
                size_t len = sealed(message, packet, lab_packet(packet, "10.0.0.1", "10.0.0.2", payload, 1),
                                    2000 + payload);
                lab_arrive(&lab, &lab.b, &lab.a.at, message, len, 0);
                assert_int_equal(lab.b.in.packets_count, 1);
                lab_forget_packets(&lab.b);
        }
}

static void counters_at_every_edge(void **state)
{
        static const struct {
                const char *why;
                uint64_t counter;
                enum wg_drop drop; /* WG_DROPS: it is taken */
        } cases[] = {
                { "far ahead", 100000, WG_DROPS },
                { "the last again", 100000, WG_DROP_REPLAY },
                { "the oldest of the window", 100000 - (WG_REPLAY_WINDOW - 1), WG_DROPS },
                { "that again", 100000 - (WG_REPLAY_WINDOW - 1), WG_DROP_REPLAY },
                { "one older", 100000 - WG_REPLAY_WINDOW, WG_DROP_REPLAY },
                { "the last there may be", WG_REJECT_AFTER_MESSAGES - 1, WG_DROPS },
                { "one more", WG_REJECT_AFTER_MESSAGES, WG_DROP_KEY_EXPIRED },
                { "the largest number", UINT64_MAX, WG_DROP_KEY_EXPIRED },
        };
        uint8_t packet[64], message[128];

        lab_establish(&lab);
        size_t packet_len = lab_packet(packet, "10.0.0.1", "10.0.0.2", 10, 1);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                uint64_t before = cases[i].drop < WG_DROPS ? lab_drops(&lab.b, cases[i].drop) : 0;
                size_t len = sealed(message, packet, packet_len, cases[i].counter);
                lab_forget_packets(&lab.b);
                lab_arrive(&lab, &lab.b, &lab.a.at, message, len, 0);
                if (lab.b.in.packets_count != (cases[i].drop == WG_DROPS))
                        fail_msg("%s", cases[i].why);
                if (cases[i].drop < WG_DROPS)
                        assert_int_equal(lab_drops(&lab.b, cases[i].drop), before + 1);
        }
        nobody_is_answered(&lab.b);
}

/* Whatever one end sends comes back to it, from its own address or the peer's. */
static void a_mirror(void **state)
{
        const struct wg_endpoint *sources[] = { &lab.a.at, &lab.b.at };

        for (size_t s = 0; s < ARRAY_SIZE(sources); s++) {
                lab_establish(&lab);
                assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 1), ERR_OK); /* data */
                wg_timers_want_initiation(&lab.a.peer->timers, lab.now.mono);
                lab.a.peer->timers.has_initiation = false;
                wg_peer_reschedule(lab.a.device, lab.a.peer);
                (void)lab_tick(&lab, &lab.a); /* and an initiation */
                wg_outbox_seal(&lab.a.out);
                uint8_t copy[4][256];
                size_t lens[4], count = lab.a.out.bursts_count;
                assert_in_range(count, 1, 4);
                for (size_t i = 0; i < count; i++) {
                        const struct wg_burst *b = &lab.a.out.bursts[i];
                        lens[i] = MIN((size_t)b->len, sizeof(copy[i]));
                        memcpy(copy[i], wg_outbox_bytes(&lab.a.out, b), lens[i]);
                }
                wg_outbox_clear(&lab.a.out);
                struct wg_endpoint before = *wg_peer_endpoint(lab.a.peer);
                for (size_t i = 0; i < count; i++)
                        lab_arrive(&lab, &lab.a, sources[s], copy[i], lens[i], 0);
                nobody_is_answered(&lab.a);
                assert_int_equal(lab.a.in.packets_count, 0);
                assert_true(wg_endpoint_eq(wg_peer_endpoint(lab.a.peer), &before));
                lab_pass(&lab, 20000);
        }
        assert_true(lab_drops(&lab.a, WG_DROP_INDEX) + lab_drops(&lab.a, WG_DROP_MAC1) >= 2);
}

/* A fragment is a packet: its source is looked at as of any other; joining it is the host's. */
static void inner_fragments(void **state)
{
        static const struct {
                const char *why, *source;
                bool is_taken;
        } cases[] = { { "of the peer", "10.0.0.1", true }, { "of somebody else", "10.0.0.7", false } };
        uint8_t packet[64], message[128];

        lab_establish(&lab);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                size_t packet_len = lab_packet(packet, cases[i].source, "10.0.0.2", 16, 1);
                packet[6] = 0x20; /* more fragments */
                packet[7] = 2;    /* at 16 */
                lab_forget_packets(&lab.b);
                lab_arrive(&lab, &lab.b, &lab.a.at, message, sealed(message, packet, packet_len, 3000 + i),
                           0);
                if (lab.b.in.packets_count != cases[i].is_taken)
                        fail_msg("%s", cases[i].why);
        }
        assert_int_equal(lab_drops(&lab.b, WG_DROP_INNER_SOURCE), 1);
}

/* For an address that is another's: given to the host, whose routes and firewall decide; never sent on from here. */
static void inner_packets_to_somebody_else(void **state)
{
        uint8_t packet[64], message[128];

        lab_establish(&lab);
        size_t packet_len = lab_packet(packet, "10.0.0.1", "10.0.0.1", 10, 1);
        lab_arrive(&lab, &lab.b, &lab.a.at, message, sealed(message, packet, packet_len, 4000), 0);
        assert_int_equal(lab.b.in.packets_count, 1);
        nobody_is_answered(&lab.b);
}

/* A cookie made for one peer's question does not fit another's: the index is the asker's, the box is tied to its mac1. */
static void a_cookie_of_another_peer(void **state)
{
        struct lab_end other;
        uint8_t reply[WG_COOKIE_REPLY_BYTES];

        lab_end_init(&lab, &other, "203.0.113.9", "10.0.0.9");
        lab_introduce(&other, &lab.b);
        lab.b.device->loaded_until = lab.now.mono + 1000000;
        assert_err(lab_send(&lab, &other, "10.0.0.2", 10, 1), ERR_OK);
        (void)lab_tick(&lab, &other);
        assert_int_equal(lab_carry(&lab, &other, &lab.b), 1);
        wg_outbox_seal(&lab.b.out);
        memcpy(reply, wg_outbox_bytes(&lab.b.out, &lab.b.out.bursts[0]), sizeof(reply));
        wg_outbox_clear(&lab.b.out);

        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 1), ERR_OK);
        (void)lab_tick(&lab, &lab.a);
        wg_put_u32(reply + WG_COOKIE_REPLY_RECEIVER, lab.a.peer->handshake.local_index);
        lab_arrive(&lab, &lab.a, &lab.b.at, reply, sizeof(reply), 0);
        assert_int_equal(lab_drops(&lab.a, WG_DROP_COOKIE), 1);
        assert_false(lab.a.peer->cookie.has_cookie);
        lab_end_fini(&other);
}

/* With the right index and mac1, but made with another private key. */
static void a_response_of_another_key(void **state)
{
        struct lab_end liar;
        uint8_t message[WG_RESPONSE_BYTES];

        lab_end_init(&lab, &liar, "203.0.113.9", "10.0.0.2");
        lab_introduce(&liar, &lab.a);
        lab_introduce(&lab.a, &liar);
        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 1), ERR_OK);
        (void)lab_tick(&lab, &lab.a);
        for (unsigned i = 0; i < 50; i++) {
                lab_fill(&lab.random, message, sizeof(message));
                wg_put_u32(message, WG_MESSAGE_RESPONSE);
                wg_put_u32(message + WG_RESPONSE_RECEIVER, lab.a.peer->handshake.local_index);
                struct wg_cookie_maker maker;
                wg_cookie_maker_init(&maker, wg_device_public_key(lab.a.device));
                wg_cookie_add_macs(&maker, message, WG_RESPONSE_MAC1, lab.now.mono);
                wg_outbox_clear(&lab.a.out);
                lab_arrive(&lab, &lab.a, &lab.b.at, message, sizeof(message), 0);
                nobody_is_answered(&lab.a);
                lab.a.in_used = 0;
        }
        assert_true(lab_drops(&lab.a, WG_DROP_HANDSHAKE) + lab_drops(&lab.a, WG_DROP_INDEX) >= 50);
        lab_end_fini(&liar);
}

/* Way and use: only authentic traffic names a peer as one in use, and what it says is given out once. */
static void who_is_in_use(void **state)
{
        uint8_t noise[64] = { WG_MESSAGE_DATA };

        lab_establish(&lab);
        while (wg_device_take_touched(lab.b.device))
                continue;
        wg_put_u32(noise + WG_DATA_RECEIVER, lab.b.peer->current->local_index);
        lab_arrive(&lab, &lab.b, &lab.a.at, noise, sizeof(noise), 0);
        assert_false(wg_device_has_touched(lab.b.device));
        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 1), ERR_OK);
        lab_settle(&lab);
        assert_ptr_equal(wg_device_take_touched(lab.b.device), lab.b.peer);
        assert_null(wg_device_take_touched(lab.b.device));
}

/* A way that changed: the handshake that waits for an answer begins anew at once, a session that is alive does not. */
static void a_way_that_changed(void **state)
{
        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 1), ERR_OK);
        (void)lab_tick(&lab, &lab.a);
        assert_int_equal(wg_device_get_stats(lab.a.device)->initiations_sent, 1);
        wg_outbox_clear(&lab.a.out); /* lost */
        lab_pass(&lab, 100);
        wg_peer_hurry(lab.a.device, lab.a.peer, lab.now.mono);
        lab_settle(&lab);
        assert_int_equal(wg_device_get_stats(lab.a.device)->initiations_sent, 2);
        assert_int_equal(lab.b.in.packets_count, 1);
        wg_peer_hurry(lab.a.device, lab.a.peer, lab.now.mono);
        lab_settle(&lab);
        assert_int_equal(wg_device_get_stats(lab.a.device)->initiations_sent, 2);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(cut_short_at_each_byte),
                T(lengths_that_are_no_multiple_of_16),
                T(counters_at_every_edge),
                T(a_mirror),
                T(inner_fragments),
                T(inner_packets_to_somebody_else),
                T(a_cookie_of_another_peer),
                T(a_response_of_another_key),
                T(who_is_in_use),
                T(a_way_that_changed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
