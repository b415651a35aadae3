#include "wg/peer.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"
#include "wg/device_priv.h"

struct wg_peer *wg_peer_new(struct wg_device *d, const uint8_t public_key[WG_KEY_BYTES])
{
        struct wg_peer *p = calloc(1, sizeof(*p));

        if (!p)
                return NULL;
        wg_handshake_init(&p->handshake, &d->identity, public_key);
        wg_cookie_maker_init(&p->cookie, public_key);
        wg_allowedips_owner_init(&p->allowedips);
        wg_timers_init(&p->timers);
        list_init(&p->staged);
        list_init(&p->link);
        list_init(&p->touched);
        return p;
}

void wg_peer_free(struct wg_device *d, struct wg_peer *p)
{
        list_remove(&p->touched);
        wg_peer_clear_handshake(d, p);
        wg_peer_drop_keys(d, p, MONO_NEVER);
        wg_staged_drop_all(d, p);
        wg_allowedips_remove_all(&d->allowedips, &p->allowedips);
        crypto_wipe(p, sizeof(*p));
        free(p);
}

const uint8_t *wg_peer_public_key(const struct wg_peer *p)
{
        return p->handshake.remote_static;
}

void wg_peer_set_preshared_key(struct wg_peer *p, const uint8_t key[WG_KEY_BYTES])
{
        memcpy(p->handshake.preshared_key, key, WG_KEY_BYTES);
}

const uint8_t *wg_peer_preshared_key(const struct wg_peer *p)
{
        return p->handshake.preshared_key;
}

void wg_peer_set_endpoint(struct wg_peer *p, const struct wg_endpoint *e)
{
        p->endpoint = *e;
}

const struct wg_endpoint *wg_peer_endpoint(const struct wg_peer *p)
{
        return &p->endpoint;
}

void wg_peer_move_to(struct wg_peer *p, const struct wg_endpoint *from)
{
        if (UNLIKELY(!wg_endpoint_eq(&p->endpoint, from)))
                p->endpoint = *from;
}

void wg_peer_hurry(struct wg_device *d, struct wg_peer *p, mono_ms now)
{
        bool is_asking = p->handshake.state == WG_HANDSHAKE_INITIATION_CREATED;

        if (!is_asking && (p->staged_count == 0 || wg_peer_sending_keys(p, now)))
                return;
        p->timers.has_initiation = false;
        wg_timers_want_initiation(&p->timers, now);
        wg_peer_reschedule(d, p);
}

void wg_peer_set_keepalive(struct wg_device *d, struct wg_peer *p, uint16_t seconds, mono_ms now)
{
        wg_timers_set_persistent(&p->timers, (mono_ms)seconds * 1000, now);
        wg_peer_reschedule(d, p);
}

uint16_t wg_peer_keepalive(const struct wg_peer *p)
{
        return (uint16_t)(p->timers.persistent_ms / 1000);
}

const struct wg_allowedips_owner *wg_peer_allowedips(const struct wg_peer *p)
{
        return &p->allowedips;
}

void wg_peer_get_stats(const struct wg_peer *p, mono_ms now, struct wg_peer_stats *out)
{
        *out = (struct wg_peer_stats){
                .received_bytes = p->received_bytes,
                .sent_bytes = p->sent_bytes,
                .last_handshake = p->last_handshake,
                .has_session = wg_peer_sending_keys(p, now) != NULL,
        };
}

void wg_peer_reschedule(struct wg_device *d, struct wg_peer *p)
{
        mono_ms next = wg_timers_next(&p->timers);

        /* One that moved later is looked at when it comes up: packets only ever push theirs back. */
        if (next < p->deadline.due)
                wg_deadlines_set(&d->deadlines, &p->deadline, next);
}

static void keypair_free(struct wg_device *d, struct wg_keypair **k)
{
        if (!*k)
                return;
        wg_index_remove(&d->index, (*k)->local_index);
        crypto_wipe(*k, sizeof(**k));
        free(*k);
        *k = NULL;
}

static void keypair_move(struct wg_device *d, struct wg_keypair **to, struct wg_keypair **from)
{
        keypair_free(d, to);
        *to = *from;
        *from = NULL;
}

void wg_peer_drop_keys(struct wg_device *d, struct wg_peer *p, mono_ms born_before)
{
        struct wg_keypair **all[] = { &p->current, &p->previous, &p->next };

        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
                if (*all[i] && (*all[i])->born < born_before)
                        keypair_free(d, all[i]);
}

void wg_peer_clear_handshake(struct wg_device *d, struct wg_peer *p)
{
        wg_index_remove(&d->index, p->handshake.local_index);
        wg_handshake_clear(&p->handshake);
}

struct wg_keypair *wg_peer_sending_keys(const struct wg_peer *p, mono_ms now)
{
        struct wg_keypair *k = p->current;

        if (!k || now - k->born >= WG_REJECT_AFTER_MS || k->sending_counter >= WG_REJECT_AFTER_MESSAGES)
                return NULL;
        return k;
}

enum err wg_peer_begin_session(struct wg_device *d, struct wg_peer *p, mono_ms now)
{
        struct wg_keypair *k = calloc(1, sizeof(*k));
        struct wg_index_entry *entry = wg_index_find(&d->index, p->handshake.local_index);

        if (!k || !entry) {
                free(k);
                wg_peer_clear_handshake(d, p);
                return ERR_NO_MEMORY;
        }
        wg_noise_begin_session(&p->handshake, k, now);
        entry->keypair = k;
        if (k->is_initiator) {
                /* An unconfirmed `next` may be in use at the other end by now: it is kept to open with, not current. */
                if (p->next)
                        keypair_move(d, &p->previous, &p->next);
                else
                        keypair_move(d, &p->previous, &p->current);
                keypair_move(d, &p->current, &k);
        } else {
                keypair_move(d, &p->next, &k);
                keypair_free(d, &p->previous);
        }
        wg_timers_session_derived(&p->timers, now);
        return ERR_OK;
}

bool wg_peer_confirm(struct wg_device *d, struct wg_peer *p, const struct wg_keypair *k)
{
        if (LIKELY(k != p->next))
                return false;
        keypair_move(d, &p->previous, &p->current);
        keypair_move(d, &p->current, &p->next);
        return true;
}
