#include "wg/cookie.h"

#include <string.h>

#include "crypto/aead.h"
#include "crypto/blake2s.h"
#include "crypto/secret.h"

static struct str bytes(const uint8_t *p, size_t len)
{
        return (struct str){ (const char *)p, len };
}

static void label_key(struct str label, const uint8_t *public_key, uint8_t out[WG_KEY_BYTES])
{
        crypto_blake2s((const struct str[]){ label, bytes(public_key, WG_KEY_BYTES) }, 2, out);
}

static void mac(const uint8_t *key, size_t key_len, const uint8_t *data, size_t len,
                uint8_t out[WG_MAC_BYTES])
{
        crypto_blake2s_keyed(bytes(key, key_len), bytes(data, len), out, WG_MAC_BYTES);
}

void wg_cookie_checker_init(struct wg_cookie_checker *c, const uint8_t own_public_key[WG_KEY_BYTES])
{
        memset(c, 0, sizeof(*c));
        label_key(STR("mac1----"), own_public_key, c->mac1_key);
        label_key(STR("cookie--"), own_public_key, c->cookie_key);
}

void wg_cookie_maker_init(struct wg_cookie_maker *m, const uint8_t peer_public_key[WG_KEY_BYTES])
{
        memset(m, 0, sizeof(*m));
        label_key(STR("mac1----"), peer_public_key, m->mac1_key);
        label_key(STR("cookie--"), peer_public_key, m->cookie_key);
}

bool wg_cookie_mac1_holds(const struct wg_cookie_checker *c, const uint8_t *message, size_t mac1_at)
{
        uint8_t mac1[WG_MAC_BYTES];

        mac(c->mac1_key, WG_KEY_BYTES, message, mac1_at, mac1);
        return crypto_eq(mac1, message + mac1_at, WG_MAC_BYTES);
}

/* A cookie is MAC(secret, address, port): nothing to remember. */
static void cookie_make(struct wg_cookie_checker *c, struct ip source, uint16_t port, mono_ms now,
                        const struct wg_random *random, uint8_t cookie[WG_COOKIE_BYTES])
{
        uint8_t data[18] = { 0 };
        size_t len = source.family == 4 ? 4 : 16;

        if (!c->has_secret || now - c->secret_born >= WG_COOKIE_SECRET_MS) {
                random->fill(random->context, c->secret, WG_HASH_BYTES);
                c->secret_born = now;
                c->has_secret = true;
        }
        memcpy(data, source.bytes, len);
        data[len] = (uint8_t)(port >> 8);
        data[len + 1] = (uint8_t)port;
        mac(c->secret, WG_HASH_BYTES, data, len + 2, cookie);
}

bool wg_cookie_mac2_holds(struct wg_cookie_checker *c, const uint8_t *message, size_t mac1_at,
                          struct ip source, uint16_t port, mono_ms now, const struct wg_random *random)
{
        uint8_t cookie[WG_COOKIE_BYTES], mac2[WG_MAC_BYTES];
        size_t mac2_at = mac1_at + WG_MAC_BYTES;

        cookie_make(c, source, port, now, random, cookie);
        mac(cookie, sizeof(cookie), message, mac2_at, mac2);
        bool holds = crypto_eq(mac2, message + mac2_at, WG_MAC_BYTES);
        crypto_wipe(cookie, sizeof(cookie));
        crypto_wipe(mac2, sizeof(mac2));
        return holds;
}

void wg_cookie_reply(struct wg_cookie_checker *c, const uint8_t *message, size_t mac1_at, uint32_t receiver,
                     struct ip source, uint16_t port, mono_ms now, const struct wg_random *random,
                     uint8_t reply[WG_COOKIE_REPLY_BYTES])
{
        struct crypto_aead_key key;

        memset(reply, 0, WG_COOKIE_REPLY_BYTES);
        reply[0] = WG_MESSAGE_COOKIE_REPLY;
        wg_put_u32(reply + WG_COOKIE_REPLY_RECEIVER, receiver);
        random->fill(random->context, reply + WG_COOKIE_REPLY_NONCE, WG_COOKIE_NONCE_BYTES);
        cookie_make(c, source, port, now, random, reply + WG_COOKIE_REPLY_COOKIE);
        memcpy(key.bytes, c->cookie_key, WG_KEY_BYTES);
        crypto_xaead_seal(&key, reply + WG_COOKIE_REPLY_NONCE, bytes(message + mac1_at, WG_MAC_BYTES),
                          reply + WG_COOKIE_REPLY_COOKIE, WG_COOKIE_BYTES);
        crypto_wipe(&key, sizeof(key));
}

void wg_cookie_add_macs(struct wg_cookie_maker *m, uint8_t *message, size_t mac1_at, mono_ms now)
{
        size_t mac2_at = mac1_at + WG_MAC_BYTES;

        mac(m->mac1_key, WG_KEY_BYTES, message, mac1_at, message + mac1_at);
        memcpy(m->last_mac1, message + mac1_at, WG_MAC_BYTES);
        m->has_last_mac1 = true;
        if (m->has_cookie && now - m->cookie_born < WG_COOKIE_SECRET_MS - WG_COOKIE_LATENCY_MS)
                mac(m->cookie, WG_COOKIE_BYTES, message, mac2_at, message + mac2_at);
        else
                memset(message + mac2_at, 0, WG_MAC_BYTES);
}

enum err wg_cookie_consume(struct wg_cookie_maker *m, const uint8_t reply[WG_COOKIE_REPLY_BYTES], mono_ms now)
{
        struct crypto_aead_key key;
        uint8_t work[WG_COOKIE_BYTES + WG_TAG_BYTES];

        if (!m->has_last_mac1)
                return ERR_DENIED;
        memcpy(key.bytes, m->cookie_key, WG_KEY_BYTES);
        memcpy(work, reply + WG_COOKIE_REPLY_COOKIE, sizeof(work));
        bool is_authentic = crypto_xaead_open(&key, reply + WG_COOKIE_REPLY_NONCE,
                                              bytes(m->last_mac1, WG_MAC_BYTES), work, sizeof(work));
        if (is_authentic) {
                memcpy(m->cookie, work, WG_COOKIE_BYTES);
                m->cookie_born = now;
                m->has_cookie = true;
                m->has_last_mac1 = false;
        }
        crypto_wipe(work, sizeof(work));
        crypto_wipe(&key, sizeof(key));
        return is_authentic ? ERR_OK : ERR_DENIED;
}
