#include "wg/batch.h"

#include <assert.h>

#include "crypto/secret.h"

void wg_outbox_init(struct wg_outbox *o, uint8_t *memory, size_t size)
{
        assert(size >= WG_OUTBOX_BYTES_MIN);
        o->bytes = memory;
        o->cap = size;
        o->unsealed_count = 0;
        wg_outbox_clear(o);
}

void wg_outbox_seal(struct wg_outbox *o)
{
        if (o->unsealed_count == 0)
                return;
        crypto_aead_seal_many(&o->key, o->unsealed, o->unsealed_count);
        crypto_wipe(&o->key, sizeof(o->key));
        o->unsealed_count = 0;
}

void wg_outbox_seal_later(struct wg_outbox *o, const struct crypto_aead_key *key, uint8_t *text, size_t len,
                          uint64_t counter)
{
        if (o->unsealed_count == WG_BURST_DATAGRAMS_MAX ||
            (o->unsealed_count > 0 && !crypto_eq(&o->key, key, sizeof(o->key))))
                wg_outbox_seal(o);
        if (o->unsealed_count == 0)
                o->key = *key;
        o->unsealed[o->unsealed_count++] = (struct crypto_aead_packet){ text, len, counter, false };
}

const uint8_t *wg_outbox_bytes(const struct wg_outbox *o, const struct wg_burst *b)
{
        assert(o->unsealed_count == 0);
        return o->bytes + b->offset;
}

void wg_outbox_clear(struct wg_outbox *o)
{
        wg_outbox_seal(o); /* nothing of what was in it stays in the clear */
        o->bursts_count = 0;
        o->used = 0;
}

bool wg_outbox_has_room(const struct wg_outbox *o, size_t datagrams_count, size_t datagram_bytes)
{
        /* A burst ends by count or by size, and one of full size never ends with fewer than half of either. */
        size_t per_burst = MIN((size_t)WG_BURST_DATAGRAMS_MAX, WG_BURST_BYTES_MAX / MAX(datagram_bytes, 1u));

        assert(datagram_bytes <= WG_BURST_BYTES_MAX);
        return datagrams_count * datagram_bytes <= o->cap - o->used &&
               (datagrams_count + per_burst - 1) / per_burst + 1 <= WG_OUTBOX_BURSTS_MAX - o->bursts_count;
}

static bool can_join(const struct wg_burst *b, const struct wg_endpoint *to, uint8_t tos, size_t len)
{
        return b->datagrams_count < WG_BURST_DATAGRAMS_MAX && len <= b->datagram_bytes &&
               len <= WG_BURST_BYTES_MAX - b->len &&
               b->len == (uint32_t)b->datagram_bytes * b->datagrams_count && /* no shorter one yet */
               b->tos == tos && wg_endpoint_eq(&b->to, to);
}

uint8_t *wg_outbox_add(struct wg_outbox *o, const struct wg_endpoint *to, uint8_t tos, size_t len)
{
        struct wg_burst *b = o->bursts_count ? &o->bursts[o->bursts_count - 1] : NULL;

        assert(len > 0 && len <= WG_BURST_BYTES_MAX);
        if (len > o->cap - o->used)
                return NULL;
        if (!b || !can_join(b, to, tos, len)) {
                if (o->bursts_count == WG_OUTBOX_BURSTS_MAX)
                        return NULL;
                b = &o->bursts[o->bursts_count++];
                *b = (struct wg_burst){
                        .to = *to, .tos = tos, .datagram_bytes = (uint16_t)len, .offset = (uint32_t)o->used
                };
        }
        uint8_t *at = o->bytes + o->used;
        b->datagrams_count++;
        b->len += (uint32_t)len;
        o->used += len;
        return at;
}
