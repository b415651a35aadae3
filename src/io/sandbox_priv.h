/*
 * io/sandbox_priv.h - the two kernel fences of a sandbox.
 */
#pragma once

#include "io/sandbox.h"

/* After no_new_privs, for all threads. False: the kernel has no such filter. */
bool seccomp_enter(enum sandbox_role role);
/* No file system but the paths (NULL: none of it); the version in force, 0: none. */
int landlock_enter(enum sandbox_role role, const struct sandbox_paths *paths);

/* The build has a sanitizer, which reads files and traces threads for its reports. */
#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX_IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANDBOX_IS_SANITIZED 1
#endif
#endif
#ifndef SANDBOX_IS_SANITIZED
#define SANDBOX_IS_SANITIZED 0
#endif
