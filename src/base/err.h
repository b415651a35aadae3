/*
 * base/err.h - the one list of things that go wrong in the world (peer, network, disk, limit).
 *
 * Our own bugs are asserts; an operator's mistakes go into a `struct report` (report.h).
 */
#pragma once

#include "base/compiler.h"

/* clang-format off */
#define ERR_LIST(X)                                                        \
        X(OK,           "ok")                                              \
        X(AGAIN,        "needs more input or output room")                 \
        X(CLOSED,       "the other end closed")                            \
        X(NO_MEMORY,    "out of memory or pool is full")                   \
        X(MALFORMED,    "broke the specification")                         \
        X(UNSUPPORTED,  "valid, but not supported here")                   \
        X(DENIED,       "policy said no")                                  \
        X(TOO_LARGE,    "over a configured limit")                         \
        X(TIMED_OUT,    "took longer than allowed")                        \
        X(REFUSED,      "the other end refused")                           \
        X(UNREACHABLE,  "no way to the other end")                         \
        X(NOT_FOUND,    "there is no such thing")                          \
        X(EXISTS,       "there is one already")                            \
        X(STALE,        "it was changed meanwhile")                        \
        X(TLS,          "TLS failed")                                      \
        X(IO,           "the system reported an I/O error")                \
        X(CONFIG,       "the configuration is wrong")
/* clang-format on */

enum err {
#define X(name, text) ERR_##name,
        ERR_LIST(X)
#undef X
                ERR_COUNT
};

const char *err_name(enum err e); /* "TOO_LARGE" */
const char *err_text(enum err e); /* "over a configured limit" */

/* The nearest entry to an errno value; ERR_IO when there is none. */
enum err err_from_errno(int number);
