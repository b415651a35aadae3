/*
 * dispatch/rules.h - where requests may go at all: never an open proxy. Source: reliability T12.
 *
 * Does:   a list of names, prefixes and ports, in the form of `agent.allow`; without a list nothing is allowed. What is asked for
 *         is judged by name and port, and again by the address that is dialled, after the last look-up: addresses that are
 *         not of the public Internet (private, loopback, link-local, metadata, this network's, multicast, translated ones that
 *         hide such) are allowed only where a prefix of the list names them as such.
 * Thread: any; plain functions.
 */
#pragma once

#include "base/ip.h"
#include "conf/conf.h"

struct dispatch_rules {
        const struct conf_allow *list;
        size_t count;
};

/* `host` is a lower-case name or an address' text. Whether some entry may allow it; dispatch_may_dial has the last word. */
bool dispatch_may_ask(const struct dispatch_rules *r, struct str host, uint16_t port);

/* `host` as asked for, `ip` what it is now. */
bool dispatch_may_dial(const struct dispatch_rules *r, struct str host, struct ip ip, uint16_t port);

/* An address of the public Internet: as a destination, and as a source others can answer to. */
bool dispatch_is_public(struct ip ip);
