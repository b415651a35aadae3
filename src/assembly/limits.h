/*
 * assembly/limits.h - limits and look-ups of a configuration as a snapshot's.
 */
#pragma once

#include "conf/conf.h"
#include "proxy/snapshot.h"

void assembly_limits(const struct conf_gateway *g, struct snapshot *s);
