#include "http/capsule.h"

#include <assert.h>
#include <string.h>

/*
 * Theory of operation. A capsule is a type, a length and a value; the datagram in one begins with its context. Type, length and context are
 * gathered byte by byte, since they are few and may be cut anywhere; the rest is given as it lies, or gathered where it is cut.
 */

enum { TYPE_DATAGRAM = 0, CONTEXT_UDP = 0, CONTEXT_BYTES_MAX = 8, REST_BYTES = 2048 };

void capsule_init(struct capsule_reader *r)
{
        memset(r, 0, sizeof(*r));
        buf_init(&r->gathered, CAPSULE_DATAGRAM_BYTES_MAX);
}

void capsule_fini(struct capsule_reader *r)
{
        buf_fini(&r->gathered);
}

/* RFC 9000 16. False: more bytes are needed. */
static bool number_read(const uint8_t *p, size_t len, size_t *at, uint64_t *out)
{
        size_t bytes = *at < len ? (size_t)1 << (p[*at] >> 6) : 0;
        uint64_t n;

        if (bytes == 0 || bytes > len - *at)
                return false;
        n = p[*at] & 0x3f;
        for (size_t i = 1; i < bytes; i++)
                n = n << 8 | p[*at + i];
        *at += bytes;
        *out = n;
        return true;
}

static void begin(struct capsule_reader *r, bool is_datagram, uint64_t left)
{
        r->is_inside = true;
        r->is_datagram = is_datagram;
        r->left = left;
        r->head_len = 0;
        r->passed_count += !is_datagram;
}

/* Type and length, and the context where it is a datagram. ERR_AGAIN: more bytes are needed. */
static enum err head_read(struct capsule_reader *r)
{
        uint64_t type, length, context;
        size_t at = 0, value_at;

        if (!number_read(r->head, r->head_len, &at, &type) ||
            !number_read(r->head, r->head_len, &at, &length))
                return ERR_AGAIN;
        if (type != TYPE_DATAGRAM) {
                begin(r, false, length);
                return ERR_OK;
        }
        if (length == 0)
                return ERR_MALFORMED; /* no context */
        if (length > CAPSULE_DATAGRAM_BYTES_MAX + CONTEXT_BYTES_MAX)
                return ERR_TOO_LARGE;
        value_at = at;
        if (!number_read(r->head, MIN((size_t)r->head_len, value_at + (size_t)length), &at, &context))
                return r->head_len - value_at >= length ? ERR_MALFORMED : ERR_AGAIN;
        length -= at - value_at;
        if (context == CONTEXT_UDP && length > CAPSULE_DATAGRAM_BYTES_MAX)
                return ERR_TOO_LARGE;
        begin(r, context == CONTEXT_UDP, length);
        return ERR_OK;
}

/* The value: a whole datagram in *out, or ERR_AGAIN. */
static enum err value_read(struct capsule_reader *r, struct str *in, struct str *out)
{
        size_t here = r->left < in->len ? (size_t)r->left : in->len;
        struct str part = str_sub(*in, 0, here);

        *in = str_from(*in, here);
        r->left -= here;
        if (r->is_datagram && (r->left || r->gathered.len)) {
                buf_add(&r->gathered, part);
                if (r->gathered.full)
                        return ERR_NO_MEMORY;
                part = buf_str(&r->gathered);
        }
        if (r->left)
                return ERR_AGAIN;
        r->is_inside = false;
        *out = part;
        return r->is_datagram ? ERR_OK : ERR_AGAIN;
}

enum err capsule_read(struct capsule_reader *r, struct str *in, struct str *out)
{
        enum err e;

        if (!r->is_inside)
                buf_rest(&r->gathered,
                         REST_BYTES); /* given out by the call before; flows are many, large datagrams few */
        for (;;) {
                while (!r->is_inside) {
                        if (in->len == 0)
                                return ERR_AGAIN;
                        assert(r->head_len < sizeof(r->head));
                        r->head[r->head_len++] = (uint8_t)in->ptr[0];
                        *in = str_from(*in, 1);
                        if ((e = head_read(r)) != ERR_OK && e != ERR_AGAIN)
                                return e;
                }
                e = value_read(r, in, out);
                if (e != ERR_AGAIN || r->is_inside)
                        return e;
        }
}

bool capsule_is_between(const struct capsule_reader *r)
{
        return !r->is_inside && r->head_len == 0;
}

static size_t number_write(uint64_t n, uint8_t *out)
{
        if (n < 1 << 6) {
                out[0] = (uint8_t)n;
                return 1;
        }
        if (n < 1 << 14) {
                out[0] = (uint8_t)(0x40 | n >> 8);
                out[1] = (uint8_t)n;
                return 2;
        }
        out[0] = (uint8_t)(0x80 | n >> 24);
        out[1] = (uint8_t)(n >> 16);
        out[2] = (uint8_t)(n >> 8);
        out[3] = (uint8_t)n;
        return 4;
}

struct str capsule_head(size_t datagram_bytes, uint8_t out[CAPSULE_HEAD_MAX])
{
        size_t len = 1;

        assert(datagram_bytes <= CAPSULE_DATAGRAM_BYTES_MAX);
        out[0] = TYPE_DATAGRAM;
        len += number_write(datagram_bytes + 1, out + len);
        out[len++] = CONTEXT_UDP;
        return (struct str){ (char *)out, len };
}
