#include "proxy/exchange_priv.h"

#include "http/websocket_handshake.h"
#include "proxy/forward.h"
#include "proxy/link_in.h"
#include "proxy/revoke.h"
#include "proxy/route.h"
#include "proxy/settle.h"
#include "proxy/steps.h"
#include "proxy/worker.h"

static void answer_fields(struct exchange *x, struct http_head *head)
{
        const struct route *r = x->route;

        if (x->origin->is_link) {
                if (!x->refused)
                        link_in_answer(head);
                return;
        }
        http_remove(head, HTTP_FIELD_ALT_SVC); /* another way in would be a way past us */
        for (size_t i = 0; r && i < r->answer_rules_count; i++) {
                const struct header_rule *rule = &r->answer_rules[i];
                enum err e = ERR_OK;

                switch (rule->kind) {
                case HEADER_SET: e = http_replace(head, rule->name, rule->value); break;
                case HEADER_ADD: e = http_add(head, rule->name, rule->value); break;
                case HEADER_REMOVE: http_remove_name(head, rule->name); break;
                }
                if (e != ERR_OK) /* no room: the upstream sent as many fields as there may be */
                        break;
        }
        if (!x->is_internal && http_add(head, STR("X-Sekisho-Request-Id"), str_of(x->id)) != ERR_OK)
                return;
}

static void answer_broken(struct exchange *x, const char *refused, const char *message)
{
        exchange_drop_up(x, ERR_MALFORMED);
        exchange_refuse(x, 502, refused, message);
}

void exchange_answer_head(struct exchange *x, struct http_head *head)
{
        if (x->is_ended)
                return;
        if (x->is_upstreams && !x->is_internal && !x->origin->is_link) /* an agent's gateway does it */
                http_remove_reserved_answer(head);
        if (head->status == 101) {
                struct http_refusal refusal;

                if (!x->wants_upgrade || !head->asks_upgrade || !x->request_done) {
                        answer_broken(x, "unasked_101",
                                      "The upstream switched protocols without being asked.");
                        return;
                }
                if (x->is_websocket && websocket_answer_check(&x->request, head, &refusal) != ERR_OK) {
                        answer_broken(x, refusal.reason, "The upstream's WebSocket handshake is not valid.");
                        return;
                }
                x->is_tunnel = true;
                x->wants_upgrade = false;
                x->request_done = false; /* the client's half of the tunnel begins */
                revoke_watch(x);
        } else if (head->status < 200) {
                /* 100 is ours to say (the body was asked for already); others pass where the client knows them. */
                if (head->status != 100 && x->request.version_minor > 0 && x->down &&
                    http_remove_hop_by_hop(head, false) == ERR_OK) {
                        x->down->ops->head(x->down, head);
                        x->down->ops->flush(x->down);
                }
                return;
        } else if (head->status < 300 && x->is_connect && x->is_upstreams) {
                answer_broken(x, "websocket_not_switched",
                              "The upstream answered without switching protocols.");
                return;
        }
        if (x->route && x->route->handler->declines && exchange_is_replayable(x) &&
            x->route->handler->declines(x, head)) {
                exchange_wait_end(x);
                if (head->framing == HTTP_BODY_NONE)
                        exchange_release_up(x); /* that was all of it: its connection is as good as before */
                else
                        exchange_drop_up(x, ERR_DENIED);
                x->step = STEP_pick;
                exchange_run_later(x);
                return;
        }
        if (http_remove_hop_by_hop(head, x->is_tunnel) != ERR_OK) {
                answer_broken(x, "answer_fields", "The upstream's answer has too many fields.");
                return;
        }
        x->status = head->status;
        x->first_byte_us = x->is_upstreams ? loop_now_us(x->w->loop) : 0;
        x->answer_started = true;
        forward_answered(x);
        bodystore_drop(&x->body); /* no way back from here */
        for (size_t i = 0; i < x->filters_count; i++)
                if (x->filters[i].filter->on_answer)
                        x->filters[i].filter->on_answer(x, x->filters[i].state, head);
        answer_fields(x, head);
        if (x->down)
                x->down->ops->head(x->down, head);
        if (x->is_tunnel && x->down) /* the client may have spoken already */
                x->down->ops->pull(x->down);
}

/* Shows the filters what was taken, and no more. */
static void filters_data(struct exchange *x, const struct side_data *d, size_t taken, bool is_last)
{
        struct str slices[H1_SLICES_MAX];
        struct side_data shown = { slices, 0, is_last, d->trailers, d->trailers_count };

        for (size_t i = 0; i < d->slices_count && i < H1_SLICES_MAX && taken; i++) {
                slices[shown.slices_count] = str_sub(d->slices[i], 0, taken);
                taken -= slices[shown.slices_count++].len;
        }
        for (size_t i = 0; i < x->filters_count; i++)
                if (x->filters[i].filter->on_data)
                        x->filters[i].filter->on_data(x, x->filters[i].state, &shown);
}

bool exchange_change_answer(struct exchange *x, const void *state)
{
        for (size_t i = 0; !x->changer && i < x->filters_count; i++)
                if (x->filters[i].state == state) {
                        x->changer = &x->filters[i];
                        return true;
                }
        return false;
}

size_t exchange_answer_give(struct exchange *x, const struct side_data *d)
{
        size_t taken;

        if (x->is_ended || !x->down)
                return 0;
        taken = x->down->ops->data(x->down, d);
        x->answer_bytes += taken;
        if (!x->is_internal)
                measure_add(x->w, x->w->measure.bytes_out, taken);
        if (d->is_last && taken == side_data_len(d)) {
                x->answer_done = true;
                exchange_end_if_done(x);
        }
        return taken;
}

size_t exchange_answer_data(struct exchange *x, const struct side_data *d)
{
        size_t taken;

        if (x->is_ended || !x->down || !x->answer_started || x->answer_is_in)
                return 0;
        taken = x->changer ? x->changer->filter->on_change(x, x->changer->state, d)
                           : exchange_answer_give(x, d);
        bool is_last = d->is_last && taken == side_data_len(d);
        if (x->filters_count)
                filters_data(x, d, taken, is_last);
        if (is_last) {
                exchange_wait_end(x);
                x->answer_is_in = true;
        } else if (x->changer && x->down && !x->is_ended) { /* the head does not wait for what is worked on */
                x->down->ops->flush(x->down);
        }
        return taken;
}

void exchange_answer_flush(struct exchange *x)
{
        if (x->is_ended || !x->down || !x->answer_started)
                return;
        if (x->changer)
                x->changer->filter->on_flush(x, x->changer->state);
        if (x->down)
                x->down->ops->flush(x->down);
        if (x->is_tunnel && x->down && !x->settled)
                exchange_settle(x);
}

void exchange_down_room(struct exchange *x)
{
        if (x->is_ended || (x->changer && !x->changer->filter->on_room(x, x->changer->state)))
                return;
        if (x->up && !x->is_ended)
                x->up->ops->pull(x->up);
}
