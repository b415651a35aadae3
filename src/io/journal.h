/*
 * io/journal.h - lines to systemd's journal, by its native protocol: one datagram an entry, nothing waits.
 *
 * Source: systemd's "Native Journal Protocol": fields as NAME=value and a line end; a value with a line end in it as
 * NAME, a line end, its length as 64 bits little endian, the value, a line end. Not: entries that do not fit a datagram
 * (they would need a memfd): they are refused, and the caller counts them.
 * Thread: the caller's.
 */
#pragma once

#include <sys/un.h>

#include "base/buf.h"
#include "base/err.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

enum { JOURNAL_LINE_BYTES_MAX = 64 * 1024 };

struct journal {
        int fd; /* -1: closed */
        /* private */
        struct sockaddr_un to; /* named with each entry, so that a journal that was restarted is met again */
        struct buf entry;
};

/* Whether anything listens at `path` shows with the first entry. ERR_MALFORMED: the path is too long or empty. */
MUST_USE enum err journal_open(struct journal *j, struct str path);
void journal_close(struct journal *j);

/* One entry: MESSAGE is `line` without its line end, PRIORITY the syslog level (6: information). Borrows it. Never waits:
 * ERR_AGAIN the journal is behind, ERR_TOO_LARGE, ERR_REFUSED nobody listens, or what else the system says. */
MUST_USE enum err journal_write(struct journal *j, unsigned priority, struct str line);
