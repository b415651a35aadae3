/*
 * proxy/up_udp.h - a flow of datagrams to a target of udp://: the up side of an exchange whose bytes are capsules.
 *
 *   asked → open (the exchange heard 101) → over
 *
 * With proxyProtocol each datagram to the target has the header of version 2 before it (of datagrams, so that none depends on another having come).
 * "Connected" says nothing of UDP: whether somebody is there shows by an answer, or by ICMP. Source: RFC 9298.
 */
#pragma once

#include "proxy/up_dial.h"

/* The dial brought a socket of datagrams: takes it and starts. On an error it stays the dial's. */
MUST_USE enum err up_udp_start(struct exchange *x, struct up_dial *d);

/* The worker ends: its flows are broken off, and begin anew with their clients' next datagrams wherever these come to. */
void up_udp_drain(struct worker *w);
