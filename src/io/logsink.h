/*
 * io/logsink.h - lines to a descriptor without ever waiting for it: what does not fit is dropped and counted.
 *
 * Lines are gathered and written at the end of the loop's turn, or when 64 KiB are full; without a loop each at once. A
 * pipe or a terminal that is slow loses whole lines, never parts, and dropped_count says how many.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "io/journal.h"
#include "io/loop.h"

struct log_sink {
        uint64_t dropped_count;
        /* private */
        struct loop *loop; /* NULL: each line at once */
        int fd;
        bool is_ours;            /* close it */
        bool is_file;            /* regular: one write for all that was gathered */
        struct journal *journal; /* the lines go there, not to fd */
        struct buf lines;
};

/* Keeps `fd`, which stays the caller's. `l` may be NULL. */
void log_sink_open(struct log_sink *s, int fd, struct loop *l);

/* Appends to the file (made with mode 0640 where there is none). */
MUST_USE
enum err log_sink_open_file(struct log_sink *s, const char *path, struct loop *l);

/* The file, to append to (made with mode 0640 where there is none): for a process that hands it to another. */
MUST_USE
enum err log_file_open(const char *path, int *fd);

/* Where it goes from now on: for a reload and for log rotation. Writes what was gathered to the old place first. */
void log_sink_move(struct log_sink *s, int fd);
MUST_USE
enum err log_sink_move_file(struct log_sink *s, const char *path);
/* Keeps `journal` until the next move or the close. */
void log_sink_move_journal(struct log_sink *s, struct journal *journal);

void log_sink_write(void *sink, struct str line); /* a log_sink of base/log.h */
void log_sink_flush(void *sink);
void log_sink_close(struct log_sink *s);
