/*
 * io/tls_record_priv.h - TLS 1.3 records after the handshake, without OpenSSL's connection object.
 *
 * Does:   opens and seals records, key updates, alerts.  Source: RFC 8446 5 (records), 4.6.3 and 7.2 (key updates), 6;
 *         passes over a server's session tickets (4.6.1).
 * Not:    the handshake, sockets, buffers: the caller brings whole records and room for them.
 *
 * Why: OpenSSL 3.0 keeps 13 KiB for each connection and takes a detour for each record. With the traffic secrets of a
 * handshake that it has made, two keyed AEAD contexts are all that a connection needs.
 */
#pragma once

#include <openssl/evp.h>
#include <stdbool.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/str.h"

enum {
        TLS_RECORD_HEADER_BYTES = 5,
        TLS_RECORD_TAG_BYTES = 16,
        TLS_RECORD_PLAIN_BYTES_MAX = 16 * 1024,
        TLS_RECORD_WIRE_BYTES_MAX = TLS_RECORD_HEADER_BYTES + TLS_RECORD_PLAIN_BYTES_MAX + 256,
        /* What sealing adds: header, type, tag. */
        TLS_RECORD_ADDED_BYTES = TLS_RECORD_HEADER_BYTES + 1 + TLS_RECORD_TAG_BYTES,
        TLS_SECRET_BYTES_MAX = 48,
};

enum tls_content { TLS_CHANGE_CIPHER_SPEC = 20, TLS_ALERT = 21, TLS_HANDSHAKE = 22, TLS_DATA = 23 };

struct tls_suite;

struct tls_direction {
        EVP_CIPHER_CTX *cipher;
        uint64_t seq;
        uint8_t iv[12], secret[TLS_SECRET_BYTES_MAX];
};

struct tls_records {
        const struct tls_suite *suite;
        struct tls_direction in, out;
        uint64_t out_seq_max; /* our own key update comes before the record with this number */
        bool is_client;
        uint8_t message[5]; /* how a handshake message begins, arriving in pieces */
        uint8_t message_len;
        uint32_t ticket_left; /* of a session ticket that is passed over */
        unsigned idle_count;  /* records in a row that brought no data */
        bool owes_update;     /* the peer asked for new keys of ours: seal a key update next */
        uint8_t alert;        /* after ERR_MALFORMED: to be sent; 0: none, the peer sent one */
        const char *reason;   /* after ERR_MALFORMED: static text */
};

/* `suite_id` as on the wire. A client passes over session tickets, a server is sent none. False when it is none of the three
 * suites of RFC 8446 B.4 we know, or memory runs out. */
bool tls_records_init(struct tls_records *r, uint16_t suite_id, bool is_client, const uint8_t *in_secret,
                      const uint8_t *out_secret, uint64_t out_seq);
void tls_records_fini(struct tls_records *r); /* wipes */

/* Bytes of the secrets of a suite, 0 when it is unknown. */
size_t tls_suite_secret_bytes(uint16_t suite_id);

/* The length of the record that begins at `wire`, with its header; 0 while it is not all there. ERR_MALFORMED: too long. */
MUST_USE
enum err tls_record_length(struct tls_records *r, struct str wire, size_t *len_out);

/*
 * Opens one whole record in place. ERR_OK: *data points into it, empty when it was for us (a key update). ERR_CLOSED:
 * close_notify. ERR_MALFORMED: see `alert` and `reason`; of no more use.
 */
MUST_USE
enum err tls_record_open(struct tls_records *r, uint8_t *wire, size_t len, struct str *data);

/* Where in a vector of parts the next byte is taken. */
struct tls_cursor {
        const struct iovec *parts;
        int parts_count;
        size_t offset; /* in the first of them */
};

/* Seals `len` bytes, at most TLS_RECORD_PLAIN_BYTES_MAX, into `out`, which has room for len + TLS_RECORD_ADDED_BYTES.
 * False: the library failed. */
bool tls_record_seal(struct tls_records *r, enum tls_content type, struct tls_cursor *from, size_t len,
                     uint8_t *out);

bool tls_record_seal_alert(struct tls_records *r, uint8_t description,
                           uint8_t out[2 + TLS_RECORD_ADDED_BYTES]);

/* Says that our keys change (and does not ask for new ones of the peer), and changes them. */
bool tls_record_seal_update(struct tls_records *r, uint8_t out[5 + TLS_RECORD_ADDED_BYTES]);
