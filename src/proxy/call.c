#include "proxy/call.h"

#include <stdio.h>

#include "proxy/forward.h"
#include "proxy/steps.h"
#include "proxy/worker.h"

enum { CALL_FIELDS_MAX = 96 };

static const struct exchange_origin inside = { .peer = { 0 } };

static struct call *call_of(struct side *s)
{
        return CONTAINER_OF(s, struct call, side);
}

/* ---- operations of the side ---- */

static void op_head(struct side *s, struct http_head *head)
{
        struct call *c = call_of(s);

        if (head->status < 200)
                return;
        c->status = head->status;
        c->head_seen = true;
        if (c->events->on_head)
                c->events->on_head(c, head);
}

static size_t op_data(struct side *s, const struct side_data *d)
{
        struct call *c = call_of(s);

        return c->events->on_data ? c->events->on_data(c, d) : side_data_len(d);
}

static void op_flush(struct side *s) {}

static void op_pull(struct side *s)
{
        struct call *c = call_of(s);
        struct str rest = str_from(c->body, c->body_given);
        struct side_data d = { &rest, rest.len ? 1 : 0, true, NULL, 0 };

        if (c->body_given < c->body.len || c->body.len == 0)
                c->body_given += exchange_request_data(s->x, &d);
}

static void end_later(struct call *c, enum err e)
{
        if (c->is_over)
                return;
        c->is_over = true;
        c->result = e;
        loop_post(c->w->loop, &c->task);
}

static void op_reset(struct side *s, enum err reason)
{
        end_later(call_of(s), reason == ERR_OK ? ERR_CLOSED : reason);
}

static void op_release(struct side *s)
{
        s->x = NULL;
        end_later(call_of(s), ERR_OK);
}

static void on_task(struct task *t)
{
        struct call *c = CONTAINER_OF(t, struct call, task);

        if (c->events->on_end)
                c->events->on_end(c, c->result);
}

static const struct side_ops call_ops = {
        .name = "call",
        .head = op_head,
        .data = op_data,
        .flush = op_flush,
        .pull = op_pull,
        .reset = op_reset,
        .release = op_release,
};

/* ---- the request ---- */

static enum err head_make(const struct call_request *r, char length[24], struct http_head *head)
{
        /* The target's own replaces it. */
        enum err e = r->keeps_host ? ERR_OK : http_add(head, STR("Host"), STR("localhost"));

        for (size_t i = 0; e == ERR_OK && i < r->fields_count; i++)
                e = http_add(head, r->fields[i].name, r->fields[i].value);
        if (e == ERR_OK && (r->body.len || head->method == HTTP_POST)) {
                snprintf(length, 24, "%zu", r->body.len);
                e = http_add(head, STR("Content-Length"), str_of(length));
                head->framing = HTTP_BODY_LENGTH;
                head->content_length = r->body.len;
        }
        return e;
}

/* What the fields point at may be the caller's stack: the exchange gets copies. */
static void fields_keep(struct exchange *x)
{
        for (size_t i = 0; i < x->request.fields_count; i++) {
                struct http_field *f = &x->request.fields[i];

                f->name = arena_copy(&x->arena, f->name);
                f->value = arena_copy(&x->arena, f->value);
        }
        x->request.method_text = arena_copy(&x->arena, x->request.method_text);
        x->forward_target = arena_copy(&x->arena, x->request.target);
}

/* In the exchange's arena: it may outlive the call, which can be cancelled. */
static const struct route *route_make(struct exchange *x, const struct call_request *request)
{
        struct route *r = ARENA_NEW(&x->arena, struct route);

        if (r)
                *r = (struct route){ .name = STR("internal"),
                                     .handler = request->handler ? request->handler : &forward_handler,
                                     .handler_conf = request->handler_conf,
                                     .upstream = request->upstream,
                                     .retries_posts = request->retries_posts,
                                     .preserve_host = request->keeps_host,
                                     .replay_bytes_max = x->snap->limits.replay_bytes,
                                     .access = { .is_public = true } };
        return r;
}

enum err call_start(struct call *c, struct worker *w, const struct call_request *request,
                    const struct call_events *events)
{
        struct http_field fields[CALL_FIELDS_MAX];
        char length[24];
        struct http_head head = { .method = http_method_of(request->method),
                                  .method_text = request->method,
                                  .target = request->target,
                                  .version_minor = 1,
                                  .fields = fields,
                                  .fields_max = CALL_FIELDS_MAX };
        struct exchange *x;

        *c = (struct call){ .side = { .ops = &call_ops, .has_room = true }, .events = events, .w = w };
        c->body = request->body;
        task_init(&c->task, on_task);
        if (head_make(request, length, &head) != ERR_OK || !(x = exchange_new(w, &c->side, &inside, &head)))
                return ERR_NO_MEMORY;
        x->is_internal = true;
        x->route = route_make(x, request);
        if (!x->route) {
                exchange_abort(x);
                return ERR_OK; /* on_end tells */
        }
        x->step = STEP_pick;
        x->keep_body = exchange_is_safe_to_repeat(x);
        fields_keep(x);
        if (request->total_ms)
                timer_set(w->loop, &x->timer, loop_now(w->loop) + request->total_ms);
        exchange_run_later(x);
        return ERR_OK;
}

void call_resume(struct call *c)
{
        if (c->side.x)
                exchange_down_room(c->side.x);
}

void call_cancel(struct call *c)
{
        loop_unpost(&c->task);
        c->is_over = true;
        if (c->side.x)
                exchange_down_reset(c->side.x, ERR_CLOSED);
}

bool call_is_refused(const struct call *c)
{
        return c->side.x && c->side.x->refused;
}
