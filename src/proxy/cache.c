#include "proxy/cache_priv.h"

#include "proxy/forward.h"
#include "proxy/reply.h"

/*
 * Theory of operation. The filter's state is made before the step `pick`, whose handler looks for a kept answer. What it
 * finds fresh it serves. Otherwise the first request for a key asks the upstream and is the leader of those that come
 * meanwhile. When its answer is whole they look again and find it; when its answer is none to keep they ask by themselves;
 * when it fails, the next of them leads. Nobody waits longer than conf.wait_ms.
 */

static void measure(struct cache *c, const char *result)
{
        measure_count(c->w, MEASURE_CACHE, result, NULL, NULL);
}

/* ---- the request ---- */

static struct str folded(struct arena *a, struct str text)
{
        char *p = arena_alloc(a, text.len + 1, 1);

        for (size_t i = 0; p && i < text.len; i++)
                p[i] = ascii_lower(text.ptr[i]);
        return (struct str){ p, p ? text.len : 0 };
}

/* What an upstream may answer by is in the key: scheme and host as they are forwarded, too. */
struct str cache_key_of(struct exchange *x, struct str target)
{
        const struct http_authority *a = &x->target.authority;
        struct str proto = folded(&x->arena, x->client.proto), seen = folded(&x->arena, x->client.host);
        struct str key = cache_key_make(&x->arena, proto, a->host, a->port, target);
        struct str host = folded(&x->arena, http_value(&x->request, HTTP_FIELD_HOST));

        if (str_eq(seen, host)) /* a trusted proxy may have said another */
                return key;
        struct str parts[3] = { key, STR("\n"), seen };
        return arena_join(&x->arena, parts, 3);
}

static bool has_credentials(const struct exchange *x)
{
        if (x->token || x->caller)
                return true;
        for (size_t i = 0; i < x->request.fields_count; i++) {
                const struct http_field *f = &x->request.fields[i];

                if ((f->line.len || !f->is_removed) &&
                    (f->id == HTTP_FIELD_AUTHORIZATION || f->id == HTTP_FIELD_COOKIE ||
                     f->id == HTTP_FIELD_X_API_KEY))
                        return true;
        }
        return false;
}

static bool request_is_usable(const struct exchange *x)
{
        static const struct str others[] = { STR_INIT("Range"), STR_INIT("If-Range"), STR_INIT("If-Match"),
                                             STR_INIT("If-Unmodified-Since") };
        struct cache_control c;

        if ((x->request.method != HTTP_GET && x->request.method != HTTP_HEAD) ||
            x->request.framing != HTTP_BODY_NONE || x->wants_upgrade)
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                if (http_find_name(&x->request, others[i]))
                        return false;
        cache_control_read(&x->request, &c);
        return !c.no_store;
}

static enum step_result on_request(struct exchange *x, void *state, const void *conf)
{
        struct cached *c = state;
        const struct http_field *f;

        *c = (struct cached){ .x = x, .conf = conf, .cache = x->w->cache, .forwarded = "bypass" };
        list_init(&c->flight_node);
        list_init(&c->waiters);
        list_init(&c->wait_node);
        timer_init(&c->timer, cache_flight_late);
        if (!c->cache)
                return STEP_NEXT;
        c->key = cache_key_of(x, x->target.text);
        c->is_usable = c->key.ptr && request_is_usable(x);
        c->has_credentials = has_credentials(x);
        if ((f = http_find_name(&x->request, STR("If-None-Match"))))
                c->if_none_match = f->value;
        if ((f = http_find_name(&x->request, STR("If-Modified-Since"))))
                c->if_modified_since = f->value;
        return STEP_NEXT;
}

/* ---- the handler ---- */

static struct cached *cached_of(const struct exchange *x)
{
        for (size_t i = 0; i < x->filters_count; i++)
                if (x->filters[i].filter == &cache_filter) {
                        struct cached *c = x->filters[i].state;
                        return c->cache ? c : NULL;
                }
        return NULL;
}

static enum step_result ask(struct cached *c)
{
        c->phase = CACHED_ASKS;
        c->asked = loop_wall(c->x->w->loop);
        c->generation = c->cache->generation;
        return forward_handler.pick(c->x);
}

static enum step_result serve(struct cached *c, struct cache_entry *e, const char *status, const char *result)
{
        measure(c->cache, result);
        if (cache_flight_leads(c))
                cache_flight_land(c, false);
        cache_serve(c, e, status);
        return STEP_DONE;
}

/* Asks the upstream whether what is kept still holds, in place of what the client asked of the kind. */
static bool validator_add(struct cached *c, const struct cache_entry *e)
{
        struct http_head *h = &c->x->request;

        if (!e->etag.len && !e->last_modified.len)
                return false;
        http_remove_name(h, STR("If-None-Match"));
        http_remove_name(h, STR("If-Modified-Since"));
        return (!e->etag.len || http_add(h, STR("If-None-Match"), e->etag) == ERR_OK) &&
               (!e->last_modified.len || http_add(h, STR("If-Modified-Since"), e->last_modified) == ERR_OK);
}

static void stale_keep(struct cached *c, struct cache_entry *e)
{
        if (c->entry)
                return;
        c->entry = cache_entry_get(e);
        c->forwarded = "stale";
        c->is_validating = c->x->request.method == HTTP_GET && validator_add(c, e);
}

static enum step_result look(struct cached *c)
{
        struct exchange *x = c->x;
        unix_ms now = loop_wall(x->w->loop);
        struct cache_control asked;
        struct cache_entry *e;

        cache_follow_purges(c->cache);
        c->forwarded = "uri-miss";
        e = cache_find(c->cache->store, c->key, &x->request);
        if (e && c->has_credentials && !e->age.is_for_all) {
                c->is_alone = true;
                c->forwarded = "request";
                e = NULL;
        }
        if (e) {
                switch (cache_state_of(&e->age, e->answered, now)) {
                case CACHE_FRESH:
                        return serve(c, e, c->has_waited ? "; collapsed" : "",
                                     c->has_waited ? "collapsed" : "hit");
                case CACHE_STALE_USABLE: cache_refresh_start(c, e); return serve(c, e, "", "stale");
                case CACHE_STALE: stale_keep(c, e); break;
                }
        }
        cache_control_read(&x->request, &asked);
        if (asked.only_if_cached)
                return exchange_refuse(x, 504, "only_if_cached", "There is no fresh answer here.");
        if (x->request.method != HTTP_GET || c->is_alone || cache_flight_leads(c))
                return ask(c);
        if (cache_flight_join(c)) {
                c->phase = CACHED_WAITS;
                c->has_waited = true;
                return STEP_WAIT;
        }
        cache_flight_lead(c);
        return ask(c);
}

static enum step_result pick(struct exchange *x)
{
        struct cached *c = cached_of(x);

        if (!c || !c->is_usable)
                return c ? ask(c) : forward_handler.pick(x);
        if (c->serves_broken)
                return serve(c, c->entry, "; fwd=stale; detail=error", "stale_error");
        if (c->serves_now)
                return serve(c, c->entry, "; fwd=stale; fwd-status=304", "revalidated");
        if (c->phase == CACHED_ASKS) /* another target */
                return forward_handler.pick(x);
        return look(c);
}

static void cancel(struct exchange *x)
{
        struct cached *c = cached_of(x);

        if (c)
                cache_flight_leave(c);
        forward_handler.cancel(x);
}

static struct cache_question question_of(const struct cached *c)
{
        return (struct cache_question){ .store = c->cache->store,
                                        .key = c->key,
                                        .request = &c->x->request,
                                        .has_credentials = c->has_credentials,
                                        .asked = c->asked,
                                        .now = loop_wall(c->x->w->loop),
                                        .body_bytes_max = c->conf->object_bytes_max };
}

static bool may_serve_broken(const struct cached *c)
{
        return c && c->entry && c->phase == CACHED_ASKS &&
               cache_serves_on_error(&c->entry->age, c->entry->answered, loop_wall(c->x->w->loop));
}

/* A 304 to our own question, or a failure that a stale answer covers. */
static bool declines(struct exchange *x, const struct http_head *head)
{
        struct cached *c = cached_of(x);

        if (!c || !c->entry || c->phase != CACHED_ASKS)
                return false;
        if (head->status == 304 && c->is_validating) {
                struct cache_question q = question_of(c);
                struct cache_entry *fresh = cache_freshen(&q, c->entry, head, &x->arena);

                if (fresh && !c->is_spoilt && c->generation == c->cache->generation) {
                        cache_entry_put(c->cache->store, c->entry);
                        c->entry = cache_entry_get(fresh);
                } else {
                        cache_remove(c->cache->store,
                                     c->key); /* good for this one, and no longer to be kept */
                }
                c->serves_now = true;
                return true;
        }
        bool is_failure =
                head->status == 500 || head->status == 502 || head->status == 503 || head->status == 504;
        c->serves_now = c->serves_broken = is_failure && may_serve_broken(c);
        return c->serves_now;
}

static bool rescues(struct exchange *x)
{
        struct cached *c = cached_of(x);

        if (!may_serve_broken(c))
                return false;
        x->refused = NULL;
        serve(c, c->entry, "; fwd=stale; detail=error", "stale_error");
        return true;
}

const struct handler cache_handler = {
        .name = "cache", .pick = pick, .cancel = cancel, .declines = declines, .rescues = rescues
};

/* ---- the filter ---- */

static void status_say(struct cached *c, struct http_head *head, bool is_stored)
{
        struct str text = arena_format(&c->x->arena, "sekisho; fwd=%s; fwd-status=%u%s", c->forwarded,
                                       head->status, is_stored ? "; stored" : "");

        if (http_add(head, STR("Cache-Status"), text) != ERR_OK)
                measure_count(c->x->w, MEASURE_CACHE, "unsaid", NULL, NULL);
}

static void on_answer(struct exchange *x, void *state, struct http_head *head)
{
        struct cached *c = state;
        const char *word = "bypass";

        if (!c->cache || c->phase == CACHED_SERVES || x->refused)
                return;
        cache_unsafe_forget(c, head);
        if (c->is_usable) {
                struct cache_question q = question_of(c);

                word = c->is_spoilt || c->generation != c->cache->generation
                               ? "purged"
                               : cache_fill_begin(&c->fill, &q, head, &x->arena);
                measure(c->cache, word && c->is_alone ? "pass" : c->entry ? "expired" : "miss");
                if (word && c->entry && x->request.method == HTTP_GET && head->status < 500)
                        cache_remove(c->cache->store, c->key); /* what is kept is no longer the answer */
        } else {
                measure(c->cache, "bypass");
        }
        status_say(c, head, !word);
        if (word && cache_flight_leads(c)) {
                if (head->status >= 500)
                        cache_flight_hand_on(c);
                else
                        cache_flight_land(c, true);
        }
}

static void on_data(struct exchange *x, void *state, const struct side_data *d)
{
        struct cached *c = state;
        bool is_kept;

        if (!c->fill.is_open)
                return;
        if (c->is_spoilt || c->generation != c->cache->generation) {
                cache_fill_drop(&c->fill);
                is_kept = false;
        } else {
                is_kept = cache_fill_data(&c->fill, d);
        }
        if (!c->fill.is_open && cache_flight_leads(c))
                cache_flight_land(c, !is_kept);
}

static void on_end(struct exchange *x, void *state)
{
        struct cached *c = state;

        if (!c->cache)
                return;
        cache_flight_leave(c);
        cache_fill_drop(&c->fill);
        if (cache_flight_leads(c))
                cache_flight_hand_on(c);
        cache_entry_put(c->cache->store, c->entry);
        c->entry = NULL;
        cache_measure_store(c->cache);
}

const struct filter cache_filter = { .name = "cache",
                                     .state_bytes = sizeof(struct cached),
                                     .on_request = on_request,
                                     .on_answer = on_answer,
                                     .on_data = on_data,
                                     .on_end = on_end };
