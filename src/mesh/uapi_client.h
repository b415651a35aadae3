/*
 * mesh/uapi_client.h - asking a WireGuard in userspace through its socket, and waiting: for commands.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/*
 * Sends one request and appends the answer, with its errno line. ERR_NOT_FOUND: no interface of that name listens;
 * ERR_DENIED; ERR_TIMED_OUT after 10 s; ERR_MALFORMED: no whole answer came.
 */
MUST_USE enum err mesh_uapi_call(struct str interface_name, struct str request, struct buf *answer);

/* The errno of an answer; -1 when it has none. */
int mesh_uapi_errno(struct str answer);

/* The names that listen, one a line. A socket nobody answers at is left out. */
MUST_USE enum err mesh_uapi_names(struct buf *out);
