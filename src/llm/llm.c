#include "llm/llm.h"

#include "llm/catalogue.h"
#include "llm/models_page.h"
#include "llm/passthrough.h"

struct llm {
        struct catalogue catalogue;
};

static const struct {
        struct str name, path, provider_path;
        enum conf_dialect dialect;
        const struct handler *handler;
} passed_on[] = {
        { STR_INIT("anthropic-messages"), STR_INIT("/v1/messages"), STR_INIT("/messages"), CONF_ANTHROPIC,
          &passthrough_anthropic },
        { STR_INIT("anthropic-count-tokens"), STR_INIT("/v1/messages/count_tokens"),
          STR_INIT("/messages/count_tokens"), CONF_ANTHROPIC, &passthrough_anthropic },
        { STR_INIT("openai-chat"), STR_INIT("/v1/chat/completions"), STR_INIT("/chat/completions"),
          CONF_OPENAI, &passthrough_openai },
        { STR_INIT("openai-completions"), STR_INIT("/v1/completions"), STR_INIT("/completions"), CONF_OPENAI,
          &passthrough_openai },
        { STR_INIT("openai-embeddings"), STR_INIT("/v1/embeddings"), STR_INIT("/embeddings"), CONF_OPENAI,
          &passthrough_openai },
        { STR_INIT("openai-responses"), STR_INIT("/v1/responses"), STR_INIT("/responses"), CONF_OPENAI,
          &passthrough_openai },
};

/* Conversations join here; until a room for them is asked for there is nothing to share. */
enum err llm_shared_new(const struct conf_limits *limits, struct llm_shared **out)
{
        (void)limits;
        *out = NULL;
        return ERR_OK;
}

void llm_shared_free(struct llm_shared *s)
{
        (void)s;
}

void llm_free(struct llm *l)
{
        if (l) /* the rest stands in the snapshot's arena */
                catalogue_fini(&l->catalogue);
}

void llm_start(struct llm *l, struct worker *w)
{
        for (size_t i = 0; i < l->catalogue.providers_count; i++)
                listing_start(&l->catalogue.providers[i].listing, w);
}

void llm_stop(struct llm *l)
{
        for (size_t i = 0; i < l->catalogue.providers_count; i++)
                listing_stop(&l->catalogue.providers[i].listing);
}

size_t llm_upstreams_count(const struct conf *c)
{
        return c->providers_count;
}

size_t llm_routes_count(void)
{
        return ARRAY_SIZE(passed_on) + 2;
}

enum err llm_new(const struct conf *c, struct snapshot *snap, struct shared *shared, struct llm_shared *chats,
                 struct report *r)
{
        struct llm *l = ARENA_NEW(&snap->arena, struct llm);

        (void)chats;
        if (!l)
                return ERR_NO_MEMORY;
        snap->llm = l;
        return catalogue_build(&l->catalogue, c, snap, shared, &snap->arena, r);
}

static void models_routes_add(struct llm *l, struct route_table *table)
{
        struct route list = { .name = STR("models"),
                              .path = STR("/v1/models"),
                              .path_kind = PATH_EXACT,
                              .methods = 1u << HTTP_GET,
                              .access = { .scopes = SCOPE_LLM },
                              .handler = &models_list_handler,
                              .handler_conf = &l->catalogue,
                              .is_builtin = true };
        struct route one = list;

        one.name = STR("model");
        one.path = STR("/v1/models/*"); /* a model's name may have slashes */
        one.path_kind = PATH_PATTERN;
        one.handler = &models_one_handler;
        table->routes[table->count++] = list;
        table->routes[table->count++] = one;
}

enum err llm_routes_add(struct snapshot *snap, struct route_table *table)
{
        struct llm *l = snap->llm;
        struct passthrough *confs = ARENA_ARRAY(&snap->arena, struct passthrough, ARRAY_SIZE(passed_on));

        if (!confs)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++) {
                confs[i] = (struct passthrough){ &l->catalogue, passed_on[i].dialect,
                                                 passed_on[i].provider_path };
                table->routes[table->count++] =
                        (struct route){ .name = passed_on[i].name,
                                        .path = passed_on[i].path,
                                        .path_kind = PATH_EXACT,
                                        .methods = 1u << HTTP_POST,
                                        .access = { .scopes = SCOPE_LLM },
                                        .handler = passed_on[i].handler,
                                        .handler_conf = &confs[i],
                                        .retries_posts = true,
                                        .replay_bytes_max = snap->limits.model_lookahead_bytes,
                                        .is_builtin = true };
        }
        models_routes_add(l, table);
        return ERR_OK;
}
