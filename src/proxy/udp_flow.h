/*
 * proxy/udp_flow.h - one client's datagrams at one of our ports: the down side of an exchange, and what it shares with the doors.
 *
 * Does:   birth with its exchange, the idle end, datagrams both ways; one that gives way to new ones. States: udp_doors.h.
 * Not:    sockets, and who may come at all (udp_doors.c).
 * Memory: a flow stays after its end for as long as its exchange may read where it came from.
 * For udp_doors.c only. Thread: the worker's.
 */
#pragma once

#include "io/udp.h"
#include "proxy/datagrams.h"
#include "proxy/exchange.h"
#include "proxy/udp_doors.h"

/* Whose datagrams: a key of the map, so no byte of it is left to chance. */
struct udp_flow_key {
        uint8_t client[16], own[16]; /* own: as it was asked, so answers come from there */
        uint32_t scope;
        uint16_t client_port, own_port;
        uint8_t family, pad[3];
};

struct udp_door {
        struct udp udp;
        struct udp_doors *all;
        const struct listen_conf *listen;
        struct list node; /* udp_doors.doors */
        struct ip ip;     /* bound to */
        uint16_t port;
};

struct udp_doors {
        struct worker *w;
        struct list doors;
        struct list unanswered, answered; /* udp_flow.node; the longest idle first */
        struct map flows;
        size_t flows_count;
        uint8_t *memory; /* for arrivals; from the first door on */
};

struct udp_flow {
        struct side side;
        struct udp_doors *all;
        struct udp_door *door; /* NULL: between two configurations */
        struct udp_flow_key key;
        struct exchange_origin origin;
        uint32_t interface;
        uint8_t state;
        uint8_t why; /* enum err, of an end that the timer brings */
        bool is_lent, is_gone, is_mapped, is_answered;
        struct list node;
        struct datagrams datagrams;
        struct timer timer;
        mono_ms active_at;
};

/* Begins one, with its exchange. NULL: no room, and none gives way. */
MUST_USE struct udp_flow *udp_flow_new(struct udp_door *door, const struct udp_flow_key *key,
                                       const struct udp_arrival *a);
/* The flow of that key, or NULL. */
struct udp_flow *udp_flow_find(struct udp_doors *all, const struct udp_flow_key *key);
/* A datagram of the client's. The flow may be gone afterwards. */
void udp_flow_take(struct udp_flow *f, struct str datagram);
/* It goes on at that door, by its rules. */
void udp_flow_move(struct udp_flow *f, struct udp_door *door);
/* Whatever it has under way fails; it is gone. */
void udp_flow_cut(struct udp_flow *f, enum err e);
