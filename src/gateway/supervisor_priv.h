/*
 * gateway/supervisor_priv.h - the supervisor's nouns: its places for workers, its sockets, its configuration.
 *
 * One process, one thread, one loop. supervisor.c begins, ends and hears signals; places.c has the workers, keyholder.c
 * the key holder, sockets.c what is listened on, reload.c the configuration, which reader.c reads.
 */
#pragma once

#include <sys/types.h>

#include "conf/conf.h"
#include "gateway/board.h"
#include "gateway/child.h"
#include "gateway/envkeeper.h"
#include "gateway/gateway.h"
#include "gateway/message.h"
#include "gateway/reader.h"
#include "gateway/watchdog.h"
#include "io/listener.h"
#include "io/logsink.h"
#include "io/mailbox.h"
#include "io/service.h"
#include "io/signals.h"
#include "io/tls.h"
#include "llm/llm.h"
#include "node/state.h"
#include "proxy/shared.h"

enum {
        WORKERS_MAX = 64,
        KEYHOLDER_BEATS_AT = WORKERS_MAX,
        LISTENS_MAX = MAILBOX_FDS_MAX - 4,
        RESTART_MS_MAX = 5000
};

struct supervisor;

struct place { /* where a worker runs */
        struct mailbox mailbox;
        struct supervisor *supervisor;
        struct timer restart;
        unsigned index;
        pid_t pid;       /* 0: none */
        uint32_t deaths; /* in quick succession */
        mono_ms started_at;
        mono_ms died_at;        /* 0: the first one here */
        uint64_t applied;       /* the configuration it said is in force */
        struct sandbox sandbox; /* as it said */
        int fds[LISTENS_MAX];
};

/* One supervisor following another: succession.c. */
struct succession {
        struct mailbox mailbox; /* to the new one */
        pid_t pid;              /* of the new one, until it is ready; 0: none */
        struct timer timer;     /* how long it may take; then, when it is told what was counted */
        bool is_done;           /* it is the service now */
        struct mailbox before;  /* to the old one, once it was told */
        int metrics_fd;         /* what the old one had counted, until it was taken; -1 */
        int predecessor_fd;     /* of the old one, until it was told; -1 */
        char program[4096];
        struct buf arguments;
};

struct keyholder {
        struct mailbox mailbox;
        struct timer restart, patience;
        struct reader reader; /* of the keys, for a new one */
        pid_t pid;            /* 0: none */
        uint32_t deaths;      /* in quick succession */
        mono_ms started_at;
        mono_ms died_at; /* 0: the first one */
        uint64_t held;   /* the configuration whose keys it said it has */
};

/* The process that speaks with control: nodekeeper.c. */
struct nodekeeper {
        struct child child;
        bool is_on;
        char folder[NODE_PATH_MAX]; /* the state folder; empty: this gateway is nobody's */
        bool is_asked;              /* a document waits to be read */
        bool is_read;               /* the reload that is under way reads it */
};

/* The process that speaks with tailscaled: tailnetkeeper.c. */
struct tailnetkeeper {
        struct child child;
        char socket[108];
        struct message_tailnet ours; /* as it said last */
};

/* The tailnet's own certificate: tailnetpair.c. */
struct tailnetpair {
        struct reader reader; /* asks for it */
        struct timer again;
        int fd;             /* key and chain, never mapped here; -1: none yet */
        uint8_t sha256[32]; /* of it, and its end in seconds since 1970 */
        int64_t not_after;
        bool is_new, is_read; /* no configuration in force has it; the one that is being read will */
        bool asks_again;
        uint32_t failures;
        char said[200]; /* the problem that was logged last; empty: none */
};

/* The process that has our place in the overlay: meshkeeper.c. */
struct meshkeeper {
        struct child child;
        uint16_t port;
        bool is_impossible; /* on this system; said in the log */
};

struct supervisor {
        const struct gateway_options *options;
        struct loop *loop;
        struct signals signals;
        struct shared shared;
        struct llm_shared *llm_shared;
        struct log_sink log;
        uint8_t ticket_keys[2][TLS_TICKET_KEY_BYTES]; /* the present one, the one before */
        unsigned ticket_keys_count;                   /* 1 at the start: a predecessor's */
        struct succession succession;
        struct envkeeper environment;

        /* the configuration: reload.c */
        struct conf *conf;
        int bundle_fd; /* what it was read from, as workers get it */
        uint64_t number;
        struct reader reader;
        struct reading staged; /* the next one, until the key holder has its keys; conf NULL: none */
        bool wants_reload;     /* when what is under way is over */

        /* the sockets: sockets.c */
        struct listen_address addresses[LISTENS_MAX];
        size_t listens_count;
        struct service_socket
                handed[SERVICE_SOCKETS_MAX]; /* by the service manager; kept open for later reloads */
        size_t handed_count;

        /* the workers: places.c */
        struct place places[WORKERS_MAX];
        unsigned workers_count, running_count;
        struct watchdog watchdog;
        struct board *board;
        struct sandbox_user user; /* theirs, and the key holder's */
        struct keyholder keyholder;
        struct nodekeeper node;
        struct tailnetkeeper tailnet;
        struct tailnetpair pair;
        struct meshkeeper mesh;
        int access_fd; /* the access log's file; -1: none */

        bool is_stopping, was_ready, is_reloading;
        struct timer kill_timer, alive_timer, tickets_timer;
        int exit_status;
};

/* ---- reload.c ---- */

void reload(struct supervisor *s);
/* The key holder has the keys of the configuration that is staged, or will not have them. Nothing where none is. */
void reload_keys_held(struct supervisor *s, bool ok);
/* Every worker has it, or it was refused; `text` says why, or what. */
void reload_over(struct supervisor *s, bool is_applied, struct str text);

/* Our addresses in the tailnet may have changed: its listeners follow, with the configuration that is in force. */
void reload_addresses(struct supervisor *s);

/* ---- nodekeeper.c ---- */

void nodekeeper_init(struct supervisor *s); /* before the first reading */
/* Without a configuration file what there is to serve stands in control's document: waits for the first one. ERR_DENIED: there
 * will be none, and why was said. Blocks. */
MUST_USE enum err nodekeeper_first(struct supervisor *s);
/* The file alone cannot be used, and nothing of control's was there to complete it, certificates say: waits for the first document. True: it
 * came, and reading once more may go well. Blocks. */
MUST_USE bool nodekeeper_completes(struct supervisor *s);
void nodekeeper_start(struct supervisor *s);
void nodekeeper_died(struct supervisor *s, int status);
void nodekeeper_end(struct supervisor *s);
void nodekeeper_reads(struct supervisor *s);                                  /* a reload begins */
void nodekeeper_told(struct supervisor *s, bool is_applied, struct str text); /* it is over */

/* ---- tailnetkeeper.c ---- */

void tailnetkeeper_init(struct supervisor *s);
void tailnetkeeper_follow(
        struct supervisor *s); /* a configuration is in force that may want it, or not any more */
/* A worker's end of a new channel; -1: there is none. */
int tailnetkeeper_channel(struct supervisor *s, unsigned worker);
void tailnetkeeper_died(struct supervisor *s, int status);
void tailnetkeeper_end(struct supervisor *s);

/* ---- tailnetpair.c ---- */

void tailnetpair_init(struct supervisor *s);
void tailnetpair_follow(struct supervisor *s);   /* as tailnetkeeper_follow */
void tailnetpair_ask(struct supervisor *s);      /* now: what tailscaled offers may have changed */
void tailnetpair_read(struct supervisor *s);     /* a reload begins to read the files */
void tailnetpair_in_force(struct supervisor *s); /* what it read is in force */

/* ---- meshkeeper.c ---- */

void meshkeeper_init(struct supervisor *s);
void meshkeeper_follow(struct supervisor *s); /* a configuration is in force, and with it what is stored */
/* A worker's end of a new channel; -1: there is none. */
int meshkeeper_channel(struct supervisor *s, unsigned worker);
void meshkeeper_died(struct supervisor *s, int status);
void meshkeeper_end(struct supervisor *s);

/* ---- sockets.c ---- */

/* gateway.listens, then the admin's: the order of the snapshot. ERR_TOO_LARGE. */
MUST_USE enum err addresses_list(const struct supervisor *s, const struct conf *c,
                                 struct listen_address out[LISTENS_MAX], size_t *count);
/* Opens what the new list has and the old has not, keeps what both have, and only then closes what is no longer wanted.
 * On an error, which was told, nothing changed. What control published (`c` knows) and cannot be opened is told, too, stays
 * closed and is tried again with the next change. */
MUST_USE enum err sockets_change(struct supervisor *s, const struct conf *c,
                                 const struct listen_address *wanted, size_t wanted_count);
bool socket_is_open(int fd); /* a listening socket, no placeholder */
void fds_close(const int *fds, size_t count);

bool listen_address_eq(const struct listen_address *a, const struct listen_address *b);

/* ---- succession.c ---- */

void succession_init(struct supervisor *s);      /* before anything changes: how we were started */
void succession_take(struct supervisor *s);      /* what an old supervisor hands over, where there is one */
void succession_metrics(struct supervisor *s);   /* its counters, once there is a place for them */
void succession_say_ready(struct supervisor *s); /* to the old one: it may go */
void succession_end(struct supervisor *s);       /* the last of what was counted goes to the new one */
void upgrade(struct supervisor *s);

/* ---- supervisor.c ---- */

void supervisor_drain(struct supervisor *s, bool is_patient); /* and end */

/* ---- places.c ---- */

/* Opens the access log's file of the configuration in force, where it has one, in place of the one before. */
void access_file_open(struct supervisor *s);

void places_init(struct supervisor *s);
/* In a new child: closes what is the supervisor's and other workers'; the sockets of `kept` stay. */
void child_forget(struct supervisor *s, const struct place *kept);
void ready_look(struct supervisor *s); /* are we there? says so once */
MUST_USE enum err worker_start(struct supervisor *s, struct place *p);
void children_reap(struct supervisor *s);
void workers_kill(struct supervisor *s);

/* ---- keyholder.c ---- */

void keyholder_init(struct supervisor *s);
bool keyholder_is_wanted(const struct conf *c);
/* `keys_fd` is what it is about to be given, and must not be born with; -1: nothing. */
MUST_USE enum err keyholder_start(struct supervisor *s, int keys_fd);
/* The keys of the configuration of that number. */
MUST_USE enum err keyholder_give(struct supervisor *s, uint64_t number, int keys_fd);
/* A worker's end of a new channel; -1: there is none. */
int keyholder_channel(struct supervisor *s, unsigned worker);
void keyholder_connect(struct supervisor *s);                  /* a channel for every worker that runs */
void keyholder_stuck(struct supervisor *s, int64_t silent_ms); /* its death is mended like any other */
void keyholder_died(struct supervisor *s, int status);
void keyholder_end(struct supervisor *s);
