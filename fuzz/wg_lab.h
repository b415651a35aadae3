/*
 * fuzz/wg_lab.h - two devices that know each other, the same at every run, for the targets of the wg room.
 */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wg/device_priv.h"

#define CHECK(condition)          \
        do {                      \
                if (!(condition)) \
                        abort();  \
        } while (0)

struct fuzz_end {
        struct wg_device *device;
        struct wg_peer *peer;
        struct wg_endpoint at;
        struct wg_outbox out;
        struct wg_inbox in;
        uint8_t *out_memory, *in_memory;
        size_t in_used;
};

enum { FUZZ_IN_MEMORY = 1 << 18 };

static uint64_t fuzz_random_state;
static const struct wg_time fuzz_now = { 1000000, 1790000000000 };

static inline void fuzz_fill(void *context, void *out, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                fuzz_random_state = fuzz_random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
                ((uint8_t *)out)[i] = (uint8_t)(fuzz_random_state >> 56);
        }
}

static inline void fuzz_end_init(struct fuzz_end *e, uint8_t number)
{
        struct wg_device_conf conf = { .peers_max = 4, .mtu = 1420, .random = { fuzz_fill, NULL } };
        uint8_t key[WG_KEY_BYTES];

        memset(e, 0, sizeof(*e));
        memset(key, 10 + number, sizeof(key));
        e->at = (struct wg_endpoint){ .ip = { 4, { 192, 0, 2, number } }, .port = 51820 };
        e->device = wg_device_new(&conf);
        e->out_memory = malloc(WG_OUTBOX_BYTES_MIN);
        e->in_memory = malloc(FUZZ_IN_MEMORY);
        CHECK(e->device && e->out_memory && e->in_memory);
        wg_outbox_init(&e->out, e->out_memory, WG_OUTBOX_BYTES_MIN);
        wg_device_set_private_key(e->device, key);
}

static inline void fuzz_introduce(struct fuzz_end *e, const struct fuzz_end *other)
{
        struct ip_prefix host = { { 4, { 10, 0, 0, other->at.ip.bytes[3] } }, 32 };

        CHECK(wg_device_add_peer(e->device, wg_device_public_key(other->device), &e->peer) == ERR_OK);
        CHECK(wg_device_add_allowedip(e->device, e->peer, &host) == ERR_OK);
        wg_peer_set_endpoint(e->peer, &other->at);
}

static inline void fuzz_init(struct fuzz_end *a, struct fuzz_end *b)
{
        fuzz_random_state = 7;
        fuzz_end_init(a, 1);
        fuzz_end_init(b, 2);
        fuzz_introduce(a, b);
        fuzz_introduce(b, a);
}

static inline void fuzz_fini(struct fuzz_end *e)
{
        wg_device_free(e->device);
        free(e->out_memory);
        free(e->in_memory);
}

/* A copy in memory of exactly its size, so that the sanitizer sees a byte too far. */
static inline void fuzz_arrive(struct fuzz_end *to, const struct fuzz_end *from, const uint8_t *bytes,
                               size_t len, size_t datagram_bytes)
{
        uint8_t *copy = malloc(len ? len : 1);
        struct wg_arrival arrival = {
                .bytes = copy, .len = len, .datagram_bytes = datagram_bytes, .from = from->at
        };

        CHECK(copy);
        memcpy(copy, bytes, len);
        CHECK(wg_device_receive(to->device, &arrival, 1, fuzz_now, &to->in, &to->out) == 1);
        /* What was delivered is looked at while its memory is there. */
        for (unsigned i = 0; i < to->in.packets_count; i++) {
                struct wg_inner inner;
                CHECK(to->in.packets[i].peer == to->peer);
                CHECK(wg_inner_parse(to->in.packets[i].bytes, to->in.packets[i].len, &inner) == ERR_OK);
                CHECK(inner.len == to->in.packets[i].len);
                CHECK(wg_inner_find_source(&inner, &to->device->allowedips) == &to->peer->allowedips);
        }
        to->in.packets_count = 0;
        free(copy);
}

static inline void fuzz_carry(struct fuzz_end *from, struct fuzz_end *to)
{
        wg_outbox_seal(&from->out);
        for (unsigned i = 0; i < from->out.bursts_count; i++)
                fuzz_arrive(to, from, wg_outbox_bytes(&from->out, &from->out.bursts[i]),
                            from->out.bursts[i].len, from->out.bursts[i].datagram_bytes);
        wg_outbox_clear(&from->out);
}

/* a asks; returns with the initiation in a's outbox. */
static inline void fuzz_initiate(struct fuzz_end *a)
{
        wg_timers_want_initiation(&a->peer->timers, fuzz_now.mono);
        wg_peer_reschedule(a->device, a->peer);
        (void)wg_device_tick(a->device, fuzz_now, &a->out);
        CHECK(a->out.bursts_count == 1);
}

static inline void fuzz_establish(struct fuzz_end *a, struct fuzz_end *b)
{
        fuzz_initiate(a);
        for (int i = 0; i < 3; i++) {
                fuzz_carry(a, b);
                (void)wg_device_tick(b->device, fuzz_now, &b->out);
                fuzz_carry(b, a);
                (void)wg_device_tick(a->device, fuzz_now, &a->out);
        }
        CHECK(a->peer->current && b->peer->current);
}

/* Changes a good message by the input: the bytes are xored, so an empty input leaves it good. True when it did change. */
static inline bool fuzz_change(uint8_t *message, size_t len, const uint8_t *data, size_t size)
{
        bool has_changed = false;

        for (size_t i = 0; i < len && i < size; i++) {
                message[i] ^= data[i];
                has_changed |= data[i] != 0;
        }
        return has_changed;
}
