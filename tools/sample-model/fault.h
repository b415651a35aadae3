/*
 * fault.h - what a test asks the server to do wrong, as "status=503;retry-after=2" or "cut-after=3".
 *
 * Named by the field x-sample-fault or the query's "fault" for one request, by --fault or PUT /fault for all.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

enum fault_kind {
        FAULT_NONE,
        FAULT_STATUS,    /* status=N: an error answer in the dialect asked */
        FAULT_RESET,     /* reset: TCP RST before any byte */
        FAULT_CLOSE,     /* close: FIN before any byte */
        FAULT_STALL,     /* stall: never a byte */
        FAULT_GARBAGE,   /* garbage: bytes that are not HTTP */
        FAULT_SLOW_HEAD, /* slow-head=MS: the head a byte every MS milliseconds */
        FAULT_SURPLUS,   /* surplus: a second answer nobody asked for behind the right one */
        FAULT_CUT,       /* cut-after=N: FIN after N events of a stream, or N bytes of a body */
        FAULT_CUT_RESET, /* reset-after=N: the same with RST */
        FAULT_HANG,      /* stall-after=N: silence from there on */
        FAULT_RUBBISH,   /* garbage-after=N: bytes that are no chunk */
        FAULT_ERROR      /* error-after=N: an error event of the dialect, then a clean end */
};

enum fault_retry { FAULT_RETRY_UNSAID, FAULT_RETRY_YES, FAULT_RETRY_NO };

struct fault {
        enum fault_kind kind;
        unsigned number;               /* of the kind: status, milliseconds, events */
        unsigned retry_after;          /* retry-after=SECONDS; 0: unsaid */
        enum fault_retry should_retry; /* should-retry=true|false */
        unsigned until_retry; /* until-retry=N: only while x-stainless-retry-count is below N; 0: always */
        unsigned first; /* first=N: only the first N requests since it was set (for all requests only) */
        char path[64];  /* path=/v1/: only targets that begin so */
};

bool fault_parse(struct str text, struct fault *out);
