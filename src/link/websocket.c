#include "link/websocket.h"

#include <string.h>

struct header {
        bool is_last, is_masked;
        unsigned opcode;
        uint64_t len;
        uint8_t mask[LINK_WS_MASK_BYTES];
        size_t bytes;
};

void link_ws_mask(const uint8_t mask[LINK_WS_MASK_BYTES], size_t at, uint8_t *bytes, size_t len)
{
        uint8_t turned[8];
        uint64_t word, mask_word;
        size_t i = 0;

        for (size_t k = 0; k < sizeof(turned); k++)
                turned[k] = mask[(at + k) % LINK_WS_MASK_BYTES];
        memcpy(&mask_word, turned, sizeof(mask_word));
        for (; len - i >= sizeof(word); i += sizeof(word)) {
                memcpy(&word, bytes + i, sizeof(word));
                word ^= mask_word;
                memcpy(bytes + i, &word, sizeof(word));
        }
        for (; i < len; i++)
                bytes[i] ^= turned[i % sizeof(turned)];
}

/* RFC 6455 5.2 */
static enum err header_read(const uint8_t *in, size_t len, struct header *h)
{
        size_t at = 2, length_bytes;

        if (len < 2)
                return ERR_AGAIN;
        if (in[0] & 0x70)
                return ERR_UNSUPPORTED;
        h->is_last = in[0] & 0x80;
        h->opcode = in[0] & 0x0f;
        h->is_masked = in[1] & 0x80;
        h->len = in[1] & 0x7f;
        length_bytes = h->len == 127 ? 8 : h->len == 126 ? 2 : 0;
        h->bytes = 2 + length_bytes + (h->is_masked ? LINK_WS_MASK_BYTES : 0);
        if (len < h->bytes)
                return ERR_AGAIN;
        if (length_bytes) {
                h->len = 0;
                for (size_t i = 0; i < length_bytes; i++)
                        h->len = h->len << 8 | in[at++];
                /* Written in the shortest way, and the first bit is zero. */
                if (h->len < (length_bytes == 2 ? UINT64_C(126) : UINT64_C(65536)) || h->len >> 63)
                        return ERR_MALFORMED;
        }
        if (h->is_masked)
                memcpy(h->mask, in + at, LINK_WS_MASK_BYTES);
        return ERR_OK;
}

static enum err header_check(const struct link_ws *w, const struct header *h)
{
        if (h->is_masked == w->is_client)
                return ERR_MALFORMED;
        switch (h->opcode) {
        case LINK_WS_BINARY: return w->in_message ? ERR_MALFORMED : ERR_OK;
        case LINK_WS_CONTINUATION: return w->in_message ? ERR_OK : ERR_MALFORMED;
        case LINK_WS_CLOSE:
        case LINK_WS_PING:
        case LINK_WS_PONG: return h->is_last && h->len <= LINK_WS_CONTROL_MAX ? ERR_OK : ERR_MALFORMED;
        case LINK_WS_TEXT: return ERR_UNSUPPORTED;
        default: return ERR_MALFORMED;
        }
}

static void take_stream(struct link_ws *w, uint8_t *in, size_t len, size_t skipped, struct link_ws_part *out)
{
        size_t n = (size_t)MIN((uint64_t)len, w->left);

        if (!w->is_client)
                link_ws_mask(w->mask, w->mask_at, in, n);
        w->mask_at = (uint8_t)((w->mask_at + n) % LINK_WS_MASK_BYTES);
        w->left -= n;
        *out = (struct link_ws_part){ LINK_WS_BINARY, { (char *)in, n }, skipped + n };
}

enum err link_ws_read(struct link_ws *w, uint8_t *in, size_t len, struct link_ws_part *out)
{
        struct header h;
        enum err e;

        if (w->left > 0) {
                if (len == 0)
                        return ERR_AGAIN;
                take_stream(w, in, len, 0, out);
                return ERR_OK;
        }
        if ((e = header_read(in, len, &h)) != ERR_OK || (e = header_check(w, &h)) != ERR_OK)
                return e;
        if (h.opcode >= LINK_WS_CLOSE) {
                if (len - h.bytes < h.len)
                        return ERR_AGAIN;
                if (h.is_masked)
                        link_ws_mask(h.mask, 0, in + h.bytes, (size_t)h.len);
                *out = (struct link_ws_part){ (enum link_ws_opcode)h.opcode,
                                              { (char *)in + h.bytes, (size_t)h.len },
                                              h.bytes + (size_t)h.len };
                return ERR_OK;
        }
        w->in_message = !h.is_last;
        w->left = h.len;
        w->mask_at = 0;
        memcpy(w->mask, h.mask, sizeof(w->mask));
        take_stream(w, in + h.bytes, len - h.bytes, h.bytes, out);
        return ERR_OK;
}

size_t link_ws_header_put(const struct link_ws *w, enum link_ws_opcode opcode, uint64_t len,
                          const uint8_t mask[LINK_WS_MASK_BYTES], uint8_t out[LINK_WS_HEADER_MAX])
{
        size_t length_bytes = len < 126 ? 0 : len < 65536 ? 2 : 8, at = 2;

        out[0] = (uint8_t)(0x80 | opcode);
        out[1] = (uint8_t)((w->is_client ? 0x80 : 0) | (length_bytes == 0   ? len
                                                        : length_bytes == 2 ? 126
                                                                            : 127));
        for (size_t i = 0; i < length_bytes; i++)
                out[at++] = (uint8_t)(len >> (8 * (length_bytes - 1 - i)));
        if (w->is_client) {
                memcpy(out + at, mask, LINK_WS_MASK_BYTES);
                at += LINK_WS_MASK_BYTES;
        }
        return at;
}
