/*
 * io/file.h - whole small files, read with checks and written atomically. Blocks: for start, reload and commands, never
 * in a worker's turn.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Reads all of `path` (a NUL-terminated name) into `out`, at most out's bound (ERR_TOO_LARGE). Regular files, and
 * what /dev/stdin or a pipe gives. ERR_NOT_FOUND, ERR_DENIED, ERR_IO. On an error `out` may hold a part. */
MUST_USE
enum err file_read(const char *path, struct buf *out);

/* Permission bits of `path` (ERR_NOT_FOUND when absent) and whether it is ours (uid) or root's. */
MUST_USE
enum err file_mode(const char *path, unsigned *mode, bool *is_ours);

/*
 * Writes a temporary file beside `path` (O_EXCL, O_NOFOLLOW, `mode`), fsyncs it, renames it over and fsyncs the folder:
 * after a crash at any moment the old or the new content is there, whole; a PATH.<number>.tmp may then be left, which
 * nobody reads. With `backup`, the old file is kept as PATH.bak first (by link, so that `path` is never absent). A
 * symbolic link at `path` stays, the file it names is replaced; the old file's owner is kept where the system permits.
 */
MUST_USE
enum err file_write_atomic(const char *path, struct str content, unsigned mode, bool backup);

/* mkdir -p with `mode` for the folders it makes. ERR_EXISTS: something else has the name. */
MUST_USE
enum err file_make_folders(const char *path, unsigned mode);
