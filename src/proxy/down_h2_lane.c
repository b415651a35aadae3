#include "proxy/down_h2_priv.h"

#include <assert.h>
#include <string.h>

/*
 * Theory of operation. A flood of HTTP/2 is cheap to send and ends with its budget, but until then a connection may ask for
 * hundreds of streams in one read, and whoever floods opens the next connection at once: honest clients would wait for all
 * of it, turn after turn. So a connection that many of its streams were reset on is read here instead, a bite of a few lists
 * at a time and one connection after the other, for a slice of each turn. Others wait for one slice at most.
 */

enum { SLICE_US = 100 };

bool down_h2_lane_has(const struct down_h2 *c)
{
        return !list_is_empty(&c->lane_node);
}

void down_h2_lane_join(struct down_h2 *c)
{
        struct worker *w = c->conn.w;

        if (!down_h2_lane_has(c))
                list_add_last(&w->h2_lane, &c->lane_node);
        loop_post(w->loop, &w->h2_lane_task);
}

void down_h2_lane_leave(struct down_h2 *c)
{
        list_remove(&c->lane_node);
        worker_buffer_put(c->conn.w, c->held);
        c->held = NULL;
}

bool down_h2_hold(struct down_h2 *c, struct str rest)
{
        struct rbuf *b = worker_buffer_take(c->conn.w, true);

        if (!b)
                return false;
        assert(rest.len <= b->cap);
        memcpy(b->bytes, rest.ptr, rest.len);
        b->len = (uint32_t)rest.len;
        c->held = b;
        down_h2_lane_join(c);
        return true;
}

/* Reads when nothing is held. ERR_AGAIN: there is nothing to read either. */
static enum err held_fill(struct down_h2 *c)
{
        size_t got;

        if (c->held)
                return ERR_OK;
        struct rbuf *b = worker_buffer_take(c->conn.w, true);
        enum err e = b ? stream_read(&c->conn.stream, b->bytes, b->cap, &got) : ERR_NO_MEMORY;
        if (e != ERR_OK) {
                worker_buffer_put(c->conn.w, b);
                return e;
        }
        b->len = (uint32_t)got;
        c->held = b;
        return ERR_OK;
}

static void bite(struct down_h2 *c)
{
        const char *reason = NULL;
        enum err e = held_fill(c);

        if (e == ERR_OK) {
                struct rbuf *b = c->held;
                size_t taken;

                e = down_h2_receive(c, (struct str){ b->bytes + b->pos, b->len - b->pos }, &taken, &reason);
                b->pos += (uint32_t)taken;
                if (b->pos == b->len) {
                        worker_buffer_put(c->conn.w, b);
                        c->held = NULL;
                }
                list_add_last(&c->conn.w->h2_lane, &c->lane_node);
        }
        down_h2_input_over(c, e, reason); /* may close it, and then it is in no lane any more */
}

void down_h2_lane_run(struct task *t)
{
        struct worker *w = CONTAINER_OF(t, struct worker, h2_lane_task);
        int64_t until = loop_clock_us() + SLICE_US;

        while (!list_is_empty(&w->h2_lane) && loop_clock_us() < until) {
                struct down_h2 *c = CONTAINER_OF(w->h2_lane.next, struct down_h2, lane_node);

                list_remove(&c->lane_node);
                bite(c);
        }
        if (!list_is_empty(&w->h2_lane))
                loop_post(w->loop, t);
}
