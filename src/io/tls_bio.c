#include <stdlib.h>
#include <string.h>

#include "io/loop_priv.h"
#include "io/tls_priv.h"

/*
 * Theory of operation. OpenSSL writes records into the loop's output buffer, which never refuses; at the end of each call
 * into OpenSSL they go to the socket together, after what was pending. So a handshake's flight, or an answer of several
 * records, is one system call, and OpenSSL never has to be called again with the same data. What the socket does not take
 * is kept with the session until it is writable; while there is such a rest, stream_write refuses. The bound is what one
 * stream_write accepts.
 *
 * Reading goes through stream_raw_read, which knows without a call when the socket is empty. While a server shakes hands,
 * what is received stays on our side and OpenSSL gets what it asks for, header by header and record by record, so that it
 * holds no byte of the data behind the handshake and can be left. Otherwise it reads ahead into its own buffer.
 */

enum { PENDING_BYTES_MAX = 256 * 1024 };

/* Bytes written in the call that is going on. Empty between calls, so one for all sessions of the thread. */
static _Thread_local struct {
        char *ptr;
        size_t len, cap;
} output;

static bool reserve(char **ptr, size_t *cap, size_t needed)
{
        size_t larger = MAX(needed, (size_t)TLS_OUTPUT_BYTES);
        char *moved;

        if (needed <= *cap)
                return true;
        if (needed > PENDING_BYTES_MAX || !(moved = realloc(*ptr, larger)))
                return false;
        *ptr = moved;
        *cap = larger;
        return true;
}

static _Thread_local uint8_t wire[TLS_WIRE_BYTES];

uint8_t *tls_wire(void)
{
        return wire;
}

uint8_t *tls_output_reserve(size_t len)
{
        return reserve(&output.ptr, &output.cap, output.len + len) ? (uint8_t *)output.ptr + output.len
                                                                   : NULL;
}

void tls_output_added(size_t len)
{
        output.len += len;
}

struct str tls_output(void)
{
        return (struct str){ output.ptr, output.len };
}

void tls_output_drop(void)
{
        output.len = 0;
}

static int bio_write(BIO *b, const char *bytes, int len)
{
        uint8_t *room;

        BIO_clear_retry_flags(b);
        if (len < 0 || !(room = tls_output_reserve((size_t)len)))
                return -1;
        memcpy(room, bytes, (size_t)len);
        tls_output_added((size_t)len);
        return len;
}

/* From what was received before; what is left of it stays. */
static size_t take_input(struct tls_session *t, char *bytes, size_t len)
{
        len = MIN(len, t->input_len - t->input_at);
        memcpy(bytes, t->input + t->input_at, len);
        t->input_at += len;
        if (t->input_at == t->input_len) {
                free(t->input);
                t->input = NULL;
        }
        return len;
}

/* Receives more than OpenSSL asks for, and keeps the rest. */
static enum err receive_ahead(struct tls_session *t, char *bytes, size_t len, size_t *got)
{
        size_t n = 0;
        enum err e = stream_raw_read(t->stream, wire, TLS_RECORD_WIRE_BYTES_MAX, &n);

        if (e != ERR_OK)
                return e;
        *got = MIN(len, n);
        memcpy(bytes, wire, *got);
        if (n > *got) {
                if (!(t->input = malloc(n - *got)))
                        return ERR_IO;
                memcpy(t->input, wire + *got, n - *got);
                t->input_len = n - *got;
                t->input_at = t->plain_len = 0;
        }
        return ERR_OK;
}

static int bio_read(BIO *b, char *bytes, int len)
{
        struct tls_session *t = BIO_get_data(b);
        size_t got = 0;
        enum err e;

        BIO_clear_retry_flags(b);
        if (len <= 0 || t->is_plaintext)
                return -1;
        if (t->input)
                return (int)take_input(t, bytes, (size_t)len);
        e = t->handshake && t->context->is_server ? receive_ahead(t, bytes, (size_t)len, &got)
                                                  : stream_raw_read(t->stream, bytes, (size_t)len, &got);
        if (e == ERR_AGAIN) {
                BIO_set_retry_read(b);
                return -1;
        }
        if (e != ERR_OK) {
                t->end = e == ERR_CLOSED ? ERR_CLOSED : ERR_IO;
                return e == ERR_CLOSED ? 0 : -1;
        }
        if (!t->saw_first) {
                /* A handshake record begins with 22, an HTTP request with a capital letter. */
                t->saw_first = true;
                if (t->context->is_server && bytes[0] >= 'A' && bytes[0] <= 'Z') {
                        t->is_plaintext = true;
                        return -1;
                }
        }
        return (int)got;
}

static long bio_control(BIO *b, int command, long number, void *pointer)
{
        const struct tls_session *t = BIO_get_data(b);

        switch (command) {
        case BIO_CTRL_FLUSH: return 1;
        case BIO_CTRL_EOF: return t->end != ERR_OK;
        default: return 0;
        }
}

BIO *tls_bio_new(struct tls_session *t)
{
        static BIO_METHOD *method;
        BIO *b;

        if (!method) {
                BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "stream");
                if (!m || !BIO_meth_set_write(m, bio_write) || !BIO_meth_set_read(m, bio_read) ||
                    !BIO_meth_set_ctrl(m, bio_control)) {
                        BIO_meth_free(m);
                        return NULL;
                }
                method = m;
        }
        if (!(b = BIO_new(method)))
                return NULL;
        BIO_set_data(b, t);
        BIO_set_init(b, 1);
        return b;
}

/* Keeps what the socket did not take; `skip` bytes of pending and output together it did. Empties the output. */
static enum err keep_rest(struct tls_session *t, size_t skip)
{
        size_t pending = t->pending_len - t->pending_at;
        size_t from_output = skip > pending ? skip - pending : 0;
        size_t rest = output.len - from_output;

        output.len = 0;
        t->pending_at += MIN(skip, pending);
        pending = t->pending_len - t->pending_at;
        if (pending + rest == 0) {
                free(t->pending);
                t->pending = NULL;
                t->pending_len = t->pending_at = 0;
        } else if (rest) {
                char *joined = pending + rest <= PENDING_BYTES_MAX ? malloc(pending + rest) : NULL;
                if (!joined)
                        return ERR_NO_MEMORY;
                if (t->pending)
                        memcpy(joined, t->pending + t->pending_at, pending);
                memcpy(joined + pending, output.ptr + from_output, rest);
                free(t->pending);
                t->pending = joined;
                t->pending_len = pending + rest;
                t->pending_at = 0;
        }
        return ERR_OK;
}

enum err tls_output_hold(struct tls_session *t)
{
        return keep_rest(t, 0);
}

enum err tls_output_flush(struct tls_session *t)
{
        struct iovec parts[2];
        int parts_count = 0;
        size_t sent = 0, offered = t->pending_len - t->pending_at + output.len;
        enum err e, kept;

        t->is_held = false;
        if (offered == 0)
                return ERR_OK;
        if (t->pending)
                parts[parts_count++] =
                        (struct iovec){ t->pending + t->pending_at, t->pending_len - t->pending_at };
        if (output.len)
                parts[parts_count++] = (struct iovec){ output.ptr, output.len };
        e = stream_raw_write(t->stream, parts, parts_count, &sent);
        if (e != ERR_OK && e != ERR_AGAIN) {
                output.len = 0;
                return e;
        }
        kept = keep_rest(t, sent);
        if (kept != ERR_OK)
                return kept;
        return sent == offered ? ERR_OK : ERR_AGAIN;
}
