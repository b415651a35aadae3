/*
 * gateway/worker_channel.h - a way between a worker and another of the supervisor's processes, past the supervisor.
 */
#pragma once

#include "io/mailbox.h"

/*
 * One end goes to the process behind `m` as MESSAGE_CHANNEL; gives the other, for the worker. -1 and a line in the log, by the
 * process's name: there is none.
 */
int worker_channel_open(struct mailbox *m, unsigned worker, const char *process);
