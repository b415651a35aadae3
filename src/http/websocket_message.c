#include "http/websocket_message.h"

#include <assert.h>
#include <string.h>

enum { REST_BYTES = 512 }; /* between messages */

enum {
        FIN = 0x80,
        RESERVED = 0x70,
        OPCODE = 0x0f,
        MASKED = 0x80,
        LENGTH = 0x7f,
        LENGTH_16 = 126,
        LENGTH_64 = 127
};

void websocket_reader_init(struct websocket_reader *r, bool is_server, size_t message_max)
{
        *r = (struct websocket_reader){ .is_server = is_server,
                                        .header_needs = 2,
                                        .message_max = message_max };
        buf_init(&r->message, message_max);
}

void websocket_reader_fini(struct websocket_reader *r)
{
        buf_fini(&r->message);
}

static bool is_control(unsigned opcode)
{
        return opcode >= WEBSOCKET_CLOSE;
}

/* The first two bytes say how long the header is. */
static enum err header_begin(struct websocket_reader *r)
{
        unsigned opcode = r->header[0] & OPCODE, length = r->header[1] & LENGTH;
        bool is_last = r->header[0] & FIN;

        if (r->header[0] & RESERVED || !(r->header[1] & MASKED) == r->is_server)
                return ERR_MALFORMED;
        if (opcode != 0 && opcode != WEBSOCKET_TEXT && opcode != WEBSOCKET_BINARY &&
            opcode != WEBSOCKET_CLOSE && opcode != WEBSOCKET_PING && opcode != WEBSOCKET_PONG)
                return ERR_MALFORMED;
        if (is_control(opcode) ? !is_last || length > WEBSOCKET_CONTROL_MAX
                               : (opcode == 0) != (r->first_opcode != 0))
                return ERR_MALFORMED; /* 5.5; 5.4: a fragment goes on, or a message begins */
        r->header_needs = (uint8_t)(2 +
                                    (length == LENGTH_16   ? 2
                                     : length == LENGTH_64 ? 8
                                                           : 0) +
                                    (r->is_server ? WEBSOCKET_MASK_BYTES : 0));
        return ERR_OK;
}

static enum err header_end(struct websocket_reader *r)
{
        unsigned length = r->header[1] & LENGTH, bytes = length == LENGTH_16   ? 2
                                                         : length == LENGTH_64 ? 8
                                                                               : 0;

        r->opcode = r->header[0] & OPCODE;
        r->is_last = r->header[0] & FIN;
        r->left = bytes ? 0 : length;
        for (unsigned i = 0; i < bytes; i++)
                r->left = r->left << 8 | r->header[2 + i];
        if ((bytes == 2 && r->left < LENGTH_16) || (bytes == 8 && r->left <= UINT16_MAX))
                return ERR_MALFORMED; /* 5.2: the shortest form */
        if (!is_control(r->opcode) && r->left > r->message_max - r->message.len)
                return ERR_TOO_LARGE;
        if (r->is_server)
                memcpy(r->mask, r->header + 2 + bytes, WEBSOCKET_MASK_BYTES);
        r->mask_at = 0;
        if (is_control(r->opcode))
                r->control_len = 0;
        else if (r->opcode)
                r->first_opcode = r->opcode;
        r->header_len = 0;
        r->header_needs = 2;
        r->in_payload = true;
        return ERR_OK;
}

/* Unmasked into its place. */
static enum err payload_take(struct websocket_reader *r, struct str *in)
{
        size_t len = (size_t)MIN((uint64_t)in->len, r->left);
        uint8_t *to = is_control(r->opcode) ? r->control + r->control_len
                                            : (uint8_t *)buf_reserve(&r->message, len);

        if (!to && len)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < len; i++)
                to[i] = (uint8_t)in->ptr[i] ^
                        (r->is_server ? r->mask[(r->mask_at + i) % WEBSOCKET_MASK_BYTES] : 0);
        r->mask_at = (uint8_t)((r->mask_at + len) % WEBSOCKET_MASK_BYTES);
        if (is_control(r->opcode))
                r->control_len = (uint8_t)(r->control_len + len);
        else
                buf_added(&r->message, len);
        *in = str_from(*in, len);
        r->left -= len;
        return ERR_OK;
}

static enum err close_read(struct websocket_reader *r, struct websocket_message *out)
{
        struct str bytes = { (const char *)r->control, r->control_len };

        *out = (struct websocket_message){ .kind = WEBSOCKET_CLOSE };
        if (bytes.len == 0)
                return ERR_OK;
        if (bytes.len == 1)
                return ERR_MALFORMED;
        out->code = (uint16_t)(r->control[0] << 8 | r->control[1]);
        out->bytes = str_from(bytes, 2);
        if (out->code < 1000 || (out->code >= 1004 && out->code <= 1006) ||
            (out->code > 1014 && out->code < 3000) || out->code >= 5000 || !str_is_utf8(out->bytes))
                return ERR_MALFORMED;
        return ERR_OK;
}

/* A frame is whole: AGAIN when its message is not. */
static enum err frame_end(struct websocket_reader *r, struct websocket_message *out)
{
        r->in_payload = false;
        if (r->opcode == WEBSOCKET_CLOSE)
                return close_read(r, out);
        if (is_control(r->opcode)) {
                *out = (struct websocket_message){ .kind = (enum websocket_kind)r->opcode,
                                                   .bytes = { (const char *)r->control, r->control_len } };
                return ERR_OK;
        }
        if (!r->is_last)
                return ERR_AGAIN;
        *out = (struct websocket_message){ .kind = (enum websocket_kind)r->first_opcode,
                                           .bytes = buf_str(&r->message) };
        r->first_opcode = 0;
        r->is_done = true;
        return out->kind == WEBSOCKET_TEXT && !str_is_utf8(out->bytes) ? ERR_MALFORMED : ERR_OK;
}

enum err websocket_read(struct websocket_reader *r, struct str *in, struct websocket_message *out)
{
        enum err e;

        if (r->is_done) {
                buf_rest(&r->message, REST_BYTES);
                r->is_done = false;
        }
        for (;;) {
                while (!r->in_payload) {
                        if (in->len == 0)
                                return ERR_AGAIN;
                        r->header[r->header_len++] = (uint8_t)in->ptr[0];
                        *in = str_from(*in, 1);
                        if (r->header_len == 2 && (e = header_begin(r)) != ERR_OK)
                                return e;
                        if (r->header_len == r->header_needs && r->header_len >= 2 &&
                            (e = header_end(r)) != ERR_OK)
                                return e;
                }
                if ((e = payload_take(r, in)) != ERR_OK)
                        return e;
                if (r->left)
                        return ERR_AGAIN;
                if ((e = frame_end(r, out)) != ERR_AGAIN)
                        return e;
        }
}

enum websocket_code websocket_code_of(enum err e)
{
        return e == ERR_TOO_LARGE || e == ERR_NO_MEMORY ? WEBSOCKET_TOO_BIG : WEBSOCKET_PROTOCOL_ERROR;
}

static void frame_write(struct buf *out, unsigned opcode, const struct str *parts, size_t parts_count,
                        const uint8_t *mask)
{
        uint8_t header[WEBSOCKET_HEADER_MAX];
        size_t n = 2, len = 0;
        char *to;

        for (size_t i = 0; i < parts_count; i++)
                len += parts[i].len;
        header[0] = (uint8_t)(FIN | opcode);
        header[1] = (uint8_t)((mask ? MASKED : 0) | (len < LENGTH_16     ? (unsigned)len
                                                     : len <= UINT16_MAX ? (unsigned)LENGTH_16
                                                                         : (unsigned)LENGTH_64));
        for (int i = len < LENGTH_16 ? 0 : len <= UINT16_MAX ? 2 : 8; i > 0; i--)
                header[n++] = (uint8_t)((uint64_t)len >> (8 * (i - 1)));
        if (mask) {
                memcpy(header + n, mask, WEBSOCKET_MASK_BYTES);
                n += WEBSOCKET_MASK_BYTES;
        }
        if (!(to = buf_reserve(out, n + len)))
                return;
        memcpy(to, header, n);
        for (size_t i = 0; i < parts_count; i++) {
                if (parts[i].len)
                        memcpy(to + n, parts[i].ptr, parts[i].len);
                n += parts[i].len;
        }
        for (size_t i = 0; mask && i < len; i++)
                to[n - len + i] = (char)((uint8_t)to[n - len + i] ^ mask[i % WEBSOCKET_MASK_BYTES]);
        buf_added(out, n);
}

void websocket_write(struct buf *out, enum websocket_kind kind, struct str bytes,
                     const uint8_t mask[WEBSOCKET_MASK_BYTES])
{
        assert(!is_control(kind) || bytes.len <= WEBSOCKET_CONTROL_MAX);
        frame_write(out, kind, &bytes, 1, mask);
}

void websocket_write_close(struct buf *out, enum websocket_code code, struct str reason,
                           const uint8_t mask[WEBSOCKET_MASK_BYTES])
{
        char number[2] = { (char)(code >> 8), (char)code };
        struct str parts[2] = { { number, 2 }, str_sub(reason, 0, WEBSOCKET_CONTROL_MAX - 2) };

        while (!str_is_utf8(parts[1]))
                parts[1].len--;
        frame_write(out, WEBSOCKET_CLOSE, parts, 2, mask);
}
