#include "find/servers.h"

#include <string.h>

#include "base/log.h"
#include "proxy/up.h"
#include "proxy/worker.h"

enum { BODY_BYTES_MAX = 1 << 20, FOUND_BYTES_MAX = 64 << 10 };

static void ask(struct servers *s);

/* ---- what was found ---- */

static bool is_same(const struct server *a, const struct server *b)
{
        bool same = str_eq(a->name, b->name) && a->wants_key == b->wants_key &&
                    a->models_count == b->models_count;

        for (size_t i = 0; same && i < a->models_count; i++)
                same = str_eq(a->models[i], b->models[i]);
        return same;
}

static void gone(struct servers *s, struct servers_slot *slot)
{
        if (!slot->is_there)
                return;
        log_info("models_gone", LOG_S("server", slot->found.name), LOG_N("port", slot->found.port));
        slot->is_there = false;
        arena_fini(&slot->arena);
        s->number++;
}

static void take(struct servers *s, struct servers_slot *slot, const struct server_answer *answer)
{
        const struct server_place *place = &s->places.places[s->at];
        struct arena arena;
        struct server found;

        arena_init(&arena, NULL, 0, FOUND_BYTES_MAX);
        if (!server_read(place, answer, &arena, &found)) {
                arena_fini(&arena);
                gone(s, slot);
                return;
        }
        if (slot->is_there && is_same(&slot->found, &found)) {
                arena_fini(&arena);
                return;
        }
        log_info("models_found", LOG_S("server", found.name), LOG_N("port", found.port),
                 LOG_N("models", found.models_count), LOG_B("wants_key", found.wants_key));
        if (slot->is_there)
                arena_fini(&slot->arena);
        slot->arena = arena;
        slot->found = found;
        slot->is_there = true;
        s->number++;
}

/* ---- asking ---- */

static void on_head(struct call *c, const struct http_head *head)
{
        struct servers *s = CONTAINER_OF(c, struct servers, call);
        const struct http_field *f = http_find_name(head, STR("Server"));
        size_t len = f ? MIN(f->value.len, sizeof(s->server_text)) : 0;

        s->is_ours = http_find_name(head, STR("X-Sekisho-Request-Id")) != NULL;
        if (len)
                memcpy(s->server_text, f->value.ptr, len);
        s->server_field = (struct str){ s->server_text, len };
}

static size_t on_data(struct call *c, const struct side_data *d)
{
        struct servers *s = CONTAINER_OF(c, struct servers, call);

        for (size_t i = 0; i < d->slices_count; i++)
                buf_add(&s->body, d->slices[i]);
        return side_data_len(d);
}

/* All places one after the other, then a pause. */
static void next(struct servers *s)
{
        buf_fini(&s->body);
        s->at = (s->at + 1) % s->places.count;
        if (s->at)
                ask(s);
        else
                timer_set(s->w->loop, &s->timer, loop_now(s->w->loop) + SERVERS_EVERY_MS);
}

static void on_end(struct call *c, enum err e)
{
        struct servers *s = CONTAINER_OF(c, struct servers, call);
        struct servers_slot *slot = &s->slots[s->at];
        const struct server_answer answer = { c->status, buf_str(&s->body), s->server_field };

        s->is_calling = false;
        if (e == ERR_OK && !s->body.full && !s->is_ours)
                take(s, slot, &answer);
        else
                gone(s, slot);
        next(s);
}

static const struct call_events events = { on_head, on_data, on_end };

static void ask(struct servers *s)
{
        static const struct http_field fields[] = { { .name = STR_INIT("Accept"),
                                                      .value = STR_INIT("application/json") } };
        struct call_request request = { .method = STR("GET"),
                                        .target = server_path(&s->places.places[s->at]),
                                        .fields = fields,
                                        .fields_count = ARRAY_SIZE(fields),
                                        .upstream = &s->slots[s->at].upstream,
                                        .total_ms = SERVERS_WAIT_MS };

        buf_init(&s->body, BODY_BYTES_MAX);
        s->server_field = STR_NULL;
        s->is_ours = false;
        s->is_calling = call_start(&s->call, s->w, &request, &events) == ERR_OK;
        if (!s->is_calling)
                timer_set(s->w->loop, &s->timer, loop_now(s->w->loop) + SERVERS_EVERY_MS);
}

static void slot_make(struct servers *s, struct servers_slot *slot, uint16_t port)
{
        slot->upstream = (struct upstream){ .name = STR("find"),
                                            .targets = &slot->target,
                                            .targets_count = 1,
                                            .is_quiet = true,
                                            .waits = { SERVERS_WAIT_MS, SERVERS_WAIT_MS, SERVERS_WAIT_MS,
                                                       SERVERS_WAIT_MS },
                                            .tries_max = 1 };
        waitline_init(&slot->upstream.line, 0, 0);
        slot->target = (struct target){ .upstream = &slot->upstream,
                                        .url = STR("models"),
                                        .host = STR("127.0.0.1"),
                                        .authority = STR("localhost"),
                                        .ip = { 4, { 127, 0, 0, 1 } },
                                        .port = port,
                                        .seat = { .weight = 1 } };
        up_target_init(&slot->target);
        measure_upstream_init(s->w->shared->metrics, &slot->upstream.measure, slot->upstream.name);
        measure_target_init(s->w->shared->metrics, &slot->target.measure, slot->upstream.name,
                            slot->target.url);
}

static void on_time(struct timer *t)
{
        struct servers *s = CONTAINER_OF(t, struct servers, timer);

        for (size_t i = 0; !s->is_made && i < s->places.count; i++)
                slot_make(s, &s->slots[i], s->places.places[i].port);
        s->is_made = true;
        ask(s);
}

void servers_start(struct servers *s, struct worker *w, const struct server_list *list)
{
        s->w = w;
        s->places = *list;
        timer_init(&s->timer, on_time);
        buf_init(&s->body, BODY_BYTES_MAX);
        if (list->count == 0)
                return;
        s->at = 0;
        s->is_started = true;
        timer_set(w->loop, &s->timer, loop_now(w->loop) + (s->is_made ? SERVERS_EVERY_MS : 0));
        s->is_made = false;
}

void servers_stop(struct servers *s)
{
        if (!s->is_started)
                return;
        s->is_started = false;
        timer_clear(&s->timer);
        if (s->is_calling)
                call_cancel(&s->call);
        s->is_calling = false;
        buf_fini(&s->body);
        for (size_t i = 0; i < s->places.count; i++)
                gone(s, &s->slots[i]);
}

const struct server *servers_next(const struct servers *s, size_t *at)
{
        while (s->is_started && *at < s->places.count) {
                const struct servers_slot *slot = &s->slots[(*at)++];

                if (slot->is_there)
                        return &slot->found;
        }
        return NULL;
}
