#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/loop_priv.h"
#include "io/tls_priv.h"

enum { RECORD_BYTES_MAX = 16 * 1024, RECORDS_MAX = 4 }; /* one stream_write's share */
enum { KEY_UPDATES_MAX = 32 };                          /* without a byte of data between them */

static const char plaintext_answer[] = "HTTP/1.1 400 Bad Request\r\n"
                                       "Content-Type: text/plain\r\n"
                                       "Content-Length: 61\r\n"
                                       "Connection: close\r\n"
                                       "\r\n"
                                       "This port speaks HTTPS: write https:// in front of the name.\n";

static void forget_errors(void)
{
        if (ERR_peek_error())
                ERR_clear_error();
}

/* Sends what OpenSSL has written; the FIN after the last of it, when that was asked for. */
static enum err flush(struct tls_session *t)
{
        enum err e = tls_bio_flush(t);

        if (e == ERR_OK && t->wants_fin) {
                t->wants_fin = false;
                t->has_fin = true;
                shutdown(t->stream->watch.fd, SHUT_WR);
        }
        return e;
}

/* The connection is of no more use. `e` is what reads tell from now on. */
static void break_off(struct tls_session *t, enum err e)
{
        t->is_over = true;
        if (t->end == ERR_OK || t->end == ERR_CLOSED)
                t->end = e;
}

static void handshake_failed(struct tls_session *t, enum err e, const char *reason)
{
        struct stream *s = t->stream;

        t->reason = reason;
        break_off(t, e);
        timer_clear(&t->timer);
        s->events->on_open(s, e);
}

static void handshake_expired(struct timer *timer)
{
        struct tls_session *t = CONTAINER_OF(timer, struct tls_session, timer);

        handshake_failed(t, ERR_TIMED_OUT, "handshake took too long");
}

/* Why the handshake failed. Empties OpenSSL's queue. */
static const char *reason_of(struct tls_session *t)
{
        long verified = SSL_get_verify_result(t->ssl);
        const char *reason = tls_last_reason();

        return verified != X509_V_OK ? X509_verify_cert_error_string(verified) : reason;
}

static void handshake_ended(struct tls_session *t)
{
        struct stream *s = t->stream;
        bool is_server = t->context->is_server;

        t->is_open = true;
        timer_clear(&t->timer);
        /*
         * A TLS 1.3 server has written its tickets here: they travel with the first answer. A client has written its
         * Finished: it travels with the first request, if that is written in on_open.
         */
        t->is_held = SSL_version(t->ssl) >= TLS1_3_VERSION;
        if ((t->is_held ? tls_bio_hold(t) : flush(t)) == ERR_NO_MEMORY) {
                handshake_failed(t, ERR_TLS, "out of memory");
                return;
        }
        t->has_input = SSL_has_pending(t->ssl) || s->may_read;
        s->events->on_open(s, ERR_OK);
        if (s->is_closing)
                return;
        if (!is_server && t->is_held && flush(t) == ERR_IO)
                break_off(t, ERR_IO);
        if (t->has_input)
                s->events->on_ready(s, STREAM_READABLE);
}

static void handshake_step(struct tls_session *t)
{
        struct stream *s = t->stream;
        int done;

        forget_errors();
        done = SSL_do_handshake(t->ssl);
        if (done == 1) {
                handshake_ended(t);
                return;
        }
        switch (SSL_get_error(t->ssl, done)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
                switch (flush(t)) {
                case ERR_OK:
                case ERR_AGAIN: return;
                default: handshake_failed(t, ERR_CLOSED, "connection lost"); return;
                }
        default: break;
        }
        if (t->is_plaintext) {
                struct iovec part = { (char *)(uintptr_t)plaintext_answer, sizeof(plaintext_answer) - 1 };
                size_t written;
                forget_errors();
                if (stream_raw_write(s, &part, 1, &written) == ERR_OK)
                        shutdown(s->watch.fd, SHUT_WR);
                handshake_failed(t, ERR_TLS, "plain HTTP on a TLS port");
                return;
        }
        const char *reason = reason_of(t);
        enum err flushed = flush(t); /* the alert */
        if (t->end != ERR_OK || (flushed != ERR_OK && flushed != ERR_AGAIN))
                handshake_failed(t, ERR_CLOSED, "connection lost");
        else
                handshake_failed(t, ERR_TLS, reason);
}

static void tls_event(struct watch *w, unsigned events)
{
        struct stream *s = CONTAINER_OF(w, struct stream, watch);
        struct tls_session *t = s->tls;
        unsigned ready = stream_note_events(s, events);

        if (ready & STREAM_WRITABLE && t->pending && !t->is_held) {
                switch (flush(t)) {
                case ERR_OK: break;
                case ERR_AGAIN: ready &= ~(unsigned)STREAM_WRITABLE; break;
                default: break_off(t, ERR_IO);
                }
        }
        if (!t->is_open) {
                if (!t->is_over && (ready & STREAM_READABLE || !t->context->is_server))
                        handshake_step(t);
                return;
        }
        if (ready & STREAM_READABLE)
                t->has_input = true;
        if (ready)
                s->events->on_ready(s, ready);
}

/* What a failed read means. */
static enum err read_error(struct tls_session *t, int result)
{
        switch (SSL_get_error(t->ssl, result)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE: t->has_input = false; return ERR_AGAIN;
        case SSL_ERROR_ZERO_RETURN: t->end = ERR_CLOSED; return ERR_CLOSED;
        default:
                t->reason = tls_last_reason();
                t->end = ERR_OK; /* a FIN without close_notify is not a clean end */
                break_off(t, ERR_IO);
                return ERR_IO;
        }
}

enum err tls_stream_read(struct stream *s, void *bytes, size_t len, size_t *got)
{
        struct tls_session *t = s->tls;
        enum err e = ERR_OK;
        size_t total = 0, n;

        if (!t->is_open)
                return ERR_AGAIN;
        if (t->is_over)
                return t->end;
        if (!t->has_input)
                return ERR_AGAIN; /* known without OpenSSL, which would get a buffer to find that out */
        forget_errors();
        /* Several records fit one buffer; after the first only what was received already is asked for. */
        do {
                int result = SSL_read_ex(t->ssl, (char *)bytes + total, len - total, &n);
                if (result != 1) {
                        e = read_error(t, result);
                        break;
                }
                total += n;
                t->key_updates = 0;
        } while (total < len && SSL_has_pending(t->ssl));
        if (e == ERR_OK)
                t->has_input = SSL_has_pending(t->ssl) || s->may_read;
        if (t->key_updates > KEY_UPDATES_MAX) {
                t->reason = "too many key updates";
                break_off(t, ERR_IO);
                e = ERR_IO;
        }
        if (tls_bio_has_output()) { /* a KeyUpdate we answered, or an alert */
                enum err sent = flush(t);
                if (sent != ERR_OK && sent != ERR_AGAIN)
                        break_off(t, ERR_IO);
        }
        if (total == 0)
                return e;
        *got = total;
        return ERR_OK;
}

/* The next record's plain text: a large part as it stands, small ones gathered. Advances *at and *offset. */
static struct str next_record(struct loop *l, const struct iovec *parts, int parts_count, int *at,
                              size_t *offset)
{
        size_t len = 0;
        char *scratch;

        while (*at < parts_count && *offset == parts[*at].iov_len) {
                ++*at;
                *offset = 0;
        }
        if (*at == parts_count)
                return STR_NULL;
        size_t left = parts[*at].iov_len - *offset;
        if (left >= RECORD_BYTES_MAX || *at == parts_count - 1 || !(scratch = loop_scratch(l))) {
                struct str direct = { (char *)parts[*at].iov_base + *offset,
                                      MIN(left, (size_t)RECORD_BYTES_MAX) };
                *offset += direct.len;
                return direct;
        }
        while (*at < parts_count && len < RECORD_BYTES_MAX) {
                size_t n = MIN(parts[*at].iov_len - *offset, RECORD_BYTES_MAX - len);
                if (n)
                        memcpy(scratch + len, (char *)parts[*at].iov_base + *offset, n);
                len += n;
                *offset += n;
                if (*offset == parts[*at].iov_len) {
                        ++*at;
                        *offset = 0;
                }
        }
        return (struct str){ scratch, len };
}

enum err tls_stream_write(struct stream *s, const struct iovec *parts, int parts_count, size_t *written)
{
        struct tls_session *t = s->tls;
        int at = 0;
        size_t offset = 0, total = 0, n;
        enum err e;

        if (!t->is_open || t->is_over)
                return t->is_over ? ERR_IO : ERR_AGAIN;
        if (t->pending && !t->is_held && (e = flush(t)) != ERR_OK)
                goto out;
        forget_errors();
        for (int records = 0; records < RECORDS_MAX; records++) {
                struct str record = next_record(s->loop, parts, parts_count, &at, &offset);
                if (record.len == 0)
                        break;
                if (SSL_write_ex(t->ssl, record.ptr, record.len, &n) != 1) {
                        t->reason = tls_last_reason();
                        e = flush(t);
                        break_off(t, ERR_IO);
                        return ERR_IO;
                }
                total += n;
        }
        *written = total;
        e = total ? flush(t) : ERR_OK;
        if (e == ERR_AGAIN)
                e = ERR_OK; /* taken, and kept until the socket is writable */
out:
        if (e != ERR_OK && e != ERR_AGAIN)
                break_off(t, ERR_IO);
        return e;
}

bool tls_stream_may_have_input(const struct stream *s)
{
        return s->tls->is_open && (s->tls->has_input || s->tls->is_over);
}

void tls_stream_shutdown(struct stream *s)
{
        struct tls_session *t = s->tls;

        if (!t->is_open || t->is_over || t->wants_fin || t->has_fin)
                return;
        forget_errors();
        SSL_shutdown(t->ssl);
        forget_errors();
        t->wants_fin = true;
        if (flush(t) == ERR_IO)
                break_off(t, ERR_IO);
}

char *tls_stream_end(struct stream *s, enum stream_close_how *how, size_t *len_out)
{
        struct tls_session *t = s->tls;
        char *rest = NULL;

        if (t->is_plaintext && *how == STREAM_CLOSE_PLAIN)
                *how = STREAM_CLOSE_LINGER; /* or our answer is lost in a reset, its request being unread */
        if (*how != STREAM_CLOSE_RESET && t->is_open && !t->is_over) {
                forget_errors();
                if (!t->wants_fin && !t->has_fin)
                        SSL_shutdown(t->ssl);
                forget_errors();
                if (flush(t) == ERR_AGAIN) {
                        memmove(t->pending, t->pending + t->pending_at, t->pending_len - t->pending_at);
                        rest = t->pending;
                        *len_out = t->pending_len - t->pending_at;
                        t->pending = NULL;
                }
        }
        timer_clear(&t->timer);
        SSL_free(t->ssl);
        tls_context_put(t->context);
        free(t->pending);
        free(t->server_name);
        free(t);
        s->tls = NULL;
        return rest;
}

/* RFC 8446 4.6.3 sets no bound to key updates, and OpenSSL none of its own: 65,000 of them are cheap to send. */
static void count_key_updates(int is_write, int version, int type, const void *bytes, size_t len, SSL *ssl,
                              void *unused)
{
        struct tls_session *t = SSL_get_app_data(ssl);

        if (type == SSL3_RT_HANDSHAKE && !is_write && len > 0 &&
            *(const uint8_t *)bytes == SSL3_MT_KEY_UPDATE)
                t->key_updates++;
}

/* The session before the stream has one: NULL when memory runs out. Shares the context. */
static struct tls_session *session_new(struct stream *s, struct tls_context *context)
{
        struct tls_session *t = calloc(1, sizeof(*t));
        BIO *bio;

        if (!t)
                return NULL;
        t->stream = s;
        t->ssl = SSL_new(context->ssl_ctx);
        bio = t->ssl ? tls_bio_new(t) : NULL;
        if (!bio) {
                SSL_free(t->ssl);
                free(t);
                forget_errors();
                return NULL;
        }
        SSL_set_bio(t->ssl, bio, bio);
        SSL_set_app_data(t->ssl, t);
        SSL_set_msg_callback(t->ssl, count_key_updates);
        t->context = tls_context_get(context);
        timer_init(&t->timer, handshake_expired);
        return t;
}

static void session_abandon(struct tls_session *t)
{
        SSL_free(t->ssl);
        tls_context_put(t->context);
        free(t->server_name);
        free(t);
}

static enum err open_with(struct stream *s, struct loop *l, int fd, const struct stream_events *events,
                          struct tls_session *t)
{
        enum err e = stream_start(s, l, fd, events, tls_event);

        if (e != ERR_OK) {
                session_abandon(t);
                return e;
        }
        s->tls = t;
        timer_set(l, &t->timer, loop_now(l) + TLS_HANDSHAKE_MS);
        return ERR_OK;
}

enum err stream_open_tls_server(struct stream *s, struct loop *l, int fd, const struct stream_events *events,
                                struct tls_context *context)
{
        struct tls_session *t = session_new(s, context);

        if (!t) {
                close(fd);
                return ERR_NO_MEMORY;
        }
        SSL_set_accept_state(t->ssl);
        return open_with(s, l, fd, events, t);
}

/* Who the server must prove to be: a name, or an address. */
static enum err expect_name(struct tls_session *t, struct str name)
{
        struct ip ip;
        bool is_address = ip_parse(name, &ip) == ERR_OK;

        if (name.len > TLS_NAME_BYTES_MAX || (name.len && memchr(name.ptr, 0, name.len)))
                return ERR_MALFORMED;
        if (name.len == 0)
                return t->context->skip_verify ? ERR_OK : ERR_MALFORMED;
        if (!(t->server_name = strndup(name.ptr, name.len)))
                return ERR_NO_MEMORY;
        X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
        X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        if (is_address)
                return X509_VERIFY_PARAM_set1_ip_asc(param, t->server_name) == 1 ? ERR_OK : ERR_NO_MEMORY;
        if (X509_VERIFY_PARAM_set1_host(param, name.ptr, name.len) != 1 ||
            SSL_set_tlsext_host_name(t->ssl, t->server_name) != 1)
                return ERR_NO_MEMORY;
        return ERR_OK;
}

enum err stream_open_tls_client(struct stream *s, struct loop *l, int fd, const struct stream_events *events,
                                struct tls_context *context, struct str server_name)
{
        struct tls_session *t = session_new(s, context);
        enum err e = t ? expect_name(t, server_name) : ERR_NO_MEMORY;

        if (e != ERR_OK) {
                if (t)
                        session_abandon(t);
                close(fd);
                return e;
        }
        SSL_set_connect_state(t->ssl);
        if (context->session && t->server_name && strcmp(context->session_name, t->server_name) == 0)
                SSL_set_session(
                        t->ssl,
                        context->session); /* refused by OpenSSL when it is not fit: a full handshake */
        return open_with(s, l, fd, events, t);
}

struct str stream_tls_server_name(const struct stream *s)
{
        return s->tls ? str_of(s->tls->server_name) : STR_NULL;
}

struct str stream_tls_alpn(const struct stream *s)
{
        const unsigned char *name = NULL;
        unsigned len = 0;

        if (s->tls)
                SSL_get0_alpn_selected(s->tls->ssl, &name, &len);
        return (struct str){ (const char *)name, len };
}

const char *stream_tls_version(const struct stream *s)
{
        return s->tls && s->tls->is_open ? SSL_get_version(s->tls->ssl) : NULL;
}

const char *stream_tls_cipher(const struct stream *s)
{
        return s->tls && s->tls->is_open ? SSL_get_cipher_name(s->tls->ssl) : NULL;
}

const char *stream_tls_reason(const struct stream *s)
{
        return s->tls ? s->tls->reason : NULL;
}

bool stream_tls_is_resumed(const struct stream *s)
{
        return s->tls && SSL_session_reused(s->tls->ssl);
}

enum err stream_tls_peer_certificate(const struct stream *s, struct buf *out)
{
        X509 *certificate = s->tls && s->tls->is_open ? SSL_get0_peer_certificate(s->tls->ssl) : NULL;
        int len = certificate ? i2d_X509(certificate, NULL) : -1;
        unsigned char *at;

        if (!certificate || SSL_get_verify_result(s->tls->ssl) != X509_V_OK)
                return ERR_NOT_FOUND;
        if (len < 0 || !(at = (unsigned char *)buf_reserve(out, (size_t)len)))
                return ERR_NO_MEMORY;
        i2d_X509(certificate, &at);
        buf_added(out, (size_t)len);
        return ERR_OK;
}
