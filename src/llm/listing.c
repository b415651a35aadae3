#include "llm/listing.h"

#include <string.h>

#include "proxy/worker.h"
#include "json/reader.h"

enum {
        REFRESH_MS = 60000,
        RETRY_MS = 5000,
        DIALECTS_MS = 60000, /* a server is brought up to date now and then */
        LINK_MS = 2000,
        LINK_FAILURES_MAX = 2, /* then a box has nothing */
        CALL_MS = 10000,
        NAMES_BYTES_MAX = 16 << 20,
        NAME_BYTES_MAX = 256
};

/* What is asked, one after the other. */
enum { ASK_MODELS, ASK_OLLAMA, ASK_ANTHROPIC };

enum { ALL_DIALECTS = CONF_OPENAI | CONF_ANTHROPIC | CONF_OLLAMA };

static void on_timer(struct timer *t);

static bool is_link(const struct listing *l)
{
        return l->provider->base_url.scheme == CONF_LINK;
}

/* Nobody is asked. Of a box behind a link the list says which of its models may be named. */
static bool is_fixed(const struct listing *l)
{
        return l->provider->models.count && !is_link(l);
}

void listing_init(struct listing *l, const struct conf_provider *provider, struct upstream *upstream)
{
        *l = (struct listing){ .provider = provider,
                               .upstream = upstream,
                               .dialects = provider->finds_dialects ? ALL_DIALECTS : provider->dialects };
        timer_init(&l->timer, on_timer);
        arena_init(&l->arena, NULL, 0, NAMES_BYTES_MAX);
        buf_init(&l->body, LISTING_BODY_BYTES_MAX);
        if (is_fixed(l)) {
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

static bool is_wanted(const struct listing *l, struct str name)
{
        const struct conf_strs *models = &l->provider->models;

        for (size_t i = 0; i < models->count; i++)
                if (str_eq(models->items[i], name))
                        return true;
        return models->count == 0;
}

/* OpenAI and Anthropic: {"data":[{"id":…}]}; Ollama: {"models":[{"name":…}]}. */
static enum err names_read(struct listing *l, struct str text, struct arena *names_arena,
                           const struct str **out, size_t *count)
{
        bool is_ollama = l->provider->kind == CONF_OLLAMA || l->question == ASK_OLLAMA;
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

                if (json_is(name, JSON_STRING) && name->text.len && name->text.len <= NAME_BYTES_MAX &&
                    is_wanted(l, name->text))
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

static void ask(struct listing *l);

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

static void names_drop(struct listing *l)
{
        l->names = NULL;
        l->names_count = 0;
        l->is_known = true;
        l->dialects_since = 0; /* what comes back may be another */
}

static void wait(struct listing *l, int64_t ms)
{
        l->question = ASK_MODELS;
        timer_set(l->w->loop, &l->timer, loop_now(l->w->loop) + ms);
}

static void models_answered(struct listing *l, enum err e)
{
        mono_ms now = loop_now(l->w->loop);

        if (e == ERR_OK)
                e = names_take(l);
        if (e != ERR_OK) {
                log_debug("models_not_listed", LOG_S("provider", l->provider->name),
                          LOG_N("status", l->call.status), LOG_E(e));
                if (++l->failures >= LINK_FAILURES_MAX && is_link(l))
                        names_drop(l);
                wait(l, is_link(l) ? LINK_MS : RETRY_MS);
                return;
        }
        l->failures = 0;
        if (!l->provider->finds_dialects || (l->dialects_since && now - l->dialects_since < DIALECTS_MS)) {
                wait(l, is_link(l) ? LINK_MS : REFRESH_MS);
                return;
        }
        l->found = (unsigned)l->provider->kind;
        l->question = ASK_OLLAMA;
        ask(l);
}

/* Both forms of an answer that is no list of models say that it has none of Ollama's. */
static void ollama_answered(struct listing *l, enum err e)
{
        const struct str *names;
        struct arena arena;
        size_t count;

        arena_init(&arena, NULL, 0, NAMES_BYTES_MAX);
        if (e == ERR_OK && names_read(l, buf_str(&l->body), &arena, &names, &count) == ERR_OK)
                l->found |= CONF_OLLAMA;
        arena_fini(&arena);
        l->question = ASK_ANTHROPIC;
        ask(l);
}

static void anthropic_answered(struct listing *l, bool is_broken)
{
        uint16_t status = l->call.status;

        if (!is_broken && status >= 200 && status < 500 && status != 404 && status != 405)
                l->found |= CONF_ANTHROPIC;
        l->dialects = l->found;
        l->dialects_since = loop_now(l->w->loop);
        wait(l, LINK_MS);
}

static void on_end(struct call *c, enum err e)
{
        struct listing *l = CONTAINER_OF(c, struct listing, call);
        bool is_broken = e != ERR_OK;

        l->is_calling = false;
        if (e == ERR_OK && (c->status != 200 || l->body.full))
                e = ERR_MALFORMED;
        if (l->question == ASK_MODELS)
                models_answered(l, e);
        else if (l->question == ASK_OLLAMA)
                ollama_answered(l, e);
        else
                anthropic_answered(l, is_broken);
        if (!l->is_calling)
                buf_fini(&l->body);
}

static const struct call_events events = { .on_data = on_data, .on_end = on_end };

/* ---- asking ---- */

static size_t credential_fields(const struct listing *l, struct str bearer, struct http_field fields[5])
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

/* "/v1" stands at the end of a base URL or is to be added; Ollama's own API stands beside it, not below. */
static struct str path_make(const struct listing *l, struct arena *a)
{
        struct str base = l->provider->base_url.path;
        bool is_ollama = l->question == ASK_OLLAMA || l->provider->kind == CONF_OLLAMA;

        if (l->provider->base_url.scheme == CONF_UNIX || is_link(l))
                base = STR("");
        bool has_v1 = str_has_suffix(base, STR("/v1"));
        if (has_v1)
                base.len -= 3;
        return arena_join(a,
                          (struct str[2]){ base, l->question == ASK_ANTHROPIC ? STR("/v1/messages")
                                                 : is_ollama                  ? STR("/api/tags")
                                                                              : STR("/v1/models") },
                          2);
}

static void ask(struct listing *l)
{
        char first[1024];
        struct http_field fields[5];
        struct arena scratch;
        bool is_post = l->question == ASK_ANTHROPIC;

        arena_init(&scratch, first, sizeof(first), sizeof(first) + 8192);
        struct str target = path_make(l, &scratch);
        struct str bearer = arena_join(&scratch, (struct str[2]){ STR("Bearer "), l->provider->api_key }, 2);
        struct call_request request = { .method = is_post ? STR("POST") : STR("GET"),
                                        .target = target,
                                        .fields = fields,
                                        .fields_count = credential_fields(l, bearer, fields),
                                        .body = is_post ? STR("{}") : STR_NULL,
                                        .upstream = l->upstream,
                                        .total_ms = CALL_MS };

        if (is_post)
                fields[request.fields_count++] =
                        (struct http_field){ .name = STR("Content-Type"), .value = STR("application/json") };
        buf_fini(&l->body);
        buf_init(&l->body, LISTING_BODY_BYTES_MAX);
        l->is_calling = !scratch.full && call_start(&l->call, l->w, &request, &events) == ERR_OK;
        if (!l->is_calling)
                wait(l, RETRY_MS);
        explicit_bzero(first, sizeof(first)); /* the key was in it */
        arena_fini(&scratch);
}

static void on_timer(struct timer *t)
{
        ask(CONTAINER_OF(t, struct listing, timer));
}

void listing_start(struct listing *l, struct worker *w)
{
        if (is_fixed(l))
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

void listing_adopt(struct listing *l, const struct listing *old)
{
        size_t count = old->names_count;
        struct str *names;

        if (l->is_known || !old->is_known || l->provider->kind != old->provider->kind ||
            !str_eq(l->provider->base_url.text, old->provider->base_url.text) ||
            !(names = ARENA_ARRAY(&l->arena, struct str, count + 1)))
                return;
        for (size_t i = 0; i < count; i++)
                names[i] = arena_copy(&l->arena, old->names[i]);
        if (l->arena.full)
                return;
        l->names = names;
        l->names_count = count;
        l->is_known = true;
        l->failures = old->failures;
        if (l->provider->finds_dialects && old->provider->finds_dialects) {
                l->dialects = old->dialects;
                l->dialects_since = old->dialects_since;
        }
}

bool listing_has(const struct listing *l, struct str model)
{
        static const struct str latest = STR_INIT(":latest");

        for (size_t i = 0; i < l->names_count; i++) {
                struct str name = l->names[i];

                if (str_eq(name, model) || (l->dialects & CONF_OLLAMA && name.len == model.len + latest.len &&
                                            str_has_prefix(name, model) && str_has_suffix(name, latest)))
                        return true;
        }
        return false;
}
