#include "proxy/exchange_priv.h"

#include <assert.h>

#include "proxy/route.h"
#include "proxy/steps.h"
#include "proxy/worker.h"

enum { ATTEMPTS_MAX = 8 };

/* ---- its body ---- */

/* Gives what is stored of the body and not yet sent; false while some is left. */
static bool store_push(struct exchange *x)
{
        while (x->body_sent < bodystore_read_len(&x->body)) {
                struct str slices[H1_SLICES_MAX];
                size_t count = bodystore_read(&x->body, x->body_sent, slices, ARRAY_SIZE(slices)),
                       offered = 0;

                for (size_t i = 0; i < count; i++)
                        offered += slices[i].len;
                bool is_last = x->body.is_whole && x->body_sent + offered == bodystore_read_len(&x->body);
                struct side_data d = { slices, count, is_last, NULL, 0 };
                size_t taken = x->up->ops->data(x->up, &d);
                x->body_sent += taken;
                if (taken == offered && is_last)
                        x->request_done = true;
                if (taken < offered)
                        return false;
        }
        if (x->body.is_whole && !x->request_done) { /* an empty body */
                struct side_data d = { NULL, 0, true, NULL, 0 };
                x->up->ops->data(x->up, &d);
                x->request_done = true;
        }
        return true;
}

void exchange_start_up(struct exchange *x, struct side *up)
{
        assert(!x->up);
        x->up = up;
        up->x = x;
        up->has_room = true;
        x->is_collecting = false;
        x->body_sent = 0;
        x->request_done = false;
        x->attempts++;
        x->is_upstreams = true;
        x->up_start_us = loop_now_us(x->w->loop);
        up->ops->head(up, &x->request);
        if (store_push(x) && x->up == up && !x->body.is_whole && x->down)
                x->down->ops->pull(x->down);
        if (x->up == up)
                up->ops->flush(up);
        if (x->up == up)
                exchange_wait_begin(x);
}

void exchange_collect(struct exchange *x)
{
        x->is_collecting = true;
        x->down->ops->pull(x->down);
}

/* Copies the first `len` bytes of d into the store; drops it when that is too much to replay. */
static void store_add(struct exchange *x, const struct side_data *d, size_t len, size_t bytes_max)
{
        for (size_t i = 0; i < d->slices_count && len; i++) {
                size_t part = MIN(len, d->slices[i].len);

                if (bodystore_add(&x->body, str_sub(d->slices[i], 0, part), bytes_max) != ERR_OK) {
                        bodystore_drop(&x->body);
                        return;
                }
                len -= part;
        }
}

static size_t collect(struct exchange *x, const struct side_data *d, size_t len)
{
        store_add(x, d, len, x->snap->limits.model_lookahead_bytes);
        if (x->body.is_dropped) {
                exchange_refuse(x, 413, "lookahead", "The body is larger than this API takes.");
                return len;
        }
        if (d->is_last)
                x->body.is_whole = true;
        assert(x->route); /* only a route's handler collects */
        x->route->handler->on_body(x, d->is_last);
        return len;
}

static void request_bytes_add(struct exchange *x, size_t len)
{
        x->request_bytes += len;
        if (!x->is_internal)
                measure_add(x->w, x->w->measure.bytes_in, len);
}

size_t exchange_request_data(struct exchange *x, const struct side_data *d)
{
        size_t len = side_data_len(d), taken;
        uint64_t max = x->route ? x->route->body_bytes_max : 0;

        if (x->is_ended || (x->answer_done && !x->is_tunnel)) /* a tunnel's halves end one by one */
                return 0;
        if (max && !x->is_tunnel && len > max - MIN(max, x->request_bytes)) {
                struct http_refusal refusal = { 413, "body_too_large" };
                exchange_request_broken(x, &refusal);
                return 0;
        }
        if (x->is_collecting) {
                request_bytes_add(x, len);
                return collect(x, d, len);
        }
        if (!x->up || x->body_sent < bodystore_read_len(&x->body))
                return 0;
        taken = x->up->ops->data(x->up, d);
        request_bytes_add(x, taken);
        if (x->keep_body && x->route && !x->body.is_dropped) {
                store_add(x, d, taken, x->route->replay_bytes_max);
                x->body_sent = x->body.is_dropped ? 0 : x->body_sent + taken;
        }
        if (d->is_last && taken == len) {
                x->body.is_whole = !x->body.is_dropped;
                x->request_done = true;
                exchange_end_if_done(x);
        }
        return taken;
}

void exchange_up_room(struct exchange *x)
{
        struct side *up = x->up;

        if (x->is_ended || !up || !store_push(x))
                return;
        if (x->up == up && !x->request_done && x->down)
                x->down->ops->pull(x->down);
}

void exchange_request_broken(struct exchange *x, const struct http_refusal *refusal)
{
        if (x->is_ended)
                return;
        if (!x->answer_started) {
                exchange_refuse(x, refusal->status, refusal->reason,
                                "The request's body could not be taken.");
                return;
        }
        measure_refused(x->w, refusal->reason);
        exchange_drop_up(x, ERR_MALFORMED);
        exchange_drop_down(x, ERR_MALFORMED);
        exchange_end_later(x, OUTCOME_CLIENT_LEFT);
}

void exchange_down_reset(struct exchange *x, enum err reason)
{
        x->down->x = NULL;
        x->down = NULL;
        exchange_wait_end(x);
        exchange_handler_cancel(x);
        exchange_drop_up(x, reason);
        exchange_end_later(x, OUTCOME_CLIENT_LEFT);
}

/* ---- to another target ---- */

bool exchange_is_replayable(const struct exchange *x)
{
        if (x->answer_started || x->attempts >= ATTEMPTS_MAX)
                return false;
        /* Nothing of the body was taken yet, or all that was is kept. */
        return x->request_bytes == 0 || (!x->body.is_dropped && x->body.len == x->request_bytes);
}

bool exchange_is_safe_to_repeat(const struct exchange *x)
{
        switch (x->request.method) {
        case HTTP_GET:
        case HTTP_HEAD:
        case HTTP_PUT:
        case HTTP_DELETE:
        case HTTP_OPTIONS:
        case HTTP_TRACE: return true;
        case HTTP_POST: return x->route && x->route->retries_posts;
        default: return false;
        }
}

bool exchange_try_again(struct exchange *x, enum err why)
{
        if (x->is_ended || !exchange_is_replayable(x) || !exchange_is_safe_to_repeat(x))
                return false;
        exchange_handler_cancel(x);
        exchange_drop_up(x, why);
        exchange_wait_end(x);
        x->step = STEP_pick;
        x->up_error = why;
        exchange_run_later(x);
        return true;
}

static void up_lost_words(enum err reason, uint16_t *status, const char **refused, const char **message)
{
        *status = reason == ERR_TIMED_OUT ? 504 : 502;
        switch (reason) {
        case ERR_TIMED_OUT:
                *refused = "upstream_timeout";
                *message = "The upstream did not answer in time.";
                break;
        case ERR_REFUSED:
        case ERR_UNREACHABLE:
        case ERR_NOT_FOUND:
                *refused = "upstream_unreachable";
                *message = "The upstream could not be reached.";
                break;
        case ERR_TLS:
                *refused = "upstream_tls";
                *message = "TLS with the upstream failed.";
                break;
        case ERR_MALFORMED:
        case ERR_TOO_LARGE:
        case ERR_UNSUPPORTED:
                *refused = "upstream_malformed";
                *message = "The upstream's answer broke the protocol.";
                break;
        default:
                *refused = "upstream_closed";
                *message = "The upstream closed the connection before it answered.";
        }
}

void exchange_up_reset(struct exchange *x, enum err reason, bool may_retry)
{
        uint16_t status;
        const char *refused, *message;

        if (x->up) {
                x->up->x = NULL;
                x->up = NULL;
                x->is_upstreams = false;
        }
        if (x->is_ended)
                return;
        exchange_wait_end(x);
        if (x->answer_is_in && !x->is_tunnel) /* it had said all: what a filter holds goes on to the client */
                return;
        if (x->answer_started) {
                exchange_drop_down(x, reason);
                exchange_end_later(x, OUTCOME_UPSTREAM_BROKE);
                return;
        }
        if (may_retry && exchange_is_replayable(x)) {
                x->step = STEP_pick;
                x->up_error = reason;
                exchange_run_later(x);
                return;
        }
        up_lost_words(reason, &status, &refused, &message);
        exchange_refuse(x, status, refused, message);
}
