#include "conf/check_priv.h"
#include "conf/loader_priv.h"
#include "http/head.h"

/* Makers whose API is known by the name of the provider, so that the predecessor's file needs no addresses. */
static const struct maker {
        struct str name;
        enum conf_dialect kind;
        const char *base_url;
} makers[] = {
        { STR_INIT("anthropic"), CONF_ANTHROPIC, "https://api.anthropic.com" },
        { STR_INIT("openai"), CONF_OPENAI, "https://api.openai.com/v1" },
        { STR_INIT("openrouter"), CONF_OPENAI, "https://openrouter.ai/api/v1" },
        { STR_INIT("deepseek"), CONF_OPENAI, "https://api.deepseek.com/v1" },
        { STR_INIT("groq"), CONF_OPENAI, "https://api.groq.com/openai/v1" },
        { STR_INIT("zhipu"), CONF_OPENAI, "https://open.bigmodel.cn/api/paas/v4" },
        { STR_INIT("vllm"), CONF_OPENAI, "http://127.0.0.1:8000/v1" },
        { STR_INIT("gemini"), CONF_OPENAI, "https://generativelanguage.googleapis.com/v1beta/openai" },
        { STR_INIT("moonshot"), CONF_OPENAI, "https://api.moonshot.ai/v1" },
        { STR_INIT("ollama"), CONF_OLLAMA, "http://127.0.0.1:11434" },
};

static const struct maker *maker_find(struct str name)
{
        for (size_t i = 0; i < ARRAY_SIZE(makers); i++)
                if (str_eq(makers[i].name, name))
                        return &makers[i];
        return NULL;
}

static const struct maker *maker_of_kind(enum conf_dialect kind)
{
        static const struct str names[] = { STR_INIT("openai"), STR_INIT("anthropic"), STR_INIT("ollama") };

        return maker_find(names[kind == CONF_OPENAI ? 0 : kind == CONF_ANTHROPIC ? 1 : 2]);
}

/* The predecessor writes every maker it knows into its file, with an empty key for those not in use. */
static bool is_empty_legacy(const struct draft_provider *d)
{
        return d->api_key.from == DRAFT_PLAIN && d->api_key.value.len == 0 && !d->base_url.text.ptr &&
               !d->api_base.text.ptr;
}

/* A server of models beside an agent. */
static bool is_link(const struct draft_provider *d)
{
        return str_has_prefix(d->base_url.text, STR("link://"));
}

static void provider_kind(struct loader *l, const struct draft_provider *d, const struct maker *maker,
                          struct conf_provider *p)
{
        if (!d->kind && !maker && !is_link(d)) {
                loader_error_at(l, d->item.at,
                                "%.*s: \"kind\" is missing; write \"openai\", \"anthropic\" or \"ollama\"",
                                STR_FMT(d->item.path));
                return;
        }
        p->kind = d->kind ? (enum conf_dialect)d->kind : maker ? maker->kind : CONF_OPENAI;
        p->dialects = (d->dialects ? d->dialects : 0) | (unsigned)p->kind;
        p->finds_dialects = is_link(d) && !d->dialects;
}

static void provider_url(struct loader *l, const struct draft_provider *d, const struct maker *maker,
                         struct conf_provider *p)
{
        struct draft_text url = d->base_url.text.ptr ? d->base_url : d->api_base;
        struct str what = arena_format(&l->scratch, "%.*s.%s", STR_FMT(d->item.path),
                                       d->base_url.text.ptr || !d->api_base.text.ptr ? "baseUrl" : "apiBase");

        if (!p->kind || !what.ptr)
                return;
        if (!url.text.ptr)
                url = (struct draft_text){
                        .text = str_of(
                                (maker && maker->kind == p->kind ? maker : maker_of_kind(p->kind))->base_url),
                        .at = d->item.at
                };
        if (!resolve_url(l, what.ptr, &url, URL_BASE_PATH | URL_LINK, &p->base_url))
                return;
        if (p->base_url.scheme == CONF_HTTP && p->api_key.len && !ip_is_loopback(p->base_url.ip) &&
            !str_eq(p->base_url.host, STR("localhost")))
                loader_warning_at(l, d->item.at,
                                  "%.*s: the key travels unencrypted to %.*s; use https where it can be had",
                                  STR_FMT(d->item.path), STR_FMT(p->base_url.host));
}

static void provider_resolve(struct loader *l, const struct draft_provider *d, struct conf_provider *p)
{
        const struct maker *maker = maker_find(d->item.name);

        *p = d->provider;
        p->name = d->item.name;
        p->is_published = d->item.at.line == DRAFT_LINE_PUBLISHED;
        p->api_key = d->api_key.value;
        if (!conf_name_is_valid(p->name))
                loader_error_at(l, d->item.at,
                                "%.*s: a provider's name has up to 64 letters, digits, '.', '-' and '_'",
                                STR_FMT(d->item.path));
        if (!http_value_is_valid(p->api_key))
                loader_error_at(l, d->api_key.at,
                                "%.*s.apiKey: has characters that cannot stand in a header field",
                                STR_FMT(d->item.path));
        if (d->api_key.from == DRAFT_PLAIN && p->api_key.len)
                loader_warning_at(l, d->api_key.at,
                                  "%.*s.apiKey: the key stands in the file itself; write {\"env\": \"NAME\"} "
                                  "or {\"file\": \"path\"}",
                                  STR_FMT(d->item.path));
        provider_kind(l, d, maker, p);
        provider_url(l, d, maker, p);
        resolve_headers(l, &d->headers, &p->headers, &p->headers_count);
        resolve_client_tls(l, &d->item, &d->tls, &p->tls);
}

void resolve_providers(struct loader *l, struct draft_list *list)
{
        struct draft_provider *drafts = list->items;
        struct conf *c = l->conf;

        if (list->count == 0 || !(c->providers = ARENA_ARRAY(l->arena, struct conf_provider, list->count)))
                return;
        for (size_t i = 0; i < list->count; i++)
                if (!is_empty_legacy(&drafts[i]))
                        provider_resolve(l, &drafts[i], &c->providers[c->providers_count++]);
}

/* ---- models ---- */

static const struct conf_provider *provider_find(struct loader *l, const struct draft_text *name,
                                                 struct str path)
{
        struct conf *c = l->conf;
        struct str *names;

        for (size_t i = 0; i < c->providers_count; i++)
                if (str_eq(c->providers[i].name, name->text))
                        return &c->providers[i];
        if (!(names = ARENA_ARRAY(&l->scratch, struct str, c->providers_count + 1)))
                return NULL;
        for (size_t i = 0; i < c->providers_count; i++)
                names[i] = c->providers[i].name;
        loader_error_at(l, name->at, "%.*s.provider: there is no provider \"%.*s\"%s", STR_FMT(path),
                        STR_FMT(name->text), loader_hint(l, name->text, names, c->providers_count));
        return NULL;
}

static void target_resolve(struct loader *l, const struct draft_model *model, size_t i, bool is_pattern,
                           struct conf_model_target *out)
{
        const struct draft_model_target *d = (const struct draft_model_target *)model->targets.items + i;

        out->provider = provider_find(l, &d->provider, d->item.path);
        out->model = d->model.text;
        out->weight = d->weight.value;
        out->priority = d->priority.value;
        if (out->priority == CONF_UNSET)
                out->priority = d->weight.at.line ? 0 : i;
        if (is_pattern && str_find_char(out->model, '*') != STR_NONE)
                loader_error_at(
                        l, d->model.at,
                        "%.*s.model: must be one model's name, or be left out to pass on the name the "
                        "caller used",
                        STR_FMT(d->item.path));
}

static void targets_sort(struct conf_model_target *targets, size_t count)
{
        for (size_t i = 1; i < count; i++) /* by insertion: stable, and lists are short */
                for (size_t j = i; j > 0 && targets[j - 1].priority > targets[j].priority; j--) {
                        struct conf_model_target other = targets[j];

                        targets[j] = targets[j - 1];
                        targets[j - 1] = other;
                }
}

enum { MODEL_TARGETS_MAX = 64 };

static void model_resolve(struct loader *l, const struct draft_model *d, struct conf_model *out)
{
        size_t count = d->targets.count;

        out->name = d->item.name;
        out->is_pattern =
                str_find_char(out->name, '*') != STR_NONE || str_find_char(out->name, '?') != STR_NONE;
        if (out->name.len == 0)
                loader_error_at(l, d->item.at, "models: a model's name is empty");
        if (count == 0 || count > MODEL_TARGETS_MAX) {
                loader_error_at(l, d->item.at, "%.*s: name between 1 and %d providers for it",
                                STR_FMT(d->item.path), MODEL_TARGETS_MAX);
                return;
        }
        if (!(out->targets = ARENA_ARRAY(l->arena, struct conf_model_target, count)))
                return;
        out->targets_count = count;
        for (size_t i = 0; i < count; i++)
                target_resolve(l, d, i, out->is_pattern, &out->targets[i]);
        targets_sort(out->targets, count);
}

void resolve_models(struct loader *l, struct draft_list *list)
{
        struct draft_model *drafts = list->items;
        struct conf *c = l->conf;

        if (list->count == 0 || !(c->models = ARENA_ARRAY(l->arena, struct conf_model, list->count)))
                return;
        for (int patterns = 0; patterns < 2; patterns++)
                for (size_t i = 0; i < list->count; i++) {
                        struct conf_model model = { 0 };
                        struct str name = drafts[i].item.name;
                        bool is_pattern =
                                str_find_char(name, '*') != STR_NONE || str_find_char(name, '?') != STR_NONE;

                        if (is_pattern != (patterns == 1))
                                continue;
                        model_resolve(l, &drafts[i], &model);
                        c->models[c->models_count++] = model;
                }
}
