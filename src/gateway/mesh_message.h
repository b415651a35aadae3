/*
 * gateway/mesh_message.h - what a worker and the overlay process say to each other, over a mailbox of each worker's own.
 */
#pragma once

#include "io/nodename.h"

enum mesh_message_kind {
        MESH_MESSAGE_UP,   /* to a worker: agents that proved themselves just now; ids, a line each */
        MESH_MESSAGE_ASK,  /* from a worker: a connection to the agent of this id */
        MESH_MESSAGE_MADE, /* to a worker: struct mesh_message_made; fds: the connection, where there is one */
};

struct mesh_message_made {
        int32_t error; /* enum err */
        char agent[NODE_ID_BYTES_MAX + 1];
};

enum {
        MESH_LINK_PORT = 8443, /* where agents listen inside the overlay; nobody else's */
        MESH_FRESH_MS =
                200 * 1000, /* who proved himself so lately is there: keys are made anew every two minutes */
};
