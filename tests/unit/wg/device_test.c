#include "wg/device.h"

#include "crypto/secret.h"
#include "lab.h"

static struct lab lab;

static int setup(void **state)
{
        lab_init(&lab, 1);
        return 0;
}

static int teardown(void **state)
{
        lab_fini(&lab);
        return 0;
}

static void expect_packet(struct lab_end *to, unsigned at, const char *source, size_t payload_len,
                          uint8_t number)
{
        uint8_t expected[65536];
        size_t len = lab_packet(expected, source, to->inner, payload_len, number);

        assert_true(at < to->in.packets_count);
        assert_int_equal(to->in.packets[at].len, len);
        assert_memory_equal(to->in.packets[at].bytes, expected, len);
        assert_ptr_equal(to->in.packets[at].peer, to->peer);
}

static void packets_wait_for_the_handshake_and_keep_their_order(void **state)
{
        for (uint8_t i = 0; i < 5; i++)
                assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 100u + i, i), ERR_OK);
        assert_int_equal(lab.a.out.bursts_count, 0);
        lab_settle(&lab);
        assert_int_equal(lab.b.in.packets_count, 5);
        for (uint8_t i = 0; i < 5; i++)
                expect_packet(&lab.b, i, "10.0.0.1", 100u + i, i);
        assert_int_equal(wg_device_get_stats(lab.a.device)->initiations_sent, 1);
        assert_int_equal(wg_device_get_stats(lab.b.device)->responses_sent, 1);
        assert_int_equal(wg_device_get_stats(lab.b.device)->initiations_sent, 0);
}

static void the_responder_waits_for_the_initiators_first_packet(void **state)
{
        struct wg_peer_stats stats;

        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 1), ERR_OK);
        (void)lab_tick(&lab, &lab.a);
        lab_carry(&lab, &lab.a, &lab.b); /* initiation */
        (void)lab_tick(&lab, &lab.b);
        wg_peer_get_stats(lab.b.peer, lab.now.mono, &stats);
        assert_false(stats.has_session);
        /* What b wants to send now waits, and needs no handshake of its own. */
        assert_err(lab_send(&lab, &lab.b, "10.0.0.1", 20, 2), ERR_OK);
        lab_settle(&lab);
        wg_peer_get_stats(lab.b.peer, lab.now.mono, &stats);
        assert_true(stats.has_session);
        assert_int_equal(stats.last_handshake, lab.now.wall);
        assert_int_equal(lab.a.in.packets_count, 1);
        expect_packet(&lab.a, 0, "10.0.0.2", 20, 2);
        assert_int_equal(wg_device_get_stats(lab.b.device)->initiations_sent, 0);
}

static void a_listener_is_confirmed_by_an_empty_packet(void **state)
{
        uint8_t packet[100];
        size_t len = lab_packet(packet, "10.0.0.1", "10.0.0.2", 10, 1);
        struct wg_frame frame = lab_frame(packet, len);

        /* The packet that asked for the handshake is lost to the queue's bound: the session must come alive all the same. */
        assert_err(wg_device_send(lab.a.device, &frame, lab.now, &lab.a.out), ERR_OK);
        wg_staged_drop_all(lab.a.device, lab.a.peer);
        lab_settle(&lab);
        assert_int_equal(wg_device_get_stats(lab.a.device)->keepalives_sent, 1);
        assert_int_equal(wg_device_get_stats(lab.b.device)->keepalives_received, 1);
        assert_int_equal(lab.b.in.packets_count, 0);
        assert_non_null(wg_peer_sending_keys(lab.b.peer, lab.now.mono));
}

static void sizes_are_padded_up_to_the_mtu(void **state)
{
        static const struct {
                const char *why;
                size_t packet, datagram;
        } cases[] = {
                { "a whole number of 16", 1408, 1408 + 32 },
                { "one more", 1409, 1420 + 32 }, /* 1424 would be over the MTU */
                { "the MTU", 1420, 1420 + 32 },
                { "small", 30, 32 + 32 },
                { "over the MTU, as it is", 1430, 1430 + 32 },
        };
        lab_establish(&lab);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                print_message("%s\n", cases[i].why);
                assert_err(lab_send(&lab, &lab.a, "10.0.0.2", cases[i].packet - 28, 1), ERR_OK);
                assert_int_equal(lab.a.out.bursts[0].len, cases[i].datagram);
                lab_settle(&lab);
                expect_packet(&lab.b, 0, "10.0.0.1", cases[i].packet - 28, 1);
                lab_forget_packets(&lab.b);
        }
}

static void ecn_shows_outside_and_dscp_does_not(void **state)
{
        uint8_t packet[100];
        size_t len = lab_packet(packet, "10.0.0.1", "10.0.0.2", 10, 1);
        struct wg_frame frame = lab_frame(packet, len);

        lab_establish(&lab);
        packet[1] = 0xb8 | 2;
        assert_err(wg_device_send(lab.a.device, &frame, lab.now, &lab.a.out), ERR_OK);
        assert_int_equal(lab.a.out.bursts[0].tos, 2);

        /* A router on the way says "congestion": the inner header says so to its end. */
        const struct wg_burst *b = &lab.a.out.bursts[0];
        struct wg_arrival arrival = { .bytes = lab.b.in_memory, .len = b->len, .from = lab.a.at, .tos = 3 };
        wg_outbox_seal(&lab.a.out);
        memcpy(arrival.bytes, wg_outbox_bytes(&lab.a.out, b), b->len);
        assert_int_equal(wg_device_receive(lab.b.device, &arrival, 1, lab.now, &lab.b.in, &lab.b.out), 1);
        assert_int_equal(lab.b.in.packets[0].bytes[1], 0xb8 | 3);
}

static void a_peer_that_moves_is_followed(void **state)
{
        struct wg_endpoint elsewhere = { .ip = lab_ip("198.51.100.7"), .port = 1234 };

        lab_establish(&lab);
        lab.a.at = elsewhere;
        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 1), ERR_OK);
        lab_settle(&lab);
        assert_true(wg_endpoint_eq(wg_peer_endpoint(lab.b.peer), &elsewhere));
        assert_err(lab_send(&lab, &lab.b, "10.0.0.1", 10, 1), ERR_OK);
        assert_true(wg_endpoint_eq(&lab.b.out.bursts[0].to, &elsewhere));
}

static void what_is_not_authentic_moves_nobody(void **state)
{
        struct wg_endpoint liar = { .ip = lab_ip("198.51.100.7"), .port = 1234 };
        uint8_t copy[200];

        lab_establish(&lab);
        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 1), ERR_OK);
        size_t len = lab.a.out.bursts[0].len;
        wg_outbox_seal(&lab.a.out);
        memcpy(copy, wg_outbox_bytes(&lab.a.out, &lab.a.out.bursts[0]), len);
        lab_settle(&lab);
        lab_forget_packets(&lab.b);

        lab_arrive(&lab, &lab.b, &liar, copy, len, 0); /* a repeat */
        assert_int_equal(lab_drops(&lab.b, WG_DROP_REPLAY), 1);
        wg_put_u64(copy + WG_DATA_COUNTER, 77); /* another number */
        lab_arrive(&lab, &lab.b, &liar, copy, len, 0);
        assert_int_equal(lab_drops(&lab.b, WG_DROP_NOT_AUTHENTIC), 1);
        assert_true(wg_endpoint_eq(wg_peer_endpoint(lab.b.peer), &lab.a.at));
        assert_int_equal(lab.b.in.packets_count, 0);
        assert_int_equal(lab.b.out.bursts_count, 0);
}

static void inner_addresses_are_checked_both_ways(void **state)
{
        uint8_t packet[200];
        struct wg_frame frame;

        lab_establish(&lab);
        /* Out: no peer has it. */
        frame = lab_frame(packet, lab_packet(packet, "10.0.0.1", "10.0.0.3", 10, 1));
        assert_err(wg_device_send(lab.a.device, &frame, lab.now, &lab.a.out), ERR_NOT_FOUND);
        frame = lab_frame(packet, lab_packet(packet, "fd00::1", "fd00::2", 10, 1));
        assert_err(wg_device_send(lab.a.device, &frame, lab.now, &lab.a.out), ERR_NOT_FOUND);
        assert_int_equal(lab_drops(&lab.a, WG_DROP_NO_PEER), 2);

        /* In: the peer says it is somebody else, also b itself. */
        static const char *const sources[] = { "10.0.0.3", "10.0.0.2", "0.0.0.0" };
        for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
                frame = lab_frame(packet, lab_packet(packet, sources[i], "10.0.0.2", 10, 1));
                assert_err(wg_device_send(lab.a.device, &frame, lab.now, &lab.a.out), ERR_OK);
                lab_settle(&lab);
                assert_int_equal(lab.b.in.packets_count, 0);
                assert_int_equal(lab_drops(&lab.b, WG_DROP_INNER_SOURCE), i + 1);
        }
        /* The right one in the same burst still passes. */
        frame = lab_frame(packet, lab_packet(packet, "10.0.0.3", "10.0.0.2", 10, 1));
        assert_err(wg_device_send(lab.a.device, &frame, lab.now, &lab.a.out), ERR_OK);
        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 1), ERR_OK);
        assert_int_equal(lab.a.out.bursts_count, 1);
        lab_settle(&lab);
        assert_int_equal(lab.b.in.packets_count, 1);
}

/* Sealed by an honest key, but no IP packet inside. */
static void inner_packets_that_lie(void **state)
{
        static const struct {
                const char *why;
                size_t at;
                uint8_t value;
        } lies[] = {
                { "version 5", 0, 0x55 },
                { "version 0", 0, 0x05 },
                { "header of 16 bytes", 0, 0x44 },
                { "longer than it is", 2, 9 },
                { "version 6, too short", 0, 0x60 },
        };
        uint8_t packet[100];
        struct wg_keypair *k;

        lab_establish(&lab);
        k = lab.a.peer->current;
        for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
                uint8_t message[128] = { WG_MESSAGE_DATA };
                size_t len = lab_packet(packet, "10.0.0.1", "10.0.0.2", 10, 1);
                struct crypto_aead_packet p = { message + WG_DATA_PACKET, len, k->sending_counter++, false };

                print_message("%s\n", lies[i].why);
                packet[lies[i].at] = lies[i].value;
                memcpy(p.text, packet, len);
                wg_put_u32(message + WG_DATA_RECEIVER, k->remote_index);
                wg_put_u64(message + WG_DATA_COUNTER, p.counter);
                crypto_aead_seal_many(&k->sending, &p, 1);
                lab_arrive(&lab, &lab.b, &lab.a.at, message, len + WG_DATA_OVERHEAD, 0);
                assert_int_equal(lab_drops(&lab.b, WG_DROP_INNER_MALFORMED), i + 1);
                assert_int_equal(lab.b.in.packets_count, 0);
        }
}

/* Everything a stranger can send, and silence as the answer. */
static void strangers_hear_silence(void **state)
{
        uint8_t bytes[256];

        lab_establish(&lab);
        uint64_t initiations = wg_device_get_stats(lab.b.device)->initiations_received;
        for (unsigned type = 0; type < 8; type++)
                for (size_t len = 0; len <= 200; len++)
                        for (int reserved = 0; reserved < 2; reserved++) {
                                lab_fill(&lab.random, bytes, sizeof(bytes));
                                wg_put_u32(bytes, type | (reserved ? 0x010000u : 0));
                                lab_arrive(&lab, &lab.b, &lab.a.at, bytes, len, 0);
                                lab.b.in_used = 0;
                        }
        (void)lab_tick(&lab, &lab.b);
        assert_int_equal(lab.b.out.bursts_count, 0);
        assert_int_equal(lab.b.in.packets_count, 0);
        assert_int_equal(wg_device_get_stats(lab.b.device)->initiations_received, initiations);
        uint64_t drops = 0;
        for (size_t i = 0; i < WG_DROPS; i++)
                drops += lab_drops(&lab.b, (enum wg_drop)i);
        assert_int_equal(drops, 8 * 201 * 2);
        assert_int_equal(lab_drops(&lab.b, WG_DROP_MAC1),
                         2); /* one initiation, one response of the right shape */
}

static void a_big_datagram_and_port_zero(void **state)
{
        uint8_t *big = calloc(1, 65535);
        struct wg_endpoint from = lab.a.at;

        lab_establish(&lab);
        big[0] = WG_MESSAGE_DATA;
        lab_arrive(&lab, &lab.b, &from, big, 65535, 0);
        assert_int_equal(lab_drops(&lab.b, WG_DROP_INDEX), 1);
        wg_put_u32(big + 4, lab.b.peer->current->local_index);
        lab_arrive(&lab, &lab.b, &from, big, 65535, 0);
        assert_int_equal(lab_drops(&lab.b, WG_DROP_NOT_AUTHENTIC), 1);
        from.port = 0;
        lab_arrive(&lab, &lab.b, &from, big, 148, 0);
        assert_int_equal(lab_drops(&lab.b, WG_DROP_PORT_ZERO), 1);
        wg_put_u64(big + 8, WG_REJECT_AFTER_MESSAGES);
        lab_arrive(&lab, &lab.b, &lab.a.at, big, 100, 0);
        assert_int_equal(lab_drops(&lab.b, WG_DROP_KEY_EXPIRED), 1);
        free(big);
}

static void a_stranger_with_our_public_key_is_no_peer(void **state)
{
        struct lab_end stranger;

        lab_end_init(&lab, &stranger, "203.0.113.9", "10.0.0.9");
        lab_introduce(&stranger, &lab.b);
        assert_err(lab_send(&lab, &stranger, "10.0.0.2", 10, 1), ERR_OK);
        (void)lab_tick(&lab, &stranger);
        assert_int_equal(lab_carry(&lab, &stranger, &lab.b), 1);
        (void)lab_tick(&lab, &lab.b);
        assert_int_equal(lab.b.out.bursts_count, 0);
        assert_int_equal(lab_drops(&lab.b, WG_DROP_UNKNOWN_PEER), 1);
        lab_end_fini(&stranger);
}

static void an_initiation_is_answered_once(void **state)
{
        uint8_t initiation[WG_INITIATION_BYTES], response[WG_RESPONSE_BYTES];

        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 1), ERR_OK);
        (void)lab_tick(&lab, &lab.a);
        wg_outbox_seal(&lab.a.out);
        memcpy(initiation, wg_outbox_bytes(&lab.a.out, &lab.a.out.bursts[0]), sizeof(initiation));
        lab_carry(&lab, &lab.a, &lab.b);
        (void)lab_tick(&lab, &lab.b);
        wg_outbox_seal(&lab.b.out);
        memcpy(response, wg_outbox_bytes(&lab.b.out, &lab.b.out.bursts[0]), sizeof(response));
        lab_settle(&lab);
        lab_pass(&lab, 1000);

        lab_arrive(&lab, &lab.b, &lab.a.at, initiation, sizeof(initiation), 0);
        (void)lab_tick(&lab, &lab.b);
        assert_int_equal(lab.b.out.bursts_count, 0);
        assert_int_equal(lab_drops(&lab.b, WG_DROP_HANDSHAKE), 1);
        lab_arrive(&lab, &lab.a, &lab.b.at, response, sizeof(response), 0);
        (void)lab_tick(&lab, &lab.a);
        assert_int_equal(lab.a.out.bursts_count, 0);
        assert_int_equal(lab_drops(&lab.a, WG_DROP_INDEX), 1); /* the index is the session's now */
}

static void under_load_a_cookie_is_asked_for(void **state)
{
        /* Load is a full queue: here it is simply believed in. */
        lab.b.device->loaded_until = lab.now.mono + 100000;
        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 1), ERR_OK);
        (void)lab_tick(&lab, &lab.a);
        lab_carry(&lab, &lab.a, &lab.b);
        (void)lab_tick(&lab, &lab.b);
        assert_int_equal(lab.b.out.bursts_count, 1);
        assert_int_equal(lab.b.out.bursts[0].len, WG_COOKIE_REPLY_BYTES); /* smaller than what was asked */
        lab_carry(&lab, &lab.b, &lab.a);
        assert_true(lab.a.peer->cookie.has_cookie);

        /* The next try carries the cookie, from the same address. */
        lab_pass(&lab, WG_REKEY_TIMEOUT_MS + WG_REKEY_JITTER_MS);
        lab_settle(&lab);
        assert_int_equal(lab.b.in.packets_count, 1);
        assert_int_equal(wg_device_get_stats(lab.b.device)->cookies_sent, 1);
}

static void a_cookie_is_for_one_address_and_one_question(void **state)
{
        struct wg_endpoint elsewhere = { .ip = lab_ip("198.51.100.7"), .port = 51820 };
        uint8_t reply[WG_COOKIE_REPLY_BYTES];

        lab.b.device->loaded_until = lab.now.mono + 1000000;
        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 1), ERR_OK);
        (void)lab_tick(&lab, &lab.a);
        lab_carry(&lab, &lab.a, &lab.b);
        wg_outbox_seal(&lab.b.out);
        memcpy(reply, wg_outbox_bytes(&lab.b.out, &lab.b.out.bursts[0]), sizeof(reply));
        reply[40] ^= 1;
        lab_arrive(&lab, &lab.a, &lab.b.at, reply, sizeof(reply), 0); /* changed */
        assert_int_equal(lab_drops(&lab.a, WG_DROP_COOKIE), 1);
        reply[40] ^= 1;
        lab_arrive(&lab, &lab.a, &lab.b.at, reply, sizeof(reply), 0);
        assert_true(lab.a.peer->cookie.has_cookie);
        lab_arrive(&lab, &lab.a, &lab.b.at, reply, sizeof(reply), 0); /* unasked */
        assert_int_equal(lab_drops(&lab.a, WG_DROP_COOKIE), 2);
        wg_put_u32(reply + WG_COOKIE_REPLY_RECEIVER, 12345);
        lab_arrive(&lab, &lab.a, &lab.b.at, reply, sizeof(reply), 0);
        assert_int_equal(lab_drops(&lab.a, WG_DROP_INDEX), 1);
        wg_outbox_clear(&lab.b.out);

        /* From another address the same cookie is worth nothing: another is offered. */
        lab.a.at = elsewhere;
        lab_pass(&lab, WG_REKEY_TIMEOUT_MS + WG_REKEY_JITTER_MS);
        (void)lab_tick(&lab, &lab.a);
        lab_carry(&lab, &lab.a, &lab.b);
        (void)lab_tick(&lab, &lab.b);
        assert_int_equal(lab_drops(&lab.b, WG_DROP_COOKIE_ASKED), 2);
        assert_int_equal(wg_device_get_stats(lab.b.device)->initiations_received, 0);
}

static void a_flood_brings_load_and_load_passes(void **state)
{
        uint8_t message[WG_INITIATION_BYTES] = { WG_MESSAGE_INITIATION };
        struct wg_cookie_maker maker;

        /* Initiations with a right mac1 and rubbish inside, more than are worked off. */
        wg_cookie_maker_init(&maker, wg_device_public_key(lab.b.device));
        for (uint32_t i = 0; i < 3000; i++) {
                wg_put_u32(message + WG_INITIATION_SENDER, i);
                wg_cookie_add_macs(&maker, message, WG_INITIATION_MAC1, lab.now.mono);
                lab.b.in_used = 0;
                lab_arrive(&lab, &lab.b, &lab.a.at, message, sizeof(message), 0);
        }
        assert_true(wg_device_is_under_load(lab.b.device, lab.now.mono));
        assert_int_equal(lab.b.device->queue_count, WG_LOADED_HANDSHAKES);
        assert_true(lab_drops(&lab.b, WG_DROP_COOKIE_ASKED) + lab_drops(&lab.b, WG_DROP_OUTBOX_FULL) ==
                    3000 - WG_LOADED_HANDSHAKES);
        wg_outbox_clear(&lab.b.out);
        assert_int_equal(lab_tick(&lab, &lab.b), lab.now.mono); /* more to do at once */
        lab_pass(&lab, WG_UNDER_LOAD_MS);
        assert_false(wg_device_is_under_load(lab.b.device, lab.now.mono));
        lab_settle(&lab);
        lab_establish(&lab);
}

static void keys_are_renewed_before_they_end(void **state)
{
        lab_establish(&lab);
        uint32_t old = lab.a.peer->current->local_index;

        for (int s = 0; s < 125; s++) {
                lab_pass(&lab, 1000);
                assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 1), ERR_OK);
                lab_settle(&lab);
                assert_int_equal(lab.b.in.packets_count, 1);
                lab_forget_packets(&lab.b);
        }
        assert_int_not_equal(lab.a.peer->current->local_index, old);
        assert_int_equal(lab.a.peer->previous->local_index, old);
        assert_int_equal(wg_device_get_stats(lab.a.device)->initiations_sent, 2);
        assert_int_equal(wg_device_get_stats(lab.b.device)->initiations_sent, 0);
}

static void who_only_listens_renews_too(void **state)
{
        lab_establish(&lab);
        for (int s = 0; s < 175; s++) {
                lab_pass(&lab, 1000);
                assert_err(lab_send(&lab, &lab.b, "10.0.0.1", 10, 1), ERR_OK);
                lab_settle(&lab);
                assert_int_equal(lab.a.in.packets_count, 1);
                lab_forget_packets(&lab.a);
        }
        /* a made the first keys, so a makes the second; its own keepalives are data enough from 120 s on. */
        assert_int_equal(wg_device_get_stats(lab.a.device)->initiations_sent, 2);
        assert_int_equal(wg_device_get_stats(lab.b.device)->initiations_sent, 0);
}

static void keys_are_not_used_after_their_time(void **state)
{
        uint8_t copy[200];

        lab_establish(&lab);
        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 1), ERR_OK);
        size_t len = lab.a.out.bursts[0].len;
        wg_outbox_seal(&lab.a.out);
        memcpy(copy, wg_outbox_bytes(&lab.a.out, &lab.a.out.bursts[0]), len);
        wg_outbox_clear(&lab.a.out);

        /* b has not ticked yet, so the keys are still there, but past their time. */
        lab_pass(&lab, WG_REJECT_AFTER_MS);
        lab_arrive(&lab, &lab.b, &lab.a.at, copy, len, 0);
        assert_int_equal(lab_drops(&lab.b, WG_DROP_KEY_EXPIRED), 1);
        assert_null(wg_peer_sending_keys(lab.b.peer, lab.now.mono));
        (void)lab_tick(&lab, &lab.b);
        assert_null(lab.b.peer->current);
        lab_arrive(&lab, &lab.b, &lab.a.at, copy, len, 0);
        assert_int_equal(lab_drops(&lab.b, WG_DROP_INDEX), 1);
}

static void all_is_forgotten_after_a_long_silence(void **state)
{
        lab_establish(&lab);
        lab_pass(&lab, 3 * WG_REJECT_AFTER_MS);
        lab_settle(&lab);
        /* Unanswered data may have asked for new keys on the way; cut the line to see the end. */
        for (int i = 0; i < 200; i++) {
                lab_pass(&lab, 10000);
                (void)lab_tick(&lab, &lab.a);
                wg_outbox_clear(&lab.a.out);
        }
        assert_null(lab.a.peer->current);
        assert_null(lab.a.peer->previous);
        assert_null(lab.a.peer->next);
        assert_int_equal(lab.a.peer->handshake.state, WG_HANDSHAKE_NONE);
        assert_int_equal(lab.a.device->index.count, 0);
        assert_int_equal(lab_tick(&lab, &lab.a), MONO_NEVER);
}

static void an_unanswered_handshake_is_tried_and_given_up(void **state)
{
        mono_ms begin = lab.now.mono;
        unsigned tries = 0;

        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 1), ERR_OK);
        for (;;) {
                mono_ms next = lab_tick(&lab, &lab.a);
                tries += lab.a.out.bursts_count;
                wg_outbox_clear(&lab.a.out);
                if (lab.a.peer->staged_count == 0)
                        break;
                assert_true(next > lab.now.mono);
                lab_pass(&lab, next - lab.now.mono);
        }
        assert_int_equal(tries, 1 + WG_REKEY_ATTEMPTS);
        assert_in_range(lab.now.mono - begin, WG_REKEY_ATTEMPT_MS + WG_REKEY_TIMEOUT_MS,
                        WG_REKEY_ATTEMPT_MS + WG_REKEY_TIMEOUT_MS + 19 * WG_REKEY_JITTER_MS);
        assert_int_equal(lab_drops(&lab.a, WG_DROP_STAGED_LOST), 1);

        /* The next packet starts anew. */
        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 7), ERR_OK);
        lab_settle(&lab);
        expect_packet(&lab.b, 0, "10.0.0.1", 10, 7);
}

static void the_queue_for_a_handshake_is_bounded(void **state)
{
        for (unsigned i = 0; i < WG_STAGED_PACKETS_MAX + 10; i++)
                assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, (uint8_t)i), ERR_OK);
        assert_int_equal(lab.a.peer->staged_count, WG_STAGED_PACKETS_MAX);
        assert_int_equal(lab_drops(&lab.a, WG_DROP_STAGED_FULL), 10);
        lab_settle(&lab);
        assert_int_equal(lab.b.in.packets_count, WG_STAGED_PACKETS_MAX);
        expect_packet(&lab.b, 0, "10.0.0.1", 10, 10); /* the oldest went */
        assert_int_equal(lab.a.device->staged_bytes, 0);
}

static void staged_bytes_are_bounded_too(void **state)
{
        for (unsigned i = 0; i < 100; i++)
                assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 60000, (uint8_t)i), ERR_OK);
        assert_true(lab.a.device->staged_bytes <= WG_STAGED_BYTES_MAX);
        assert_int_equal(lab.a.peer->staged_count, WG_STAGED_BYTES_MAX / 60028);
}

static void a_silent_peer_is_asked_for_new_keys(void **state)
{
        lab_establish(&lab);
        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 1), ERR_OK);
        wg_outbox_clear(&lab.a.out); /* lost */
        lab_pass(&lab, WG_KEEPALIVE_MS + WG_REKEY_TIMEOUT_MS - 1);
        (void)lab_tick(&lab, &lab.a);
        assert_int_equal(lab.a.out.bursts_count, 0);
        lab_pass(&lab, WG_REKEY_JITTER_MS + 1);
        (void)lab_tick(&lab, &lab.a);
        assert_int_equal(lab.a.out.bursts[0].len, WG_INITIATION_BYTES);
}

static void who_listens_says_so(void **state)
{
        lab_establish(&lab);
        uint64_t before = wg_device_get_stats(lab.b.device)->keepalives_sent;

        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 1), ERR_OK);
        lab_settle(&lab);
        lab_pass(&lab, WG_KEEPALIVE_MS);
        lab_settle(&lab);
        assert_int_equal(wg_device_get_stats(lab.b.device)->keepalives_sent, before + 1);
        /* So a has heard of b, and does not ask for new keys. */
        lab_pass(&lab, WG_REKEY_TIMEOUT_MS + WG_REKEY_JITTER_MS);
        lab_settle(&lab);
        assert_int_equal(wg_device_get_stats(lab.a.device)->initiations_sent, 1);
}

static void a_persistent_keepalive_goes_out_for_ever(void **state)
{
        unsigned sent = 0;

        wg_peer_set_keepalive(lab.a.device, lab.a.peer, 25, lab.now.mono);
        assert_int_equal(wg_peer_keepalive(lab.a.peer), 25);
        for (int i = 0; i < 100; i++) {
                lab_settle(&lab);
                lab_pass(&lab, 5000);
        }
        sent = (unsigned)wg_device_get_stats(lab.a.device)->keepalives_sent;
        assert_in_range(sent, 18, 24); /* 500 s; a handshake counts as one */
        wg_peer_set_keepalive(lab.a.device, lab.a.peer, 0, lab.now.mono);
        lab_settle(&lab);
        uint64_t before = wg_device_get_stats(lab.a.device)->keepalives_sent;
        lab_pass(&lab, 60000);
        lab_settle(&lab);
        assert_int_equal(wg_device_get_stats(lab.a.device)->keepalives_sent, before);
}

static void both_ask_at_the_same_moment(void **state)
{
        for (int i = 0; i < 3; i++) {
                assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 1), ERR_OK);
                assert_err(lab_send(&lab, &lab.b, "10.0.0.1", 10, 2), ERR_OK);
                (void)lab_tick(&lab, &lab.a);
                (void)lab_tick(&lab, &lab.b);
                /* Each forgets its own question over the other's. The jitter lets one of them ask again first. */
                lab_run(&lab, 6000);
                assert_int_equal(lab.a.in.packets_count, 1);
                assert_int_equal(lab.b.in.packets_count, 1);
                lab_forget_packets(&lab.a);
                lab_forget_packets(&lab.b);
                lab_pass(&lab, 200000);
                lab_settle(&lab);
        }
}

static void a_new_private_key_needs_new_handshakes(void **state)
{
        uint8_t key[32];

        lab_establish(&lab);
        memset(key, 3, sizeof(key));
        wg_device_set_private_key(lab.b.device, key);
        assert_null(lab.b.peer->current);
        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 1), ERR_OK);
        lab_settle(&lab);
        assert_int_equal(lab.b.in.packets_count, 0);

        /* a learns the new key. */
        lab_pass(&lab, 1000);
        wg_device_remove_peer(lab.a.device, lab.a.peer);
        lab_introduce(&lab.a, &lab.b);
        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 5), ERR_OK);
        lab_settle(&lab);
        expect_packet(&lab.b, 0, "10.0.0.1", 10, 5);
}

static void peers_are_added_once_and_never_oneself(void **state)
{
        struct wg_peer *p;
        uint8_t key[32] = { 5 };

        assert_err(wg_device_add_peer(lab.a.device, wg_device_public_key(lab.b.device), &p), ERR_EXISTS);
        assert_err(wg_device_add_peer(lab.a.device, wg_device_public_key(lab.a.device), &p), ERR_DENIED);
        for (int i = 1; i < 8; i++) {
                key[1] = (uint8_t)i;
                assert_err(wg_device_add_peer(lab.a.device, key, &p), ERR_OK);
        }
        key[1] = 99;
        assert_err(wg_device_add_peer(lab.a.device, key, &p), ERR_TOO_LARGE);
        assert_int_equal(wg_device_peers_count(lab.a.device), 8);

        /* Taking a peer's key as one's own removes the peer. */
        wg_device_set_private_key(lab.a.device, lab.b.private_key);
        assert_int_equal(wg_device_peers_count(lab.a.device), 7);
        size_t n = 0;
        for (p = wg_device_first_peer(lab.a.device); p; p = wg_device_next_peer(lab.a.device, p))
                n++;
        assert_int_equal(n, 7);
}

static void a_clock_that_goes_back_does_not_stop_handshakes(void **state)
{
        lab_establish(&lab);
        lab_pass(&lab, WG_REJECT_AFTER_MS);
        lab.now.wall -= 10LL * 365 * 86400 * 1000; /* ten years */
        lab_settle(&lab);
        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 4), ERR_OK);
        lab_run(&lab, 6000);
        expect_packet(&lab.b, 0, "10.0.0.1", 10, 4);
}

static void a_stored_floor_survives_a_restart_with_a_wrong_clock(void **state)
{
        lab_establish(&lab);
        unix_ms floor = wg_device_timestamp_floor(lab.a.device);
        struct wg_endpoint at = lab.a.at;
        uint8_t key[32];

        memcpy(key, lab.a.private_key, 32);
        lab_end_fini(&lab.a);
        lab.now.wall = 0; /* no battery */
        lab_pass(&lab, 60000);
        lab_end_init(&lab, &lab.a, "192.0.2.1", "10.0.0.1");
        wg_device_set_private_key(lab.a.device, key);
        lab.a.at = at;
        lab_introduce(&lab.a, &lab.b);
        wg_device_set_timestamp_floor(lab.a.device, floor);
        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 4), ERR_OK);
        lab_run(&lab, 20000);
        expect_packet(&lab.b, 0, "10.0.0.1", 10, 4);
}

static void no_endpoint_and_no_key(void **state)
{
        static const uint8_t zero[32];
        struct wg_endpoint nowhere = { 0 };

        wg_peer_set_endpoint(lab.a.peer, &nowhere);
        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 1), ERR_UNREACHABLE);
        assert_int_equal(lab_drops(&lab.a, WG_DROP_NO_ENDPOINT), 1);
        wg_peer_set_endpoint(lab.a.peer, &lab.b.at);
        wg_device_set_private_key(lab.a.device, zero);
        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 10, 1), ERR_OK);
        (void)lab_tick(&lab, &lab.a);
        assert_int_equal(lab.a.out.bursts_count, 0);
}

static void many_packets_share_a_burst(void **state)
{
        lab_establish(&lab);
        for (unsigned i = 0; i < 100; i++)
                assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 1000, (uint8_t)i), ERR_OK);
        assert_int_equal(lab.a.out.bursts_count, 2);
        assert_int_equal(lab.a.out.bursts[0].datagrams_count + lab.a.out.bursts[1].datagrams_count, 100);
        lab_settle(&lab);
        for (unsigned i = 0; i < 100; i++)
                expect_packet(&lab.b, i, "10.0.0.1", 1000, (uint8_t)i);
}

static void a_full_outbox_asks_to_be_sent(void **state)
{
        enum err e;
        unsigned taken = 0;

        lab_establish(&lab);
        while ((e = lab_send(&lab, &lab.a, "10.0.0.2", 1392, (uint8_t)taken)) == ERR_OK)
                taken++;
        assert_err(e, ERR_AGAIN);
        assert_in_range(taken, 150, 200);
        uint64_t counter = lab.a.peer->current->sending_counter;
        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 1392, (uint8_t)taken), ERR_AGAIN);
        assert_int_equal(lab.a.peer->current->sending_counter, counter);
        lab_settle(&lab);
        assert_int_equal(lab.b.in.packets_count, taken);
        assert_err(lab_send(&lab, &lab.a, "10.0.0.2", 1392, 1), ERR_OK);
}

static void drops_have_names(void **state)
{
        for (size_t i = 0; i < WG_DROPS; i++) {
                assert_true(strlen(wg_drop_label((enum wg_drop)i)) > 3);
                assert_true(strlen(wg_drop_text((enum wg_drop)i)) > 3);
        }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(packets_wait_for_the_handshake_and_keep_their_order),
                T(the_responder_waits_for_the_initiators_first_packet),
                T(a_listener_is_confirmed_by_an_empty_packet),
                T(sizes_are_padded_up_to_the_mtu),
                T(ecn_shows_outside_and_dscp_does_not),
                T(a_peer_that_moves_is_followed),
                T(what_is_not_authentic_moves_nobody),
                T(inner_addresses_are_checked_both_ways),
                T(inner_packets_that_lie),
                T(strangers_hear_silence),
                T(a_big_datagram_and_port_zero),
                T(a_stranger_with_our_public_key_is_no_peer),
                T(an_initiation_is_answered_once),
                T(under_load_a_cookie_is_asked_for),
                T(a_cookie_is_for_one_address_and_one_question),
                T(a_flood_brings_load_and_load_passes),
                T(keys_are_renewed_before_they_end),
                T(who_only_listens_renews_too),
                T(keys_are_not_used_after_their_time),
                T(all_is_forgotten_after_a_long_silence),
                T(an_unanswered_handshake_is_tried_and_given_up),
                T(the_queue_for_a_handshake_is_bounded),
                T(staged_bytes_are_bounded_too),
                T(a_silent_peer_is_asked_for_new_keys),
                T(who_listens_says_so),
                T(a_persistent_keepalive_goes_out_for_ever),
                T(both_ask_at_the_same_moment),
                T(a_new_private_key_needs_new_handshakes),
                T(peers_are_added_once_and_never_oneself),
                T(a_clock_that_goes_back_does_not_stop_handshakes),
                T(a_stored_floor_survives_a_restart_with_a_wrong_clock),
                T(no_endpoint_and_no_key),
                T(many_packets_share_a_burst),
                T(a_full_outbox_asks_to_be_sent),
                T(drops_have_names),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
