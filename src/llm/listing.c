#include "llm/listing.h"

#include <string.h>

#include "proxy/worker.h"
#include "json/reader.h"

enum {
        REFRESH_MS = 60000,
        RETRY_MS = 5000,
        CALL_MS = 10000,
        NAMES_BYTES_MAX = 16 << 20,
        NAME_BYTES_MAX = 256
};

static void on_timer(struct timer *t);

void listing_init(struct listing *l, const struct conf_provider *provider, struct upstream *upstream)
{
        *l = (struct listing){ .provider = provider, .upstream = upstream };
        timer_init(&l->timer, on_timer);
        arena_init(&l->arena, NULL, 0, NAMES_BYTES_MAX);
        buf_init(&l->body, LISTING_BODY_BYTES_MAX);
        if (provider->models.count) {
                l->names = provider->models.items;
                l->names_count = provider->models.count;
                l->is_known = true;
        }
}

void listing_fini(struct listing *l)
{
        arena_fini(&l->arena);
        buf_fini(&l->body);
}

/* ---- what the provider answered ---- */

/* OpenAI and Anthropic: {"data":[{"id":…}]}; Ollama: {"models":[{"name":…}]}. */
static enum err names_read(struct listing *l, struct str text, struct arena *names_arena,
                           const struct str **out, size_t *count)
{
        bool is_ollama = l->provider->kind == CONF_OLLAMA;
        const struct json_value *root, *list;
        struct report ignored;
        struct arena arena;
        struct str *names = NULL;
        enum err e;

        arena_init(&arena, NULL, 0, LISTING_BODY_BYTES_MAX * 8u);
        report_init(&ignored, STR_NULL);
        e = json_read_strict(&arena, text, &ignored, &root);
        list = e == ERR_OK ? json_find(root, is_ollama ? STR("models") : STR("data")) : NULL;
        if (e == ERR_OK && !json_is(list, JSON_ARRAY))
                e = ERR_MALFORMED;
        *count = 0;
        if (e == ERR_OK &&
            !(names = ARENA_ARRAY(names_arena, struct str, MIN(list->count, LISTING_NAMES_MAX) + 1)))
                e = ERR_NO_MEMORY;
        for (size_t i = 0; e == ERR_OK && i < list->count && i < LISTING_NAMES_MAX; i++) {
                const struct json_value *name =
                        json_find(json_item(list, i), is_ollama ? STR("name") : STR("id"));

                if (json_is(name, JSON_STRING) && name->text.len && name->text.len <= NAME_BYTES_MAX)
                        names[(*count)++] = arena_copy(names_arena, name->text);
        }
        *out = names;
        report_fini(&ignored);
        arena_fini(&arena);
        return e == ERR_OK && names_arena->full ? ERR_NO_MEMORY : e;
}

static enum err names_take(struct listing *l)
{
        struct arena fresh;
        const struct str *names;
        size_t count;
        enum err e;

        arena_init(&fresh, NULL, 0, NAMES_BYTES_MAX);
        e = names_read(l, buf_str(&l->body), &fresh, &names, &count);
        if (e != ERR_OK) {
                arena_fini(&fresh);
                return e;
        }
        arena_fini(&l->arena);
        l->arena = fresh;
        l->names = names;
        l->names_count = count;
        l->is_known = true;
        return ERR_OK;
}

static size_t on_data(struct call *c, const struct side_data *d)
{
        struct listing *l = CONTAINER_OF(c, struct listing, call);
        size_t len = 0;

        for (size_t i = 0; i < d->slices_count; i++) {
                buf_add(&l->body, d->slices[i]);
                len += d->slices[i].len;
        }
        return len;
}

static void on_end(struct call *c, enum err e)
{
        struct listing *l = CONTAINER_OF(c, struct listing, call);

        l->is_calling = false;
        if (e == ERR_OK && (c->status != 200 || l->body.full))
                e = ERR_MALFORMED;
        if (e == ERR_OK)
                e = names_take(l);
        if (e != ERR_OK)
                log_debug("models_not_listed", LOG_S("provider", l->provider->name),
                          LOG_N("status", c->status), LOG_E(e));
        buf_fini(&l->body);
        timer_set(l->w->loop, &l->timer, loop_now(l->w->loop) + (e == ERR_OK ? REFRESH_MS : RETRY_MS));
}

static const struct call_events events = { .on_data = on_data, .on_end = on_end };

/* ---- asking ---- */

static size_t credential_fields(const struct listing *l, struct str bearer, struct http_field fields[4])
{
        struct str key = l->provider->api_key;
        size_t n = 0;

        if (l->provider->kind == CONF_ANTHROPIC) {
                fields[n++] =
                        (struct http_field){ .name = STR("anthropic-version"), .value = STR("2023-06-01") };
                if (key.len)
                        fields[n++] = (struct http_field){ .name = STR("x-api-key"), .value = key };
        } else if (key.len) {
                fields[n++] = (struct http_field){ .name = STR("Authorization"), .value = bearer };
        }
        fields[n++] = (struct http_field){ .name = STR("Accept"), .value = STR("application/json") };
        return n;
}

static void ask(struct listing *l)
{
        struct str base = l->provider->base_url.scheme == CONF_UNIX ? STR("") : l->provider->base_url.path;
        bool has_v1 = str_has_suffix(base, STR("/v1")), is_ollama = l->provider->kind == CONF_OLLAMA;
        char first[1024];
        struct http_field fields[4];
        struct arena scratch;

        arena_init(&scratch, first, sizeof(first), sizeof(first) + 8192);
        if (is_ollama && has_v1) /* its own API stands beside the OpenAI form, not below it */
                base.len -= 3;
        struct str path = is_ollama ? STR("/api/tags") : has_v1 ? STR("/models") : STR("/v1/models");
        struct str target = arena_join(&scratch, (struct str[2]){ base, path }, 2);
        struct str bearer = arena_join(&scratch, (struct str[2]){ STR("Bearer "), l->provider->api_key }, 2);
        struct call_request request = { .method = STR("GET"),
                                        .target = target,
                                        .fields = fields,
                                        .fields_count = credential_fields(l, bearer, fields),
                                        .upstream = l->upstream,
                                        .total_ms = CALL_MS };

        buf_init(&l->body, LISTING_BODY_BYTES_MAX);
        l->is_calling = !scratch.full && call_start(&l->call, l->w, &request, &events) == ERR_OK;
        if (!l->is_calling)
                timer_set(l->w->loop, &l->timer, loop_now(l->w->loop) + RETRY_MS);
        explicit_bzero(first, sizeof(first)); /* the key was in it */
        arena_fini(&scratch);
}

static void on_timer(struct timer *t)
{
        ask(CONTAINER_OF(t, struct listing, timer));
}

void listing_start(struct listing *l, struct worker *w)
{
        if (l->provider->models.count)
                return;
        l->w = w;
        l->is_started = true;
        timer_set(w->loop, &l->timer, loop_now(w->loop));
}

void listing_stop(struct listing *l)
{
        if (!l->is_started)
                return;
        l->is_started = false;
        timer_clear(&l->timer);
        if (l->is_calling)
                call_cancel(&l->call);
        l->is_calling = false;
}

bool listing_has(const struct listing *l, struct str model)
{
        for (size_t i = 0; i < l->names_count; i++)
                if (str_eq(l->names[i], model))
                        return true;
        return false;
}
