/*
 * io/sandbox.h - a process closes itself in: another user, no capabilities, no file system or a few folders of it, only the
 * calls it needs.
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
#include "base/str.h"

enum sandbox_role {
        SANDBOX_WORKER, /* streams and datagrams of the internet and of Unix sockets, memory, time; what is open stays so */
        SANDBOX_KEYS, /* no sockets but those it has */
        SANDBOX_NODE, /* a worker's, and files in the folders that are named: an agent, the process that speaks with control */
        SANDBOX_CONTROL, /* a node's, and threads, and what a database asks */
};

struct sandbox_user {
        bool is_set; /* else the user stays who he is */
        uid_t uid;
        gid_t gid;
};

/* Folders and files that stay within reach, with all below them; what is not there is left out. For a worker and a key holder: none. */
enum { SANDBOX_PATHS_MAX = 64, SANDBOX_PATH_BYTES_MAX = 1024 };
struct sandbox_paths {
        size_t count;
        struct sandbox_path {
                char path[SANDBOX_PATH_BYTES_MAX];
                bool may_write; /* and make, and remove; else read */
        } at[SANDBOX_PATHS_MAX];
};
/* Borrows `path`; too long a one, or one too many, is left out: not within reach. */
void sandbox_paths_add(struct sandbox_paths *p, struct str path, bool may_write);
void sandbox_paths_add_folder_of(struct sandbox_paths *p, struct str file, bool may_write);
/* What a program reads that looks up names and verifies certificates: /etc, the authorities, where resolv.conf really lies. */
void sandbox_paths_add_system(struct sandbox_paths *p);

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

/*
 * The same in two parts, for a process that has threads, and with paths (may be NULL). All but the filter: before there are
 * threads, which inherit it. Then the filter, for all threads there are.
 */
MUST_USE enum err sandbox_fence(enum sandbox_role role, const struct sandbox_user *user,
                                const struct sandbox_paths *paths, struct sandbox *out);
void sandbox_filter(enum sandbox_role role, struct sandbox *s);

/* One line of the log on what is in force, and one for each part the kernel does not give. */
void sandbox_log(const struct sandbox *s, const char *process);
/* The same for people: "no privileges, seccomp, landlock 7". */
enum { SANDBOX_TEXT_MAX = 96 };
const char *sandbox_text(const struct sandbox *s, char out[SANDBOX_TEXT_MAX]);
