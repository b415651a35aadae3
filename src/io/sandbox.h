/*
 * io/sandbox.h - a process closes itself in: another user, no capabilities, no file system, only the calls it needs.
 *
 * Source: prctl(2), capabilities(7), seccomp(2), landlock(7). Linux on x86-64 and arm64; where the kernel has a part not,
 * sandbox_enter goes on without it and says so in what it gives: the caller tells the operator.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/compiler.h"
#include "base/err.h"

enum sandbox_role {
        SANDBOX_WORKER, /* streams and datagrams of the internet and of Unix sockets, memory, time; what is open stays so */
        SANDBOX_KEYS, /* no sockets but those it has */
};

struct sandbox_user {
        bool is_set; /* else the user stays who he is */
        uid_t uid;
        gid_t gid;
};

/* What is in force. */
struct sandbox {
        int32_t landlock; /* the interface's version; 0: the kernel has none, files are only kept away by the filter */
        uint32_t uid;
        bool has_new_user;
        bool has_no_privileges;   /* no_new_privs */
        bool has_no_capabilities; /* effective, permitted, inheritable, ambient, and where it may: bounding */
        bool has_filter;          /* seccomp */
        bool has_no_dumps;        /* no core, no ptrace by the same user */
};

/* The user of this name and his first group. ERR_NOT_FOUND. Blocks. */
MUST_USE enum err sandbox_user_find(const char *name, struct sandbox_user *out);

/*
 * For the rest of the process's life; it must have one thread. A refused call ends the process with SIGSYS, after a line
 * on stderr that names the call. ERR_DENIED: the user could not be changed, and nothing may be served: end. Everything
 * that is to be read from files must have been read before (tls_prepare in io/tls.h).
 */
MUST_USE enum err sandbox_enter(enum sandbox_role role, const struct sandbox_user *user, struct sandbox *out);
