/*
 * link/derp.h - frames of DERP, Tailscale's relay protocol: a type, a length, bytes. Source: its public client and server.
 *
 * Pure: bytes in, frames out. A frame that claims more than its type may have is refused before anything is kept for it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

enum link_derp_type {
        LINK_DERP_SERVER_KEY = 0x01,  /* magic, the server's key of this connection */
        LINK_DERP_CLIENT_INFO = 0x02, /* key, nonce, box of JSON: proves that the client has the key */
        LINK_DERP_SERVER_INFO = 0x03, /* nonce, box of JSON */
        LINK_DERP_SEND = 0x04,        /* destination's key, packet */
        LINK_DERP_RECEIVE = 0x05,     /* source's key, packet */
        LINK_DERP_KEEPALIVE = 0x06,
        LINK_DERP_NOTE_PREFERRED = 0x07,
        LINK_DERP_PEER_GONE = 0x08,
        LINK_DERP_PING = 0x12, /* 8 bytes, which come back in a pong */
        LINK_DERP_PONG = 0x13,
        LINK_DERP_HEALTH = 0x14,
        LINK_DERP_RESTARTING = 0x15,
};

enum {
        LINK_KEY_BYTES = 32,
        LINK_DERP_HEADER_BYTES = 5,
        LINK_DERP_MAGIC_BYTES = 8,
        LINK_DERP_PING_BYTES = 8,
        LINK_DERP_PACKET_MAX = 65536, /* of one carried packet */
        LINK_DERP_INFO_MAX = 1024,    /* of the two info frames, and of each frame we do not know */
        LINK_DERP_FRAME_MAX = LINK_DERP_HEADER_BYTES + LINK_KEY_BYTES + LINK_DERP_PACKET_MAX,
};

extern const uint8_t link_derp_magic[LINK_DERP_MAGIC_BYTES];

void link_derp_header_put(uint8_t out[LINK_DERP_HEADER_BYTES], enum link_derp_type type, size_t len);

struct link_derp_frame {
        unsigned type;
        struct str body; /* points into the input */
        size_t bytes;    /* of the whole frame */
};

/* The frame at the front of `in`. ERR_AGAIN: not all there. ERR_TOO_LARGE, ERR_MALFORMED: close the connection. */
MUST_USE enum err link_derp_read(struct str in, struct link_derp_frame *out);

/* Key and packet of a SEND or RECEIVE frame's body; ERR_MALFORMED when there is no packet. */
MUST_USE enum err link_derp_packet(struct str body, const uint8_t **key, struct str *packet);
