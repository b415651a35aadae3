#include "proxy/cache_priv.h"

#include "http/status.h"

enum { MORE_FIELDS = 16 };

/* The side that answers from the store. In the exchange's arena. */
struct served {
        struct side side;
        struct cache_store *store;
        struct cache_entry *entry;
        struct str body;
        size_t given;
};

static void op_pull(struct side *s)
{
        struct served *me = (struct served *)s;
        struct str rest = str_from(me->body, me->given);
        struct side_data d = { &rest, rest.len ? 1 : 0, true, NULL, 0 };

        if (s->x)
                me->given += exchange_answer_data(s->x, &d);
}

static size_t op_data(struct side *s, const struct side_data *d)
{
        return side_data_len(d);
}

static void op_head(struct side *s, struct http_head *head) {}
static void op_flush(struct side *s) {}

static void op_release(struct side *s)
{
        struct served *me = (struct served *)s;

        cache_entry_put(me->store, me->entry);
        me->entry = NULL;
}

static void op_reset(struct side *s, enum err reason)
{
        op_release(s);
}

static const struct side_ops served_ops = { .name = "cache",
                                            .head = op_head,
                                            .data = op_data,
                                            .flush = op_flush,
                                            .pull = op_pull,
                                            .reset = op_reset,
                                            .release = op_release };

/* RFC 9110 15.4.5: what a 304 says of the answer it stands for. */
static bool goes_with_304(struct str name)
{
        static const struct str names[] = { STR_INIT("Cache-Control"), STR_INIT("Content-Location"),
                                            STR_INIT("Date"),          STR_INIT("ETag"),
                                            STR_INIT("Expires"),       STR_INIT("Vary") };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (str_eq_nocase(names[i], name))
                        return true;
        return false;
}

static bool client_has_it(const struct cached *c, const struct cache_entry *e, unix_ms now)
{
        struct http_field fields[2];
        struct http_head own = { .fields = fields, .fields_max = 2 };

        if (e->status != 200)
                return false;
        if (c->if_none_match.ptr && http_add(&own, STR("If-None-Match"), c->if_none_match) != ERR_OK)
                return false;
        if (c->if_modified_since.ptr &&
            http_add(&own, STR("If-Modified-Since"), c->if_modified_since) != ERR_OK)
                return false;
        return cache_is_not_modified(&own, e->etag, e->last_modified, now);
}

static enum err head_fill(struct cached *c, const struct cache_entry *e, struct http_head *head,
                          const char *status)
{
        struct arena *a = &c->x->arena;
        unix_ms now = loop_wall(c->cache->w->loop);
        int64_t age = cache_age_now(&e->age, e->answered, now);
        enum err error = ERR_OK;

        for (size_t i = 0; error == ERR_OK && i < e->fields_count; i++)
                if (head->status != 304 || goes_with_304(e->fields[i].name))
                        error = http_add(head, e->fields[i].name, e->fields[i].value);
        if (error == ERR_OK)
                error = http_add(head, STR("Age"), arena_format(a, "%lld", (long long)age));
        if (error == ERR_OK)
                error = http_add(head, STR("Cache-Status"),
                                 arena_format(a, "sekisho; hit%s; ttl=%lld", status,
                                              (long long)(e->age.lifetime_s - age)));
        if (error == ERR_OK && head->status != 304)
                error = http_add(head, STR("Content-Length"), arena_format(a, "%zu", e->body.len));
        return error;
}

void cache_serve(struct cached *c, struct cache_entry *e, const char *status)
{
        struct exchange *x = c->x;
        struct served *s = ARENA_NEW(&x->arena, struct served);
        bool is_304 = client_has_it(c, e, loop_wall(x->w->loop));
        uint16_t max = (uint16_t)(e->fields_count + MORE_FIELDS);
        struct http_head head = { .status = is_304 ? 304 : e->status,
                                  .version_minor = 1,
                                  .framing = is_304 ? HTTP_BODY_NONE : HTTP_BODY_LENGTH,
                                  .content_length = is_304 ? 0 : e->body.len,
                                  .keeps_alive = true,
                                  .fields = ARENA_ARRAY(&x->arena, struct http_field, max),
                                  .fields_max = max };

        head.reason = http_status_reason(head.status);
        c->phase = CACHED_SERVES;
        if (!s || !head.fields || head_fill(c, e, &head, status) != ERR_OK) {
                exchange_abort(x);
                return;
        }
        *s = (struct served){ .side = { .ops = &served_ops, .x = x }, .store = c->cache->store };
        s->entry = cache_entry_get(e);
        s->body = is_304 ? STR("") : e->body;
        x->up = &s->side;
        exchange_answer_head(x, &head);
        if (s->side.x)
                op_pull(&s->side);
}
