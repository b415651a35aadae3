/*
 * io/process.h - facts and settings of this process, its wall clock, and word to a service manager.
 */
#pragma once

#include <stdint.h>

#include "base/clock.h"

unsigned process_cpus(void);   /* CPUs of the affinity mask; at least 1 */
unix_ms process_wall_ms(void); /* read now: for log lines and commands; a turn has loop_wall */

/* Raises the soft limit of descriptors to the hard one; returns it. */
uint64_t process_raise_fd_limit(void);

/* "READY=1" to the service manager where it asked for it (sd_notify(3), NOTIFY_SOCKET); else nothing. */
void process_notify(const char *state);
