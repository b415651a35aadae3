#include "proxy/up_h2_priv.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "proxy/route.h"
#include "proxy/up.h"

enum { INTERIM_ANSWERS_MAX = 16, REFUSALS_MAX = 3, LINK_FIELDS_MAX = 5 };

const size_t up_h2_stream_bytes = sizeof(struct up_h2_stream);

static const struct side_ops stream_ops;

static struct up_h2_stream *stream_of(struct h2_client_stream *h)
{
        return CONTAINER_OF(h, struct up_h2_stream, h2);
}

static const struct upstream_waits *waits(const struct up_h2_stream *s)
{
        return up_waits(s->side.x, s->target);
}

static void timer_start(struct up_h2_stream *s, int64_t ms)
{
        timer_set(s->conn->w->loop, &s->timer, loop_now(s->conn->w->loop) + ms);
}

/* As much as its window may be. */
static size_t kept_max(const struct up_h2 *c)
{
        return c->link ? H2_WINDOW_MAX : H2_CLIENT_WINDOW_BYTES;
}

/* ---- birth and death ---- */

/* Nothing more of it; the memory stays until the turn's end, since an event of it may be under way. */
static void stream_end(struct up_h2_stream *s)
{
        struct up_h2 *c = s->conn;

        if (!s->is_open)
                return;
        s->is_open = false;
        s->side.x = NULL;
        timer_clear(&s->timer);
        h2_client_credit(c->client, &s->h2, s->kept.len); /* the connection's window is everybody's */
        h2_client_forget(c->client, &s->h2);
        if (c->unflushed == s)
                c->unflushed = NULL;
        list_remove(&s->node);
        list_add_last(&c->dead, &s->node);
        c->streams_count--;
        s->target->requests_active--;
        up_h2_wake(c);
}

void up_h2_streams_free(struct list *dead)
{
        while (!list_is_empty(dead)) {
                struct up_h2_stream *s = CONTAINER_OF(dead->next, struct up_h2_stream, node);

                list_remove(&s->node);
                struct worker *w = s->conn->w;

                buf_fini(&s->kept);
                pool_put(w->h2_streams, s);
                measure_h2_streams(w);
        }
}

struct up_h2_stream *up_h2_stream_unfinished(const struct up_h2 *c)
{
        list_for_each(node, &c->streams) {
                struct up_h2_stream *s = CONTAINER_OF(node, struct up_h2_stream, node);

                if (!s->kept_is_last)
                        return s;
        }
        return NULL;
}

/* The exchange learns that no clean end will come. */
static void give_up(struct up_h2_stream *s, enum err e, bool may_retry)
{
        struct exchange *x = s->side.x;

        stream_end(s);
        if (x)
                exchange_up_reset(x, e, may_retry);
}

/* The target is to blame. */
static void broken(struct up_h2_stream *s, enum err e)
{
        struct up_h2 *c = s->conn;
        bool may_retry =
                s->side.x && !s->saw_answer && e != ERR_TIMED_OUT && exchange_is_safe_to_repeat(s->side.x);

        measure_add(c->w, s->target->measure.failures, 1);
        up_note_failure(c->w, s->target);
        give_up(s, e, may_retry);
}

void up_h2_stream_lost(struct up_h2_stream *s, enum err e, bool is_unprocessed)
{
        struct exchange *x = s->side.x;
        bool may_retry = x && !s->saw_answer &&
                         (is_unprocessed || (e != ERR_TIMED_OUT && exchange_is_safe_to_repeat(x)));

        /* Like a kept connection that was closed as we wrote: says nothing of the target. */
        if (may_retry && (is_unprocessed || s->conn->served_count > 1))
                x->is_stale_retry = x->attempts < REFUSALS_MAX;
        give_up(s, e, may_retry);
}

static void on_timer(struct timer *t)
{
        struct up_h2_stream *s = CONTAINER_OF(t, struct up_h2_stream, timer);

        /* Not its fault while the client does not take what is there, or has not sent all of the request. */
        if (s->is_tunnel && s->pulled)
                give_up(s, ERR_TIMED_OUT, false); /* neither side said anything for long */
        else if (!s->pulled || (!s->request_is_sent && s->side.has_room))
                timer_start(s, waits(s)->idle_ms);
        else
                broken(s, ERR_TIMED_OUT);
}

enum err up_h2_stream_start(struct up_h2 *c, struct exchange *x)
{
        struct up_h2_stream *s = pool_take(c->w->h2_streams);

        if (!s)
                return ERR_NO_MEMORY;
        *s = (struct up_h2_stream){ .side = { .ops = &stream_ops },
                                    .conn = c,
                                    .target = c->link ? x->target_in_use : c->target };
        s->pulled = s->is_open = true;
        buf_init(&s->kept, kept_max(s->conn));
        timer_init(&s->timer, on_timer);
        list_add_last(&c->streams, &s->node);
        c->streams_count++;
        measure_h2_streams(c->w);
        s->target->requests_active++;
        measure_add(c->w, s->target->measure.requests, 1);
        if (c->served_count++)
                measure_add(c->w, s->target->measure.reuses, 1);
        timer_start(s, up_waits(x, s->target)->first_byte_ms);
        exchange_start_up(x, &s->side);
        return ERR_OK;
}

/* ---- the answer ---- */

/* Marks that the exchange's down side may hold something of ours back; others' is sent on first. */
static void begin_giving(struct up_h2_stream *s)
{
        up_h2_flush(s->conn, s);
        s->conn->unflushed = s;
}

/* Offers a piece; true when it was taken whole. What is left is kept, and the far end asks for it. */
static bool offer(struct up_h2_stream *s, struct side_data *d, size_t *taken)
{
        struct exchange *x = s->side.x;
        size_t len = side_data_len(d);

        d->trailers = d->is_last ? s->trailers : NULL;
        d->trailers_count = d->is_last ? s->trailers_count : 0;
        *taken = 0;
        if (len == 0 && x->down && !x->down->has_room) /* an end is only said where it can be */
                return false;
        *taken = exchange_answer_data(x, d);
        return *taken == len;
}

static void give(struct up_h2_stream *s, const struct str *slices, size_t slices_count, bool is_last)
{
        struct side_data d = { .slices = slices, .slices_count = slices_count, .is_last = is_last };
        size_t taken = 0;

        if (s->kept.len == 0 && !s->kept_is_last && s->pulled) {
                if (offer(s, &d, &taken)) {
                        h2_client_credit(s->conn->client, &s->h2, taken);
                        if (is_last && s->is_open)
                                timer_clear(&s->timer); /* the rest is between the exchange and its client */
                        return;
                }
                s->pulled = false;
        }
        h2_client_credit(s->conn->client, &s->h2, s->is_open ? taken : side_data_len(&d));
        if (!s->is_open)
                return;
        buf_add_behind(&s->kept, slices, slices_count, taken);
        s->kept_is_last = is_last;
        if (s->kept.full) /* over its window: nghttp2 lets nobody; memory ran out */
                broken(s, ERR_NO_MEMORY);
}

static void kept_give(struct up_h2_stream *s)
{
        size_t taken = 0;
        bool is_last = s->kept_is_last;

        if (s->kept.len == 0 && !is_last)
                return;
        struct str kept = buf_str(&s->kept);
        struct side_data d = { .slices = &kept, .slices_count = kept.len ? 1 : 0, .is_last = is_last };

        s->pulled = offer(s, &d, &taken);
        if (!s->is_open)
                return;
        h2_client_credit(s->conn->client, &s->h2, taken);
        buf_consume(&s->kept, taken);
        up_h2_wake(s->conn);
        if (!s->pulled)
                return;
        s->kept_is_last = false;
        buf_fini(&s->kept);
        buf_init(&s->kept, kept_max(s->conn));
        if (is_last)
                timer_clear(&s->timer);
}

static void heard(struct up_h2_stream *s)
{
        s->conn->pings = 0;
        timer_start(s, s->is_tunnel ? waits(s)->tunnel_ms : waits(s)->idle_ms);
}

/*
 * The agent says that the request did not get to the service, and why: another may take it, whatever its method. The reserved
 * fields of an answer are between the agent and us.
 */
static bool link_refused(struct up_h2_stream *s, struct http_head *head)
{
        struct worker *w = s->conn->w;
        const struct http_field *f = http_find_name(head, STR("sekisho-refused"));
        char reason[16];
        unsigned left_out;

        if (!f || head->status < 400) {
                if (f)
                        http_remove_name(head, STR("sekisho-refused"));
                return false;
        }
        snprintf(reason, sizeof(reason), "%.*s", STR_FMT(f->value));
        if (log_limit_pass(&w->connect_failures, loop_now(w->loop), &left_out))
                log_info("link_refused", LOG_S("upstream", s->target->upstream->name),
                         LOG_S("target", s->target->url), LOG_S("reason", str_of(reason)),
                         LOG_N("status", head->status), LOG_N("left_out", left_out));
        measure_add(w, s->target->measure.failures, 1);
        up_note_failure(w, s->target);
        give_up(s, ERR_UNREACHABLE, true);
        return true;
}

void up_h2_stream_on_head(struct h2_client_stream *h, struct http_head *head, bool is_end)
{
        struct up_h2_stream *s = stream_of(h);
        struct up_h2 *c = s->conn;
        struct exchange *x = s->side.x;

        begin_giving(s);
        if (c->link && link_refused(s, head))
                return;
        if (!s->saw_answer)
                measure_first_byte(c->w, &s->target->measure, loop_now_us(c->w->loop) - x->up_start_us);
        s->saw_answer = true;
        if (head->status < 200 && head->status != 101) {
                heard(s);
                if (++s->interim_count > INTERIM_ANSWERS_MAX)
                        broken(s, ERR_MALFORMED);
                else
                        exchange_answer_head(x, head);
                return;
        }
        s->head_is_done = true;
        s->is_tunnel = head->status == 101;
        heard(s);
        if (head->status < 500)
                target_succeeded(s->target, loop_now(c->w->loop));
        else
                up_note_failure(c->w, s->target);
        exchange_answer_head(x, head);
        if (is_end && s->is_open)
                give(s, NULL, 0, true);
}

void up_h2_stream_on_data(struct h2_client_stream *h, const struct str *slices, size_t slices_count,
                          bool is_end)
{
        struct up_h2_stream *s = stream_of(h);

        begin_giving(s);
        heard(s);
        give(s, slices, slices_count, is_end);
}

/* They outlive the list they came in when the exchange cannot take the end now. */
static void trailers_keep(struct up_h2_stream *s, const struct http_field *trailers, size_t count)
{
        struct arena *a = &s->side.x->arena;
        struct http_field *copies = count ? ARENA_ARRAY(a, struct http_field, count) : NULL;

        for (size_t i = 0; copies && i < count; i++)
                copies[i] = (struct http_field){ .name = arena_copy(a, trailers[i].name),
                                                 .value = arena_copy(a, trailers[i].value),
                                                 .id = trailers[i].id };
        s->trailers = copies;
        s->trailers_count = count;
}

void up_h2_stream_on_end(struct h2_client_stream *h, const struct http_field *trailers, size_t count)
{
        struct up_h2_stream *s = stream_of(h);

        begin_giving(s);
        heard(s);
        trailers_keep(s, trailers, count);
        if (s->side.x->arena.full) {
                broken(s, ERR_TOO_LARGE); /* trailers are part of the answer: not without them */
                return;
        }
        if (s->kept.len)
                s->kept_is_last = true;
        else
                give(s, NULL, 0, true);
}

void up_h2_stream_on_room(struct h2_client_stream *h)
{
        struct up_h2_stream *s = stream_of(h);

        if (s->side.has_room)
                return;
        s->side.has_room = true;
        exchange_up_room(s->side.x);
}

void up_h2_stream_on_reset(struct h2_client_stream *h, enum err e, enum h2_client_reset how)
{
        struct up_h2_stream *s = stream_of(h);

        up_h2_flush(s->conn, s);
        switch (how) {
        case H2_RESET_BROKEN: broken(s, e); break;
        case H2_RESET_USE_H1:
                up_learn_h1(s->target, s->conn->w);
                up_h2_stream_lost(s, e, true);
                break;
        case H2_RESET_UNPROCESSED: up_h2_stream_lost(s, e, true); break;
        }
}

/* ---- operations of the side ---- */

/* Told in a later turn: an operation never calls an event. */
static void fail_later(struct up_h2_stream *s)
{
        s->side.has_room = false;
        timer_start(s, 0);
        s->request_is_sent = true; /* so that the timer finds it broken */
}

static void pair_add(struct h2_list *list, struct str name, struct str value)
{
        list->pairs[list->count++] = (struct h2_pair){ name, value, false };
}

/* A target behind a stream of bytes may want to be told the whole of it (PROXY protocol). */
static void ends_add(struct exchange *x, struct h2_list *list)
{
        const struct exchange_origin *o = x->origin;

        if (!x->request.is_raw || !o->local.family || !ip_eq(x->client.ip, o->peer))
                return;
        struct str port = arena_format(&x->arena, "%u", o->peer_port),
                   local = arena_format(&x->arena, o->local.family == 6 ? "[%.*s]:%u" : "%.*s:%u",
                                        STR_FMT(ip_format(o->local, (char[IP_TEXT_MAX]){ 0 })),
                                        o->local_port);
        if (!port.ptr || !local.ptr)
                return;
        pair_add(list, STR("sekisho-client-port"), port);
        pair_add(list, STR("sekisho-local"), local);
}

static_assert((int)H2_LIST_SPARE >= (int)LINK_FIELDS_MAX, "a request's list has room for them");

/* What only we may say to an agent: the request itself keeps none of it, since its next try may go elsewhere. */
static bool link_fields_add(const struct up_h2_stream *s, struct h2_list *list)
{
        struct exchange *x = s->side.x;
        char *client = arena_alloc(&x->arena, IP_TEXT_MAX, 1);

        if (!client)
                return false;
        if (!str_eq(http_value(&x->request, HTTP_FIELD_X_REQUEST_ID), str_of(x->id)))
                list->pairs[list->count++] =
                        (struct h2_pair){ STR("sekisho-request-id"), { x->id, EXCHANGE_ID_LEN }, true };
        if (s->target->agent_target.len)
                pair_add(list, STR("sekisho-target"), s->target->agent_target);
        if (x->client.ip.family)
                pair_add(list, STR("sekisho-client"), ip_format(x->client.ip, client));
        ends_add(x, list);
        return true;
}

static void op_head(struct side *side, struct http_head *head)
{
        struct up_h2_stream *s = (struct up_h2_stream *)side;
        struct exchange *x = side->x;
        struct h2_list list;

        s->is_head_last = head->framing == HTTP_BODY_NONE ||
                          (head->framing == HTTP_BODY_LENGTH && head->content_length == 0);
        if (h2_list_request(head, s->target->is_tls ? STR("https") : STR("http"), x->forward_target,
                            &x->arena, &list) != ERR_OK ||
            (s->conn->link && !link_fields_add(s, &list)) ||
            h2_client_request(s->conn->client, &s->h2, head, &list, s->is_head_last) != ERR_OK)
                fail_later(s);
        up_h2_wake(s->conn);
}

static const struct h2_list *trailers_list(struct exchange *x, const struct side_data *d)
{
        struct h2_list *list = d->trailers_count ? ARENA_NEW(&x->arena, struct h2_list) : NULL;

        if (!list || h2_list_trailers(d->trailers, d->trailers_count, &x->arena, list) != ERR_OK)
                return NULL;
        for (size_t i = 0; i < list->count; i++) { /* they may be sent later than the fields live */
                list->pairs[i].value = arena_copy(&x->arena, list->pairs[i].value);
                if (!list->pairs[i].value.ptr)
                        list->pairs[i].value = STR("");
        }
        return list;
}

static size_t op_data(struct side *side, const struct side_data *d)
{
        struct up_h2_stream *s = (struct up_h2_stream *)side;
        size_t offered = side_data_len(d), taken;

        if (s->is_head_last &&
            !s->is_tunnel) { /* said with the head; or a tunnel is asked for and not open yet */
                s->request_is_sent = true;
                return 0;
        }
        const struct h2_list *trailers = d->is_last ? trailers_list(side->x, d) : NULL;
        if (s->is_tunnel)
                timer_start(s, waits(s)->tunnel_ms);
        taken = h2_client_write(s->conn->client, &s->h2, d->slices, d->slices_count, d->is_last, trailers);
        s->side.has_room = taken == offered;
        if (d->is_last && taken == offered)
                s->request_is_sent = true;
        up_h2_wake(s->conn);
        return taken;
}

static void op_flush(struct side *side)
{
        up_h2_wake(((struct up_h2_stream *)side)->conn);
}

static void op_pull(struct side *side)
{
        struct up_h2_stream *s = (struct up_h2_stream *)side;

        s->pulled = true;
        kept_give(s);
}

static void op_reset(struct side *side, enum err reason)
{
        stream_end((struct up_h2_stream *)side);
}

static void op_release(struct side *side)
{
        stream_end((struct up_h2_stream *)side);
}

static const struct side_ops stream_ops = {
        .name = "h2",
        .head = op_head,
        .data = op_data,
        .flush = op_flush,
        .pull = op_pull,
        .reset = op_reset,
        .release = op_release,
};
