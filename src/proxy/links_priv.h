/*
 * proxy/links_priv.h - links that serve (links.c), and how they come in (links_take.c).
 */
#pragma once

#include "io/nodename.h"
#include "io/peek.h"
#include "io/stream.h"
#include "proxy/call.h"
#include "proxy/links.h"
#include "proxy/up_h2.h"
#include "proxy/worker.h"

enum link_state { LINK_OPENING, LINK_SERVING, LINK_LEAVING, LINK_CLOSED, LINK_STATES };

/* An agent, while it has links, had some lately, or is waited for. */
struct link_agent {
        struct list node;    /* links.agents */
        struct list links;   /* link.agent_node: those that serve */
        struct list waiting; /* exchange.connect_node */
        mono_ms left_at;     /* when it lost its last link here */
        uint8_t id_len;
        char id[NODE_ID_BYTES_MAX];
};

struct link {
        /* identity */
        struct links *links;
        struct link_agent *agent; /* NULL until it serves */
        struct node_name name;
        uint8_t identity[32];
        uint64_t authority_key;
        struct list node; /* links.all */
        struct list agent_node;
        uint8_t state;
        uint8_t way;
        uint8_t wanted_len; /* of the overlay's: whose it has to be */
        char wanted[NODE_ID_BYTES_MAX];

        struct stream stream; /* while opening */
        struct up_h2 *conn;   /* NULL: not yet, or no more */
        struct target target; /* what the connection takes for its own */
        struct upstream upstream;

        struct call call; /* the announcement */
        bool is_calling;
        mono_ms since;
};

struct links {
        struct worker *w;
        struct map by_id; /* to struct link_agent */
        struct list agents, all;
        size_t links_count, opening_count, waiting_count;
        struct timer timer; /* ends waits, forgets agents */
        mono_ms born_at;
        struct log_limit refusals;
};

/* links.c: TLS is open and the name is an agent's that may come. Moves the stream; on an error it stays. */
MUST_USE enum err link_serve(struct link *link);
/* Frees one that never served. */
void link_free(struct link *link);
void link_enter(struct link *link, enum link_state next);
/* NULL: it may come. Else the word for the log. */
const char *link_refusal(const struct links_conf *conf, const struct node_name *name,
                         const uint8_t identity[32]);
