/*
 * cli/reached.h - where visitors meet what was published, as far as control can tell.
 */
#pragma once

#include "cli/remote.h"

/*
 * ":3443" where all gateways say that they are reached at this port and it is not HTTPS's own; else empty, also for keys that
 * may not look at nodes. Stands in r->arena; r's last answer is another one then.
 */
struct str reached_port(struct remote *r);
