/*
 * Theory of operation.
 *
 * The writer takes all jobs that wait, up to a batch, and gives them one transaction: each runs behind a savepoint, so that one
 * that fails takes back its own and no other's. One COMMIT, which waits for the disk, then serves them all. Whenever anything but
 * a job's own refusal happens (the engine ended the transaction, the commit failed in a way that may be tried again) the
 * batch is run again job by job: a job may run twice, but counts once.
 */
#include "store/line_priv.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "store/txn_priv.h"

enum { TRIES_MAX = 5, NOTICE_RETRY_MS = 1000 };

void store_line_init(struct store_line *l, struct store_conn *c, bool is_writer, unix_ms (*clock)(void))
{
        *l = (struct store_line){
                .conn = c, .clock = clock, .is_writer = is_writer, .wake_fd = -1, .told_fd = -1
        };
        pthread_mutex_init(&l->lock, NULL);
        list_init(&l->asked);
        list_init(&l->done);
}

static void tell(int fd)
{
        uint64_t one = 1;
        ssize_t n;

        do
                n = write(fd, &one, sizeof(one));
        while (n < 0 && errno == EINTR);
}

/* Running. */

static void keep_reason(struct store_job *job, const struct store_conn *c)
{
        memcpy(job->reason, c->reason, sizeof(job->reason));
}

/* What the job did stands in the open transaction when it is ERR_OK. */
static enum err run_one(struct store_line *l, struct store_job *job, bool *has_news)
{
        struct store_txn t;
        enum err e;

        job->reason[0] = '\0';
        store_txn_init(&t, l->conn, l->is_writer, l->clock());
        e = job->run(job, &t);
        e = t.failed != ERR_OK ? t.failed : e;
        assert(e != ERR_OK || !t.change.is_open);
        if (e != ERR_OK)
                keep_reason(job, l->conn);
        else
                *has_news = *has_news || t.has_news;
        store_txn_fini(&t);
        return e;
}

/* One job in a transaction of its own, as often as the engine asks for it. */
static void run_alone(struct store_line *l, struct store_job *job, bool *has_news)
{
        const struct store_backend *b = l->conn->backend;
        bool has_written = false;

        for (int i = 0; i < TRIES_MAX; i++) {
                l->conn->wants_retry = false;
                job->err = b->begin(l->conn, l->is_writer);
                if (job->err == ERR_OK && (job->err = run_one(l, job, &has_written)) == ERR_OK)
                        job->err = b->commit(l->conn);
                else
                        b->rollback(l->conn);
                if (job->err == ERR_OK || !l->conn->wants_retry)
                        break;
        }
        if (job->err != ERR_OK && job->reason[0] == '\0')
                keep_reason(job, l->conn);
        *has_news = *has_news || (job->err == ERR_OK && has_written);
}

/* One of several: false when the transaction did not outlive it. */
static bool run_beside(struct store_line *l, struct store_job *job, bool *has_news)
{
        const struct store_backend *b = l->conn->backend;

        if (b->script(l->conn, "SAVEPOINT job") != ERR_OK)
                return false;
        job->err = run_one(l, job, has_news);
        if (l->conn->wants_retry || !b->is_open(l->conn))
                return false;
        if (job->err != ERR_OK && b->script(l->conn, "ROLLBACK TO SAVEPOINT job") != ERR_OK)
                return false;
        return b->script(l->conn, "RELEASE SAVEPOINT job") == ERR_OK;
}

static bool run_together(struct store_line *l, struct list *list, bool *has_news)
{
        const struct store_backend *b = l->conn->backend;
        bool has_written = false;

        if (b->begin(l->conn, true) != ERR_OK)
                return false;
        list_for_each(node, list) {
                if (run_beside(l, CONTAINER_OF(node, struct store_job, node), &has_written))
                        continue;
                b->rollback(l->conn);
                return false;
        }
        if (b->commit(l->conn) != ERR_OK)
                return false;
        *has_news = *has_news || has_written;
        return true;
}

void store_line_run(struct store_line *l, struct list *list, bool *has_news)
{
        bool is_several = !list_is_empty(list) && list->next->next != list;

        if (l->is_writer && is_several && run_together(l, list, has_news)) {
                l->commits_count++;
                return;
        }
        list_for_each(node, list) {
                run_alone(l, CONTAINER_OF(node, struct store_job, node), has_news);
                l->commits_count += l->is_writer;
        }
}

/* The thread. */

static bool wait_for_jobs(struct store_line *l, struct list *batch)
{
        bool is_closing;

        pthread_mutex_lock(&l->lock);
        for (int i = 0; i < LINE_BATCH_MAX && !list_is_empty(&l->asked); i++) {
                struct list *node = l->asked.next;
                list_remove(node);
                list_add_last(batch, node);
        }
        is_closing = l->is_closing;
        pthread_mutex_unlock(&l->lock);
        return !is_closing || !list_is_empty(batch);
}

static void report_done(struct store_line *l, struct list *batch, bool has_news)
{
        pthread_mutex_lock(&l->lock);
        list_move_all(&l->done, batch);
        l->has_news = l->has_news || has_news;
        l->commits_told = l->commits_count;
        pthread_mutex_unlock(&l->lock);
        tell(l->told_fd);
}

/* Another program changed something. */
static void look_for_notices(struct store_line *l)
{
        if (!l->conn->backend->notice_take(l->conn))
                return;
        pthread_mutex_lock(&l->lock);
        l->has_news = true;
        pthread_mutex_unlock(&l->lock);
        tell(l->told_fd);
}

/* Until there are jobs, or word from another program. */
static void wait_for_something(struct store_line *l)
{
        int notice_fd = l->conn->backend->notice_fd(l->conn);
        struct pollfd fds[] = { { l->wake_fd, POLLIN, 0 }, { notice_fd, POLLIN, 0 } };
        uint64_t count;

        /* A read that gave nothing leaves the descriptor readable: it is looked at again. */
        if (poll(fds, 2, notice_fd == -2 ? NOTICE_RETRY_MS : -1) > 0 && fds[0].revents &&
            read(l->wake_fd, &count, sizeof(count)) < 0)
                return;
}

static void *work(void *context)
{
        struct store_line *l = context;
        struct list batch;

        list_init(&batch);
        while (wait_for_jobs(l, &batch)) {
                bool has_news = false;
                if (list_is_empty(&batch)) {
                        wait_for_something(l);
                } else {
                        store_line_run(l, &batch, &has_news);
                        report_done(l, &batch, has_news);
                }
                if (l->is_writer)
                        look_for_notices(l); /* some may have come with the answers of the jobs */
        }
        return NULL;
}

enum err store_line_start(struct store_line *l, int told_fd)
{
        int rc;

        l->told_fd = told_fd;
        l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (l->wake_fd < 0)
                return err_from_errno(errno);
        rc = pthread_create(&l->thread, NULL, work, l);
        l->has_thread = rc == 0;
        return rc == 0 ? ERR_OK : ERR_NO_MEMORY;
}

void store_line_stop(struct store_line *l)
{
        if (l->has_thread) {
                pthread_mutex_lock(&l->lock);
                l->is_closing = true;
                pthread_mutex_unlock(&l->lock);
                tell(l->wake_fd);
                pthread_join(l->thread, NULL);
                l->has_thread = false;
        }
        store_conn_close(l->conn);
        l->conn = NULL;
}

void store_line_fini(struct store_line *l)
{
        assert(!l->conn && list_is_empty(&l->asked) && list_is_empty(&l->done));
        if (l->wake_fd >= 0)
                close(l->wake_fd);
        pthread_mutex_destroy(&l->lock);
}

enum err store_line_submit(struct store_line *l, struct store_job *job)
{
        if (l->waiting_count >= STORE_QUEUE_MAX)
                return ERR_AGAIN;
        l->waiting_count++;
        pthread_mutex_lock(&l->lock);
        list_add_last(&l->asked, &job->node);
        pthread_mutex_unlock(&l->lock);
        tell(l->wake_fd);
        return ERR_OK;
}

void store_line_take(struct store_line *l, struct list *out, bool *has_news, uint64_t *commits)
{
        pthread_mutex_lock(&l->lock);
        list_move_all(out, &l->done);
        *has_news = *has_news || l->has_news;
        l->has_news = false;
        *commits = l->commits_told;
        pthread_mutex_unlock(&l->lock);
}
