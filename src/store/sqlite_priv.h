/*
 * store/sqlite_priv.h - the file that says whose a SQLite store is.
 */
#pragma once

#include "base/err.h"
#include "base/report.h"

/*
 * PATH.lock, locked for as long as *fd_out is open, with our process number in it. The file stays: taking it away could let two
 * in. ERR_EXISTS: another program has the store, the report names it.
 */
MUST_USE enum err store_sqlite_lock(const char *path, struct report *r, int *fd_out);

/* The same for who only reads: a file without a lock beside it (a backup) gets none, *fd_out is -1. */
MUST_USE enum err store_sqlite_lock_if_any(const char *path, struct report *r, int *fd_out);

/* What to do about an errno, to stand behind its text; may be empty. */
const char *store_sqlite_advice(int number);
