/*
 * io/sandbox_priv.h - the two kernel fences of a sandbox.
 */
#pragma once

#include "io/sandbox.h"

bool seccomp_enter(enum sandbox_role role); /* after no_new_privs. False: the kernel has no such filter */
int landlock_enter(void);                   /* no file system at all; the version in force, 0: none */
