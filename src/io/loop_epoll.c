#include "io/loop.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "io/linger_priv.h"
#include "io/loop_priv.h"
#include "io/timer_priv.h"

enum { EVENTS_MAX = 256, HOOKS_MAX = 8 };

struct loop {
        int epoll_fd;
        bool is_stopped;

        int64_t now_us;
        unix_ms wall; /* 0: not asked for in this turn */

        int events_at, events_count; /* the event being delivered, and how many came */
        struct list tasks;
        unsigned hooks_count, lingers_count;
        struct {
                void (*fn)(void *context);
                void *context;
        } hooks[HOOKS_MAX];

        char *scratch;
        struct list lingers;
        struct epoll_event events[EVENTS_MAX];
        struct wheel wheel;
};

int64_t loop_clock_us(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void read_clock(struct loop *l)
{
        l->now_us = loop_clock_us();
        l->wall = 0;
}

mono_ms loop_now(const struct loop *l)
{
        return l->now_us / 1000;
}

/* The last millisecond that is over. Timers fire by it: `loop_now() + t` counts from the start of the millisecond we are
 * in, so at the start of the millisecond it names up to one of t is still to come. */
static mono_ms past_ms(const struct loop *l)
{
        return loop_now(l) - 1;
}

enum err loop_new(struct loop **out)
{
        struct loop *l = calloc(1, sizeof(*l));

        if (!l)
                return ERR_NO_MEMORY;
        l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (l->epoll_fd < 0) {
                enum err e = err_from_errno(errno);
                free(l);
                return e;
        }
        list_init(&l->tasks);
        list_init(&l->lingers);
        read_clock(l);
        wheel_init(&l->wheel, past_ms(l));
        *out = l;
        return ERR_OK;
}

void loop_free(struct loop *l)
{
        if (!l)
                return;
        linger_close_all(l);
        assert(list_is_empty(&l->tasks));
        assert(wheel_is_empty(&l->wheel));
        close(l->epoll_fd);
        free(l->scratch);
        free(l);
}

void loop_forget(struct loop *l)
{
        close(l->epoll_fd); /* not removed one by one: the set is shared with the parent */
        free(l->scratch);
        free(l);
}

int64_t loop_now_us(const struct loop *l)
{
        return l->now_us;
}

unix_ms loop_wall(struct loop *l)
{
        struct timespec t;

        if (!l->wall) {
                clock_gettime(CLOCK_REALTIME, &t);
                l->wall = (unix_ms)t.tv_sec * 1000 + t.tv_nsec / 1000000;
        }
        return l->wall;
}

struct wheel *loop_wheel(struct loop *l)
{
        return &l->wheel;
}

struct list *loop_lingers(struct loop *l)
{
        return &l->lingers;
}

unsigned *loop_lingers_count(struct loop *l)
{
        return &l->lingers_count;
}

char *loop_scratch(struct loop *l)
{
        if (!l->scratch)
                l->scratch = malloc(LOOP_SCRATCH_BYTES);
        return l->scratch;
}

static enum err control(struct loop *l, int operation, int fd, uint32_t events, struct watch *w)
{
        struct epoll_event event = { .events = events, .data.ptr = w };

        if (epoll_ctl(l->epoll_fd, operation, fd, &event) == 0)
                return ERR_OK;
        /* ENOSPC is fs.epoll.max_user_watches. */
        return errno == ENOSPC ? ERR_NO_MEMORY : err_from_errno(errno);
}

static enum err add(struct loop *l, struct watch *w, int fd, loop_watch_fn *fn, uint32_t events)
{
        enum err e = control(l, EPOLL_CTL_ADD, fd, events, w);

        w->fn = fn;
        w->fd = e == ERR_OK ? fd : -1;
        return e;
}

enum err loop_add(struct loop *l, struct watch *w, int fd, loop_watch_fn *fn)
{
        return add(l, w, fd, fn, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

enum err loop_add_level(struct loop *l, struct watch *w, int fd, loop_watch_fn *fn)
{
        return add(l, w, fd, fn, EPOLLIN);
}

enum err loop_want_level(struct loop *l, struct watch *w, int fd, loop_watch_fn *fn, bool reads, bool writes)
{
        uint32_t events = (reads ? (uint32_t)EPOLLIN : 0) | (writes ? (uint32_t)EPOLLOUT : 0);

        return w->fd < 0 ? add(l, w, fd, fn, events) : control(l, EPOLL_CTL_MOD, fd, events, w);
}

/* Events that came with this turn and are not delivered yet are dropped: the watch may be freed. */
static void drop_events(struct loop *l, const struct watch *w)
{
        for (int i = l->events_at + 1; i < l->events_count; i++)
                if (l->events[i].data.ptr == w)
                        l->events[i].data.ptr = NULL;
}

void loop_remove(struct loop *l, struct watch *w)
{
        if (w->fd < 0)
                return;
        /* Not left to close(2): with a duplicate of the descriptor in another process the registration would live on. */
        enum err e = control(l, EPOLL_CTL_DEL, w->fd, 0, w);
        assert(e == ERR_OK);
        drop_events(l, w);
        w->fd = -1;
}

enum err loop_move(struct loop *l, struct watch *from, struct watch *to, loop_watch_fn *fn)
{
        enum err e = control(l, EPOLL_CTL_MOD, from->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, to);

        if (e != ERR_OK)
                return e;
        to->fn = fn;
        to->fd = from->fd;
        drop_events(l, from);
        from->fd = -1;
        return ERR_OK;
}

void task_init(struct task *t, loop_task_fn *fn)
{
        list_init(&t->node);
        t->fn = fn;
}

void loop_post(struct loop *l, struct task *t)
{
        if (list_is_empty(&t->node))
                list_add_last(&l->tasks, &t->node);
}

void loop_unpost(struct task *t)
{
        list_remove(&t->node);
}

void loop_before_wait(struct loop *l, void (*fn)(void *context), void *context)
{
        assert(l->hooks_count < HOOKS_MAX);
        l->hooks[l->hooks_count].fn = fn;
        l->hooks[l->hooks_count++].context = context;
}

void loop_before_wait_remove(struct loop *l, void (*fn)(void *context), void *context)
{
        for (unsigned i = 0; i < l->hooks_count; i++)
                if (l->hooks[i].fn == fn && l->hooks[i].context == context) {
                        l->hooks_count--;
                        for (; i < l->hooks_count; i++)
                                l->hooks[i] = l->hooks[i + 1];
                }
}

static void run_hooks(struct loop *l)
{
        for (unsigned i = 0; i < l->hooks_count; i++)
                l->hooks[i].fn(l->hooks[i].context);
}

/* What is posted by a task runs in the next turn. */
static void run_tasks(struct loop *l)
{
        struct list tasks;

        list_init(&tasks);
        list_move_all(&tasks, &l->tasks);
        while (!list_is_empty(&tasks)) {
                struct task *t = CONTAINER_OF(tasks.next, struct task, node);

                list_remove(&t->node);
                t->fn(t); /* may free it */
        }
}

/* Milliseconds until the wheel is due, rounded up so that we do not wake just before it; -1 for no bound. */
static int wait_bound(struct loop *l, mono_ms wait_ms)
{
        mono_ms next = wheel_next(&l->wheel);

        if (!list_is_empty(&l->tasks) || l->is_stopped)
                return 0;
        if (next != MONO_NEVER) {
                mono_ms until = next > past_ms(l) ? ((next + 1) * 1000 - l->now_us + 999) / 1000 : 0;
                wait_ms = MIN(wait_ms, until);
        }
        return wait_ms == MONO_NEVER ? -1 : (int)MIN(wait_ms, INT_MAX);
}

static unsigned events_of(uint32_t bits)
{
        unsigned events = 0;

        if (bits & (EPOLLIN | EPOLLHUP))
                events |= LOOP_READ;
        if (bits & EPOLLOUT)
                events |= LOOP_WRITE;
        if (bits & (EPOLLRDHUP | EPOLLHUP))
                events |= LOOP_HANGUP;
        if (bits & EPOLLHUP)
                events |= LOOP_GONE;
        if (bits & EPOLLERR)
                events |= LOOP_ERROR | LOOP_GONE;
        return events;
}

void loop_turn(struct loop *l, mono_ms wait_ms)
{
        int n = epoll_wait(l->epoll_fd, l->events, EVENTS_MAX, wait_bound(l, wait_ms));

        assert(n >= 0 || errno == EINTR);
        read_clock(l);
        l->events_count = MAX(n, 0);
        for (l->events_at = 0; l->events_at < l->events_count; l->events_at++) {
                const struct epoll_event *event = &l->events[l->events_at];
                struct watch *w = event->data.ptr;

                if (w)
                        w->fn(w, events_of(event->events)); /* may free it */
        }
        l->events_count = 0;
        wheel_advance(&l->wheel, past_ms(l));
        run_tasks(l);
        run_hooks(l);
}

void loop_run(struct loop *l)
{
        run_hooks(l);
        while (!l->is_stopped)
                loop_turn(l, MONO_NEVER);
        l->is_stopped = false;
}

void loop_stop(struct loop *l)
{
        l->is_stopped = true;
}
