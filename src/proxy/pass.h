/*
 * proxy/pass.h - TLS that does not end here: which of a snapshot's names are passed on unopened, and by which route.
 *
 * A name of its own stands before a wildcard, a longer wildcard before a shorter; and a route's host stands before a wildcard here that
 * says less. What has no name, or one nobody passes on, ends at this gateway. Pure.
 */
#pragma once

#include "proxy/snapshot.h"

/* Puts them in the order of matching. Once, when the snapshot is built. */
void pass_table_sort(struct pass_table *t);

/* How connections that ask for `name` (lower case) are treated; NULL: they end here. */
const struct listen_conf *pass_find(const struct snapshot *s, struct str name);
