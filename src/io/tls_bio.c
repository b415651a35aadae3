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
 * Reading goes through stream_raw_read, which knows without a call when the socket is empty. With read-ahead OpenSSL asks
 * for a buffer full: a record costs one receive, not one for its header and one for the rest.
 */

enum { PENDING_BYTES_MAX = 256 * 1024 };

/* Bytes written by OpenSSL in the call that is going on. Empty between calls, so one for all sessions of the thread. */
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

static int bio_write(BIO *b, const char *bytes, int len)
{
        BIO_clear_retry_flags(b);
        if (len < 0 || !reserve(&output.ptr, &output.cap, output.len + (size_t)len))
                return -1;
        memcpy(output.ptr + output.len, bytes, (size_t)len);
        output.len += (size_t)len;
        return len;
}

static int bio_read(BIO *b, char *bytes, int len)
{
        struct tls_session *t = BIO_get_data(b);
        size_t got = 0;
        enum err e;

        BIO_clear_retry_flags(b);
        if (len <= 0 || t->is_plaintext)
                return -1;
        e = stream_raw_read(t->stream, bytes, (size_t)len, &got);
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
                if (pending)
                        memcpy(joined, t->pending + t->pending_at, pending);
                memcpy(joined + pending, output.ptr + from_output, rest);
                free(t->pending);
                t->pending = joined;
                t->pending_len = pending + rest;
                t->pending_at = 0;
        }
        return ERR_OK;
}

bool tls_bio_has_output(void)
{
        return output.len > 0;
}

enum err tls_bio_hold(struct tls_session *t)
{
        return keep_rest(t, 0);
}

enum err tls_bio_flush(struct tls_session *t)
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
