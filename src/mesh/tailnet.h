/*
 * mesh/tailnet.h - what a tailscaled says, out of the JSON of its LocalAPI: a status, and who an address is.
 *
 * Source: Tailscale's LocalAPI (ipnstate.Status, apitype.WhoIsResponse). It is not a promised interface: unknown members are passed
 * over, missing ones are empty; a member of another type counts as missing. What decides who somebody is has to be there in full.
 * Pure. Texts lie in the arena that is given.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/ip.h"

#define MESH_TAILNET_SOCKET "/var/run/tailscale/tailscaled.sock"
#define MESH_TAILNET_V4     "100.64.0.0/10"
#define MESH_TAILNET_V6     "fd7a:115c:a1e0::/48"

enum {
        MESH_TAILNET_STATUS_BYTES_MAX = 16 << 20, /* some thousand machines */
        MESH_TAILNET_WHOIS_BYTES_MAX = 1 << 20,
        MESH_TAILNET_PEERS_MAX = 16384,
        MESH_TAILNET_NAME_BYTES_MAX = 320, /* of a login, a machine's name, a tag */
        MESH_TAILNET_TAGS_MAX = 32,
};

struct mesh_tailnet_tags {
        const struct str *items; /* "tag:ci" */
        size_t count;
};

struct mesh_tailnet_machine {
        struct str host, name; /* as it calls itself; its MagicDNS name without the last dot. May be empty */
        struct ip v4, v6;      /* family 0: none */
        struct mesh_tailnet_tags tags;
        bool is_online;
};

struct mesh_tailnet_status {
        struct str state; /* as tailscaled calls it: "Running", "NeedsLogin", … */
        bool is_running;
        struct mesh_tailnet_machine self;
        const struct str *certificates; /* names it can get certificates for */
        size_t certificates_count;
        struct mesh_tailnet_machine *peers; /* where they were asked for */
        size_t peers_count;
};

/* ERR_MALFORMED: it is no status; ERR_NO_MEMORY. */
MUST_USE enum err mesh_tailnet_status_read(struct str body, struct arena *a, struct mesh_tailnet_status *out);

/* What cert/NAME?type=pair answers: the key's PEM, then that of the chain. Slices of `body`; what is in them is not looked at. ERR_MALFORMED: it
 * is not these two. */
MUST_USE enum err mesh_tailnet_pair_split(struct str body, struct str *key, struct str *chain);

/* Who a machine belongs to: a user, or nobody but its tags. Never both, never neither. */
struct mesh_tailnet_owner {
        struct str login; /* "alice@example.com"; empty: a tagged machine */
        struct str node;  /* the machine's name, may be empty */
        struct mesh_tailnet_tags tags;
};

/* ERR_MALFORMED: it does not say who, or in words that could be mistaken for another's (controls, a login like a tag). */
MUST_USE enum err mesh_tailnet_owner_read(struct str body, struct arena *a, struct mesh_tailnet_owner *out);
