#include "mesh/probe.h"

#include <string.h>

enum {
        MAGIC_BYTES = 6,
        AT_KEY = MAGIC_BYTES,
        AT_NONCE = AT_KEY + CRYPTO_PAIRBOX_KEY_BYTES,
        AT_BOX = AT_NONCE + CRYPTO_PAIRBOX_NONCE_BYTES,
        /* inside the box */
        TYPE_PING = 1,
        TYPE_PONG = 2,
        AT_ID = 2,
        PING_BYTES = AT_ID + MESH_PROBE_ID_BYTES + CRYPTO_PAIRBOX_KEY_BYTES,
        AT_SEEN = AT_ID + MESH_PROBE_ID_BYTES,
        AT_SEEN_PORT = AT_SEEN + 16,
        PONG_BYTES = AT_SEEN_PORT + 2,
};

static const uint8_t magic[MAGIC_BYTES] = { 'T', 'S', 0xf0, 0x9f, 0x92, 0xac };

_Static_assert(AT_BOX + CRYPTO_PAIRBOX_OVERHEAD + PING_BYTES == MESH_PROBE_BYTES, "a ping has another size");

bool mesh_probe_is(struct str datagram)
{
        return datagram.len >= AT_BOX + CRYPTO_PAIRBOX_OVERHEAD + PONG_BYTES &&
               datagram.len <= MESH_PROBE_MAX && memcmp(datagram.ptr, magic, MAGIC_BYTES) == 0;
}

const uint8_t *mesh_probe_sender(struct str datagram)
{
        return (const uint8_t *)datagram.ptr + AT_KEY;
}

/* As IPv6 has it, an IPv4 address mapped. */
static void address_put(uint8_t out[16], struct ip ip)
{
        memset(out, 0, 16);
        if (ip.family == 4) {
                out[10] = out[11] = 0xff;
                memcpy(out + 12, ip.bytes, 4);
        } else {
                memcpy(out, ip.bytes, 16);
        }
}

size_t mesh_probe_write(const struct mesh_probe *p, const uint8_t own_public[CRYPTO_PAIRBOX_KEY_BYTES],
                        const struct crypto_pairbox_key *key, const uint8_t nonce[CRYPTO_PAIRBOX_NONCE_BYTES],
                        size_t len, uint8_t *out)
{
        uint8_t *text = out + AT_BOX + CRYPTO_PAIRBOX_OVERHEAD; /* sealed where it lies, behind its tag */
        size_t text_len = p->is_pong ? PONG_BYTES
                                     : MAX(len, (size_t)MESH_PROBE_BYTES) - AT_BOX - CRYPTO_PAIRBOX_OVERHEAD;

        memset(text, 0, text_len);
        text[0] = p->is_pong ? TYPE_PONG : TYPE_PING;
        memcpy(text + AT_ID, p->id, MESH_PROBE_ID_BYTES);
        if (p->is_pong) {
                address_put(text + AT_SEEN, p->seen);
                text[AT_SEEN_PORT] = (uint8_t)(p->seen_port >> 8);
                text[AT_SEEN_PORT + 1] = (uint8_t)p->seen_port;
        } else {
                memcpy(text + AT_ID + MESH_PROBE_ID_BYTES, own_public, CRYPTO_PAIRBOX_KEY_BYTES);
        }
        memcpy(out, magic, MAGIC_BYTES);
        memcpy(out + AT_KEY, own_public, CRYPTO_PAIRBOX_KEY_BYTES);
        memcpy(out + AT_NONCE, nonce, CRYPTO_PAIRBOX_NONCE_BYTES);
        crypto_pairbox_seal(key, nonce, (struct str){ (char *)text, text_len }, out + AT_BOX);
        return AT_BOX + CRYPTO_PAIRBOX_OVERHEAD + text_len;
}

enum err mesh_probe_read(struct str datagram, const struct crypto_pairbox_key *key, struct mesh_probe *out)
{
        uint8_t *in = (uint8_t *)(uintptr_t)datagram.ptr, *text = in + AT_BOX;

        if (!mesh_probe_is(datagram) ||
            crypto_pairbox_open(key, in + AT_NONCE, str_from(datagram, AT_BOX), text) != ERR_OK)
                return ERR_MALFORMED;
        size_t len = datagram.len - AT_BOX - CRYPTO_PAIRBOX_OVERHEAD;
        memset(out, 0, sizeof(*out));
        memcpy(out->id, text + AT_ID, MESH_PROBE_ID_BYTES);
        if (text[0] == TYPE_PING && len >= PING_BYTES)
                return ERR_OK;
        if (text[0] != TYPE_PONG)
                return ERR_MALFORMED;
        out->is_pong = true;
        out->seen = ip_from_bytes(6, text + AT_SEEN);
        out->seen_port = (uint16_t)(text[AT_SEEN_PORT] << 8 | text[AT_SEEN_PORT + 1]);
        return ERR_OK;
}
