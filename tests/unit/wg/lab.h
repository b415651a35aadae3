/*
 * tests/unit/wg/lab.h - devices, packets and a seeded random source for the tests of the wg room.
 */
#pragma once

#include <stdlib.h>

#include "../test.h"
#include "base/ip.h"
#include "wg/checksum.h"
#include "wg/device_priv.h"

/* xorshift64*: the same numbers for the same seed. */
struct lab_random {
        uint64_t state;
};

static inline uint64_t lab_u64(struct lab_random *r)
{
        r->state ^= r->state >> 12;
        r->state ^= r->state << 25;
        r->state ^= r->state >> 27;
        return r->state * UINT64_C(0x2545F4914F6CDD1D);
}

static inline uint32_t lab_below(struct lab_random *r, uint32_t n)
{
        return (uint32_t)((lab_u64(r) >> 32) * n >> 32);
}

static inline void lab_fill(void *context, void *out, size_t len)
{
        uint8_t *p = out;

        for (size_t i = 0; i < len; i++)
                p[i] = (uint8_t)(lab_u64(context) >> 56);
}

static inline struct ip lab_ip(const char *text)
{
        struct ip ip;

        assert_err(ip_parse(str_of(text), &ip), ERR_OK);
        return ip;
}

static inline struct ip_prefix lab_prefix(const char *text)
{
        struct ip_prefix p;

        assert_err(ip_prefix_parse(str_of(text), &p), ERR_OK);
        return p;
}

static inline void lab_be16(uint8_t *p, size_t value)
{
        p[0] = (uint8_t)(value >> 8);
        p[1] = (uint8_t)value;
}

/* A UDP packet with right checksums, of payload_len bytes that begin with `number`. Returns its length. */
static inline size_t lab_packet(uint8_t *out, const char *source, const char *destination, size_t payload_len,
                                uint8_t number)
{
        struct ip from = lab_ip(source), to = lab_ip(destination);
        size_t header = from.family == 4 ? 20 : 40, udp_len = 8 + payload_len, len = header + udp_len;
        uint8_t *udp = out + header;

        memset(out, 0, len);
        if (from.family == 4) {
                out[0] = 0x45;
                lab_be16(out + 2, len);
                out[6] = 0x40;
                out[8] = 64;
                out[9] = 17;
                memcpy(out + 12, from.bytes, 4);
                memcpy(out + 16, to.bytes, 4);
                wg_checksum_put(out + 10, (uint16_t)~wg_checksum_fold(wg_checksum_add(0, out, 20)));
        } else {
                out[0] = 0x60;
                lab_be16(out + 4, udp_len);
                out[6] = 17;
                out[7] = 64;
                memcpy(out + 8, from.bytes, 16);
                memcpy(out + 24, to.bytes, 16);
        }
        lab_be16(udp, 5000);
        lab_be16(udp + 2, 6000);
        lab_be16(udp + 4, udp_len);
        for (size_t i = 0; i < payload_len; i++)
                udp[8 + i] = (uint8_t)(number + i);
        uint64_t sum = from.family == 4 ? wg_checksum_add(0, out + 12, 8) : wg_checksum_add(0, out + 8, 32);
        sum += wg_checksum_be16(17) + wg_checksum_be16((uint16_t)udp_len);
        wg_checksum_put(udp + 6, (uint16_t)~wg_checksum_fold(wg_checksum_add(sum, udp, udp_len)));
        return len;
}

static inline struct wg_frame lab_frame(const uint8_t *packet, size_t len)
{
        return (struct wg_frame){ .bytes = packet, .len = len };
}

/* One end of a tunnel. */
struct lab_end {
        struct wg_device *device;
        struct wg_peer *peer; /* the other end */
        struct wg_endpoint at;
        uint8_t private_key[32];
        const char *inner;
        struct wg_outbox out;
        struct wg_inbox in;
        uint8_t *out_memory;
        uint8_t *in_memory; /* what has arrived; packets of `in` point into it */
        size_t in_used;
};

enum { LAB_IN_MEMORY = 1 << 20 };

struct lab {
        struct lab_random random;
        struct wg_time now;
        struct lab_end a, b; /* 10.0.0.1 and 10.0.0.2 */
};

static inline void lab_end_init(struct lab *lab, struct lab_end *e, const char *at, const char *inner)
{
        struct wg_device_conf conf = { .peers_max = 8, .mtu = 1420, .random = { lab_fill, &lab->random } };

        memset(e, 0, sizeof(*e));
        e->at.ip = lab_ip(at);
        e->at.port = 51820;
        e->inner = inner;
        e->out_memory = malloc(WG_OUTBOX_BYTES_MIN);
        e->in_memory = malloc(LAB_IN_MEMORY);
        wg_outbox_init(&e->out, e->out_memory, WG_OUTBOX_BYTES_MIN);
        e->device = wg_device_new(&conf);
        assert_non_null(e->device);
        lab_fill(&lab->random, e->private_key, sizeof(e->private_key));
        wg_device_set_private_key(e->device, e->private_key);
}

static inline void lab_introduce(struct lab_end *e, const struct lab_end *other)
{
        struct ip_prefix host = { lab_ip(other->inner), lab_ip(other->inner).family == 4 ? 32 : 128 };

        assert_err(wg_device_add_peer(e->device, wg_device_public_key(other->device), &e->peer), ERR_OK);
        assert_err(wg_device_add_allowedip(e->device, e->peer, &host), ERR_OK);
        wg_peer_set_endpoint(e->peer, &other->at);
}

static inline void lab_init(struct lab *lab, uint64_t seed)
{
        lab->random.state = seed * 2 + 1;
        lab->now = (struct wg_time){ 1000000, 1790000000000 };
        lab_end_init(lab, &lab->a, "192.0.2.1", "10.0.0.1");
        lab_end_init(lab, &lab->b, "192.0.2.2", "10.0.0.2");
        lab_introduce(&lab->a, &lab->b);
        lab_introduce(&lab->b, &lab->a);
}

static inline void lab_end_fini(struct lab_end *e)
{
        wg_device_free(e->device);
        free(e->out_memory);
        free(e->in_memory);
}

static inline void lab_fini(struct lab *lab)
{
        lab_end_fini(&lab->a);
        lab_end_fini(&lab->b);
}

static inline void lab_pass(struct lab *lab, mono_ms ms)
{
        lab->now.mono += ms;
        lab->now.wall += ms;
}

static inline void lab_forget_packets(struct lab_end *e)
{
        e->in.packets_count = 0;
        e->in_used = 0;
}

/* Hands bytes to an end as if they had come from that endpoint. */
static inline void lab_arrive(struct lab *lab, struct lab_end *to, const struct wg_endpoint *from,
                              const uint8_t *bytes, size_t len, size_t datagram_bytes)
{
        struct wg_arrival arrival = { .bytes = to->in_memory + to->in_used,
                                      .len = len,
                                      .datagram_bytes = datagram_bytes,
                                      .from = *from };

        assert_true(len <= LAB_IN_MEMORY - to->in_used);
        memcpy(arrival.bytes, bytes, len);
        to->in_used += len;
        assert_int_equal(wg_device_receive(to->device, &arrival, 1, lab->now, &to->in, &to->out), 1);
}

/* Delivers all that `from` wants to send to `to`. Returns how many datagrams. */
static inline size_t lab_carry(struct lab *lab, struct lab_end *from, struct lab_end *to)
{
        size_t count = 0;

        wg_outbox_seal(&from->out);
        for (unsigned i = 0; i < from->out.bursts_count; i++) {
                const struct wg_burst *b = &from->out.bursts[i];
                count += b->datagrams_count;
                lab_arrive(lab, to, &from->at, wg_outbox_bytes(&from->out, b), b->len, b->datagram_bytes);
        }
        wg_outbox_clear(&from->out);
        return count;
}

static inline mono_ms lab_tick(struct lab *lab, struct lab_end *e)
{
        return wg_device_tick(e->device, lab->now, &e->out);
}

/* Ticks and carries both ways until nothing moves. */
static inline void lab_settle(struct lab *lab)
{
        for (int quiet = 0; quiet < 2;) {
                bool is_busy = lab_tick(lab, &lab->a) <= lab->now.mono;
                is_busy |= lab_tick(lab, &lab->b) <= lab->now.mono;
                is_busy |= lab_carry(lab, &lab->a, &lab->b) > 0;
                is_busy |= lab_carry(lab, &lab->b, &lab->a) > 0;
                quiet = is_busy ? 0 : quiet + 1;
        }
}

/* Lets time pass in small steps, so that jitter can do its work. */
static inline void lab_run(struct lab *lab, mono_ms ms)
{
        for (mono_ms t = 0; t < ms; t += 10) {
                lab_settle(lab);
                lab_pass(lab, 10);
        }
        lab_settle(lab);
}

static inline enum err lab_send(struct lab *lab, struct lab_end *from, const char *destination,
                                size_t payload_len, uint8_t number)
{
        uint8_t packet[65536];
        size_t len = lab_packet(packet, from->inner, destination, payload_len, number);
        struct wg_frame frame = lab_frame(packet, len);

        return wg_device_send(from->device, &frame, lab->now, &from->out);
}

static inline uint64_t lab_drops(const struct lab_end *e, enum wg_drop why)
{
        return wg_device_get_stats(e->device)->drops[why];
}

/* One packet from a to b and one back, so that both ends have used the session. */
static inline void lab_establish(struct lab *lab)
{
        assert_err(lab_send(lab, &lab->a, "10.0.0.2", 10, 1), ERR_OK);
        lab_settle(lab);
        assert_err(lab_send(lab, &lab->b, "10.0.0.1", 10, 2), ERR_OK);
        lab_settle(lab);
        assert_int_equal(lab->a.in.packets_count, 1);
        assert_int_equal(lab->b.in.packets_count, 1);
        lab_forget_packets(&lab->a);
        lab_forget_packets(&lab->b);
}
