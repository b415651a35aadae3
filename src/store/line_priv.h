/*
 * store/line_priv.h - a helper thread with its connection, and the queue of jobs each way.
 *
 * Thread: submit, deliver and the counters are the loop thread's; the connection is the helper's. `lock` guards the
 * two lists and what stands below them, up to the counters.
 */
#pragma once

#include <pthread.h>

#include "store/backend_priv.h"

enum { LINE_BATCH_MAX = 64 };

struct store_line {
        struct store_conn *conn;
        unix_ms (*clock)(void);
        bool is_writer, has_thread;
        pthread_t thread;
        int wake_fd; /* eventfd: there are jobs, or it is time to end */
        int told_fd; /* the loop's eventfd, shared by the lines: some are done */

        pthread_mutex_t lock;
        struct list asked, done;
        bool is_closing;
        bool has_news; /* the outbox grew, here or elsewhere */
        uint64_t commits_told;

        uint64_t commits_count; /* the helper's */
        size_t waiting_count;   /* the loop thread's */
};

/* Without a thread until start. Takes `c`. */
void store_line_init(struct store_line *l, struct store_conn *c, bool is_writer, unix_ms (*clock)(void));
MUST_USE enum err store_line_start(struct store_line *l, int told_fd);
/* Ends the thread when all that was asked is done, and closes the connection. What was done stays to be taken. */
void store_line_stop(struct store_line *l);
void store_line_fini(struct store_line *l);

MUST_USE enum err store_line_submit(struct store_line *l, struct store_job *job);
/* Moves what is done to the end of `out`; *has_news becomes true when the outbox grew since the last call. */
void store_line_take(struct store_line *l, struct list *out, bool *has_news, uint64_t *commits);

/* Runs the jobs of `list` (linked by node), at most LINE_BATCH_MAX, and writes each one's err. Any thread that has the
 * connection. *has_news becomes true when the outbox grew. */
void store_line_run(struct store_line *l, struct list *list, bool *has_news);
