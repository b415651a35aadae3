#include <string.h>

#include "io/loop_priv.h"
#include "io/tls_priv.h"

enum { RECORDS_MAX = 4 };      /* one stream_write's share */
enum { KEY_UPDATES_MAX = 32 }; /* without a byte of data between them */

/* RFC 8446 4.6.3 sets no bound to key updates, and OpenSSL none of its own: 65,000 of them are cheap to send. */
void tls_openssl_watch(int is_write, int version, int type, const void *bytes, size_t len, SSL *ssl,
                       void *unused)
{
        struct tls_session *t = SSL_get_app_data(ssl);

        if (type == SSL3_RT_HANDSHAKE && !is_write && len > 0 &&
            *(const uint8_t *)bytes == SSL3_MT_KEY_UPDATE)
                t->key_updates++;
}

static bool may_go_on(const struct tls_session *t)
{
        return SSL_has_pending(t->ssl) || t->input;
}

/* What a failed read means. */
static enum err read_error(struct tls_session *t, int result, bool *broken)
{
        switch (SSL_get_error(t->ssl, result)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE: t->has_input = false; return ERR_AGAIN;
        case SSL_ERROR_ZERO_RETURN: t->end = ERR_CLOSED; return ERR_CLOSED;
        default:
                t->reason = tls_last_reason();
                *broken = true; /* also a FIN without close_notify: no clean end */
                return ERR_IO;
        }
}

enum err tls_openssl_read(struct tls_session *t, void *bytes, size_t len, size_t *got, bool *broken)
{
        enum err e = ERR_OK;
        size_t n;

        tls_forget_errors();
        /* Several records fit one buffer; after the first only what was received already is asked for. */
        do {
                int result = SSL_read_ex(t->ssl, (char *)bytes + *got, len - *got, &n);
                if (result != 1) {
                        e = read_error(t, result, broken);
                        break;
                }
                *got += n;
                t->key_updates = 0;
        } while (*got < len && may_go_on(t));
        if (e == ERR_OK)
                t->has_input = may_go_on(t) || t->stream->may_read;
        if (t->key_updates > KEY_UPDATES_MAX) {
                t->reason = "too many key updates";
                *broken = true;
                e = ERR_IO;
        }
        return e;
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
        if (left >= TLS_RECORD_PLAIN_BYTES_MAX || *at == parts_count - 1 || !(scratch = loop_scratch(l))) {
                struct str direct = { (char *)parts[*at].iov_base + *offset,
                                      MIN(left, (size_t)TLS_RECORD_PLAIN_BYTES_MAX) };
                *offset += direct.len;
                return direct;
        }
        while (*at < parts_count && len < TLS_RECORD_PLAIN_BYTES_MAX) {
                size_t n = MIN(parts[*at].iov_len - *offset, TLS_RECORD_PLAIN_BYTES_MAX - len);
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

enum err tls_openssl_write(struct tls_session *t, const struct iovec *parts, int parts_count, size_t *written)
{
        int at = 0;
        size_t offset = 0, n;

        tls_forget_errors();
        for (int records = 0; records < RECORDS_MAX; records++) {
                struct str record = next_record(t->stream->loop, parts, parts_count, &at, &offset);
                if (record.len == 0)
                        break;
                if (SSL_write_ex(t->ssl, record.ptr, record.len, &n) != 1) {
                        t->reason = tls_last_reason();
                        return ERR_IO;
                }
                *written += n;
        }
        return ERR_OK;
}
