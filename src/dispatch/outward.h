/*
 * dispatch/outward.h - the agent's side: a request that came over a link is sent where its fields say, from the address they say.
 *
 * sekisho-scheme http | https, sekisho-path the target as it goes out, sekisho-source an address of ours, Host whom it is for. They end
 * here. The destination is judged by the rules of the agent's owner, whoever asks: by name now, by address when it is dialled
 * (dispatch_may_dial in the worker's may_dial). Source: docs/protocol/dispatch.md.
 */
#pragma once

#include "dispatch/rules.h"
#include "proxy/route.h"

struct ways;

struct outward_conf {
        struct dispatch_rules rules;
        struct ways *const *ways; /* the process's, there by the first request */
};

extern const struct handler outward_handler; /* handler_conf is a struct outward_conf */

/* What gateways call it. */
#define OUTWARD_TARGET STR("dispatch")
