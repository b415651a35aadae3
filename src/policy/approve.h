/*
 * policy/approve.h - what the policy approves without asking: routes, exit nodes, services; who may give a tag.
 */
#pragma once

#include <stdbool.h>

#include "base/compiler.h"
#include "policy/tables.h"

/* An advertised route is approved when it is equal to, or inside, a listed prefix and the machine is an approver of it. */
bool policy_approves_route(const struct policy_tables *t, const struct policy_node_entry *node,
                           struct ip_prefix route);

/* autoApprovers.services: by the service's name, or by one of the machine's tags that stands for all services. */
bool policy_approves_service(const struct policy_tables *t, const struct policy_node_entry *node,
                             struct str service);

/* Whether the user owns the tag: named, by a group or role, or through a tag that owns it. Administrators own all. */
bool policy_user_owns_tag(const struct policy_tables *t, const struct policy_user_entry *user,
                          struct str tag);
