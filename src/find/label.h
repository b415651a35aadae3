/*
 * find/label.h - what a container's labels ask for, read from the Engine's list of containers.
 *
 *   sekisho.host=wiki.example.com[,…]  sekisho.port=8080  sekisho.path=/  sekisho.name=wiki  sekisho.access=public|token|owner
 *
 * Does:   one item of the list → an offer, or why it is none. Where it is dialled follows from what the Engine says (its published port, its
 *         address, or this machine where it shares its network), never from a label.
 * Not:    whether it may be published: control says (control/offers.h).
 * Thread: any; plain functions. Source: Docker Engine API v1.41, GET /containers/json.
 */
#pragma once

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/ip.h"
#include "json/reader.h"

enum {
        LABEL_HOSTS_MAX = 8,
        LABEL_NAME_BYTES_MAX = 63,
        LABEL_PATH_BYTES_MAX = 256,
        LABEL_CONTAINERS_MAX = 100
};

struct label_offer {
        struct str name, url;
        struct str hosts[LABEL_HOSTS_MAX];
        size_t hosts_count;
        struct str path, access; /* empty: not said */
        struct ip ip;
        uint16_t port; /* what is dialled */
};

enum label_answer {
        LABEL_NONE,   /* it does not ask, or does not run */
        LABEL_OFFER,  /* *out */
        LABEL_REFUSED /* *why is a sentence's end: "names a port that is none"; out->name is who */
};

/* Texts are in `a` or in the item's. */
enum label_answer label_read(const struct json_value *item, struct arena *a, struct label_offer *out,
                             const char **why);
