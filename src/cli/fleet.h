/*
 * cli/fleet.h - the fleet as control knows it, asked once and whole: for `status` and `doctor`.
 *
 * Does:   control's own standing, all nodes with what they last reported, all services with their targets; what of it is wrong.
 * Not:    what is on this machine (doctor_here.c).
 */
#pragma once

#include "cli/finding.h"
#include "cli/remote.h"

struct fleet_list {
        const struct json_value **items;
        size_t count;
};

struct fleet {
        struct remote remote; /* answers stand in its arena */
        const struct json_value *status;
        struct fleet_list nodes, services, certificates;
};

/* Asks control. What is wrong is printed, and the code says of which kind. fleet_close also after an error. */
MUST_USE enum exit_code fleet_open(struct fleet *f, struct str server, struct str key);
void fleet_close(struct fleet *f);

/* NULL: there is none of that id. */
const struct json_value *fleet_node_find(const struct fleet *f, struct str id);
/* What the target's agent last said of it; NULL: nothing. */
const struct json_value *fleet_health_find(const struct fleet *f, const struct json_value *target);

/* Control itself, which the gateways ask without an agent. */
bool fleet_is_control(const struct json_value *target);

/* Each thing that is not as it should be. */
void fleet_judge(const struct fleet *f, struct findings *out);

/* As text for a terminal: control, gateways, agents with links, services with targets. */
void fleet_say(const struct fleet *f);
/* {"control", "nodes", "services", "problems"}: the objects as control gave them. */
void fleet_say_json(const struct fleet *f, const struct findings *problems);

/* A text member, empty where there is none; a number, 0; a truth, false. */
struct str fleet_text(const struct json_value *v, const char *name);
int64_t fleet_number(const struct json_value *v, const char *name);
bool fleet_is(const struct json_value *v, const char *name);
