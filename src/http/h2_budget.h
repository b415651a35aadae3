/*
 * http/h2_budget.h - what one HTTP/2 connection may cost beyond its requests: floods seen in the bytes, before the library.
 *
 * Does:   follows frame headers in what a client sends and counts each kind that costs work and carries nothing, in buckets
 *         that fill again; judges the share of streams that were reset.
 * Not:    the frames' meaning: that is the session's. Streams at a time: the session and its caller.
 *
 * Sources: reliability findings 8 and 9, T5 and 3.2; CVE-2023-44487, CVE-2024-27316, CVE-2019-9511 to 9518, CVE-2025-8671.
 */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/str.h"

enum {
        H2_BLOCK_BYTES_MAX = 32 * 1024, /* of one compressed list */
        H2_CONTINUATIONS_MAX = 8,       /* frames a list may go on in */
        H2_RESET_STREAMS = 500,         /* judged from here on: half of them reset is a flood */
        H2_RESET_AGE_MS = 1000,         /* a stream reset later than this was honest work */
        H2_DOUBTS = 8,                  /* so many streams that came to nothing, in a second */
        H2_BITE_LISTS = 4,              /* lists of fields looked at in one call; one when it is doubtful */
        H2_BITE_FRAMES = 64             /* frames of any kind, when it is doubtful */
};

/* Each kind's bucket: frames at once, and how many come back in a second. */
#define H2_BUCKET_LIST(X)                                \
        X(SETTINGS, "h2_settings", 100, 5)               \
        X(PING, "h2_ping", 500, 50)                      \
        X(PRIORITY, "h2_priority", 1000, 100)            \
        X(EMPTY_DATA, "h2_empty_data", 100, 10)          \
        X(EMPTY_HEADERS, "h2_empty_headers", 100, 10)    \
        X(WINDOW_UPDATE, "h2_window_update", 2000, 1000) \
        X(RST_STREAM, "h2_reset_frames", 2000, 500)      \
        X(UNKNOWN, "h2_unknown_frames", 100, 10)

enum h2_bucket {
#define X(name, reason, burst, per_second) H2_BUCKET_##name,
        H2_BUCKET_LIST(X)
#undef X
                H2_BUCKETS
};

struct h2_budget {
        bool is_violation;   /* with a reason: the protocol was broken, rather than a budget passed */
        uint32_t stream;     /* of the frame whose header was seen last */
        uint8_t data_header; /* bytes of a DATA header that the last call ended with; 0: it did not */
        /* private */
        uint8_t magic_left; /* of the client's preface */
        uint8_t header[9];  /* a frame header being gathered */
        uint8_t header_len;
        uint32_t payload_left; /* of the frame under way */
        uint8_t dependency[4], dependency_len;
        bool has_dependency; /* it is PRIORITY */
        uint32_t block_bytes;
        uint16_t continuations;
        uint16_t streams, resets; /* of the present window of streams */
        uint16_t doubts;
        bool is_wasteful;   /* during a call: half of a bucket is gone */
        mono_ms doubted_at; /* the first of them, or the last once it is doubtful */
        int32_t tokens[H2_BUCKETS];
        mono_ms filled_at;
};

void h2_budget_init(struct h2_budget *b, mono_ms now);

/*
 * Looks at bytes before the session has them, up to the next header of a DATA frame, a few lists or the end: returns how many
 * it looked at. *reason_out: NULL, or the word of the budget that was passed: nothing of `in` is to be given on, and the connection
 * ends with ENHANCE_YOUR_CALM. A stream that depends on itself is seen here too, since priorities are nobody's else
 * (is_violation).
 */
MUST_USE size_t h2_budget_receive(struct h2_budget *b, struct str in, mono_ms now, const char **reason_out);

/* A stream ended by RST_STREAM, whoever sent it for whatever the client did, `age_ms` after it began. As above. */
MUST_USE const char *h2_budget_reset(struct h2_budget *b, mono_ms age_ms);
void h2_budget_opened(struct h2_budget *b);

/* A stream came to nothing: reset, refused, or not what it should be. With many of them in short time the connection is
 * doubtful, long before any budget is passed: honest ones, too, may be for a while. */
void h2_budget_doubt(struct h2_budget *b, mono_ms now);
bool h2_budget_is_doubtful(const struct h2_budget *b, mono_ms now);

/* A DATA frame was sent: its reader may answer with window updates. */
void h2_budget_data_sent(struct h2_budget *b);
