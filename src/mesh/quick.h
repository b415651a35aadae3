/*
 * mesh/quick.h - the file of wg-quick(8) and wg(8): [Interface] and [Peer], key = value, '#' begins a comment.
 *
 * Does:   text into structs, with file, line and what would be right in every error; structs into a request of uapi.h.
 * Not:    looking up names (the caller does, see endpoint_host), doing what it says (setup.h).
 * Memory: all in the caller's arena; keys are wiped with mesh_quick_wipe.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/report.h"
#include "wg/messages.h"

enum {
        MESH_QUICK_BYTES_MAX = 16 << 20,
        MESH_QUICK_PEERS_MAX = 100000,
        MESH_QUICK_ITEMS_MAX = 10000, /* of one list: addresses, hooks, allowed IPs of a peer */
};

struct mesh_quick_list {
        struct str *items;
        size_t count;
};

struct mesh_quick_prefixes {
        struct ip_prefix *items;
        size_t count;
};

enum mesh_quick_table { MESH_TABLE_AUTO, MESH_TABLE_OFF, MESH_TABLE_NUMBER };

struct mesh_quick_peer {
        uint8_t public_key[WG_KEY_BYTES], preshared_key[WG_KEY_BYTES];
        bool has_preshared_key, has_keepalive, has_allowed_ips; /* named in the text */
        bool is_removed;                                        /* set by the caller: the peer is to go */
        uint32_t line;                                          /* of its [Peer] */
        struct str endpoint_host;                               /* a name or an address; empty: none */
        uint32_t endpoint_line;
        struct ip endpoint_ip; /* family 0: the host is a name, to be looked up by the caller and put here */
        uint16_t endpoint_port;
        uint16_t keepalive; /* seconds, 0: off */
        struct mesh_quick_prefixes allowed_ips;
};

struct mesh_quick {
        uint8_t private_key[WG_KEY_BYTES];
        bool has_private_key, has_port, has_fwmark, has_mtu, saves_config;
        uint16_t port;
        uint32_t fwmark, mtu, table_number;
        enum mesh_quick_table table;
        struct mesh_quick_prefixes addresses;
        struct mesh_quick_list dns_servers, dns_domains;
        struct str relay,
                relay_ca; /* ours, not wg-quick's: a relay's URL, a file of authorities; empty: none */
        struct mesh_quick_list pre_up, post_up, pre_down, post_down; /* with %i still in */
        struct mesh_quick_peer *peers;
        size_t peers_count;
};

/* ERR_CONFIG: `report` says what; ERR_NO_MEMORY: the arena is full. Keeps `text`. */
MUST_USE enum err mesh_quick_parse(struct str text, struct arena *arena, struct report *report,
                                   struct mesh_quick *out);
void mesh_quick_wipe(struct mesh_quick *q);

enum mesh_quick_how {
        MESH_QUICK_REPLACE, /* all peers that are there go */
        MESH_QUICK_CHANGE,  /* peers are added or changed, in what the text names only */
};

/* The request that brings it about; every endpoint that is a name must have been looked up. Wipe the buffer. */
void mesh_quick_request(const struct mesh_quick *q, enum mesh_quick_how how, struct buf *out);

/*
 * The request that makes an interface with the peers of `now` (an answer to get=1) like `q` without touching what is the same:
 * sessions of peers that stay go on.
 */
MUST_USE enum err mesh_quick_sync_request(const struct mesh_quick *q, struct str now, struct buf *out);

/* A name of an interface, as the kernel and wg-quick take it: 1 to 15 of letters, digits and _=+.- */
bool mesh_quick_is_name(struct str name);
