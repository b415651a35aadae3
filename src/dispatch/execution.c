#include <stdlib.h>
#include <string.h>

#include "dispatch/dispatcher_priv.h"
#include "dispatch/words.h"

/*
 * Theory of operation. An execution is the side that answers its caller's exchange, and the client of a call to an agent. While the
 * call runs the caller may leave (op_reset) and the call may end (on_end); whichever comes first takes the other away. The agent
 * marks an error of its own with `sekisho-error`, since a target's answer may have the same status.
 */

enum { FIELDS_OWN_MAX = 4 };

static const struct call_events call_events;

/* ---- the end ---- */

static void record(struct execution *e)
{
        const struct dispatch_ask *ask = &e->order.ask;
        struct dispatcher *d = e->d;
        struct dispatch_record r = { .id = str_of(e->id),
                                     .caller = e->order.caller,
                                     .method = ask->method,
                                     .agent_id = e->agent_id,
                                     .agent = e->agent,
                                     .source_ip = e->source_ip,
                                     .status = e->status,
                                     .error = e->error,
                                     .begun = e->begun,
                                     .duration_ms = loop_now(d->w->loop) - e->begun_at,
                                     .answer_bytes = e->answer_bytes,
                                     .attempts = e->attempts,
                                     .asked = str_sub(e->asked, 0, d->conf.body_bytes_kept),
                                     .asked_bytes = e->asked.len,
                                     .answered = buf_str(&e->answered) };

        r.url = dispatch_url_format(&ask->url, &e->order.arena);
        if (d->conf.on_done)
                d->conf.on_done(d->conf.context, &r);
}

static void source_leave(struct execution *e, bool has_failed)
{
        if (!e->source)
                return;
        sources_put(e->d->sources, e->source, has_failed);
        e->source = NULL;
        dispatcher_turn(e->d);
}

/* False: too many wait already. */
static bool line_enter(struct execution *e)
{
        struct loop *loop = e->d->w->loop;

        if (!list_is_empty(&e->node))
                return true;
        if (e->d->waiting_count >= e->d->conf.waiting_max)
                return false;
        list_add_last(&e->d->waiting, &e->node);
        e->d->waiting_count++;
        timer_set(loop, &e->timer, MIN(e->deadline, loop_now(loop) + e->d->conf.waiting_ms));
        dispatcher_pace(e->d);
        return true;
}

static void line_leave(struct execution *e)
{
        if (list_is_empty(&e->node))
                return;
        list_remove(&e->node);
        e->d->waiting_count--;
        timer_set(e->d->w->loop, &e->timer, e->deadline);
}

/* Everything but the memory, which lives until the turn's end. */
static void let_go(struct execution *e)
{
        if (e->is_over)
                return;
        e->is_over = true;
        if (e->is_calling)
                call_cancel(&e->call);
        e->is_calling = false;
        line_leave(e);
        timer_clear(&e->timer);
        source_leave(e, true);
        tally_leave(e->d->callers, 0, e->slot);
        record(e);
        loop_post(e->d->w->loop, &e->gone);
}

static void on_gone(struct task *t)
{
        struct execution *e = CONTAINER_OF(t, struct execution, gone);

        buf_fini(&e->body);
        buf_fini(&e->answered);
        arena_fini(&e->order.arena);
        free(e);
}

/* No answer of a target: the error's word, in an answer of ours or, where one is on its way already, as its breaking off. */
static void fail(struct execution *e, const char *error)
{
        struct exchange *x = e->side.x;

        if (e->is_calling)
                call_cancel(&e->call);
        e->is_calling = false;
        line_leave(e);
        source_leave(e, true);
        e->error = error;
        if (!e->head_is_out) {
                e->status = 0;
                execution_finish(e);
        } else if (x) {
                exchange_up_reset(x, ERR_CLOSED, false);
                e->side.x = NULL;
                let_go(e);
        }
}

static void on_late(struct timer *t)
{
        struct execution *e = CONTAINER_OF(t, struct execution, timer);

        if (e->is_cut)
                fail(e, e->error);
        else
                fail(e, loop_now(e->d->w->loop) < e->deadline ? "queue_timeout" : "timeout");
}

/* ---- an attempt ---- */

static bool may_try_again(const struct execution *e)
{
        struct str method = e->order.ask.method;
        bool is_safe = !str_eq(method, STR("POST")) && !str_eq(method, STR("PATCH"));

        if (e->status || e->attempts >= TRIES_MAX || !e->error)
                return false; /* the target has begun to answer */
        return words_again(e->error) >= (is_safe ? WORDS_SAFE : WORDS_UNSENT);
}

static enum err call_begin(struct execution *e, struct upstream *u)
{
        struct dispatch_ask *ask = &e->order.ask;
        struct http_field *fields =
                ARENA_ARRAY(&e->order.arena, struct http_field, ask->fields_count + FIELDS_OWN_MAX);
        size_t n = 0;

        if (!fields)
                return ERR_NO_MEMORY;
        fields[n++] = (struct http_field){ .name = STR("Host"), .value = e->host };
        fields[n++] = (struct http_field){ .name = STR("sekisho-scheme"),
                                           .value = ask->url.is_tls ? STR("https") : STR("http") };
        fields[n++] = (struct http_field){ .name = STR("sekisho-path"), .value = ask->url.path };
        fields[n++] = (struct http_field){ .name = STR("sekisho-source"), .value = e->source_ip };
        for (size_t i = 0; i < ask->fields_count; i++)
                fields[n++] = ask->fields[i];
        const struct call_request request = { .method = ask->method,
                                              .target = STR("/.sekisho/dispatch"),
                                              .fields = fields,
                                              .fields_count = n,
                                              .body = ask->body,
                                              .upstream = u,
                                              .keeps_host = true };

        return call_start(&e->call, e->d->w, &request, &call_events);
}

static void source_note(struct execution *e)
{
        char text[IP_TEXT_MAX];

        if (e->attempts < TRIES_MAX)
                e->tried[e->attempts] = e->source;
        e->attempts++;
        e->agent_id = arena_copy(&e->order.arena, e->source->agent->id);
        e->agent = arena_copy(&e->order.arena, e->source->agent->name);
        e->source_ip = arena_copy(&e->order.arena, ip_format(e->source->ip, text));
}

static void no_source(struct execution *e, enum sources_answer answer)
{
        static const char *const words[] = { [SOURCES_BUSY] = "queue_full",
                                             [SOURCES_AWAY] = "no_address_available",
                                             [SOURCES_UNKNOWN] = "no_such_address" };

        fail(e, e->error ? e->error : words[answer]); /* the last address there was has failed */
}

bool execution_begin(struct execution *e)
{
        const struct dispatch_ask *ask = &e->order.ask;
        const struct sources_want want = { .source = ask->source,
                                           .family = ask->family,
                                           .agent = ask->agent,
                                           .tag = ask->tag,
                                           .tried = e->tried,
                                           .tried_count = MIN(e->attempts, (unsigned)TRIES_MAX) };
        struct loop *loop = e->d->w->loop;
        enum sources_answer answer =
                sources_take(e->d->sources, &want, loop_now(loop), loop_wall(loop), &e->source);
        struct upstream *u;

        if (answer == SOURCES_BUSY && line_enter(e))
                return false;
        line_leave(e);
        if (answer != SOURCES_FOUND) {
                no_source(e, answer);
                return true;
        }
        source_note(e);
        if (!(u = dispatcher_way(e->d, e->source->agent->id)) || call_begin(e, u) != ERR_OK)
                fail(e, "no_memory");
        else
                e->is_calling = true;
        return true;
}

/* ---- the call's events ---- */

static bool is_redirect(uint16_t status)
{
        return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static enum err fields_keep(struct execution *e, const struct http_head *head)
{
        e->fields_count = 0;
        if (!(e->fields = ARENA_ARRAY(&e->order.arena, struct http_field, head->fields_count + 1u)))
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < head->fields_count; i++) {
                const struct http_field *f = &head->fields[i];

                if (f->is_removed)
                        continue;
                e->fields[e->fields_count++] =
                        (struct http_field){ .name = arena_copy(&e->order.arena, f->name),
                                             .value = arena_copy(&e->order.arena, f->value) };
        }
        return e->order.arena.full ? ERR_NO_MEMORY : ERR_OK;
}

/* Whatever else would come is of no use: it ends as soon as the call allows. */
static void cut(struct execution *e, const char *error)
{
        e->error = error;
        e->is_cut = true;
        timer_set(e->d->w->loop, &e->timer, loop_now(e->d->w->loop));
}

static void on_head(struct call *call, const struct http_head *head)
{
        struct execution *e = CONTAINER_OF(call, struct execution, call);
        const struct http_field *own = http_find_name(head, STR("sekisho-error")),
                                *location = http_find_name(head, STR("Location"));

        e->error = NULL;
        buf_clear(&e->body);
        buf_clear(&e->answered);
        if (own || call_is_refused(call)) {
                e->error = words_of_refusal(own ? own->value : str_of(call->side.x->refused));
                return;
        }
        e->status = head->status;
        e->location = STR_NULL;
        if (location && is_redirect(head->status) && e->redirects < e->order.ask.redirects_max)
                e->location = arena_copy(&e->order.arena, location->value);
        else if (fields_keep(e, head) != ERR_OK || (e->order.is_raw && !execution_raw_head(e, head)))
                cut(e, "no_memory");
}

static size_t on_data(struct call *call, const struct side_data *d)
{
        struct execution *e = CONTAINER_OF(call, struct execution, call);
        size_t len = side_data_len(d);

        if (e->error || e->location.ptr)
                return len;
        if (e->order.is_raw && e->body.len)
                return 0; /* the caller has not taken what is there */
        for (size_t i = 0; i < d->slices_count; i++) {
                buf_add(&e->body, d->slices[i]);
                buf_add(&e->answered, str_sub(d->slices[i], 0, e->d->conf.body_bytes_kept - e->answered.len));
        }
        e->answer_bytes += len;
        if (e->body.full)
                cut(e, "answer_too_large");
        else if (e->order.is_raw)
                execution_give(e);
        return len;
}

/* They are for whom they were given. The others keep their order. */
static void secrets_drop(struct dispatch_ask *ask)
{
        size_t kept = 0;

        for (size_t i = 0; i < ask->fields_count; i++) {
                const struct http_field *f = &ask->fields[i];

                if (f->id != HTTP_FIELD_AUTHORIZATION && !str_eq_nocase(f->name, STR("Cookie")))
                        ask->fields[kept++] = *f;
        }
        ask->fields_count = kept;
}

/* RFC 9110 15.4: a 303 is fetched, and so is what others' practice fetches. */
static bool redirect_follow(struct execution *e)
{
        struct dispatch_ask *ask = &e->order.ask;
        struct dispatch_url to;
        const char *problem;

        if (dispatch_url_resolve(&ask->url, e->location, &e->order.arena, &to, &problem) != ERR_OK)
                return false;
        bool is_elsewhere = !str_eq(to.authority.host, ask->url.authority.host) ||
                            to.authority.port != ask->url.authority.port || to.is_tls != ask->url.is_tls;
        if (e->status == 303 || (e->status < 303 && str_eq(ask->method, STR("POST")))) {
                ask->method = str_eq(ask->method, STR("HEAD")) ? ask->method : STR("GET");
                ask->body = STR_NULL;
        }
        if (is_elsewhere)
                secrets_drop(ask);
        ask->url = to;
        e->host = dispatch_url_host(&to, &e->order.arena);
        e->redirects++;
        e->status = 0;
        e->location = STR_NULL;
        return e->host.ptr != NULL;
}

static void on_end(struct call *call, enum err result)
{
        struct execution *e = CONTAINER_OF(call, struct execution, call);
        const struct dispatch_ask *ask = &e->order.ask;

        e->is_calling = false;
        if (result != ERR_OK && !e->error)
                e->error = "closed";
        if (e->error && may_try_again(e)) {
                source_leave(e, true);
                execution_begin(e);
                return;
        }
        source_leave(e, e->error != NULL);
        if (!e->error && e->location.ptr) {
                e->attempts = 0;
                if (!redirect_follow(e))
                        fail(e, "bad_redirect");
                else if (!dispatch_may_ask(&e->d->conf.rules, ask->url.authority.host,
                                           ask->url.authority.port))
                        fail(e, "destination_denied");
                else
                        execution_begin(e);
                return;
        }
        if (e->error) {
                fail(e, e->error);
        } else if (e->order.is_raw) {
                e->is_whole = true;
                execution_give(e);
        } else {
                execution_finish(e);
        }
}

static const struct call_events call_events = { on_head, on_data, on_end };

/* ---- the caller's side ---- */

static void op_head(struct side *s, struct http_head *head) {}
static void op_flush(struct side *s) {}

static size_t op_data(struct side *s, const struct side_data *d)
{
        return side_data_len(d);
}

static void op_pull(struct side *s)
{
        struct execution *e = CONTAINER_OF(s, struct execution, side);

        if (e->head_is_out)
                execution_give(e);
}

static void op_release(struct side *s)
{
        s->x = NULL;
        let_go(CONTAINER_OF(s, struct execution, side));
}

static void op_reset(struct side *s, enum err reason)
{
        struct execution *e = CONTAINER_OF(s, struct execution, side);

        source_leave(e, false); /* whatever its address would have done */
        if (!e->error && !e->is_whole)
                e->error = "caller_left";
        op_release(s);
}

static const struct side_ops execution_ops = {
        .name = "dispatch",
        .head = op_head,
        .data = op_data,
        .flush = op_flush,
        .pull = op_pull,
        .reset = op_reset,
        .release = op_release,
};

/* May this caller have one more now? Gives its slot. */
static enum dispatch_start admit(struct dispatcher *d, uint64_t caller, int32_t *slot, int64_t *wait_ms)
{
        const struct dispatcher_conf *c = &d->conf;
        uint64_t key =
                hash_u64(caller ^ UINT64_C(0x6469737061746368)); /* apart from other rates of the process */

        *slot = TALLY_NO_SLOT;
        if (c->caller_requests &&
            (*slot = tally_enter(d->callers, 0, key, c->caller_requests)) == TALLY_NO_SLOT)
                return DISPATCH_CALLER_BUSY;
        if (c->caller_rate.count == 0 ||
            gate_pass(d->w->shared->rates, key, &c->caller_rate, loop_now(d->w->loop), wait_ms))
                return DISPATCH_STARTED;
        tally_leave(d->callers, 0, *slot);
        return DISPATCH_CALLER_RATE;
}

static void begin(struct execution *e)
{
        const struct dispatch_url *url = &e->order.ask.url;

        if (!dispatch_may_ask(&e->d->conf.rules, url->authority.host, url->authority.port)) {
                fail(e, "destination_denied");
                return;
        }
        dispatcher_look(e->d); /* who waits was here before */
        execution_begin(e);
}

enum dispatch_start dispatcher_execute(struct dispatcher *d, struct exchange *x, struct dispatch_order *order,
                                       int64_t *wait_ms)
{
        int32_t slot;
        enum dispatch_start start = admit(d, order->caller_key, &slot, wait_ms);
        struct execution *e = start == DISPATCH_STARTED ? calloc(1, sizeof(*e)) : NULL;

        if (start != DISPATCH_STARTED)
                return start;
        if (e)
                e->order = *order;
        if (!e || !(e->host = dispatch_url_host(&e->order.ask.url, &e->order.arena)).ptr) {
                if (e)
                        *order = e->order;
                free(e);
                tally_leave(d->callers, 0, slot);
                return DISPATCH_NO_MEMORY;
        }
        e->d = d;
        e->slot = slot;
        e->side = (struct side){ .ops = &execution_ops, .x = x };
        memcpy(e->id, x->id, sizeof(e->id));
        e->begun = loop_wall(d->w->loop);
        e->begun_at = loop_now(d->w->loop);
        e->deadline = e->begun_at + e->order.ask.timeout_ms;
        list_init(&e->node);
        timer_init(&e->timer, on_late);
        task_init(&e->gone, on_gone);
        e->asked = e->order.ask.body;
        buf_init(&e->answered, d->conf.body_bytes_kept);
        buf_init(&e->body, order->is_raw ? SIZE_MAX / 2 : d->conf.answer_bytes);
        timer_set(d->w->loop, &e->timer, e->deadline);
        x->up = &e->side;
        begin(e);
        return DISPATCH_STARTED;
}
