/*
 * proxy/udp_doors.h - UDP ports of a worker: each client's flow (its address and port, at one of ours) is an exchange.
 *
 *   asking → open → ending → over
 *          ↘      ↘ refused (nothing is answered, and nothing new begun for a second) → over
 *
 * Does:   rules of addresses and rates before anything is made; the flow's exchange, whose bytes are capsules; an idle end; answers from the
 *         address that was asked. Flows outlive a reload where their port does, and where its rules still let them in.
 * Limits: FLOWS_MAX a worker, whatever the listeners say. Source addresses of UDP prove nothing, so where there is no room, flows that no target
 *         ever answered give way to new ones. What cannot be passed on is lost and counted; a stranger is never answered by ourselves.
 * Not:    which worker a flow comes to: the kernel's choice by addresses and ports, the same for all of a flow (SO_REUSEPORT).
 * Thread: the worker's.
 */
#pragma once

#include "proxy/snapshot.h"
#include "proxy/worker.h"

enum { FLOWS_MAX = 4096 };

struct udp_doors;

MUST_USE struct udp_doors *udp_doors_new(struct worker *w); /* NULL: no memory */
void udp_doors_free(struct udp_doors *all);                 /* ends what there is; NULL is fine */

/* Takes fd. Keeps `listen` until udp_doors_close. ERR_NOT_FOUND: it is no socket of datagrams, and nothing is received there. */
MUST_USE enum err udp_door_open(struct udp_doors *all, int fd, const struct listen_conf *listen);
/* The sockets are closed; flows wait for udp_doors_settle, in the same turn. */
void udp_doors_close(struct udp_doors *all);
/* Flows whose port is open again go on there, the others end. */
void udp_doors_settle(struct udp_doors *all);
