/*
 * mesh/paths.h - the ways to peers: straight by UDP, or carried by a relay; and how large packets may be on the straight one.
 *
 * Does:   asks peers in use whether the straight way is open (mesh/probe.h), five times a second where there is a relay; goes over
 *         to the relay when it is not, and back when it is; finds the largest packet that passes.
 * Not:    sockets, the relay's connection, changing the device: the caller's, through mesh_paths_doors.
 * Thread: its device's. Pure but for the doors: `now` comes in. Nothing is asked of peers that are idle.
 *
 * A peer that does not answer such questions (another implementation) is asked three times a handshake and then let be: it is
 * reached straight, and, while there is a relay and the straight way is silent, both ways at once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "wg/device.h"

enum {
        MESH_PATHS_TICK_MS = 100,
        MESH_PATHS_ASK_MS = 200,     /* between two questions, where there is a relay */
        MESH_PATHS_SILENT_MS = 600,  /* without an answer, and the straight way is taken for closed */
        MESH_PATHS_IDLE_MS = 3000,   /* nothing sent or received: nothing is asked */
        MESH_PATHS_SIZE_MS = 700,    /* between two questions of full size */
        MESH_PATHS_RAISE_MS = 10000, /* between two looks whether larger ones pass again */
        MESH_PATHS_MTU_LEAST = 1280, /* less, and the host takes IPv6 away from the device */
};

/* What the caller does for it. */
struct mesh_paths_doors {
        void (*send)(void *context, const struct wg_endpoint *to, const uint8_t *bytes,
                     size_t len);                     /* by UDP */
        void (*set_mtu)(void *context, uint16_t mtu); /* packets of the host may be so large, not larger */
        uint16_t (*route_mtu)(void *context,
                              const struct wg_endpoint *to); /* what the host knows; 0: nothing */
        void (*fill)(void *context, void *out, size_t len);  /* random bytes */
        void *context;
};

struct mesh_paths;

MUST_USE struct mesh_paths *mesh_paths_new(struct wg_device *d,
                                           const struct mesh_paths_doors *doors); /* or NULL */
void mesh_paths_free(struct mesh_paths *m); /* free(NULL) is fine; before the device */

/* The MTU the operator wants, and so the most. */
void mesh_paths_set_mtu(struct mesh_paths *m, uint16_t mtu);

/* The relay is there, or not. Peers of whom no address is known are reached by it. Call also when peers were added. */
void mesh_paths_set_carrier(struct mesh_paths *m, bool is_up, mono_ms now);

/* To be called after packets went either way, and at the time it gave. MONO_NEVER: all is quiet. */
mono_ms mesh_paths_tick(struct mesh_paths *m, mono_ms now);

/* A datagram for which mesh_probe_is holds, from UDP; opened in place. */
void mesh_paths_take(struct mesh_paths *m, struct str datagram, const struct wg_endpoint *from, mono_ms now);

/* The peer whose packets to this address are to be carried as well; NULL: none. */
const uint8_t *mesh_paths_doubled(const struct mesh_paths *m, const struct wg_endpoint *to);

/* The way of one peer, for people: "straight", "relay", "both"; NULL: not in use. */
const char *mesh_paths_way(const struct mesh_paths *m, const uint8_t key[WG_KEY_BYTES]);

/* A peer reached by its key. */
struct wg_endpoint mesh_carried_to(const uint8_t key[WG_KEY_BYTES]);
void mesh_carried_key(const struct wg_endpoint *e, uint8_t key[WG_KEY_BYTES]);

struct mesh_paths_stats {
        uint64_t asked, answered, answers; /* pings sent, pings answered, pongs that were ours */
        uint64_t refused;                  /* probes of nobody we know, or not authentic */
        uint64_t to_relay, to_straight;    /* changes of a way */
        uint64_t black_holes;              /* large packets vanished where small ones passed */
        uint16_t mtu;                      /* now */
};
const struct mesh_paths_stats *mesh_paths_get_stats(const struct mesh_paths *m);
