/*
 * dispatch/sources.h - the pool: the addresses of all agents that send requests, and whose turn it is.
 *
 * Does:   strict rotation over what is available: an address that was taken goes to the end. An agent's addresses are available
 *         while it has a link; what was counted of an address stays when it goes and comes back, and when the agent does, as long as
 *         there is room: of those that are not told any more the one used longest ago gives way to one that is. An agent
 *         has so many requests at a time, and so many in a time; names and tags are what its owner calls it.
 * Not:    links, connections; storing the counts (whoever owns the pool reads and restores them).
 * Thread: none; an engine of its owner.
 * Memory: bounded by the limits below; everything is freed with the pool.
 */
#pragma once

#include "base/clock.h"
#include "base/hash.h"
#include "base/ip.h"
#include "base/list.h"
#include "base/map.h"
#include "base/units.h"

enum {
        SOURCES_AGENTS_MAX = 10000,
        SOURCES_ADDRESSES_MAX = 65536,
        SOURCES_OF_AGENT_MAX = 1000,
        SOURCES_TAGS_MAX = 16,
        SOURCES_TAG_BYTES_MAX = 63
};

struct sources;

struct source_agent {
        struct str id, name; /* of the node */
        struct str tags;     /* "eu,home" */
        bool is_linked;
        uint32_t in_flight, in_flight_max;
        uint64_t requests, failures;
        unix_ms seen;          /* when it last told its addresses or its link came or went; 0: never */
        struct list addresses; /* of source.of_agent, in the order they are told */
        size_t addresses_count;
        /* private */
        bool is_leaving;   /* forgotten when nothing of its is in flight */
        int64_t paced_us;  /* GCRA's theoretical arrival time */
        struct list turns; /* of source.agent_turn: available ones, whose turn is next first */
        struct list node;
};

struct source {
        struct source_agent *agent;
        struct ip ip;
        bool is_told; /* the agent has it now */
        uint32_t in_flight;
        uint64_t requests, failures;
        unix_ms used; /* 0: never */
        /* private */
        struct list of_agent, turn, agent_turn;
};

/* `rate` is of each agent; count 0: none. NULL: no memory. */
MUST_USE struct sources *sources_new(struct hash_key hash_key, uint32_t in_flight_max,
                                     struct units_rate rate);
void sources_free(struct sources *s); /* NULL is fine */

/* What the agent has now, all of it; others of its own are not told any more. ERR_TOO_LARGE, ERR_NO_MEMORY: as far as there was room. */
MUST_USE enum err sources_tell(struct sources *s, struct str id, const struct ip *addresses, size_t count,
                               unix_ms now);
/* What its owner calls it; `tags` with commas. Fine for one that is not known. ERR_NO_MEMORY. */
MUST_USE enum err sources_name(struct sources *s, struct str id, struct str name, struct str tags);
/* It got its first link, or lost its last. Fine for one that is not known. */
void sources_link(struct sources *s, struct str id, bool is_linked, unix_ms now);
/* Forgotten, with what was counted: its addresses are nobody's turn at once, the rest goes when what is in flight ends. */
void sources_remove(struct sources *s, struct str id);

/* Which addresses a request may take. */
struct sources_want {
        struct ip source; /* family 0: any */
        uint8_t family;   /* 0: any */
        struct str agent; /* id or name; empty: any */
        struct str tag;   /* empty: any */
        const struct source *const *tried;
        size_t tried_count;
};
enum sources_answer {
        SOURCES_FOUND,
        SOURCES_BUSY, /* there are some, and their agents have as much to do as they may, or had it lately */
        SOURCES_AWAY, /* there are some, but none is available, or all were tried */
        SOURCES_UNKNOWN, /* no address is like that */
};
/* Whose turn it is; counted and in flight until sources_put. `at` is the time rates go by. */
enum sources_answer sources_take(struct sources *s, const struct sources_want *want, mono_ms at, unix_ms now,
                                 struct source **out);
void sources_put(struct sources *s, struct source *taken, bool has_failed);

/* ---- looking ---- */
bool sources_is_available(const struct source *a);
struct source_agent *sources_find(const struct sources *s, struct str id_or_name); /* or NULL */
const struct list *sources_agents(const struct sources *s);                        /* of source_agent.node */
struct source_agent *sources_agent_of(struct list *node);
struct source *sources_of(struct list *of_agent_node);
struct sources_counts {
        size_t agents, linked, addresses, available;
        uint64_t requests, failures;
        uint32_t in_flight;
};
struct sources_counts sources_count(const struct sources *s);

/* From before a restart: counts of an address that may not have been told yet, those used last first. ERR_TOO_LARGE: there is
 * no room for this one. ERR_NO_MEMORY. */
MUST_USE enum err sources_restore(struct sources *s, struct str id, struct ip ip, uint64_t requests,
                                  uint64_t failures, unix_ms used);
