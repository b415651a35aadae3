/*
 * gateway/board.h - what the processes of one gateway tell about themselves, in memory they share; `sekisho status` shows it.
 *
 * The supervisor writes all but a row's `connections`, which is its worker's, and the key holder's counts. Readers take what they find: a fallen worker
 * could write nonsense here, and nobody decides anything by it.
 */
#pragma once

#include <stdatomic.h>

#include "io/sandbox.h"
#include "proxy/worker.h"
#include "json/writer.h"

enum { BOARD_ROWS_MAX = 64, BOARD_TEXT_BYTES = 256 };

struct board_row {
        int32_t pid; /* 0: nobody works here now */
        uint32_t deaths;
        unix_ms started_at;
        uint64_t number; /* the configuration in force there */
        struct sandbox sandbox;
        _Atomic uint64_t connections;
};

/* The key holder's. It writes what is atomic, the supervisor the rest. */
struct board_keys {
        int32_t pid; /* 0: there is none now, or none is needed */
        uint32_t deaths;
        unix_ms started_at;
        struct sandbox sandbox;
        _Atomic uint64_t keys, signatures, refused, dropped;
        _Atomic bool is_locked; /* the keys lie in memory that is not swapped */
};

/* How we stand with control. The process that speaks with it writes it (nodeproc.h). */
struct board_control {
        _Atomic bool is_on;              /* this gateway has joined, or is to */
        _Atomic bool is_connected;       /* welcomed */
        _Atomic uint64_t epoch, version; /* of the document; 0: none */
        _Atomic int64_t lease_end;       /* seconds since 1970; 0: none */
        struct sandbox sandbox;          /* of the process that speaks with it */
};

/* The tailnet's, and what its process says of it. The supervisor writes it, the process only how it is closed in. */
struct board_tailnet {
        int32_t pid; /* 0: there is none now, or none is needed */
        uint32_t deaths;
        bool is_running;                    /* tailscaled answers, and is connected */
        struct ip v4, v6;                   /* ours; family 0: none */
        char certificate[BOARD_TEXT_BYTES]; /* the name it is for; empty: none is offered */
        char problem[BOARD_TEXT_BYTES];     /* why there is no newer one; empty: nothing is wrong */
        int64_t not_after;                  /* seconds since 1970; 0: there is none yet */
        struct sandbox sandbox;
};

struct board {
        int32_t pid; /* the supervisor's */
        unsigned rows_count;
        unix_ms started_at;
        unix_ms reload_at; /* 0: none yet */
        bool reload_ok;
        char reload_text[BOARD_TEXT_BYTES];
        struct board_keys keys;
        struct board_control control;
        struct board_tailnet tailnet;
        struct board_row rows[BOARD_ROWS_MAX];
};

/* Before the first fork; lives as long as the processes. NULL when memory runs out. */
MUST_USE struct board *board_new(unsigned rows_count, unix_ms now);
struct message_tailnet;
void board_tailnet_set(struct board *b, const struct message_tailnet *ours);
void board_reload_set(struct board *b, bool ok, struct str text, unix_ms now);

/* The whole status as one JSON object, for the worker `w`. */
void board_write(const struct board *b, const struct worker *w, unix_ms now, struct json_writer *out);
