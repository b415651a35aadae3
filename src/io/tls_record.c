#include "io/tls_record_priv.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <string.h>

#include "base/compiler.h"

enum {
        ALERT_CLOSE_NOTIFY = 0,
        ALERT_UNEXPECTED_MESSAGE = 10,
        ALERT_BAD_RECORD_MAC = 20,
        ALERT_RECORD_OVERFLOW = 22
};
enum {
        ALERT_DECODE_ERROR = 50,
        ALERT_INTERNAL_ERROR = 80,
        ALERT_USER_CANCELED = 90,
        ALERT_ILLEGAL_PARAMETER = 47
};
enum { MESSAGE_SESSION_TICKET = 4, MESSAGE_KEY_UPDATE = 24 };

enum {
        IDLE_MAX = 32,           /* empty records and key updates, without a byte of data between them */
        SMALL_PART_BYTES = 1024, /* parts below it are copied and sealed in one go */
        TICKET_BYTES_MAX = 64 * 1024,
        OUT_SEQ_MAX = 1 << 23, /* RFC 8446 5.5: below 2^24.5 records of AES-GCM with one key */
};

struct tls_suite {
        uint16_t id;
        const char *cipher;
        const EVP_MD *(*md)(void);
        size_t key_bytes, secret_bytes;
};

static const struct tls_suite suites[] = {
        { 0x1301, "AES-128-GCM", EVP_sha256, 16, 32 },
        { 0x1302, "AES-256-GCM", EVP_sha384, 32, 48 },
        { 0x1303, "ChaCha20-Poly1305", EVP_sha256, 32, 32 },
};

static const struct tls_suite *suite_of(uint16_t id)
{
        for (size_t i = 0; i < ARRAY_SIZE(suites); i++)
                if (suites[i].id == id)
                        return &suites[i];
        return NULL;
}

size_t tls_suite_secret_bytes(uint16_t id)
{
        const struct tls_suite *suite = suite_of(id);

        return suite ? suite->secret_bytes : 0;
}

/* Looked up once a process. */
static const EVP_CIPHER *cipher_of(const struct tls_suite *suite)
{
        static EVP_CIPHER *ciphers[ARRAY_SIZE(suites)];
        size_t i = (size_t)(suite - suites);

        if (!ciphers[i])
                ciphers[i] = EVP_CIPHER_fetch(NULL, suite->cipher, NULL);
        return ciphers[i];
}

/* HKDF-Expand-Label of RFC 8446 7.1 without a context; no output here is longer than one block of HMAC. */
static bool expand(const struct tls_suite *suite, const uint8_t *secret, const char *label, uint8_t *out,
                   size_t len)
{
        uint8_t info[32], block[EVP_MAX_MD_SIZE];
        size_t label_len = strlen(label), n = 0;
        unsigned block_len = 0;
        bool ok;

        assert(len <= suite->secret_bytes && label_len + 11 <= sizeof(info));
        info[n++] = 0;
        info[n++] = (uint8_t)len;
        info[n++] = (uint8_t)(label_len + 6);
        memcpy(info + n, "tls13 ", 6);
        memcpy(info + n + 6, label, label_len);
        n += 6 + label_len;
        info[n++] = 0; /* context */
        info[n++] = 1; /* first block */
        ok = HMAC(suite->md(), secret, (int)suite->secret_bytes, info, n, block, &block_len) &&
             block_len >= len;
        if (ok)
                memcpy(out, block, len);
        OPENSSL_cleanse(block, sizeof(block));
        return ok;
}

/* Key and nonce of the direction's secret; the sequence begins anew (5.3). */
static bool set_keys(struct tls_direction *d, const struct tls_suite *suite, bool seals)
{
        const EVP_CIPHER *cipher = cipher_of(suite);
        uint8_t key[32];
        bool ok = cipher && expand(suite, d->secret, "key", key, suite->key_bytes) &&
                  expand(suite, d->secret, "iv", d->iv, sizeof(d->iv)) &&
                  EVP_CipherInit_ex(d->cipher, cipher, NULL, key, NULL, seals) == 1;

        d->seq = 0;
        OPENSSL_cleanse(key, sizeof(key));
        return ok;
}

/* 7.2: the next secret, and its keys. */
static bool update_keys(struct tls_direction *d, const struct tls_suite *suite, bool seals)
{
        uint8_t next[TLS_SECRET_BYTES_MAX];
        bool ok = expand(suite, d->secret, "traffic upd", next, suite->secret_bytes);

        if (ok)
                memcpy(d->secret, next, suite->secret_bytes);
        OPENSSL_cleanse(next, sizeof(next));
        return ok && set_keys(d, suite, seals);
}

bool tls_records_init(struct tls_records *r, uint16_t suite_id, bool is_client, const uint8_t *in_secret,
                      const uint8_t *out_secret, uint64_t out_seq)
{
        memset(r, 0, sizeof(*r));
        r->is_client = is_client;
        r->suite = suite_of(suite_id);
        r->out_seq_max = OUT_SEQ_MAX;
        if (!r->suite)
                return false;
        memcpy(r->in.secret, in_secret, r->suite->secret_bytes);
        memcpy(r->out.secret, out_secret, r->suite->secret_bytes);
        r->in.cipher = EVP_CIPHER_CTX_new();
        r->out.cipher = EVP_CIPHER_CTX_new();
        if (!r->in.cipher || !r->out.cipher || !set_keys(&r->in, r->suite, false) ||
            !set_keys(&r->out, r->suite, true)) {
                tls_records_fini(r);
                return false;
        }
        r->out.seq = out_seq;
        return true;
}

void tls_records_fini(struct tls_records *r)
{
        EVP_CIPHER_CTX_free(r->in.cipher);
        EVP_CIPHER_CTX_free(r->out.cipher);
        OPENSSL_cleanse(r, sizeof(*r));
}

/* 5.3: the sequence number, at the end of the vector. */
static void nonce_of(const struct tls_direction *d, uint8_t nonce[12])
{
        memcpy(nonce, d->iv, 12);
        for (int i = 0; i < 8; i++)
                nonce[11 - i] ^= (uint8_t)(d->seq >> 8 * i);
}

static enum err refuse(struct tls_records *r, uint8_t alert, const char *reason)
{
        r->alert = alert;
        r->reason = reason;
        return ERR_MALFORMED;
}

enum err tls_record_length(struct tls_records *r, struct str wire, size_t *len_out)
{
        const uint8_t *p = (const uint8_t *)wire.ptr;
        size_t len;

        *len_out = 0;
        if (wire.len < TLS_RECORD_HEADER_BYTES)
                return ERR_OK;
        len = TLS_RECORD_HEADER_BYTES + (size_t)(p[3] << 8 | p[4]);
        if (len > TLS_RECORD_WIRE_BYTES_MAX)
                return refuse(r, ALERT_RECORD_OVERFLOW, "record is too long");
        if (len <= wire.len)
                *len_out = len;
        return ERR_OK;
}

/* As OpenSSL would say it. */
static const char *alert_reason(uint8_t description)
{
        const char *reason =
                ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, SSL_AD_REASON_OFFSET + description));

        return reason ? reason : "the peer sent an alert";
}

static enum err take_alert(struct tls_records *r, struct str data)
{
        if (data.len != 2)
                return refuse(r, ALERT_DECODE_ERROR, "alert of a wrong length");
        switch (data.ptr[1]) {
        case ALERT_CLOSE_NOTIFY: return ERR_CLOSED;
        case ALERT_USER_CANCELED: return ERR_OK; /* a close_notify follows (6.1) */
        default:                                 /* fatal (6.2), whatever its level */
                return refuse(r, 0, alert_reason((uint8_t)data.ptr[1]));
        }
}

/* It ends its record (5.1). */
static enum err take_key_update(struct tls_records *r, bool is_last)
{
        if (!is_last)
                return refuse(r, ALERT_UNEXPECTED_MESSAGE, "handshake message after the handshake");
        if (memcmp(r->message + 1, "\0\0\1", 3) != 0)
                return refuse(r, ALERT_DECODE_ERROR, "key update of a wrong length");
        if (r->message[4] > 1)
                return refuse(r, ALERT_ILLEGAL_PARAMETER, "key update of an unknown kind");
        r->owes_update |= r->message[4] == 1;
        return update_keys(&r->in, r->suite, false) ? ERR_OK
                                                    : refuse(r, ALERT_INTERNAL_ERROR, "new keys failed");
}

static enum err take_ticket(struct tls_records *r)
{
        uint32_t len = (uint32_t)(r->message[1] << 16 | r->message[2] << 8 | r->message[3]);

        if (len == 0 || len > TICKET_BYTES_MAX)
                return refuse(r, ALERT_DECODE_ERROR, "session ticket of a wrong length");
        r->ticket_left = len - 1; /* its first byte came with the head */
        return ERR_OK;
}

/* After the handshake a client may send key updates, a server also tickets; we take up no session with what is in them. */
static enum err take_messages(struct tls_records *r, struct str data)
{
        enum err e = data.len ? ERR_OK : refuse(r, ALERT_UNEXPECTED_MESSAGE, "empty handshake record");

        while (e == ERR_OK && data.len) {
                size_t n = MIN(data.len, (size_t)r->ticket_left);

                r->ticket_left -= (uint32_t)n;
                data = str_from(data, n);
                if (data.len == 0)
                        break;
                n = MIN(data.len, sizeof(r->message) - r->message_len);
                memcpy(r->message + r->message_len, data.ptr, n);
                r->message_len = (uint8_t)(r->message_len + n);
                data = str_from(data, n);
                if (r->message[0] != MESSAGE_KEY_UPDATE &&
                    !(r->is_client && r->message[0] == MESSAGE_SESSION_TICKET))
                        return refuse(r, ALERT_UNEXPECTED_MESSAGE, "handshake message after the handshake");
                if (r->message_len < sizeof(r->message))
                        break;
                r->message_len = 0;
                e = r->message[0] == MESSAGE_KEY_UPDATE ? take_key_update(r, data.len == 0) : take_ticket(r);
        }
        return e;
}

static bool is_inside_message(const struct tls_records *r)
{
        return r->message_len > 0 || r->ticket_left > 0;
}

static bool decrypt(struct tls_direction *d, const uint8_t *header, uint8_t *body, int len)
{
        uint8_t nonce[12];
        int n = 0;

        nonce_of(d, nonce);
        d->seq++;
        return EVP_DecryptInit_ex(d->cipher, NULL, NULL, NULL, nonce) == 1 &&
               EVP_DecryptUpdate(d->cipher, NULL, &n, header, TLS_RECORD_HEADER_BYTES) == 1 &&
               EVP_DecryptUpdate(d->cipher, body, &n, body, len) == 1 &&
               EVP_CIPHER_CTX_ctrl(d->cipher, EVP_CTRL_AEAD_SET_TAG, TLS_RECORD_TAG_BYTES, body + len) == 1 &&
               EVP_DecryptFinal_ex(d->cipher, body + len, &n) == 1;
}

enum err tls_record_open(struct tls_records *r, uint8_t *wire, size_t len, struct str *data)
{
        uint8_t *body = wire + TLS_RECORD_HEADER_BYTES, type;
        enum err e;

        *data = STR_NULL;
        if (wire[0] != TLS_DATA)
                return refuse(r, ALERT_UNEXPECTED_MESSAGE, "record that is not protected");
        if (len < TLS_RECORD_ADDED_BYTES)
                return refuse(r, ALERT_BAD_RECORD_MAC, "record is too short");
        len -= TLS_RECORD_HEADER_BYTES + TLS_RECORD_TAG_BYTES;
        if (!decrypt(&r->in, wire, body, (int)len))
                return refuse(r, ALERT_BAD_RECORD_MAC, "record is forged or damaged");
        if (len > TLS_RECORD_PLAIN_BYTES_MAX + 1)
                return refuse(r, ALERT_RECORD_OVERFLOW, "record is too long");
        while (len > 0 && body[len - 1] == 0) /* padding (5.4) */
                len--;
        if (len == 0)
                return refuse(r, ALERT_UNEXPECTED_MESSAGE, "record without a type");
        type = body[--len];
        *data = (struct str){ (const char *)body, len };
        if (type == TLS_DATA && len > 0 && !is_inside_message(r)) {
                r->idle_count = 0;
                return ERR_OK;
        }
        if (++r->idle_count > IDLE_MAX)
                return refuse(r, ALERT_UNEXPECTED_MESSAGE, "too many records without data");
        if (is_inside_message(r) && type != TLS_HANDSHAKE)
                return refuse(r, ALERT_UNEXPECTED_MESSAGE, "record inside a handshake message");
        switch (type) {
        case TLS_DATA: return ERR_OK;
        case TLS_ALERT: e = take_alert(r, *data); break;
        case TLS_HANDSHAKE: e = take_messages(r, *data); break;
        default: e = refuse(r, ALERT_UNEXPECTED_MESSAGE, "record of an unknown type"); break;
        }
        *data = STR_NULL;
        return e;
}

static bool encrypt(EVP_CIPHER_CTX *c, uint8_t *out, const void *in, size_t len)
{
        int n = 0;

        return len == 0 || EVP_EncryptUpdate(c, out, &n, in, (int)len) == 1;
}

/* Large parts are sealed from where they are; runs of small ones are copied first and sealed in place. */
static bool encrypt_parts(EVP_CIPHER_CTX *c, struct tls_cursor *from, size_t len, enum tls_content type,
                          uint8_t *out)
{
        uint8_t *run = out;

        while (len) {
                size_t n = MIN(from->parts->iov_len - from->offset, len);
                const uint8_t *in = (const uint8_t *)from->parts->iov_base + from->offset;

                if (n >= SMALL_PART_BYTES) {
                        if (!encrypt(c, run, run, (size_t)(out - run)) || !encrypt(c, out, in, n))
                                return false;
                        run = out + n;
                } else if (n) {
                        memcpy(out, in, n);
                }
                out += n;
                len -= n;
                from->offset += n;
                if (from->offset == from->parts->iov_len) {
                        from->parts++;
                        from->parts_count--;
                        from->offset = 0;
                }
        }
        *out++ = (uint8_t)type;
        return encrypt(c, run, run, (size_t)(out - run));
}

bool tls_record_seal(struct tls_records *r, enum tls_content type, struct tls_cursor *from, size_t len,
                     uint8_t *out)
{
        struct tls_direction *d = &r->out;
        size_t body = len + 1 + TLS_RECORD_TAG_BYTES;
        uint8_t nonce[12];
        int n = 0;

        assert(len <= TLS_RECORD_PLAIN_BYTES_MAX);
        memcpy(out, (const uint8_t[]){ TLS_DATA, 3, 3, (uint8_t)(body >> 8), (uint8_t)body },
               TLS_RECORD_HEADER_BYTES);
        nonce_of(d, nonce);
        d->seq++;
        uint8_t *tag = out + TLS_RECORD_HEADER_BYTES + len + 1;
        return EVP_EncryptInit_ex(d->cipher, NULL, NULL, NULL, nonce) == 1 &&
               EVP_EncryptUpdate(d->cipher, NULL, &n, out, TLS_RECORD_HEADER_BYTES) == 1 &&
               encrypt_parts(d->cipher, from, len, type, out + TLS_RECORD_HEADER_BYTES) &&
               EVP_EncryptFinal_ex(d->cipher, tag, &n) == 1 &&
               EVP_CIPHER_CTX_ctrl(d->cipher, EVP_CTRL_AEAD_GET_TAG, TLS_RECORD_TAG_BYTES, tag) == 1;
}

static bool seal_bytes(struct tls_records *r, enum tls_content type, const void *bytes, size_t len,
                       uint8_t *out)
{
        struct iovec part = { (void *)(uintptr_t)bytes, len };
        struct tls_cursor from = { &part, 1, 0 };

        return tls_record_seal(r, type, &from, len, out);
}

bool tls_record_seal_alert(struct tls_records *r, uint8_t description,
                           uint8_t out[2 + TLS_RECORD_ADDED_BYTES])
{
        uint8_t alert[2] = { description == ALERT_CLOSE_NOTIFY ? 1 : 2, description };

        return seal_bytes(r, TLS_ALERT, alert, sizeof(alert), out);
}

bool tls_record_seal_update(struct tls_records *r, uint8_t out[5 + TLS_RECORD_ADDED_BYTES])
{
        static const uint8_t message[5] = { MESSAGE_KEY_UPDATE, 0, 0, 1, 0 };

        r->owes_update = false;
        return seal_bytes(r, TLS_HANDSHAKE, message, sizeof(message), out) &&
               update_keys(&r->out, r->suite, true);
}
