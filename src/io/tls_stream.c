#include <assert.h>
#include <errno.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/loop_priv.h"
#include "io/tls_keys_priv.h"
#include "io/tls_priv.h"

static const char plaintext_answer[] = "HTTP/1.1 400 Bad Request\r\n"
                                       "Content-Type: text/plain\r\n"
                                       "Content-Length: 61\r\n"
                                       "Connection: close\r\n"
                                       "\r\n"
                                       "This port speaks HTTPS: write https:// in front of the name.\n";

/* Sends what OpenSSL has written; the FIN after the last of it, when that was asked for. */
static enum err flush(struct tls_session *t)
{
        enum err e = tls_output_flush(t);

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
        t->end = e;
}

/* Whoever waits for a signature hears that there is none, so that OpenSSL ends what it is in the middle of. */
static void handshake_unwind(struct tls_handshake *h)
{
        if (!h->fibre)
                return;
        h->wanted.signer->forget(h->wanted.signer, &h->wanted);
        h->is_waiting = false;
        h->signed_with = ERR_CLOSED;
        tls_forget_errors();
        bool is_over = fibre_run(h->fibre);
        assert(is_over);
        h->fibre = NULL;
        tls_output_drop(); /* an alert to nobody */
        tls_forget_errors();
}

static void handshake_free(struct tls_session *t)
{
        if (!t->handshake)
                return;
        handshake_unwind(t->handshake);
        timer_clear(&t->handshake->timer);
        OPENSSL_cleanse(&t->handshake->secrets, sizeof(t->handshake->secrets));
        free(t->handshake);
        t->handshake = NULL;
}

static void handshake_failed(struct tls_session *t, enum err e, const char *reason)
{
        struct stream *s = t->stream;

        t->reason = reason;
        break_off(t, e);
        handshake_free(t);
        s->events->on_open(s, e);
}

static void handshake_expired(struct timer *timer)
{
        struct tls_session *t = CONTAINER_OF(timer, struct tls_handshake, timer)->session;

        handshake_failed(t, ERR_TIMED_OUT, "handshake took too long");
}

/* Why the handshake failed. Empties OpenSSL's queue. */
static const char *reason_of(struct tls_session *t)
{
        long verified = SSL_get_verify_result(t->ssl);
        const char *reason = tls_last_reason();

        return verified != X509_V_OK ? X509_verify_cert_error_string(verified) : reason;
}

/* Without memory for it the peer showed none. */
static void peer_note(struct tls_session *t)
{
        X509 *certificate =
                SSL_get_verify_result(t->ssl) == X509_V_OK ? SSL_get0_peer_certificate(t->ssl) : NULL;
        int len = certificate ? i2d_X509(certificate, NULL) : -1;
        unsigned char *at = len > 0 ? malloc((size_t)len) : NULL;

        if (!at)
                return;
        t->peer = at;
        t->peer_len = (size_t)i2d_X509(certificate, &at);
}

/* What there is to know, while OpenSSL's object is there. */
static void note_facts(struct tls_session *t)
{
        const unsigned char *name;
        unsigned len;

        t->version = SSL_get_version(t->ssl);
        t->cipher = SSL_get_cipher_name(t->ssl);
        t->is_resumed = SSL_session_reused(t->ssl);
        SSL_get0_alpn_selected(t->ssl, &name, &len);
        if (len) /* one of those we offer or take */
                t->alpn = len == 2 ? STR("h2") : STR("http/1.1");
        peer_note(t);
}

static void handshake_ended(struct tls_session *t)
{
        struct stream *s = t->stream;
        enum err e;

        t->is_open = true;
        note_facts(t);
        /*
         * A TLS 1.3 server has written its tickets here: they travel with the first answer. A client has written its
         * Finished: it travels with the first request, if that is written in on_open.
         */
        t->is_held = SSL_version(t->ssl) >= TLS1_3_VERSION;
        if (!tls_light_start(t) && t->context->is_server)
                SSL_set_read_ahead(t->ssl, 1);
        handshake_free(t);
        e = t->is_held ? tls_output_hold(t) : flush(t);
        if (e != ERR_OK && e != ERR_AGAIN) {
                handshake_failed(t, ERR_CLOSED, "connection lost");
                return;
        }
        t->has_input = s->may_read || t->input || (t->ssl && SSL_has_pending(t->ssl));
        s->events->on_open(s, ERR_OK);
        if (s->is_closing)
                return;
        if (!t->context->is_server && t->is_held && flush(t) == ERR_IO)
                break_off(t, ERR_IO);
        if (t->has_input)
                s->events->on_ready(s, STREAM_READABLE);
}

static _Thread_local struct tls_handshake *running; /* whose fibre runs */

static void shake(void *argument)
{
        struct tls_session *t = argument;

        t->handshake->result = SSL_do_handshake(t->ssl);
        t->handshake->error = SSL_get_error(t->ssl, t->handshake->result);
}

/* OpenSSL goes on as far as it can. False: it waits for a signature, or the handshake is over already. */
static bool handshake_run(struct tls_session *t)
{
        struct tls_handshake *h = t->handshake;

        tls_forget_errors();
        if (!t->context->signer || (h->is_signed && !h->fibre)) {
                shake(t);
                return true;
        }
        if (!h->fibre && !(h->fibre = fibre_new(shake, t))) {
                handshake_failed(t, ERR_NO_MEMORY, "too many handshakes wait for a signature");
                return false;
        }
        running = h;
        bool is_over = fibre_run(h->fibre);

        running = NULL;
        if (is_over) {
                h->fibre = NULL;
                return true;
        }
        /* The output is for all sessions of the thread: ours waits with us. */
        if (tls_output().len && tls_output_hold(t) != ERR_OK)
                handshake_failed(t, ERR_NO_MEMORY, "out of memory");
        else
                t->is_held = true;
        return false;
}

enum err tls_handshake_sign(const uint8_t key_id[TLS_KEY_ID_BYTES], uint16_t scheme, struct str content,
                            uint8_t *out, size_t *len)
{
        struct tls_handshake *h = running;
        enum err e;

        if (!h || content.len > TLS_SIGNED_BYTES_MAX)
                return ERR_UNSUPPORTED;
        h->wanted = (struct tls_signature){ .signer = h->session->context->signer,
                                            .scheme = scheme,
                                            .content_len = (uint16_t)content.len };
        memcpy(h->wanted.key_id, key_id, TLS_KEY_ID_BYTES);
        memcpy(h->wanted.content, content.ptr, content.len);
        h->signature = out;
        if ((e = h->wanted.signer->ask(h->wanted.signer, &h->wanted)) != ERR_OK)
                return e;
        h->is_waiting = true;
        fibre_pause();
        *len = h->signature_len;
        return h->signed_with;
}

static void handshake_step(struct tls_session *t)
{
        struct stream *s = t->stream;

        if (t->handshake->is_waiting || !handshake_run(t))
                return;
        if (t->handshake->result == 1) {
                handshake_ended(t);
                return;
        }
        switch (t->handshake->error) {
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
                tls_forget_errors();
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

void tls_signature_done(struct tls_signature *wanted, enum err e, struct str signature)
{
        struct tls_handshake *h = CONTAINER_OF(wanted, struct tls_handshake, wanted);

        assert(h->is_waiting && signature.len <= TLS_SIGNATURE_BYTES_MAX);
        h->is_waiting = false;
        h->signed_with = e;
        h->is_signed = true;
        h->signature_len = signature.len;
        if (signature.len)
                memcpy(h->signature, signature.ptr, signature.len);
        handshake_step(h->session);
}

static enum err nobody_asks(struct tls_signer *s, struct tls_signature *wanted)
{
        return ERR_UNSUPPORTED;
}

static void nobody_forgets(struct tls_signer *s, struct tls_signature *wanted) {}

struct tls_signer tls_signer_none = { nobody_asks, nobody_forgets };

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

enum err tls_stream_read(struct stream *s, void *bytes, size_t len, size_t *got)
{
        struct tls_session *t = s->tls;
        bool broken = false;
        size_t n = 0;
        enum err e;

        if (!t->is_open)
                return ERR_AGAIN;
        if (t->is_over)
                return t->end;
        if (!t->has_input)
                return ERR_AGAIN; /* known without OpenSSL, which would get a buffer to find that out */
        e = t->records ? tls_light_read(t, bytes, len, &n, &broken)
                       : tls_openssl_read(t, bytes, len, &n, &broken);
        if (broken)
                break_off(t, ERR_IO);
        if (tls_output().len) { /* a key update we answered, or an alert */
                enum err sent = flush(t);
                if (sent != ERR_OK && sent != ERR_AGAIN)
                        break_off(t, ERR_IO);
        }
        if (n == 0)
                return e;
        *got = n;
        return ERR_OK;
}

enum err tls_stream_write(struct stream *s, const struct iovec *parts, int parts_count, size_t *written)
{
        struct tls_session *t = s->tls;
        size_t n = 0;
        enum err e;

        if (!t->is_open || t->is_over)
                return t->is_over ? ERR_IO : ERR_AGAIN;
        if (t->pending && !t->is_held && (e = flush(t)) != ERR_OK)
                goto out;
        e = t->records ? tls_light_write(t, parts, parts_count, &n)
                       : tls_openssl_write(t, parts, parts_count, &n);
        if (tls_output().len) {
                enum err sent = flush(t);
                /* ERR_AGAIN: taken, and kept until the socket is writable. */
                if (e == ERR_OK && sent != ERR_AGAIN)
                        e = sent;
        }
        *written = n;
out:
        if (e != ERR_OK && e != ERR_AGAIN)
                break_off(t, ERR_IO);
        return e;
}

bool tls_stream_may_have_input(const struct stream *s)
{
        return s->tls->is_open && (s->tls->has_input || s->tls->is_over);
}

/* close_notify, into the output. */
static void say_end(struct tls_session *t)
{
        if (t->records) {
                tls_light_say_end(t);
                return;
        }
        tls_forget_errors();
        SSL_shutdown(t->ssl);
        tls_forget_errors();
}

static void session_free(struct tls_session *t)
{
        handshake_free(t);
        tls_light_end(t);
        SSL_free(t->ssl);
        free(t->peer);
        tls_context_put(t->context);
        free(t->pending);
        free(t->input);
        free(t->server_name);
        free(t);
}

void tls_stream_shutdown(struct stream *s)
{
        struct tls_session *t = s->tls;

        if (!t->is_open || t->is_over || t->wants_fin || t->has_fin)
                return;
        say_end(t);
        t->wants_fin = true;
        if (flush(t) == ERR_IO)
                break_off(t, ERR_IO);
}

void tls_stream_moved(struct stream *s)
{
        s->tls->stream = s;
}

char *tls_stream_end(struct stream *s, enum stream_close_how *how, size_t *len_out)
{
        struct tls_session *t = s->tls;
        char *rest = NULL;

        if (t->is_plaintext && *how == STREAM_CLOSE_PLAIN)
                *how = STREAM_CLOSE_LINGER; /* or our answer is lost in a reset, its request being unread */
        if (*how != STREAM_CLOSE_RESET && t->is_open && !t->is_over) {
                if (!t->wants_fin && !t->has_fin)
                        say_end(t);
                if (flush(t) == ERR_AGAIN) {
                        memmove(t->pending, t->pending + t->pending_at, t->pending_len - t->pending_at);
                        rest = t->pending;
                        *len_out = t->pending_len - t->pending_at;
                        t->pending = NULL;
                }
        }
        session_free(t);
        s->tls = NULL;
        return rest;
}

/* The session before the stream has one: NULL when memory runs out. Shares the context. */
static struct tls_session *session_new(struct stream *s, struct tls_context *context)
{
        struct tls_session *t = calloc(1, sizeof(*t));
        BIO *bio = NULL;

        if (!t)
                return NULL;
        t->stream = s;
        t->context = tls_context_get(context);
        t->handshake = calloc(1, sizeof(*t->handshake));
        if (t->handshake) {
                t->handshake->session = t;
                timer_init(&t->handshake->timer, handshake_expired);
                t->ssl = SSL_new(context->ssl_ctx);
        }
        if (!t->ssl || !(bio = tls_bio_new(t))) {
                session_free(t);
                tls_forget_errors();
                return NULL;
        }
        SSL_set_bio(t->ssl, bio, bio);
        SSL_set_app_data(t->ssl, t);
        SSL_set_msg_callback(t->ssl, tls_openssl_watch);
        return t;
}

static enum err open_with(struct stream *s, struct loop *l, int fd, const struct stream_events *events,
                          struct tls_session *t)
{
        enum err e = stream_start(s, l, fd, events, tls_event);

        if (e != ERR_OK) {
                session_free(t);
                return e;
        }
        s->tls = t;
        timer_set(l, &t->handshake->timer, loop_now(l) + TLS_HANDSHAKE_MS);
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
        SSL_set_read_ahead(t->ssl,
                           0); /* the input is kept on our side until the handshake is over (tls_bio.c) */
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
        if (t->context->uri_name[0])
                return is_address || SSL_set_tlsext_host_name(t->ssl, t->server_name) == 1 ? ERR_OK
                                                                                           : ERR_NO_MEMORY;
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
                        session_free(t);
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
        return s->tls ? s->tls->alpn : STR_NULL;
}

const char *stream_tls_version(const struct stream *s)
{
        return s->tls ? s->tls->version : NULL;
}

const char *stream_tls_cipher(const struct stream *s)
{
        return s->tls ? s->tls->cipher : NULL;
}

const char *stream_tls_reason(const struct stream *s)
{
        return s->tls ? s->tls->reason : NULL;
}

bool stream_tls_is_resumed(const struct stream *s)
{
        return s->tls && s->tls->is_resumed;
}

enum err stream_tls_peer_certificate(const struct stream *s, struct buf *out)
{
        if (!s->tls || !s->tls->peer)
                return ERR_NOT_FOUND;
        buf_add(out, (struct str){ (const char *)s->tls->peer, s->tls->peer_len });
        return out->full ? ERR_NO_MEMORY : ERR_OK;
}
