#include "../test.h"

#include "base/compiler.h"
#include "crypto/random.h"
#include "crypto/x25519.h"
#include "mesh/paths.h"
#include "mesh/probe.h"

/* One end whose peer is played by the test: what it sends is kept, what it shall hear is given. */
struct end {
        struct wg_device *device;
        struct wg_peer *peer;
        struct mesh_paths *paths;
        uint8_t own_public[32], peer_private[32], peer_public[32];
        struct crypto_pairbox_key box;
        struct wg_endpoint at;
        uint8_t sent[20][2000]; /* since it was last cleared */
        size_t sent_len[20], sent_count;
        size_t largest; /* what the way lets through; larger ones are not kept */
        uint16_t mtu;
        struct wg_outbox out;
        uint8_t *memory;
};

static void fill(void *context, void *out, size_t len)
{
        crypto_random(out, len);
}

static void door_send(void *context, const struct wg_endpoint *to, const uint8_t *bytes, size_t len)
{
        struct end *e = context;

        if (len > e->largest)
                return;
        assert_true(e->sent_count < ARRAY_SIZE(e->sent) && len <= sizeof(e->sent[0]));
        memcpy(e->sent[e->sent_count], bytes, len);
        e->sent_len[e->sent_count++] = len;
}

static void door_mtu(void *context, uint16_t mtu)
{
        ((struct end *)context)->mtu = mtu;
}

static uint16_t door_route(void *context, const struct wg_endpoint *to)
{
        return 1500;
}

static struct end *end_new(void)
{
        struct end *e = test_calloc(1, sizeof(*e));
        struct wg_device_conf conf = { .peers_max = 10, .mtu = 1420, .random = { fill, NULL } };
        struct mesh_paths_doors doors = { door_send, door_mtu, door_route, fill, e };
        uint8_t own[32];
        struct ip ip;

        memset(own, 1, sizeof(own));
        memset(e->peer_private, 2, sizeof(e->peer_private));
        crypto_x25519_clamp(own);
        crypto_x25519_clamp(e->peer_private);
        crypto_x25519_public(own, e->own_public);
        crypto_x25519_public(e->peer_private, e->peer_public);
        assert_err(crypto_pairbox_key_init(&e->box, e->peer_private, e->own_public), ERR_OK);
        assert_non_null(e->device = wg_device_new(&conf));
        wg_device_set_private_key(e->device, own);
        assert_err(wg_device_add_peer(e->device, e->peer_public, &e->peer), ERR_OK);
        assert_err(ip_parse(STR("192.0.2.2"), &ip), ERR_OK);
        e->at = (struct wg_endpoint){ .ip = ip, .port = 51820 };
        wg_peer_set_endpoint(e->peer, &e->at);
        assert_non_null(e->paths = mesh_paths_new(e->device, &doors));
        mesh_paths_set_mtu(e->paths, 1420);
        e->largest = SIZE_MAX;
        e->memory = test_malloc(WG_OUTBOX_BYTES_MIN);
        wg_outbox_init(&e->out, e->memory, WG_OUTBOX_BYTES_MIN);
        return e;
}

static void end_free(struct end *e)
{
        mesh_paths_free(e->paths);
        wg_device_free(e->device);
        test_free(e->memory);
        test_free(e);
}

/* The host sends something: the peer is in use (a handshake is asked for, which is enough). */
static void use(struct end *e, mono_ms now)
{
        static const uint8_t packet[20] = {
                0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2
        };
        struct ip_prefix all;
        struct wg_frame frame = { .bytes = packet, .len = sizeof(packet) };

        assert_err(ip_prefix_parse(STR("0.0.0.0/0"), &all), ERR_OK);
        assert_err(wg_device_add_allowedip(e->device, e->peer, &all), ERR_OK);
        (void)!wg_device_send(e->device, &frame, (struct wg_time){ now, now }, &e->out);
        (void)wg_device_tick(e->device, (struct wg_time){ now, now }, &e->out);
        wg_outbox_clear(&e->out);
}

static size_t ping_of(struct end *e, const struct crypto_pairbox_key *box, const uint8_t *sender, size_t len,
                      uint8_t *out)
{
        struct mesh_probe probe = { .id = { 1, 2, 3 } };
        uint8_t nonce[CRYPTO_PAIRBOX_NONCE_BYTES];

        crypto_random(nonce, sizeof(nonce));
        return mesh_probe_write(&probe, sender, box, nonce, len, out);
}

/* The peer answers all that was sent, as it would. */
static void answer(struct end *e, mono_ms now)
{
        uint8_t out[256], nonce[CRYPTO_PAIRBOX_NONCE_BYTES];
        size_t count = e->sent_count;

        for (size_t i = 0; i < count; i++) {
                struct mesh_probe probe;
                assert_err(
                        mesh_probe_read((struct str){ (char *)e->sent[i], e->sent_len[i] }, &e->box, &probe),
                        ERR_OK);
                probe.is_pong = true;
                probe.seen = e->at.ip;
                crypto_random(nonce, sizeof(nonce));
                size_t len = mesh_probe_write(&probe, e->peer_public, &e->box, nonce, 0, out);
                mesh_paths_take(e->paths, (struct str){ (char *)out, len }, &e->at, now);
        }
        e->sent_count = 0;
}

static void test_who_is_answered(void **state)
{
        struct end *e = end_new();
        uint8_t ping[2000], stranger[32], stranger_public[32];
        struct crypto_pairbox_key strangers;
        struct mesh_probe probe;

        for (size_t want = 0; want <= 1452; want += 121) {
                size_t len = ping_of(e, &e->box, e->peer_public, want, ping);
                assert_int_equal(len, MAX(want, (size_t)MESH_PROBE_BYTES));
                e->sent_count = 0;
                mesh_paths_take(e->paths, (struct str){ (char *)ping, len }, &e->at, 1000);
                assert_int_equal(e->sent_count, 1);
                assert_true(e->sent_len[0] < len);
                assert_err(
                        mesh_probe_read((struct str){ (char *)e->sent[0], e->sent_len[0] }, &e->box, &probe),
                        ERR_OK);
                assert_true(probe.is_pong && ip_eq(probe.seen, e->at.ip) && probe.seen_port == 51820 &&
                            probe.id[2] == 3);
        }

        e->sent_count = 0;
        memset(stranger, 3, sizeof(stranger));
        crypto_x25519_clamp(stranger);
        crypto_x25519_public(stranger, stranger_public);
        assert_err(crypto_pairbox_key_init(&strangers, stranger, e->own_public), ERR_OK);
        size_t len = ping_of(e, &strangers, stranger_public, 0, ping);
        mesh_paths_take(e->paths, (struct str){ (char *)ping, len }, &e->at,
                        1000); /* authentic, of nobody known */
        len = ping_of(e, &strangers, e->peer_public, 0, ping);
        mesh_paths_take(e->paths, (struct str){ (char *)ping, len }, &e->at, 1000); /* of a peer, it says */
        for (size_t bit = 8 * 38; bit < 8 * MESH_PROBE_BYTES; bit++) {
                len = ping_of(e, &e->box, e->peer_public, 0, ping);
                ping[bit / 8] ^= (uint8_t)(1 << bit % 8);
                mesh_paths_take(e->paths, (struct str){ (char *)ping, len }, &e->at, 1000);
        }
        assert_int_equal(e->sent_count, 0);
        assert_int_equal(mesh_paths_get_stats(e->paths)->refused, 2 + 8 * (MESH_PROBE_BYTES - 38));
        end_free(e);
}

static void test_idle_peers_are_not_asked(void **state)
{
        struct end *e = end_new();

        assert_int_equal(mesh_paths_tick(e->paths, 1000), MONO_NEVER);
        use(e, 1000);
        for (mono_ms now = 1000; now < 20000; now += 100)
                (void)mesh_paths_tick(e->paths, now);
        assert_int_equal(e->sent_count, 3); /* it never answered: three, and then it is let be */
        assert_int_equal(mesh_paths_tick(e->paths, 20000), MONO_NEVER);
        end_free(e);
}

static void test_the_way_changes(void **state)
{
        struct end *e = end_new();
        mono_ms now = 1000;

        mesh_paths_set_carrier(e->paths, true, now);
        for (; now < 3000; now += 100) { /* all is well */
                use(e, now);
                (void)mesh_paths_tick(e->paths, now);
                answer(e, now + 10);
        }
        assert_non_null(mesh_paths_way(e->paths, e->peer_public));
        assert_string_equal(mesh_paths_way(e->paths, e->peer_public), "straight");
        assert_null(mesh_paths_doubled(e->paths, &e->at));
        mono_ms closed = now;
        while (strcmp(mesh_paths_way(e->paths, e->peer_public), "straight") == 0) {
                use(e, now);
                (void)mesh_paths_tick(e->paths, now += 100);
                e->sent_count = 0; /* lost */
                assert_true(now - closed <= 1000);
        }
        assert_string_equal(mesh_paths_way(e->paths, e->peer_public),
                            "both"); /* it was not heard at the relay */
        assert_memory_equal(mesh_paths_doubled(e->paths, &e->at), e->peer_public, 32);
        for (mono_ms until = now + 1500; now < until; now += 100) { /* open again */
                use(e, now);
                (void)mesh_paths_tick(e->paths, now);
                answer(e, now);
        }
        assert_string_equal(mesh_paths_way(e->paths, e->peer_public), "straight");
        assert_int_equal(mesh_paths_get_stats(e->paths)->to_relay, 1);
        assert_int_equal(mesh_paths_get_stats(e->paths)->to_straight, 1);
        end_free(e);
}

static void test_nobody_knows_where_but_the_relay(void **state)
{
        struct end *e = end_new();
        struct wg_endpoint nowhere = { 0 };
        uint8_t key[32];

        wg_peer_set_endpoint(e->peer, &nowhere);
        mesh_paths_set_carrier(e->paths, true, 1000);
        assert_true(wg_peer_endpoint(e->peer)->is_carried);
        mesh_carried_key(wg_peer_endpoint(e->peer), key);
        assert_memory_equal(key, e->peer_public, sizeof(key));
        end_free(e);
}

/* Every probe is answered at once, but for those the way swallows. */
static mono_ms run_until_mtu(struct end *e, mono_ms from, uint16_t low, uint16_t high)
{
        for (mono_ms now = from; now < from + 20000; now += 100) {
                use(e, now);
                (void)mesh_paths_tick(e->paths, now);
                answer(e, now);
                if (e->mtu >= low && e->mtu <= high)
                        return now - from;
        }
        return MONO_NEVER;
}

static void test_a_black_hole(void **state)
{
        struct end *e = end_new();

        (void)run_until_mtu(e, 1000, 1, 0); /* all passes: nothing changes */
        assert_int_equal(e->mtu, 0);
        e->largest = 1420 + 32 - 1;
        mono_ms took = run_until_mtu(e, 30000, 1280, 1419);
        assert_true(took <= 3000);
        assert_int_equal(mesh_paths_get_stats(e->paths)->black_holes, 1);
        e->largest = SIZE_MAX;
        assert_true(run_until_mtu(e, 60000, 1420, 1420) <= 12000); /* looked at again, and it passes */
        end_free(e);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_who_is_answered),
                cmocka_unit_test(test_idle_peers_are_not_asked),
                cmocka_unit_test(test_the_way_changes),
                cmocka_unit_test(test_nobody_knows_where_but_the_relay),
                cmocka_unit_test(test_a_black_hole),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
