#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/text.h"
#include "io/tls_priv.h"

/*
 * Theory of operation. When a handshake of TLS 1.3 is over, its two traffic secrets (OpenSSL tells them to the key log
 * callback) and the number of records already sealed with ours are all that the connection's future depends on: OpenSSL's
 * object is freed and records are opened and sealed here. What was received behind the handshake is still on our side, as
 * tls_bio.c gave OpenSSL only what it asked for. A client that goes this way keeps no session for its next connection.
 *
 * An idle connection holds two keyed contexts and no buffer. Reading receives into the thread's buffer, behind what was left
 * of the last time, opens records in place and copies the data out; what the caller had no room for, and an unfinished record,
 * are kept with the session.
 */

enum { RECORDS_MAX = 4 }; /* one stream_write's share */

static void keep_secret(struct str hex, uint8_t *out, size_t *len_out)
{
        if (hex.len / 2 <= TLS_SECRET_BYTES_MAX && crypto_hex_parse(hex, out, hex.len / 2) == ERR_OK)
                *len_out = hex.len / 2;
}

/* "LABEL CLIENT_RANDOM SECRET", in hexadecimal. */
void tls_light_watch(const SSL *ssl, const char *line)
{
        struct tls_session *t = SSL_get_app_data(ssl);
        struct str rest = str_of(line), label, random;
        bool is_client = !SSL_is_server(ssl);

        if (!t || !t->handshake || !str_split(&rest, ' ', &label) || !str_split(&rest, ' ', &random) ||
            !rest.ptr)
                return;
        if (str_eq(label, is_client ? STR("SERVER_TRAFFIC_SECRET_0") : STR("CLIENT_TRAFFIC_SECRET_0")))
                keep_secret(rest, t->handshake->secrets.in, &t->handshake->secrets.in_len);
        else if (str_eq(label, is_client ? STR("CLIENT_TRAFFIC_SECRET_0") : STR("SERVER_TRAFFIC_SECRET_0")))
                keep_secret(rest, t->handshake->secrets.out, &t->handshake->secrets.out_len);
}

/* The tickets that were just sealed, a record each. False: something else is there. */
static bool count_records(struct str wire, uint64_t *count_out)
{
        uint64_t count = 0;

        while (wire.len) {
                const uint8_t *p = (const uint8_t *)wire.ptr;
                if (wire.len < TLS_RECORD_HEADER_BYTES || p[0] != TLS_DATA)
                        return false;
                size_t len = TLS_RECORD_HEADER_BYTES + (size_t)(p[3] << 8 | p[4]);
                if (len > wire.len)
                        return false;
                wire = str_from(wire, len);
                count++;
        }
        *count_out = count;
        return true;
}

/* With the keys of what follows the handshake. What a client has written there is of the handshake itself. */
static bool sealed_count(const struct tls_session *t, uint64_t *count_out)
{
        *count_out = 0;
        return !t->context->is_server || (!t->pending && count_records(tls_output(), count_out));
}

bool tls_light_start(struct tls_session *t)
{
        const struct tls_secrets *secrets = &t->handshake->secrets;
        uint16_t suite_id = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(t->ssl));
        size_t secret_bytes = tls_suite_secret_bytes(suite_id);
        uint64_t sealed = 0;

        if (t->context->keeps_openssl || SSL_version(t->ssl) != TLS1_3_VERSION || secret_bytes == 0 ||
            secrets->in_len != secret_bytes || secrets->out_len != secret_bytes || SSL_has_pending(t->ssl) ||
            !sealed_count(t, &sealed) || !(t->records = malloc(sizeof(*t->records))))
                return false;
        if (!tls_records_init(t->records, suite_id, !t->context->is_server, secrets->in, secrets->out,
                              sealed)) {
                free(t->records);
                t->records = NULL;
                return false;
        }
        SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* the session is a good one */
        SSL_free(t->ssl);
        t->ssl = NULL;
        return true;
}

void tls_light_end(struct tls_session *t)
{
        if (!t->records)
                return;
        tls_records_fini(t->records);
        free(t->records);
        t->records = NULL;
}

struct reader {
        struct tls_session *t;
        uint8_t *wire;
        size_t at, have;  /* records not yet opened */
        struct str plain; /* data that found no room */
        char *out;
        size_t out_len, total;
};

/* Opens what is whole, until the caller's room is full. */
static enum err open_records(struct reader *r)
{
        while (r->total < r->out_len) {
                struct str data, wire = { (const char *)r->wire + r->at, r->have - r->at };
                size_t len = 0;
                enum err e = tls_record_length(r->t->records, wire, &len);

                if (e == ERR_OK && len == 0)
                        return ERR_AGAIN;
                if (e == ERR_OK)
                        e = tls_record_open(r->t->records, r->wire + r->at, len, &data);
                if (e != ERR_OK)
                        return e;
                r->at += len;
                size_t n = MIN(data.len, r->out_len - r->total);
                if (n)
                        memcpy(r->out + r->total, data.ptr, n);
                r->total += n;
                r->plain = str_from(data, n);
        }
        return ERR_OK;
}

/* What the last call left: its data first, then the beginning of the next record goes to the buffer's front. */
static bool resume(struct reader *r)
{
        struct tls_session *t = r->t;
        size_t n = MIN(t->plain_len, r->out_len);

        if (!t->input)
                return true;
        memcpy(r->out, t->input + t->input_at, n);
        r->total = n;
        t->input_at += n;
        t->plain_len -= n;
        if (t->plain_len)
                return false;
        r->have = t->input_len - t->input_at;
        memcpy(r->wire, t->input + t->input_at, r->have);
        free(t->input);
        t->input = NULL;
        return true;
}

static enum err receive(struct reader *r)
{
        size_t n = 0;
        enum err e;

        memmove(r->wire, r->wire + r->at, r->have - r->at);
        r->have -= r->at;
        r->at = 0;
        /* A little more than the caller has room for: what is left over is copied twice. */
        size_t room = MAX(r->out_len + 4 * TLS_RECORD_ADDED_BYTES, (size_t)TLS_RECORD_WIRE_BYTES_MAX);
        e = stream_raw_read(r->t->stream, r->wire + r->have, MIN(room, TLS_WIRE_BYTES - r->have), &n);
        r->have += n;
        if (e != ERR_CLOSED)
                return e;
        r->t->reason = "connection ended without close_notify";
        return ERR_IO;
}

static bool keep_rest(struct reader *r)
{
        struct tls_session *t = r->t;
        size_t raw = r->have - r->at;

        if (r->plain.len + raw == 0)
                return true;
        if (!(t->input = malloc(r->plain.len + raw)))
                return false;
        if (r->plain.len)
                memcpy(t->input, r->plain.ptr, r->plain.len);
        memcpy(t->input + r->plain.len, r->wire + r->at, raw);
        t->input_at = 0;
        t->plain_len = r->plain.len;
        t->input_len = r->plain.len + raw;
        return true;
}

/* Says why we end, unless the peer said it. */
static void say_alert(struct tls_session *t)
{
        uint8_t *out = t->records->alert ? tls_output_reserve(2 + TLS_RECORD_ADDED_BYTES) : NULL;

        if (out && tls_record_seal_alert(t->records, t->records->alert, out))
                tls_output_added(2 + TLS_RECORD_ADDED_BYTES);
}

enum err tls_light_read(struct tls_session *t, void *bytes, size_t len, size_t *got, bool *broken)
{
        struct reader r = { .t = t, .wire = tls_wire(), .out = bytes, .out_len = len };
        enum err e = ERR_OK;

        if (t->end == ERR_CLOSED)
                return ERR_CLOSED;
        if (!resume(&r)) {
                *got = r.total;
                return ERR_OK;
        }
        while ((e = open_records(&r)) == ERR_AGAIN && r.total == 0)
                if ((e = receive(&r)) != ERR_OK)
                        break;
        *got = r.total;
        switch (e) {
        case ERR_OK:
        case ERR_AGAIN:
                if (!keep_rest(&r)) {
                        t->reason = "out of memory";
                        *broken = true;
                        return ERR_IO;
                }
                /* Full: more may be whole already. Else only the socket can have more. */
                t->has_input = e == ERR_OK ? t->input || t->stream->may_read : t->stream->may_read;
                return r.total ? ERR_OK : ERR_AGAIN;
        case ERR_CLOSED:
                t->end = ERR_CLOSED;
                return ERR_CLOSED; /* what comes after it is nothing (RFC 8446 6.1) */
        case ERR_MALFORMED:
                t->reason = t->records->reason;
                say_alert(t);
                *broken = true;
                return ERR_IO;
        default: *broken = true; return ERR_IO;
        }
}

enum err tls_light_write(struct tls_session *t, const struct iovec *parts, int parts_count, size_t *written)
{
        struct tls_cursor from = { parts, parts_count, 0 };
        struct tls_records *records = t->records;
        size_t left = 0;
        uint8_t *out;

        for (int i = 0; i < parts_count && left < RECORDS_MAX * (size_t)TLS_RECORD_PLAIN_BYTES_MAX; i++)
                left += parts[i].iov_len;
        left = MIN(left, RECORDS_MAX * (size_t)TLS_RECORD_PLAIN_BYTES_MAX);
        if (left && (records->owes_update || records->out.seq >= records->out_seq_max)) {
                out = tls_output_reserve(5 + TLS_RECORD_ADDED_BYTES);
                if (!out || !tls_record_seal_update(records, out))
                        return ERR_IO;
                tls_output_added(5 + TLS_RECORD_ADDED_BYTES);
        }
        while (left) {
                size_t n = MIN(left, (size_t)TLS_RECORD_PLAIN_BYTES_MAX);
                out = tls_output_reserve(n + TLS_RECORD_ADDED_BYTES);
                if (!out || !tls_record_seal(records, TLS_DATA, &from, n, out))
                        return ERR_IO;
                tls_output_added(n + TLS_RECORD_ADDED_BYTES);
                *written += n;
                left -= n;
        }
        return ERR_OK;
}

void tls_light_say_end(struct tls_session *t)
{
        uint8_t *out = tls_output_reserve(2 + TLS_RECORD_ADDED_BYTES);

        if (out && tls_record_seal_alert(t->records, 0, out))
                tls_output_added(2 + TLS_RECORD_ADDED_BYTES);
}
