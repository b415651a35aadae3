/*
 * store/store.h - control's database: opened by URL, asked by jobs.
 *
 * Does:   runs each job inside one transaction and says when it is durable. Jobs that change run one after another in the
 *         writing thread (several share one commit when they wait together); jobs that only read run in a second thread
 *         with a connection of their own, so that a slow page holds up no change.
 * Not:    what is stored (see change.h and the families); when to try again what the world refused.
 * Thread: all of this is for one thread, the loop's; a job's `run` is called in a helper thread and touches nothing but the
 *         job and its transaction. Without a loop there is no thread: store_run does the work in the caller's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/report.h"
#include "base/str.h"
#include "io/loop.h"

struct store;
struct store_txn;
struct store_job;

/* Stands in a job's `reason` when the disk is full: nothing was changed, and reading goes on. */
#define STORE_FULL_WORDS "free some space; nothing was changed"

enum {
        STORE_ORG_DEFAULT = 1,   /* there from the start */
        STORE_QUEUE_MAX = 4096,  /* jobs a thread may have waiting; then ERR_AGAIN */
        STORE_REASON_BYTES = 240 /* with NUL */
};

/*
 * In the helper thread, inside a transaction. It may be called again from the start (another control was faster, the
 * connection broke): what it writes into the job must not depend on an earlier try. An error takes back all it did.
 * After a statement failed (ERR_EXISTS, ERR_IO, …) the transaction is lost whatever `run` returns; a row that get, update or
 * remove did not find, or found changed (ERR_NOT_FOUND, ERR_STALE), loses nothing.
 */
typedef enum err store_run_fn(struct store_job *job, struct store_txn *t);

/* On the loop's thread. ERR_OK: the change is durable. The job is the owner's again, who may free it here. */
typedef void store_done_fn(struct store_job *job, enum err e);

/* Embedded in its owner. */
struct store_job {
        store_run_fn *run;
        store_done_fn *done;             /* not used by store_run */
        bool is_read;                    /* `run` changes nothing: it may run beside others, on a snapshot */
        char reason[STORE_REASON_BYTES]; /* after an error: what the database said, for logs; else empty */
        /* private */
        struct list node;
        enum err err;
        bool may_retry;
};

struct store_options {
        struct loop *loop; /* NULL: jobs by store_run only */
        bool must_exist;   /* do not make a new one */
        bool is_read_only; /* nothing is written, made or migrated: to look at a store, or at a backup. Without a loop */
        unix_ms (*clock)(void); /* NULL: the system's */
        /* The outbox grew, by this program's changes or another control's: read on from where you were (outbox.h). On the loop's
         * thread, after the `done` of the jobs that did it. May be NULL. */
        void (*on_change)(void *context);
        void *context;
};

/*
 * Opens, checks and migrates forward; then starts the threads. Blocks: for the start of a program. Keeps `options`'
 * loop and context until store_close. One program opens a SQLite store: a second is refused with the first one's
 * process number. ERR_CONFIG (URL), ERR_EXISTS (in use), ERR_MALFORMED (damaged, or not a store), ERR_UNSUPPORTED (newer
 * than this program), ERR_NOT_FOUND (must_exist), ERR_IO and others: the report says what and what to do.
 */
MUST_USE
enum err store_open(struct str url, const struct store_options *options, struct report *r,
                    struct store **out);

/*
 * Finishes the jobs that were submitted (blocks until then) and calls their `done` before it returns. Not from inside
 * a `done`. close(NULL) is fine.
 */
void store_close(struct store *s);

/* Keeps `job` until its `done`. ERR_AGAIN: STORE_QUEUE_MAX jobs wait already, answer 503. ERR_CLOSED: closing. */
MUST_USE
enum err store_submit(struct store *s, struct store_job *job);

/* Runs it now, in this thread; for a store without a loop. Borrows `job`; `done` is not called. */
MUST_USE
enum err store_run(struct store *s, struct store_job *job);

/* When this transaction began: one time for all its rows. */
unix_ms store_now(const struct store_txn *t);

struct store_stats {
        uint64_t changes_count, reads_count; /* jobs done, of either kind */
        uint64_t failed_count;               /* of them, with an error */
        uint64_t refused_count;              /* ERR_AGAIN of store_submit */
        uint64_t commits_count; /* transactions that changed something: fewer than changes when they shared */
        size_t waiting_count;   /* submitted, not done */
};
void store_stats(const struct store *s, struct store_stats *out);

/* Other programs may have it open, too: PostgreSQL. */
bool store_is_shared(const struct store *s);

/* The engine and its version, for the log: "SQLite 3.40.1". */
struct str store_engine(const struct store *s);
