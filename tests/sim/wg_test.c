/*
 * Two tunnels over a network that loses, repeats, reorders, delays and cuts, under a fake clock. One seed is one history:
 *
 *   wg_sim_test            a fixed set of seeds
 *   wg_sim_test 4711       that one again
 *
 * After each stretch of bad weather the network heals, and what must be true whatever happened is checked.
 */
#include "../unit/wg/lab.h"

enum { PACKETS_MAX = 200000, FLYING_MAX = 20000, NONCES = 1 << 20 };

/* A datagram on its way. */
struct flying {
        mono_ms at;
        uint64_t order; /* of sending, so that equal times keep it */
        struct lab_end *to;
        struct wg_endpoint from;
        size_t len;
        uint8_t *bytes;
};

struct weather {
        unsigned loss_permille, repeat_permille;
        mono_ms delay_min, delay_max;
        bool cut_from_a, cut_from_b;
};

struct world {
        struct lab lab;
        uint64_t seed;
        struct weather weather;
        struct flying flying[FLYING_MAX]; /* a heap by time */
        size_t flying_count;
        uint64_t order;

        uint8_t sent[PACKETS_MAX]; /* by number: who sent it, 1 or 2; 16 more when it arrived */
        uint32_t packets_count;
        uint64_t arrived[2]; /* at a, at b */

        uint64_t nonces[NONCES]; /* seen (index, counter), to catch one used twice */
        uint64_t datagrams;
        mono_ms traffic_ms; /* about so often each end sends a packet; 0: silence */
        mono_ms next_send[2];
        mono_ms last_initiation[2];
};

#define REQUIRE(w, condition)                                                                        \
        do {                                                                                         \
                if (!(condition))                                                                    \
                        fail_msg("seed %llu, at %lld ms: not so: %s", (unsigned long long)(w)->seed, \
                                 (long long)(w)->lab.now.mono, #condition);                          \
        } while (0)

static struct lab_end *other(struct world *w, struct lab_end *e)
{
        return e == &w->lab.a ? &w->lab.b : &w->lab.a;
}

static unsigned number_of(struct world *w, const struct lab_end *e)
{
        return e == &w->lab.b;
}

/* ---- the network ---- */

static bool is_before(const struct flying *a, const struct flying *b)
{
        return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void heap_add(struct world *w, struct flying f)
{
        size_t at = w->flying_count++;

        REQUIRE(w, w->flying_count <= FLYING_MAX);
        while (at > 0 && is_before(&f, &w->flying[(at - 1) / 2])) {
                w->flying[at] = w->flying[(at - 1) / 2];
                at = (at - 1) / 2;
        }
        w->flying[at] = f;
}

static struct flying heap_take(struct world *w)
{
        struct flying first = w->flying[0], last = w->flying[--w->flying_count];
        size_t at = 0, child;

        while ((child = 2 * at + 1) < w->flying_count) {
                if (child + 1 < w->flying_count && is_before(&w->flying[child + 1], &w->flying[child]))
                        child++;
                if (!is_before(&w->flying[child], &last))
                        break;
                w->flying[at] = w->flying[child];
                at = child;
        }
        w->flying[at] = last;
        return first;
}

/* A nonce is used once: the same index and counter may leave an end only once in its life. */
static void check_nonce(struct world *w, const uint8_t *message, size_t len)
{
        if (message[0] != WG_MESSAGE_DATA || len < WG_DATA_OVERHEAD)
                return;
        uint64_t id = hash_u64((uint64_t)wg_get_u32(message + WG_DATA_RECEIVER) << 32 ^
                               wg_get_u64(message + WG_DATA_COUNTER)) |
                      1;
        size_t slot = id % NONCES;
        for (size_t probes = 0; w->nonces[slot]; slot = (slot + 1) % NONCES, probes++) {
                REQUIRE(w, w->nonces[slot] != id);
                REQUIRE(w, probes < NONCES / 2);
        }
        w->nonces[slot] = id;
}

static void check_initiation(struct world *w, struct lab_end *from, const uint8_t *message, size_t len)
{
        unsigned who = number_of(w, from);

        if (message[0] != WG_MESSAGE_INITIATION)
                return;
        REQUIRE(w, len == WG_INITIATION_BYTES);
        REQUIRE(w, w->lab.now.mono - w->last_initiation[who] >= WG_REKEY_TIMEOUT_MS);
        w->last_initiation[who] = w->lab.now.mono;
}

static void fly(struct world *w, struct lab_end *from, const uint8_t *bytes, size_t len)
{
        const struct weather *weather = &w->weather;
        mono_ms spread = weather->delay_max - weather->delay_min;
        bool is_cut = from == &w->lab.a ? weather->cut_from_a : weather->cut_from_b;

        w->datagrams++;
        check_nonce(w, bytes, len);
        check_initiation(w, from, bytes, len);
        if (is_cut || lab_below(&w->lab.random, 1000) < weather->loss_permille)
                return;
        do {
                struct flying f = { .order = w->order++, .to = other(w, from), .from = from->at, .len = len };
                f.at = w->lab.now.mono + weather->delay_min;
                if (spread > 0)
                        f.at += lab_below(&w->lab.random, (uint32_t)spread);
                f.bytes = malloc(len);
                memcpy(f.bytes, bytes, len);
                heap_add(w, f);
        } while (lab_below(&w->lab.random, 1000) < weather->repeat_permille);
}

static void send_out(struct world *w, struct lab_end *e)
{
        wg_outbox_seal(&e->out);
        for (unsigned i = 0; i < e->out.bursts_count; i++) {
                const struct wg_burst *b = &e->out.bursts[i];
                const uint8_t *bytes = wg_outbox_bytes(&e->out, b);
                for (size_t at = 0; at < b->len; at += b->datagram_bytes)
                        fly(w, e, bytes + at, MIN(b->datagram_bytes, b->len - at));
        }
        wg_outbox_clear(&e->out);
}

/* ---- the ends ---- */

/* Each packet carries its number and is as long as its number says, so that nothing can pass for another. */
static size_t payload_len(uint32_t number)
{
        return 8 + number * 7 % 1200;
}

static void send_packet(struct world *w, struct lab_end *e)
{
        uint8_t packet[2000];
        uint32_t number = w->packets_count++;

        REQUIRE(w, number < PACKETS_MAX);
        w->sent[number] = (uint8_t)(1 + number_of(w, e));
        size_t len = lab_packet(packet, e->inner, other(w, e)->inner, payload_len(number), (uint8_t)number);
        wg_put_u32(packet + 28, number);
        struct wg_frame frame = lab_frame(packet, len);
        REQUIRE(w, wg_device_send(e->device, &frame, w->lab.now, &e->out) == ERR_OK);
        send_out(w, e);
}

static void take_packets(struct world *w, struct lab_end *e)
{
        for (unsigned i = 0; i < e->in.packets_count; i++) {
                const struct wg_packet *p = &e->in.packets[i];
                REQUIRE(w, p->len >= 32);
                uint32_t number = wg_get_u32(p->bytes + 28);
                REQUIRE(w, number < w->packets_count);
                REQUIRE(w, w->sent[number] ==
                                   1 + number_of(w, other(w, e))); /* the other's, and for the first time */
                REQUIRE(w, p->len == 28 + payload_len(number));
                for (size_t at = 4; at < payload_len(number); at++)
                        REQUIRE(w, p->bytes[28 + at] == (uint8_t)(number + at));
                w->sent[number] |= 16;
                w->arrived[number_of(w, e)]++;
        }
        lab_forget_packets(e);
}

static void check_bounds(struct world *w, struct lab_end *e)
{
        REQUIRE(w, e->device->index.count <= 4); /* three sessions and a handshake */
        REQUIRE(w, e->peer->staged_count <= WG_STAGED_PACKETS_MAX);
        REQUIRE(w, e->device->queue_count <= WG_QUEUED_HANDSHAKES_MAX);
}

static mono_ms tick(struct world *w, struct lab_end *e)
{
        mono_ms next;

        do {
                next = lab_tick(&w->lab, e);
                send_out(w, e);
        } while (next <= w->lab.now.mono);
        check_bounds(w, e);
        return next;
}

/* Runs the world for so long. */
static void run(struct world *w, mono_ms duration)
{
        mono_ms end = w->lab.now.mono + duration;

        for (;;) {
                mono_ms next = MIN(tick(w, &w->lab.a), tick(w, &w->lab.b));
                for (unsigned who = 0; who < 2 && w->traffic_ms; who++)
                        next = MIN(next, w->next_send[who]);
                if (w->flying_count)
                        next = MIN(next, w->flying[0].at);
                if (next > end)
                        break;
                lab_pass(&w->lab, MAX(next - w->lab.now.mono, 0));
                while (w->flying_count && w->flying[0].at <= w->lab.now.mono) {
                        struct flying f = heap_take(w);
                        lab_arrive(&w->lab, f.to, &f.from, f.bytes, f.len, 0);
                        take_packets(w, f.to);
                        send_out(w, f.to);
                        free(f.bytes);
                }
                for (unsigned who = 0; who < 2 && w->traffic_ms; who++)
                        if (w->next_send[who] <= w->lab.now.mono) {
                                send_packet(w, who ? &w->lab.b : &w->lab.a);
                                w->next_send[who] = w->lab.now.mono + 1 +
                                                    lab_below(&w->lab.random, (uint32_t)(2 * w->traffic_ms));
                        }
        }
        lab_pass(&w->lab, end - w->lab.now.mono);
}

static const struct weather calm = { .delay_min = 5, .delay_max = 10 };

/* The network heals: both ends must soon reach each other, and then nothing may get lost. */
static void heal(struct world *w)
{
        w->weather = calm;
        w->traffic_ms = 500;
        run(w, 60 * 1000);
        uint64_t before[2] = { w->arrived[0], w->arrived[1] };
        run(w, 30 * 1000);
        REQUIRE(w, w->arrived[0] > before[0] && w->arrived[1] > before[1]);

        uint32_t first = w->packets_count;
        run(w, 10 * 1000);
        w->traffic_ms = 0;
        run(w, 100);
        for (uint32_t i = first; i < w->packets_count; i++)
                REQUIRE(w, w->sent[i] & 16);
}

/* ---- what happens ---- */

static void restart(struct world *w, struct lab_end *e)
{
        struct lab_end fresh;
        const char *inner = e->inner;
        struct wg_endpoint at = e->at;
        uint8_t key[32];

        memcpy(key, e->private_key, sizeof(key));
        lab_end_fini(e);
        lab_end_init(&w->lab, &fresh, "192.0.2.9", inner);
        *e = fresh;
        memcpy(e->private_key, key, sizeof(key));
        wg_device_set_private_key(e->device, key);
        e->at = at;
        lab_introduce(e, other(w, e));
        w->last_initiation[number_of(w, e)] = INT64_MIN / 2;
}

static void move(struct world *w, struct lab_end *e)
{
        e->at.ip.bytes[3] = (uint8_t)(10 + lab_below(&w->lab.random, 200));
        e->at.port = (uint16_t)(1024 + lab_below(&w->lab.random, 60000));
}

/* b has a fixed place, so that a can find it again; a may be anywhere. */
static void something_happens(struct world *w)
{
        struct lab_random *r = &w->lab.random;
        mono_ms minute = 60 * 1000;

        w->weather = calm;
        w->traffic_ms = 20 + lab_below(r, 500);
        switch (lab_below(r, 10)) {
        case 0:
                w->weather.loss_permille = 300;
                run(w, 3 * minute);
                break;
        case 1:
                w->weather.repeat_permille = 400;
                w->weather.delay_max = 3000; /* old handshakes and packets of old keys come late */
                run(w, 4 * minute);
                break;
        case 2:
                w->weather.cut_from_a = true;
                run(w, 1000 + lab_below(r, 200 * 1000));
                break;
        case 3:
                w->weather.cut_from_b = true;
                run(w, 1000 + lab_below(r, 200 * 1000));
                break;
        case 4:
                w->weather.cut_from_a = w->weather.cut_from_b = true;
                run(w, 1000 + lab_below(r, 600 * 1000));
                break;
        case 5:
                w->traffic_ms = 0;
                run(w, lab_below(r, 1200 * 1000));
                break;
        case 6: move(w, &w->lab.a); break;
        case 7:
                w->lab.now.wall += 24 * 60 * minute; /* clocks are set, first forward */
                restart(w, lab_below(r, 2) ? &w->lab.a : &w->lab.b);
                break;
        case 8:
                w->lab.now.wall -= 60 * minute;
                run(w, 10 * minute);
                w->lab.now.wall += 60 * minute;
                break;
        default:
                w->weather.loss_permille = 100;
                w->weather.repeat_permille = 100;
                w->weather.delay_max = 300;
                run(w, 20 * minute);
                break;
        }
}

static void history(uint64_t seed, int happenings)
{
        struct world *w = calloc(1, sizeof(*w));

        assert_non_null(w);
        w->seed = seed;
        w->last_initiation[0] = w->last_initiation[1] = INT64_MIN / 2;
        lab_init(&w->lab, seed);
        if (seed % 3 == 0)
                wg_peer_set_keepalive(w->lab.a.device, w->lab.a.peer, 25, w->lab.now.mono);
        heal(w);
        for (int i = 0; i < happenings; i++) {
                something_happens(w);
                heal(w);
        }
        while (w->flying_count)
                free(heap_take(w).bytes);
        lab_fini(&w->lab);
        free(w);
}

static uint64_t only_seed;

static void histories(void **state)
{
        if (only_seed) {
                history(only_seed, 8);
                return;
        }
        for (uint64_t seed = 1; seed <= 12; seed++)
                history(seed, 8);
}

/* Without bad weather but out of order and doubled, every packet arrives, and once, through many changes of keys. */
static void reordering_alone_loses_nothing(void **state)
{
        struct world *w = calloc(1, sizeof(*w));

        assert_non_null(w);
        w->seed = 99;
        w->last_initiation[0] = w->last_initiation[1] = INT64_MIN / 2;
        lab_init(&w->lab, 99);
        heal(w);
        w->weather.repeat_permille = 300;
        w->weather.delay_max = 900;
        w->traffic_ms = 40;
        uint32_t first = w->packets_count;
        run(w, 15 * 60 * 1000);
        w->traffic_ms = 0;
        run(w, 2000);
        for (uint32_t i = first; i < w->packets_count; i++)
                REQUIRE(w, w->sent[i] & 16);
        uint64_t sessions = wg_device_get_stats(w->lab.a.device)->responses_received +
                            wg_device_get_stats(w->lab.b.device)->responses_received;
        REQUIRE(w, sessions >= 6 && sessions <= 14);
        REQUIRE(w, lab_drops(&w->lab.a, WG_DROP_REPLAY) > 100);
        while (w->flying_count)
                free(heap_take(w).bytes);
        lab_fini(&w->lab);
        free(w);
}

/* With nothing to say both fall silent, and stay so. */
static void silence_is_silent(void **state)
{
        struct world *w = calloc(1, sizeof(*w));

        assert_non_null(w);
        w->seed = 5;
        w->last_initiation[0] = w->last_initiation[1] = INT64_MIN / 2;
        lab_init(&w->lab, 5);
        heal(w);
        run(w, 30 * 1000);
        uint64_t before = w->datagrams;
        run(w, 24 * 60 * 60 * 1000);
        REQUIRE(w, w->datagrams == before);
        REQUIRE(w, w->lab.a.device->index.count == 0 && w->lab.b.device->index.count == 0);
        lab_fini(&w->lab);
        free(w);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reordering_alone_loses_nothing),
                cmocka_unit_test(silence_is_silent),
                cmocka_unit_test(histories),
        };

        for (int i = 1; i < argc; i++)
                for (const char *p = argv[i]; ascii_is_digit(*p); p++)
                        only_seed = only_seed * 10 + (uint64_t)(*p - '0');
        return cmocka_run_group_tests(tests, NULL, NULL);
}
