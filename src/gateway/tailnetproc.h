/*
 * gateway/tailnetproc.h - the process that speaks with this machine's tailscaled: who callers are, and which addresses are ours.
 *
 * It alone opens tailscaled's socket, and asks two questions only: a status, and whose an address is. A worker that has fallen can ask
 * the second, and nothing else of the LocalAPI, which lets root and its operator change what tailscaled does. One look-up an
 * address at a time, LOOKUPS_MAX of them at once, answers kept for CACHE_MS at the most; all of it is forgotten when tailscaled is
 * gone (docs/decisions/0090-the-tailnet-is-asked-by-a-process-of-its-own.md).
 */
#pragma once

#include "base/str.h"
#include "gateway/board.h"
#include "io/sandbox.h"

enum { TAILNETPROC_LOOKUPS_MAX = 8, TAILNETPROC_ENTRIES_MAX = 4096, TAILNETPROC_CACHE_MS = 55 * 1000 };

struct tailnetproc_input {
        int mailbox_fd;
        struct str socket; /* tailscaled's */
        struct sandbox_user user;
        struct board *board;
};

/* A new process's whole life; gives its exit status. */
int tailnetproc_run(const struct tailnetproc_input *in);
