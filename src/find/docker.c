#include "find/docker.h"

#include <string.h>

#include "base/log.h"
#include "proxy/up.h"
#include "proxy/worker.h"

enum {
        LIST_MS = 10000,
        AGAIN_MS = 1000,
        GATHER_MS = 100, /* events come in flocks */
        RESYNC_MS = 60000,
        STREAM_IDLE_MS = 3600 * 1000,
        BODY_BYTES_MAX = 8 << 20,
        TREE_BYTES_MAX = 64 << 20,
        OFFERS_BYTES_MAX = 1 << 20
};

/* Only those that have the label: filters={"label":["sekisho.host"]}. */
#define FILTER      "filters=%7B%22label%22%3A%5B%22sekisho.host%22%5D%7D"
#define LIST_PATH   "/containers/json?" FILTER
#define EVENTS_PATH "/events"

static void list_ask(struct docker *d);

/* ---- what is offered ---- */

static void offer_write(struct buf *out, const struct label_offer *o, const char *why)
{
        buf_addf(out, "%.*s|%.*s|%.*s|%.*s|%s", STR_FMT(o->name), STR_FMT(o->url), STR_FMT(o->path),
                 STR_FMT(o->access), why);
        for (size_t i = 0; i < o->hosts_count; i++)
                buf_addf(out, "|%.*s", STR_FMT(o->hosts[i]));
        buf_add_char(out, '\n');
}

static void keep(struct docker *d, struct arena *arena, struct label_offer *offers, size_t count,
                 struct buf *text)
{
        arena_fini(&d->arena);
        buf_fini(&d->last);
        d->arena = *arena;
        d->last = *text;
        d->offers = offers;
        d->offers_count = count;
        d->events->on_change(d->context);
}

static void offers_drop(struct docker *d)
{
        struct arena arena;
        struct buf text;

        if (d->last.len == 0)
                return;
        arena_init(&arena, NULL, 0, OFFERS_BYTES_MAX);
        buf_init(&text, OFFERS_BYTES_MAX);
        keep(d, &arena, NULL, 0, &text);
}

/* The item's texts do not live as long. */
static void texts_keep(struct label_offer *o, struct arena *a)
{
        o->name = arena_copy(a, o->name);
        o->path = arena_copy(a, o->path);
        o->access = arena_copy(a, o->access);
        for (size_t i = 0; i < o->hosts_count; i++)
                o->hosts[i] = arena_copy(a, o->hosts[i]);
}

static void refused_say(const struct label_offer *o, const char *why)
{
        log_warning("container_refused", LOG_S("container", o->name), LOG_C("why", why));
}

/* Those that may be offered, in `offers`, and all as text. */
static size_t items_read(struct docker *d, const struct json_value *root, struct arena *a,
                         struct label_offer *offers, struct buf *text)
{
        bool is_said = false;
        size_t count = 0;

        for (int round = 0; round < 2; round++) {
                count = 0;
                for (size_t i = 0; i < root->count && count < LABEL_CONTAINERS_MAX; i++) {
                        struct label_offer o;
                        const char *why = "";
                        enum label_answer answer = label_read(json_item(root, i), a, &o, &why);

                        if (answer == LABEL_OFFER && !d->events->may_offer(d->context, &o)) {
                                answer = LABEL_REFUSED;
                                why = "is at an address that agent.allow of this agent does not name";
                        }
                        if (answer == LABEL_NONE)
                                continue;
                        if (round == 0)
                                offer_write(text, &o, why);
                        else if (answer == LABEL_REFUSED && is_said)
                                refused_say(&o, why);
                        if (answer == LABEL_REFUSED)
                                continue;
                        texts_keep(&o, a);
                        offers[count++] = o;
                }
                is_said = !str_eq(buf_str(text), buf_str(&d->last)); /* once, not with each look */
        }
        return count;
}

static void list_take(struct docker *d)
{
        const struct json_value *root;
        struct arena tree, arena;
        struct buf text;
        enum err e;

        arena_init(&tree, NULL, 0, TREE_BYTES_MAX);
        arena_init(&arena, NULL, 0, OFFERS_BYTES_MAX);
        buf_init(&text, OFFERS_BYTES_MAX);
        struct label_offer *offers = ARENA_ARRAY(&arena, struct label_offer, LABEL_CONTAINERS_MAX);
        size_t count = 0;

        e = json_read_strict(&tree, buf_str(&d->body), NULL, &root);
        if (e == ERR_OK && !json_is(root, JSON_ARRAY))
                e = ERR_MALFORMED;
        if (e == ERR_OK && offers)
                count = items_read(d, root, &arena, offers, &text);
        arena_fini(&tree);
        if (e != ERR_OK)
                log_warning("containers_not_read", LOG_E(e));
        if (e == ERR_OK && !arena.full && !text.full && !str_eq(buf_str(&text), buf_str(&d->last))) {
                log_info("containers_found", LOG_N("offered", count));
                keep(d, &arena, offers, count, &text);
                return;
        }
        arena_fini(&arena);
        buf_fini(&text);
}

/* ---- the list ---- */

static size_t on_list_data(struct call *c, const struct side_data *data)
{
        struct docker *d = CONTAINER_OF(c, struct docker, list);

        for (size_t i = 0; i < data->slices_count; i++)
                buf_add(&d->body, data->slices[i]);
        return side_data_len(data);
}

static void on_list_end(struct call *c, enum err e)
{
        struct docker *d = CONTAINER_OF(c, struct docker, list);

        d->is_listing = false;
        if (e == ERR_OK && c->status == 200 && !d->body.full)
                list_take(d);
        buf_fini(&d->body);
        if (d->wants_list)
                list_ask(d);
        else if (d->is_streaming)
                timer_set(d->w->loop, &d->again, loop_now(d->w->loop) + RESYNC_MS);
}

static const struct call_events list_events = { NULL, on_list_data, on_list_end };

static bool ask(struct docker *d, struct call *call, struct str path, int64_t total_ms,
                const struct call_events *events)
{
        const struct call_request request = {
                .method = STR("GET"), .target = path, .upstream = &d->upstream, .total_ms = total_ms
        };

        return call_start(call, d->w, &request, events) == ERR_OK;
}

static void list_ask(struct docker *d)
{
        d->wants_list = d->is_listing;
        if (d->is_listing)
                return;
        timer_clear(&d->again);
        buf_init(&d->body, BODY_BYTES_MAX);
        d->is_listing = ask(d, &d->list, STR(LIST_PATH), LIST_MS, &list_events);
}

/* ---- the stream ---- */

static void on_stream_head(struct call *c, const struct http_head *head)
{
        struct docker *d = CONTAINER_OF(c, struct docker, stream);

        (void)head;
        if (c->status != 200 || call_is_refused(c))
                return;
        if (!d->is_there)
                log_info("docker_there", LOG_S("socket", str_of(d->path)));
        d->is_there = true;
        d->was_said = false;
        timer_clear(&d->gone);
        timer_set(d->w->loop, &d->again, loop_now(d->w->loop)); /* from here on nothing is missed */
}

static size_t on_stream_data(struct call *c, const struct side_data *data)
{
        struct docker *d = CONTAINER_OF(c, struct docker, stream);
        bool news = false;

        for (size_t i = 0; i < data->slices_count; i++)
                news |= engine_events_feed(&d->reader, data->slices[i]);
        if (news && d->is_there)
                timer_set(d->w->loop, &d->again, loop_now(d->w->loop) + GATHER_MS);
        return side_data_len(data);
}

static void on_stream_end(struct call *c, enum err e)
{
        struct docker *d = CONTAINER_OF(c, struct docker, stream);
        mono_ms now = loop_now(d->w->loop);

        d->is_streaming = false;
        engine_events_fini(&d->reader);
        if (d->is_there)
                timer_set(d->w->loop, &d->gone, now + DOCKER_GONE_MS);
        if (d->is_there || !d->was_said)
                log_warning("docker_away", LOG_S("socket", str_of(d->path)), LOG_N("status", c->status),
                            LOG_E(e), LOG_C("meaning", "the Engine is asked again every second"));
        d->was_said = true;
        d->is_there = false;
        timer_set(d->w->loop, &d->again, now + AGAIN_MS);
}

static const struct call_events stream_events = { on_stream_head, on_stream_data, on_stream_end };

/* ---- time ---- */

static void on_again(struct timer *t)
{
        struct docker *d = CONTAINER_OF(t, struct docker, again);

        if (d->is_streaming) {
                list_ask(d);
                return;
        }
        engine_events_init(&d->reader);
        d->is_streaming = ask(d, &d->stream, STR(EVENTS_PATH), 0, &stream_events);
        if (!d->is_streaming)
                timer_set(d->w->loop, &d->again, loop_now(d->w->loop) + AGAIN_MS);
}

static void on_gone(struct timer *t)
{
        offers_drop(CONTAINER_OF(t, struct docker, gone));
}

static void upstream_make(struct docker *d)
{
        struct shared *shared = d->w->shared;

        d->upstream = (struct upstream){ .name = STR("docker"),
                                         .targets = &d->target,
                                         .targets_count = 1,
                                         .is_quiet = true,
                                         .waits = { AGAIN_MS, LIST_MS, STREAM_IDLE_MS, STREAM_IDLE_MS },
                                         .tries_max = 1 };
        waitline_init(&d->upstream.line, 0, 0);
        d->target = (struct target){ .upstream = &d->upstream,
                                     .url = STR("docker"),
                                     .path = str_of(d->path),
                                     .authority = STR("docker"),
                                     .seat = { .weight = 1 } };
        up_target_init(&d->target);
        measure_upstream_init(shared->metrics, &d->upstream.measure, d->upstream.name);
        measure_target_init(shared->metrics, &d->target.measure, d->upstream.name, d->target.url);
}

void docker_start(struct docker *d, struct worker *w, struct str path, const struct docker_events *events,
                  void *context)
{
        bool is_again = d->w != NULL;

        if (path.len == 0 || path.len >= sizeof(d->path))
                return;
        if (!is_again) {
                d->w = w;
                upstream_make(d);
        }
        memcpy(d->path, path.ptr, path.len);
        d->path[path.len] = '\0';
        d->target.path = str_of(d->path);
        d->events = events;
        d->context = context;
        timer_init(&d->again, on_again);
        timer_init(&d->gone, on_gone);
        arena_init(&d->arena, NULL, 0, OFFERS_BYTES_MAX);
        buf_init(&d->last, OFFERS_BYTES_MAX);
        d->is_there = d->was_said = d->wants_list = false;
        d->is_started = true;
        timer_set(w->loop, &d->again, loop_now(w->loop) + (is_again ? AGAIN_MS : 0));
}

void docker_stop(struct docker *d)
{
        if (!d->is_started)
                return;
        d->is_started = false;
        timer_clear(&d->again);
        timer_clear(&d->gone);
        if (d->is_listing)
                call_cancel(&d->list);
        if (d->is_streaming) {
                call_cancel(&d->stream);
                engine_events_fini(&d->reader);
        }
        buf_fini(&d->body);
        d->is_listing = d->is_streaming = false;
        arena_fini(&d->arena);
        buf_fini(&d->last);
        d->offers = NULL;
        d->offers_count = 0;
}
