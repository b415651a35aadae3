#include "link/derp.h"

const uint8_t link_derp_magic[LINK_DERP_MAGIC_BYTES] = { 'D', 'E', 'R', 'P', 0xf0, 0x9f, 0x94, 0x91 };

void link_derp_header_put(uint8_t out[LINK_DERP_HEADER_BYTES], enum link_derp_type type, size_t len)
{
        out[0] = (uint8_t)type;
        for (size_t i = 0; i < 4; i++)
                out[1 + i] = (uint8_t)(len >> (24 - 8 * i));
}

struct bounds {
        size_t least, most;
};

static struct bounds bounds_of(unsigned type)
{
        switch (type) {
        case LINK_DERP_SERVER_KEY:
                return (struct bounds){ LINK_DERP_MAGIC_BYTES + LINK_KEY_BYTES, LINK_DERP_INFO_MAX };
        case LINK_DERP_SEND:
        case LINK_DERP_RECEIVE:
                return (struct bounds){ LINK_KEY_BYTES + 1, LINK_KEY_BYTES + LINK_DERP_PACKET_MAX };
        case LINK_DERP_PING:
        case LINK_DERP_PONG: return (struct bounds){ LINK_DERP_PING_BYTES, LINK_DERP_PING_BYTES };
        default: return (struct bounds){ 0, LINK_DERP_INFO_MAX };
        }
}

enum err link_derp_read(struct str in, struct link_derp_frame *out)
{
        const uint8_t *p = (const uint8_t *)in.ptr;
        size_t len = 0;

        if (in.len < LINK_DERP_HEADER_BYTES)
                return ERR_AGAIN;
        for (size_t i = 1; i < LINK_DERP_HEADER_BYTES; i++)
                len = len << 8 | p[i];
        struct bounds bounds = bounds_of(p[0]);
        if (len > bounds.most)
                return ERR_TOO_LARGE;
        if (len < bounds.least)
                return ERR_MALFORMED;
        if (in.len - LINK_DERP_HEADER_BYTES < len)
                return ERR_AGAIN;
        *out = (struct link_derp_frame){ .type = p[0],
                                         .body = str_sub(in, LINK_DERP_HEADER_BYTES, len),
                                         .bytes = LINK_DERP_HEADER_BYTES + len };
        return ERR_OK;
}

enum err link_derp_packet(struct str body, const uint8_t **key, struct str *packet)
{
        if (body.len <= LINK_KEY_BYTES)
                return ERR_MALFORMED;
        *key = (const uint8_t *)body.ptr;
        *packet = str_from(body, LINK_KEY_BYTES);
        return ERR_OK;
}
