#include "wg/device.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"
#include "wg/device_priv.h"

static struct str key_str(const uint8_t *key)
{
        return (struct str){ (const char *)key, WG_KEY_BYTES };
}

struct wg_device *wg_device_new(const struct wg_device_conf *conf)
{
        struct wg_device *d = calloc(1, sizeof(*d));
        struct hash_key hash_keys[2];

        if (!d)
                return NULL;
        d->conf = *conf;
        conf->random.fill(conf->random.context, hash_keys, sizeof(hash_keys));
        map_init(&d->peers_by_key, hash_keys[0], conf->peers_max);
        list_init(&d->peers);
        list_init(&d->touched);
        wg_allowedips_init(&d->allowedips);
        wg_index_init(&d->index);
        wg_deadlines_init(&d->deadlines);
        d->loaded_until = INT64_MIN;
        d->ratelimiter = wg_ratelimiter_new(hash_keys[1]);
        d->queue = calloc(WG_QUEUED_HANDSHAKES_MAX, sizeof(*d->queue));
        if (!d->ratelimiter || !d->queue) {
                wg_device_free(d);
                return NULL;
        }
        wg_cookie_checker_init(&d->checker, d->identity.public_key);
        return d;
}

void wg_device_free(struct wg_device *d)
{
        if (!d)
                return;
        for (struct wg_peer *p; (p = wg_device_first_peer(d));)
                wg_device_remove_peer(d, p);
        map_fini(&d->peers_by_key);
        wg_allowedips_fini(&d->allowedips);
        wg_index_fini(&d->index);
        wg_deadlines_fini(&d->deadlines);
        wg_ratelimiter_free(d->ratelimiter);
        free(d->queue);
        crypto_wipe(d, sizeof(*d));
        free(d);
}

void wg_device_set_private_key(struct wg_device *d, const uint8_t private_key[WG_KEY_BYTES])
{
        wg_identity_set(&d->identity, private_key);
        wg_cookie_checker_init(&d->checker, d->identity.public_key);
        d->queue_count = 0; /* sealed to the old key */

        struct wg_peer *self = wg_device_find_peer(d, d->identity.public_key);
        if (self)
                wg_device_remove_peer(d, self);
        list_for_each(link, &d->peers) {
                struct wg_peer *p = CONTAINER_OF(link, struct wg_peer, link);
                wg_peer_clear_handshake(d, p);
                wg_peer_drop_keys(d, p, MONO_NEVER);
                wg_handshake_set_identity(&p->handshake, &d->identity);
        }
}

const uint8_t *wg_device_private_key(const struct wg_device *d)
{
        return d->identity.private_key;
}

const uint8_t *wg_device_public_key(const struct wg_device *d)
{
        return d->identity.public_key;
}

void wg_device_set_mtu(struct wg_device *d, uint16_t mtu)
{
        d->conf.mtu = mtu;
}

enum err wg_device_add_peer(struct wg_device *d, const uint8_t public_key[WG_KEY_BYTES], struct wg_peer **out)
{
        if (d->identity.has_key && crypto_eq(public_key, d->identity.public_key, WG_KEY_BYTES))
                return ERR_DENIED;
        if (wg_device_find_peer(d, public_key))
                return ERR_EXISTS;
        if (d->peers_by_key.count >= d->conf.peers_max)
                return ERR_TOO_LARGE;
        if (wg_deadlines_reserve(&d->deadlines, d->deadlines.count + 1) != ERR_OK)
                return ERR_NO_MEMORY;
        struct wg_peer *p = wg_peer_new(d, public_key);
        if (!p)
                return ERR_NO_MEMORY;
        enum err e = map_add(&d->peers_by_key, key_str(wg_peer_public_key(p)), p);
        if (e != ERR_OK) {
                wg_peer_free(d, p);
                return e;
        }
        list_add_last(&d->peers, &p->link);
        wg_deadlines_set(&d->deadlines, &p->deadline, MONO_NEVER);
        *out = p;
        return ERR_OK;
}

void wg_device_remove_peer(struct wg_device *d, struct wg_peer *p)
{
        map_remove(&d->peers_by_key, key_str(wg_peer_public_key(p)));
        list_remove(&p->link);
        wg_deadlines_remove(&d->deadlines, &p->deadline);
        wg_peer_free(d, p);
}

struct wg_peer *wg_device_find_peer(const struct wg_device *d, const uint8_t public_key[WG_KEY_BYTES])
{
        return map_find(&d->peers_by_key, key_str(public_key));
}

struct wg_peer *wg_device_first_peer(const struct wg_device *d)
{
        return LIST_FIRST(&d->peers, struct wg_peer, link);
}

struct wg_peer *wg_device_next_peer(const struct wg_device *d, const struct wg_peer *p)
{
        return p->link.next == &d->peers ? NULL : CONTAINER_OF(p->link.next, struct wg_peer, link);
}

size_t wg_device_peers_count(const struct wg_device *d)
{
        return d->peers_by_key.count;
}

enum err wg_device_add_allowedip(struct wg_device *d, struct wg_peer *p, const struct ip_prefix *prefix)
{
        return wg_allowedips_add(&d->allowedips, prefix, &p->allowedips);
}

enum err wg_device_remove_allowedip(struct wg_device *d, struct wg_peer *p, const struct ip_prefix *prefix)
{
        return wg_allowedips_remove(&d->allowedips, prefix, &p->allowedips);
}

void wg_device_clear_allowedips(struct wg_device *d, struct wg_peer *p)
{
        wg_allowedips_remove_all(&d->allowedips, &p->allowedips);
}

struct wg_peer *wg_device_route(const struct wg_device *d, struct ip destination)
{
        return wg_peer_of_owner(destination.family == 4
                                        ? wg_allowedips_find4(&d->allowedips, destination.bytes)
                                        : wg_allowedips_find6(&d->allowedips, destination.bytes));
}

struct wg_peer *wg_device_take_touched(struct wg_device *d)
{
        struct wg_peer *p = LIST_FIRST(&d->touched, struct wg_peer, touched);

        if (p)
                list_remove(&p->touched);
        return p;
}

bool wg_device_has_touched(const struct wg_device *d)
{
        return !list_is_empty(&d->touched);
}

void wg_device_source_gone(struct wg_device *d, const struct wg_endpoint *to)
{
        struct ip source = to->source;

        list_for_each(link, &d->peers) {
                struct wg_peer *p = CONTAINER_OF(link, struct wg_peer, link);
                if (!p->endpoint.is_carried && ip_eq(p->endpoint.source, source))
                        wg_endpoint_forget_source(&p->endpoint);
        }
}

void wg_device_drop(struct wg_device *d, enum wg_drop why)
{
        d->stats.drops[why]++;
}

uint32_t wg_device_random_u32(struct wg_device *d)
{
        uint32_t value;

        d->conf.random.fill(d->conf.random.context, &value, sizeof(value));
        return value;
}

unsigned wg_device_jitter_ms(struct wg_device *d)
{
        return wg_device_random_u32(d) % (WG_REKEY_JITTER_MS + 1);
}

uint32_t wg_device_new_index(struct wg_device *d, struct wg_peer *p)
{
        for (;;) {
                uint32_t index = wg_device_random_u32(d) & ((1u << WG_INDEX_WORKER_SHIFT) - 1);
                if (index == 0)
                        continue;
                index |= (uint32_t)d->conf.worker << WG_INDEX_WORKER_SHIFT;
                enum err e = wg_index_add(&d->index, index, p, NULL);
                if (e != ERR_EXISTS)
                        return e == ERR_OK ? index : 0;
        }
}

#define X(name, label, text) { label, text },
static const struct {
        const char *label, *text;
} drops[WG_DROPS] = { WG_DROP_LIST(X) };
#undef X

const char *wg_drop_label(enum wg_drop which)
{
        return drops[which].label;
}

const char *wg_drop_text(enum wg_drop which)
{
        return drops[which].text;
}

const struct wg_device_stats *wg_device_get_stats(const struct wg_device *d)
{
        return &d->stats;
}

bool wg_device_is_under_load(const struct wg_device *d, mono_ms now)
{
        return now < d->loaded_until;
}
