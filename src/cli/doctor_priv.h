/*
 * cli/doctor_priv.h - what `sekisho doctor` looks at: each examination adds what it found, the good things too.
 *
 * On this machine: configuration, clock, state folders and their rights, papers of nodes, ports, the tailnet, address pools; control from here. Of the fleet:
 * what fleet_judge says, names of services, the store. An examination that cannot be made says why, as a warning.
 */
#pragma once

#include "cli/finding.h"
#include "cli/fleet.h"
#include "conf/conf.h"
#include "node/state.h"

struct doctor {
        struct findings *findings;
        struct arena *arena;
        struct str config, server, token; /* options */
        char state[NODE_PATH_MAX];        /* empty: cannot be known */
        const struct conf *conf;          /* NULL: none, or with mistakes */
        bool has_file, has_gateway, has_agent, has_control;
};

/* ---- doctor_here.c ---- */
void doctor_config(struct doctor *d); /* sets conf; the caller keeps what it loads until the end */
void doctor_state(struct doctor *d);  /* sets has_*; rights of folders and files */
void doctor_ports(struct doctor *d);
void doctor_pools(struct doctor *d);
void doctor_here_end(struct doctor *d);

/* ---- doctor_node.c: a gateway or agent that has joined ---- */
void doctor_node(struct doctor *d, enum wire_kind kind);

/* ---- doctor_tailnet.c ---- */
void doctor_tailnet(struct doctor *d);

/* ---- doctor_fleet.c ---- */
void doctor_fleet(struct doctor *d);
