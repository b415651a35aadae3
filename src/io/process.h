/*
 * io/process.h - facts and settings of this process, its wall clock, and word to a service manager.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"

unsigned process_cpus(void);   /* CPUs of the affinity mask; at least 1 */
unix_ms process_wall_ms(void); /* read now: for log lines and commands; a turn has loop_wall */

/* What this process was started with: argv, each with a NUL behind it; and the file of its program, as it was named then. */
MUST_USE bool process_arguments(struct buf *out);
MUST_USE bool process_program(char *out, size_t bytes);
/* Becomes `program`, with arguments as process_arguments gave them (64 at most). Returns when it cannot be. */
void process_become(const char *program, struct str arguments);

/* Raises the soft limit of descriptors to the hard one; returns it. */
uint64_t process_raise_fd_limit(void);
uint64_t process_fd_limit(void); /* as it is; 0: not known */

/* The name of the user this process acts for, or its number as text. */
enum { PROCESS_USER_TEXT_MAX = 64 };
const char *process_user(char out[PROCESS_USER_TEXT_MAX]);

/* No core file, no tracing by others of the same user, no reading of /proc/PID/mem: keys live in this memory. For a process
 * that holds them; not in development, where a core is wanted. */
void process_forbid_dumps(void);

/* "READY=1" to the service manager where it asked for it (sd_notify(3), NOTIFY_SOCKET); else nothing. */
void process_notify(const char *state);
