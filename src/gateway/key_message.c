#include "gateway/key_message.h"

#include <string.h>

struct request_head {
        uint32_t number;
        uint16_t scheme, content_len;
        uint8_t key_id[TLS_KEY_ID_BYTES];
};

struct answer_head {
        uint32_t number;
        uint16_t result, signature_len;
};

_Static_assert(sizeof(struct request_head) == 40 && sizeof(struct answer_head) == 8, "no padding");

static bool add(struct buf *packet, const void *head, size_t head_len, struct str rest)
{
        if (packet->len + head_len + rest.len > KEY_PACKET_BYTES_MAX)
                return false;
        buf_add(packet, (struct str){ head, head_len });
        buf_add(packet, rest);
        return !packet->full;
}

bool key_request_add(struct buf *packet, const struct key_request *r)
{
        struct request_head h = { r->number, r->scheme, (uint16_t)r->content.len, { 0 } };

        memcpy(h.key_id, r->key_id, sizeof(h.key_id));
        return add(packet, &h, sizeof(h), r->content);
}

bool key_answer_add(struct buf *packet, const struct key_answer *a)
{
        const struct answer_head h = { a->number, (uint16_t)a->result, (uint16_t)a->signature.len };

        return add(packet, &h, sizeof(h), a->signature);
}

enum err key_request_next(struct str *packet, struct key_request *out)
{
        struct request_head h;

        if (packet->len == 0)
                return ERR_NOT_FOUND;
        if (packet->len < sizeof(h))
                return ERR_MALFORMED;
        memcpy(&h, packet->ptr, sizeof(h));
        if (h.content_len == 0 || h.content_len > TLS_SIGNED_BYTES_MAX ||
            h.content_len > packet->len - sizeof(h))
                return ERR_MALFORMED;
        *out = (struct key_request){ .number = h.number,
                                     .scheme = h.scheme,
                                     .key_id = (const uint8_t *)packet->ptr +
                                               offsetof(struct request_head, key_id),
                                     .content = str_sub(*packet, sizeof(h), h.content_len) };
        *packet = str_from(*packet, sizeof(h) + h.content_len);
        return ERR_OK;
}

enum err key_answer_next(struct str *packet, struct key_answer *out)
{
        struct answer_head h;

        if (packet->len == 0)
                return ERR_NOT_FOUND;
        if (packet->len < sizeof(h))
                return ERR_MALFORMED;
        memcpy(&h, packet->ptr, sizeof(h));
        if (h.result >= KEY_RESULTS || h.signature_len > TLS_SIGNATURE_BYTES_MAX ||
            (h.result == KEY_SIGNED) != (h.signature_len > 0) || h.signature_len > packet->len - sizeof(h))
                return ERR_MALFORMED;
        *out = (struct key_answer){ .number = h.number,
                                    .result = (enum key_result)h.result,
                                    .signature = str_sub(*packet, sizeof(h), h.signature_len) };
        *packet = str_from(*packet, sizeof(h) + h.signature_len);
        return ERR_OK;
}
