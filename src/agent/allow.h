/*
 * agent/allow.h - which addresses this agent may dial, whatever a gateway or control asks for.
 *
 * Judged is the address that is dialled, after all names were looked up, so that a name whose answers change gains nothing.
 * Loopback and link-local addresses (169.254.169.254 among them, where clouds keep secrets) are let pass only where they are
 * named as such. Pure. Source: reliability T12.
 */
#pragma once

#include "conf/conf.h"
#include "io/dial.h"

struct allow_ask {
        struct str host;              /* as the service names it; empty for a Unix socket */
        const struct dial_target *to; /* what is about to be dialled */
        bool is_own; /* the service stands in the agent's own file, not in what control sent */
};

bool allow_may_dial(const struct conf_allow *list, size_t count, const struct allow_ask *ask);
