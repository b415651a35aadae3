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
        struct board *board;     /* what others see of it */
        bool ends_with_document; /* only to get the first one: what there is to serve stands in it */
};

/* Until the supervisor is gone, or there is a document, where that is all that is wanted. The exit status: 1 also when such a
 * one was refused. */
int nodeproc_run(const struct nodeproc_input *in);
