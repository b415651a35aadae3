/*
 * wg/endpoint.h - where a peer is on the outer network, and which of our own addresses it talks to.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"

struct wg_endpoint {
        struct ip ip; /* family 0: unknown */
        uint16_t port;
        uint32_t scope; /* interface of a link-local IPv6 address, else 0 */
        /* The address the last datagram came to, to answer from the same ("sticky"); family 0: let the system choose. */
        struct ip source;
        uint32_t source_interface;
        /* Not an address: `ip` and `source` are the halves of a key, and somebody else than UDP brings it there. */
        bool is_carried;
};

static inline bool wg_endpoint_is_known(const struct wg_endpoint *e)
{
        return e->ip.family != 0;
}

static inline bool wg_endpoint_eq(const struct wg_endpoint *a, const struct wg_endpoint *b)
{
        return a->port == b->port && a->scope == b->scope && a->source_interface == b->source_interface &&
               a->is_carried == b->is_carried && ip_eq(a->ip, b->ip) && ip_eq(a->source, b->source);
}

static inline void wg_endpoint_forget_source(struct wg_endpoint *e)
{
        if (e->is_carried)
                return;
        e->source = (struct ip){ 0 };
        e->source_interface = 0;
}
