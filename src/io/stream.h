/*
 * io/stream.h - a connected byte stream: TCP or Unix socket, plain or TLS.
 *
 * Readiness only: `on_ready` says that reading or writing may go on; the caller then reads into a buffer of its own and
 * writes vectors, until ERR_AGAIN. For TLS the handshake runs by itself first; on_ready comes after it, and
 * `on_open` tells its end. Registered once for both directions; a short read is taken as drained unless the peer hung up.
 *
 * Ownership: embedded in its owner, which lives until on_closed. Thread: the loop's.
 */
#pragma once

#include <sys/uio.h>

#include "base/buf.h"
#include "base/ip.h"
#include "io/loop.h"

struct stream;
struct tls_context;
struct tls_session;

enum stream_ready { STREAM_READABLE = 1, STREAM_WRITABLE = 2 };

struct stream_events {
        /* TLS only: the handshake is over (ERR_OK) or failed (ERR_TLS, ERR_TIMED_OUT, ERR_CLOSED). After a failure close it. */
        void (*on_open)(struct stream *s, enum err e);
        /*
         * `ready` is a set of stream_ready. May be early (nothing there): a read then gives ERR_AGAIN. A new stream may be
         * written at once; STREAM_WRITABLE comes only after a write that was short or gave ERR_AGAIN. The end of the peer
         * comes as STREAM_READABLE, and when both directions are over also as STREAM_WRITABLE.
         */
        void (*on_ready)(struct stream *s, unsigned ready);
        /* Last call: the owner may free the memory. Never inside stream_close. */
        void (*on_closed)(struct stream *s);
};

struct stream {
        struct watch watch; /* watch.fd is the descriptor */
        struct loop *loop;
        const struct stream_events *events;
        /* private */
        struct tls_session *tls; /* NULL: plain */
        struct task task;        /* posted readiness, or the close */
        uint8_t posted;          /* stream_ready to deliver */
        bool may_read, may_write;
        bool peer_done, peer_gone; /* FIN seen, perhaps behind bytes not yet read; both directions over */
        bool is_closing;
};

/* Takes the connected, non-blocking descriptor; on an error it is closed. TCP_NODELAY is set already: by the listener
 * (it is inherited) and by dial. */
MUST_USE
enum err stream_open(struct stream *s, struct loop *l, int fd, const struct stream_events *events);

/*
 * The same, with TLS from the first byte. `context` is shared (counted). `server_name`: a name or an address, verified, and
 * sent when it is a name; ERR_MALFORMED when it is empty and the context verifies. A handshake has 10 s.
 */
MUST_USE
enum err stream_open_tls_server(struct stream *s, struct loop *l, int fd, const struct stream_events *events,
                                struct tls_context *context);
MUST_USE
enum err stream_open_tls_client(struct stream *s, struct loop *l, int fd, const struct stream_events *events,
                                struct tls_context *context, struct str server_name);

/*
 * Moves an open stream to another owner: whoever connected hands it to whoever speaks on it. `from` is closed for its owner,
 * gets no event any more and must stay in memory until the turn's end; `to` gets an on_ready in the next turn. A TLS
 * stream's handshake must be over (in its on_open at the earliest). On an error nothing changed.
 */
MUST_USE
enum err stream_move(struct stream *to, struct stream *from, const struct stream_events *events);

/*
 * ERR_OK: *got > 0 bytes were read. ERR_AGAIN: wait for STREAM_READABLE. ERR_CLOSED: the peer ended cleanly (FIN;
 * with TLS a close_notify). ERR_IO: reset, or TLS cut without close_notify: what came before is not known to be whole.
 */
MUST_USE
enum err stream_read(struct stream *s, void *bytes, size_t len, size_t *got);

/*
 * ERR_OK: *written > 0, maybe fewer than offered (0 only when nothing was). ERR_AGAIN: wait for STREAM_WRITABLE.
 * ERR_CLOSED, ERR_IO: gone. TLS takes at most 64 KiB a call, small parts gathered into one record; what the socket does not
 * take of it at once is kept with the stream, and sent before anything more is taken.
 */
MUST_USE
enum err stream_write(struct stream *s, const struct iovec *parts, int parts_count, size_t *written);

/* True when a read would very likely find something now (bytes not yet read, or the end, or TLS has some decoded). */
bool stream_may_have_input(const struct stream *s);

/* The peer has ended its sending side, perhaps behind bytes not yet read; or is gone for both directions (reset, or
 * ended and we did too). Known from events, without a read: for noticing a client that left while we do not read. */
bool stream_peer_is_done(const struct stream *s);
bool stream_peer_is_gone(const struct stream *s);

/* Asks for an on_ready in the next turn, although no event came: to resume reading after back-pressure. */
void stream_poke(struct stream *s, unsigned ready);

/* Says "no more from us" (FIN, close_notify); reading goes on. */
void stream_shutdown(struct stream *s);

enum stream_close_how {
        STREAM_CLOSE_PLAIN, /* what was written is still delivered */
        STREAM_CLOSE_RESET, /* RST: the peer must not take this for a clean end */
        STREAM_CLOSE_LINGER, /* shut down, then read and drop until the peer ends, bounded in time and bytes, so that
                              * an answer to a request we did not read to its end is not lost in a reset */
};
/* The descriptor is closed now (a lingering one by the loop, later); on_closed comes in a later step of the loop. Reads and
 * writes of a closing stream give ERR_CLOSED; closing it again changes nothing. */
void stream_close(struct stream *s, enum stream_close_how how);

/* The peer's and our address (family 0 for a Unix socket). Asked of the kernel: keep the result, not per request. */
struct ip stream_peer_address(const struct stream *s, uint16_t *port);
struct ip stream_local_address(const struct stream *s, uint16_t *port);

/* Facts of a TLS stream after on_open; empty for a plain one. Borrowed until close. */
struct str stream_tls_server_name(const struct stream *s); /* what the client asked for (SNI) */
struct str stream_tls_alpn(const struct stream *s);        /* "h2", "http/1.1" or empty */
const char *stream_tls_version(const struct stream *s);    /* "TLSv1.3" or NULL */
const char *stream_tls_cipher(const struct stream *s);
bool stream_tls_is_resumed(const struct stream *s);
const char *stream_tls_reason(const struct stream *s); /* why it failed: static text for a log, or NULL */

/* Appends the peer's certificate (DER) when it gave one that was verified; else ERR_NOT_FOUND. */
MUST_USE
enum err stream_tls_peer_certificate(const struct stream *s, struct buf *out);

/* Who a verified certificate says the peer is, as text of visible ASCII for a header field. */
struct tls_peer_identity {
        uint8_t sha256[32];     /* of the certificate */
        uint8_t key_sha256[32]; /* of its SubjectPublicKeyInfo: stays when it is renewed */
        struct buf subject;     /* as RFC 4514: "CN=alice,O=Example"; may be empty */
        struct buf
                names; /* "DNS:a,URI:spiffe://b,email:c"; ',', '%' and other bytes in them as %XX; may be empty */
};
/* ERR_NOT_FOUND: it showed none, or one that was not verified. ERR_TOO_LARGE: more than 1 KiB of subject or 4 KiB of
 * names. On ERR_OK fini it. */
MUST_USE
enum err stream_tls_peer_identity(const struct stream *s, struct tls_peer_identity *out);
void tls_peer_identity_fini(struct tls_peer_identity *i);
/* The same of a context's own (first) certificate. */
MUST_USE
enum err tls_context_identity(const struct tls_context *c, struct tls_peer_identity *out);
