/*
 * A packet on a worker's channel, from either side. The first byte chooses: even, a worker's to the key holder; odd, the other
 * way. What is well-formed stays within the bounds the header names, and nothing is signed that is not of a handshake: the
 * key's id is put into each request, so that the keyring gets as far as the content.
 */
#include <assert.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/key_message.h"
#include "io/tls_keys_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tls_keyring *ring;
static uint8_t id[TLS_KEY_ID_BYTES];

static void make_ring(void)
{
        EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        BIO *text = BIO_new(BIO_s_mem());
        char *pem;

        ring = tls_keyring_new();
        if (!ring || !key || !text || PEM_write_bio_PrivateKey(text, key, NULL, NULL, 0, NULL, NULL) != 1)
                abort();
        long len = BIO_get_mem_data(text, &pem);
        if (tls_keyring_add(ring, (struct str){ pem, (size_t)len }) != ERR_OK || !tls_key_id(key, id))
                abort();
        BIO_free(text);
        EVP_PKEY_free(key);
}

static void requests_read(struct str packet)
{
        uint8_t signature[TLS_SIGNATURE_BYTES_MAX];
        struct key_request r;
        size_t before = packet.len, len;
        enum err e;

        while ((e = key_request_next(&packet, &r)) == ERR_OK) {
                assert(r.content.len > 0 && r.content.len <= TLS_SIGNED_BYTES_MAX);
                assert(packet.len < before);
                before = packet.len;
                e = tls_keyring_sign(ring, r.key_id, r.scheme, r.content, signature, &len);
                assert((e != ERR_NOT_FOUND) ==
                       (memcmp(r.key_id, id, sizeof(id)) == 0)); /* libFuzzer may learn it */
                e = tls_keyring_sign(ring, id, r.scheme, r.content, signature, &len);
                assert((e == ERR_OK) == (r.scheme == 0x0807 && tls_content_is_signed(r.scheme, r.content)));
                assert(e != ERR_OK || len == 64);
        }
        assert(e == ERR_MALFORMED || packet.len == 0);
}

static void answers_read(struct str packet)
{
        struct key_answer a;
        enum err e;

        while ((e = key_answer_next(&packet, &a)) == ERR_OK)
                assert(a.result < KEY_RESULTS && a.signature.len <= TLS_SIGNATURE_BYTES_MAX &&
                       (a.result == KEY_SIGNED) == (a.signature.len > 0));
        assert(e == ERR_MALFORMED || packet.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (!ring)
                make_ring();
        if (size == 0)
                return 0;
        struct str packet = { (const char *)data + 1, size - 1 };

        if (data[0] & 1)
                answers_read(packet);
        else
                requests_read(packet);
        return 0;
}
