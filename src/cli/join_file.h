/*
 * cli/join_file.h - `--join-file`: a join token from a file, as units, containers and their secrets have it.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

/*
 * The first line of the file at `path` into `out` (to be wiped by the caller), without the space around it. A file that is not
 * there is none, and said: who has joined needs it no more. False: it is there and cannot be read; said, too.
 */
MUST_USE bool join_file_read(struct str path, struct buf *out);
