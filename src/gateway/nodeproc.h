/*
 * gateway/nodeproc.h - the process that speaks with control for this gateway, so that the supervisor parses nothing of it.
 *
 * Does:   joins, keeps the push channel, checks and stores documents, and tells the supervisor that there is one to read.
 * Not:    applying it: the reader (reader.h) makes configuration of it, with everything else (published/published.h).
 */
#pragma once

#include "base/str.h"
#include "gateway/board.h"

struct nodeproc_input {
        int mailbox_fd;
        const char *folder; /* the state folder */
        struct str join;    /* "TOKEN@URL"; may be empty where it has joined */
        struct str name, program;
        struct board *board; /* what others see of it */
};

/* Until the supervisor is gone. The exit status. */
int nodeproc_run(const struct nodeproc_input *in);
