#include "wg/noise.h"

#include <assert.h>
#include <string.h>

#include "crypto/blake2s.h"
#include "crypto/secret.h"
#include "crypto/x25519.h"

static const struct str construction = STR_INIT("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s");
static const struct str identifier = STR_INIT("WireGuard v1 zx2c4 Jason@zx2c4.com");

/* The running state of Noise: chaining key and hash. */
struct symmetric {
        uint8_t ck[WG_HASH_BYTES], h[WG_HASH_BYTES];
};

static struct str bytes(const uint8_t *p, size_t len)
{
        return (struct str){ (const char *)p, len };
}

static void mix_hash(struct symmetric *s, const uint8_t *data, size_t len)
{
        crypto_blake2s((const struct str[]){ bytes(s->h, WG_HASH_BYTES), bytes(data, len) }, 2, s->h);
}

/* Also gives a key for one AEAD when `key` is not NULL. */
static void mix_key(struct symmetric *s, const uint8_t *data, struct crypto_aead_key *key)
{
        crypto_blake2s_kdf(s->ck, bytes(data, WG_KEY_BYTES), s->ck, key ? key->bytes : NULL, NULL);
}

static enum err mix_dh(struct symmetric *s, const uint8_t *private_key, const uint8_t *public_key,
                       struct crypto_aead_key *key)
{
        uint8_t shared[WG_KEY_BYTES];
        enum err e = crypto_x25519(private_key, public_key, shared);

        if (e == ERR_OK)
                mix_key(s, shared, key);
        crypto_wipe(shared, sizeof(shared));
        return e == ERR_OK ? ERR_OK : ERR_DENIED;
}

static void mix_psk(struct symmetric *s, const uint8_t *psk, struct crypto_aead_key *key)
{
        uint8_t tau[WG_HASH_BYTES];

        crypto_blake2s_kdf(s->ck, bytes(psk, WG_KEY_BYTES), s->ck, tau, key->bytes);
        mix_hash(s, tau, sizeof(tau));
        crypto_wipe(tau, sizeof(tau));
}

static const uint8_t zero_nonce[CRYPTO_AEAD_NONCE_BYTES]; /* each key seals once */

/* `out` has len + 16 bytes, and is mixed in. */
static void seal(struct symmetric *s, const struct crypto_aead_key *key, const uint8_t *text, size_t len,
                 uint8_t *out)
{
        if (len > 0)
                memcpy(out, text, len);
        crypto_aead_seal(key, zero_nonce, bytes(s->h, WG_HASH_BYTES), out, len);
        mix_hash(s, out, len + WG_TAG_BYTES);
}

/* `work` has len bytes, tag included; the first len - 16 are the text afterwards. */
static enum err open(struct symmetric *s, const struct crypto_aead_key *key, const uint8_t *sealed,
                     size_t len, uint8_t *work)
{
        memcpy(work, sealed, len);
        if (!crypto_aead_open(key, zero_nonce, bytes(s->h, WG_HASH_BYTES), work, len))
                return ERR_DENIED;
        mix_hash(s, sealed, len);
        return ERR_OK;
}

static void start(struct symmetric *s, const uint8_t *responder_static)
{
        crypto_blake2s(&construction, 1, s->ck);
        crypto_blake2s((const struct str[]){ bytes(s->ck, WG_HASH_BYTES), identifier }, 2, s->h);
        mix_hash(s, responder_static, WG_KEY_BYTES); /* <- s */
}

/* -> e: psk handshakes mix the ephemeral into the key as well (Noise 9.2). */
static void mix_ephemeral(struct symmetric *s, const uint8_t *public_key)
{
        mix_hash(s, public_key, WG_KEY_BYTES);
        mix_key(s, public_key, NULL);
}

static void load(struct symmetric *s, const uint8_t *ck, const uint8_t *h)
{
        memcpy(s->ck, ck, WG_HASH_BYTES);
        memcpy(s->h, h, WG_HASH_BYTES);
}

static void store(const struct symmetric *s, uint8_t *ck, uint8_t *h)
{
        memcpy(ck, s->ck, WG_HASH_BYTES);
        memcpy(h, s->h, WG_HASH_BYTES);
}

void wg_identity_set(struct wg_identity *id, const uint8_t private_key[WG_KEY_BYTES])
{
        id->has_key = !crypto_is_zero(private_key, WG_KEY_BYTES);
        memcpy(id->private_key, private_key, WG_KEY_BYTES);
        memset(id->public_key, 0, WG_KEY_BYTES);
        if (id->has_key) {
                crypto_x25519_clamp(id->private_key);
                crypto_x25519_public(id->private_key, id->public_key);
        }
}

void wg_identity_wipe(struct wg_identity *id)
{
        crypto_wipe(id, sizeof(*id));
}

void wg_handshake_init(struct wg_handshake *h, const struct wg_identity *id,
                       const uint8_t remote_static[WG_KEY_BYTES])
{
        memset(h, 0, sizeof(*h));
        memcpy(h->remote_static, remote_static, WG_KEY_BYTES);
        wg_handshake_set_identity(h, id);
}

void wg_handshake_set_identity(struct wg_handshake *h, const struct wg_identity *id)
{
        wg_handshake_clear(h);
        crypto_wipe(h->static_static, WG_KEY_BYTES);
        h->has_static_static =
                id->has_key && crypto_x25519(id->private_key, h->remote_static, h->static_static) == ERR_OK;
}

void wg_handshake_clear(struct wg_handshake *h)
{
        crypto_wipe(h->ephemeral_private, WG_KEY_BYTES);
        crypto_wipe(h->remote_ephemeral, WG_KEY_BYTES);
        crypto_wipe(h->hash, WG_HASH_BYTES);
        crypto_wipe(h->chaining_key, WG_HASH_BYTES);
        h->local_index = h->remote_index = 0;
        h->state = WG_HANDSHAKE_NONE;
}

enum err wg_noise_create_initiation(struct wg_handshake *h, const struct wg_identity *id,
                                    const uint8_t ephemeral[WG_KEY_BYTES],
                                    const uint8_t timestamp[WG_TIMESTAMP_BYTES], uint32_t sender,
                                    uint8_t message[WG_INITIATION_BYTES])
{
        struct symmetric s;
        struct crypto_aead_key key;
        uint8_t e[WG_KEY_BYTES];
        enum err err = ERR_DENIED;

        memset(message, 0, WG_INITIATION_BYTES);
        if (!id->has_key || !h->has_static_static)
                return ERR_DENIED;
        memcpy(e, ephemeral, WG_KEY_BYTES);
        crypto_x25519_clamp(e);
        start(&s, h->remote_static);
        message[0] = WG_MESSAGE_INITIATION;
        wg_put_u32(message + WG_INITIATION_SENDER, sender);

        /* e */
        crypto_x25519_public(e, message + WG_INITIATION_EPHEMERAL);
        mix_ephemeral(&s, message + WG_INITIATION_EPHEMERAL);
        /* es */
        if ((err = mix_dh(&s, e, h->remote_static, &key)) != ERR_OK)
                goto out;
        /* s */
        seal(&s, &key, id->public_key, WG_KEY_BYTES, message + WG_INITIATION_STATIC);
        /* ss */
        mix_key(&s, h->static_static, &key);
        /* {t} */
        seal(&s, &key, timestamp, WG_TIMESTAMP_BYTES, message + WG_INITIATION_TIMESTAMP);

        wg_handshake_clear(h);
        memcpy(h->ephemeral_private, e, WG_KEY_BYTES);
        store(&s, h->chaining_key, h->hash);
        h->local_index = sender;
        h->state = WG_HANDSHAKE_INITIATION_CREATED;
out:
        crypto_wipe(e, sizeof(e));
        crypto_wipe(&s, sizeof(s));
        crypto_wipe(&key, sizeof(key));
        return err;
}

enum err wg_noise_read_initiation(const struct wg_identity *id, const uint8_t message[WG_INITIATION_BYTES],
                                  struct wg_initiation *i)
{
        struct symmetric s;
        struct crypto_aead_key key;
        uint8_t work[WG_KEY_BYTES + WG_TAG_BYTES];
        enum err err = ERR_DENIED;

        memset(i, 0, sizeof(*i));
        if (!id->has_key)
                return ERR_DENIED;
        start(&s, id->public_key);
        /* e */
        memcpy(i->remote_ephemeral, message + WG_INITIATION_EPHEMERAL, WG_KEY_BYTES);
        mix_ephemeral(&s, i->remote_ephemeral);
        /* es */
        if ((err = mix_dh(&s, id->private_key, i->remote_ephemeral, &key)) != ERR_OK)
                goto out;
        /* s */
        if ((err = open(&s, &key, message + WG_INITIATION_STATIC, sizeof(work), work)) != ERR_OK)
                goto out;
        memcpy(i->remote_static, work, WG_KEY_BYTES);
        store(&s, i->chaining_key, i->hash);
out:
        crypto_wipe(work, sizeof(work));
        crypto_wipe(&s, sizeof(s));
        crypto_wipe(&key, sizeof(key));
        if (err != ERR_OK)
                crypto_wipe(i, sizeof(*i));
        return err;
}

enum err wg_noise_accept_initiation(struct wg_handshake *h, struct wg_initiation *i,
                                    const uint8_t message[WG_INITIATION_BYTES], mono_ms now)
{
        struct symmetric s;
        struct crypto_aead_key key = { { 0 } };
        uint8_t t[WG_TIMESTAMP_BYTES + WG_TAG_BYTES];
        enum err err = ERR_DENIED;

        load(&s, i->chaining_key, i->hash);
        if (!h->has_static_static)
                goto out;
        /* ss */
        mix_key(&s, h->static_static, &key);
        /* {t} */
        if ((err = open(&s, &key, message + WG_INITIATION_TIMESTAMP, sizeof(t), t)) != ERR_OK)
                goto out;

        /* The timestamp counts as a big-endian number, so the order of its bytes is the order of time. One far in the
         * future is taken, as the paper has it: it only locks out its own sender's past. */
        bool is_repeat = h->has_latest && memcmp(t, h->latest_timestamp, WG_TIMESTAMP_BYTES) <= 0;
        bool is_flood = h->has_latest && now - h->latest_initiation < WG_INITIATION_LEAST_MS;
        if (is_repeat || is_flood) {
                err = ERR_DENIED;
                goto out;
        }
        wg_handshake_clear(h);
        memcpy(h->latest_timestamp, t, WG_TIMESTAMP_BYTES);
        h->latest_initiation = now;
        h->has_latest = true;
        memcpy(h->remote_ephemeral, i->remote_ephemeral, WG_KEY_BYTES);
        store(&s, h->chaining_key, h->hash);
        h->remote_index = wg_get_u32(message + WG_INITIATION_SENDER);
        h->state = WG_HANDSHAKE_INITIATION_CONSUMED;
out:
        crypto_wipe(t, sizeof(t));
        crypto_wipe(&s, sizeof(s));
        crypto_wipe(&key, sizeof(key));
        crypto_wipe(i, sizeof(*i));
        return err;
}

enum err wg_noise_create_response(struct wg_handshake *h, const uint8_t ephemeral[WG_KEY_BYTES],
                                  uint32_t sender, uint8_t message[WG_RESPONSE_BYTES])
{
        struct symmetric s;
        struct crypto_aead_key key = { { 0 } };
        uint8_t e[WG_KEY_BYTES];
        enum err err;

        assert(h->state == WG_HANDSHAKE_INITIATION_CONSUMED);
        memset(message, 0, WG_RESPONSE_BYTES);
        memcpy(e, ephemeral, WG_KEY_BYTES);
        crypto_x25519_clamp(e);
        load(&s, h->chaining_key, h->hash);
        message[0] = WG_MESSAGE_RESPONSE;
        wg_put_u32(message + WG_RESPONSE_SENDER, sender);
        wg_put_u32(message + WG_RESPONSE_RECEIVER, h->remote_index);

        /* e */
        crypto_x25519_public(e, message + WG_RESPONSE_EPHEMERAL);
        mix_ephemeral(&s, message + WG_RESPONSE_EPHEMERAL);
        /* ee */
        if ((err = mix_dh(&s, e, h->remote_ephemeral, NULL)) != ERR_OK)
                goto out;
        /* se */
        if ((err = mix_dh(&s, e, h->remote_static, NULL)) != ERR_OK)
                goto out;
        /* psk */
        mix_psk(&s, h->preshared_key, &key);
        /* {} */
        seal(&s, &key, NULL, 0, message + WG_RESPONSE_NOTHING);

        memcpy(h->ephemeral_private, e, WG_KEY_BYTES);
        store(&s, h->chaining_key, h->hash);
        h->local_index = sender;
        h->state = WG_HANDSHAKE_RESPONSE_CREATED;
out:
        crypto_wipe(e, sizeof(e));
        crypto_wipe(&s, sizeof(s));
        crypto_wipe(&key, sizeof(key));
        return err;
}

enum err wg_noise_consume_response(struct wg_handshake *h, const struct wg_identity *id,
                                   const uint8_t message[WG_RESPONSE_BYTES])
{
        struct symmetric s;
        struct crypto_aead_key key = { { 0 } };
        uint8_t nothing[WG_TAG_BYTES];
        const uint8_t *ephemeral = message + WG_RESPONSE_EPHEMERAL;
        enum err err;

        if (h->state != WG_HANDSHAKE_INITIATION_CREATED || !id->has_key)
                return ERR_DENIED;
        load(&s, h->chaining_key, h->hash);
        /* e */
        mix_ephemeral(&s, ephemeral);
        /* ee */
        if ((err = mix_dh(&s, h->ephemeral_private, ephemeral, NULL)) != ERR_OK)
                goto out;
        /* se */
        if ((err = mix_dh(&s, id->private_key, ephemeral, NULL)) != ERR_OK)
                goto out;
        /* psk */
        mix_psk(&s, h->preshared_key, &key);
        /* {} */
        if ((err = open(&s, &key, message + WG_RESPONSE_NOTHING, sizeof(nothing), nothing)) != ERR_OK)
                goto out;

        memcpy(h->remote_ephemeral, ephemeral, WG_KEY_BYTES);
        store(&s, h->chaining_key, h->hash);
        h->remote_index = wg_get_u32(message + WG_RESPONSE_SENDER);
        h->state = WG_HANDSHAKE_RESPONSE_CONSUMED;
out:
        crypto_wipe(&s, sizeof(s));
        crypto_wipe(&key, sizeof(key));
        return err;
}

void wg_noise_begin_session(struct wg_handshake *h, struct wg_keypair *k, mono_ms now)
{
        bool is_initiator = h->state == WG_HANDSHAKE_RESPONSE_CONSUMED;
        uint8_t first[WG_KEY_BYTES], second[WG_KEY_BYTES];

        assert(is_initiator || h->state == WG_HANDSHAKE_RESPONSE_CREATED);
        crypto_blake2s_kdf(h->chaining_key, STR_NULL, first, second, NULL);
        memcpy(k->sending.bytes, is_initiator ? first : second, WG_KEY_BYTES);
        memcpy(k->receiving.bytes, is_initiator ? second : first, WG_KEY_BYTES);
        k->sending_counter = 0;
        k->local_index = h->local_index;
        k->remote_index = h->remote_index;
        k->is_initiator = is_initiator;
        k->born = now;
        wg_replay_init(&k->replay);
        wg_handshake_clear(h);
        crypto_wipe(first, sizeof(first));
        crypto_wipe(second, sizeof(second));
}
