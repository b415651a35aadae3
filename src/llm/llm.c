#include "llm/llm.h"

#include <stdlib.h>

#include "llm/catalogue.h"
#include "llm/chat.h"
#include "llm/meter.h"
#include "llm/models_page.h"
#include "llm/passthrough.h"

enum { CONVERSATIONS_BYTES_MAX = 64 << 20 };

struct llm {
        struct catalogue catalogue;
        struct chat_conf chat;
        struct meter_book meter;
        struct meter_conf openai_meter, anthropic_meter, ollama_meter;
        struct route_filter openai_filter, anthropic_filter, ollama_filter, chat_filter;
};

struct llm_shared {
        struct conversations *conversations;
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
        { STR_INIT("ollama-chat"), STR_INIT("/api/chat"), STR_INIT("/chat"), CONF_OLLAMA,
          &passthrough_ollama },
        { STR_INIT("ollama-generate"), STR_INIT("/api/generate"), STR_INIT("/generate"), CONF_OLLAMA,
          &passthrough_ollama },
        { STR_INIT("ollama-embed"), STR_INIT("/api/embed"), STR_INIT("/embed"), CONF_OLLAMA,
          &passthrough_ollama },
        { STR_INIT("ollama-embeddings"), STR_INIT("/api/embeddings"), STR_INIT("/embeddings"), CONF_OLLAMA,
          &passthrough_ollama },
        { STR_INIT("ollama-show"), STR_INIT("/api/show"), STR_INIT("/show"), CONF_OLLAMA,
          &passthrough_ollama },
};

enum err llm_shared_new(const struct conf_limits *limits, struct llm_shared **out)
{
        struct conversation_limits l = { .sessions_max = limits->chat_sessions,
                                         .messages_max = limits->chat_turns,
                                         .bytes_max = limits->chat_bytes,
                                         .total_bytes_max = CONVERSATIONS_BYTES_MAX,
                                         .age_ms = limits->chat_age };
        struct llm_shared *s = calloc(1, sizeof(*s));

        *out = NULL;
        if (!s)
                return ERR_NO_MEMORY;
        s->conversations = conversations_new(&l);
        if (!s->conversations) {
                free(s);
                return ERR_NO_MEMORY;
        }
        *out = s;
        return ERR_OK;
}

void llm_shared_free(struct llm_shared *s)
{
        if (!s)
                return;
        conversations_free(s->conversations);
        free(s);
}

void llm_free(struct llm *l)
{
        if (!l)
                return;
        meter_book_fini(&l->meter); /* the rest stands in the snapshot's arena */
        catalogue_fini(&l->catalogue);
}

void llm_adopt(struct llm *l, const struct llm *old)
{
        catalogue_adopt(&l->catalogue, &old->catalogue);
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
        return ARRAY_SIZE(passed_on) + 5; /* and the models' pages, and the chat's */
}

enum err llm_new(const struct conf *c, struct snapshot *snap, struct shared *shared, struct llm_shared *chats,
                 struct report *r)
{
        struct llm *l = ARENA_NEW(&snap->arena, struct llm);

        if (!l)
                return ERR_NO_MEMORY;
        snap->llm = l;
        l->chat = (struct chat_conf){ .catalogue = &l->catalogue,
                                      .conversations = chats->conversations,
                                      .message_bytes_max = c->gateway.limits.chat_message_bytes,
                                      .openai = { &l->catalogue, CONF_OPENAI, STR("/chat/completions") },
                                      .anthropic = { &l->catalogue, CONF_ANTHROPIC, STR("/messages") } };
        meter_book_init(&l->meter, &l->catalogue);
        l->openai_meter = (struct meter_conf){ &l->meter, CONF_OPENAI };
        l->anthropic_meter = (struct meter_conf){ &l->meter, CONF_ANTHROPIC };
        l->openai_filter = (struct route_filter){ &meter_filter, &l->openai_meter };
        l->anthropic_filter = (struct route_filter){ &meter_filter, &l->anthropic_meter };
        l->ollama_meter = (struct meter_conf){ &l->meter, CONF_OLLAMA };
        l->ollama_filter = (struct route_filter){ &meter_filter, &l->ollama_meter };
        l->chat_filter = (struct route_filter){ &meter_count_filter, &l->openai_meter };
        return catalogue_build(&l->catalogue, c, snap, shared, &snap->arena, r);
}

/* Its paths are ours only where a provider may speak it: they are plain enough to be somebody's own. */
static bool speaks_ollama(const struct llm *l)
{
        for (size_t i = 0; i < l->catalogue.providers_count; i++)
                if (l->catalogue.providers[i].conf->dialects & CONF_OLLAMA ||
                    l->catalogue.providers[i].conf->finds_dialects)
                        return true;
        return false;
}

static const struct route_filter *filter_of(const struct llm *l, enum conf_dialect dialect)
{
        return dialect == CONF_ANTHROPIC ? &l->anthropic_filter
               : dialect == CONF_OLLAMA  ? &l->ollama_filter
                                         : &l->openai_filter;
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
        if (speaks_ollama(l)) {
                struct route tags = list;

                tags.name = STR("ollama-tags");
                tags.path = STR("/api/tags");
                tags.handler = &models_tags_handler;
                table->routes[table->count++] = tags;
        }
        table->routes[table->count++] = one;
}

static void chat_routes_add(struct llm *l, struct route_table *table)
{
        struct route whole = { .name = STR("chat"),
                               .path = STR("/api/v1/chat"),
                               .path_kind = PATH_EXACT,
                               .methods = 1u << HTTP_POST,
                               .access = { .scopes = SCOPE_LLM },
                               .handler = &chat_handler,
                               .handler_conf = &l->chat,
                               .filters = &l->chat_filter,
                               .filters_count = 1,
                               .is_builtin = true };
        struct route stream = whole;

        stream.name = STR("chat-stream");
        stream.path = STR("/api/v1/chat/stream");
        stream.handler = &chat_stream_handler;
        table->routes[table->count++] = whole;
        table->routes[table->count++] = stream;
}

enum err llm_routes_add(struct snapshot *snap, struct route_table *table)
{
        struct llm *l = snap->llm;
        struct passthrough *confs = ARENA_ARRAY(&snap->arena, struct passthrough, ARRAY_SIZE(passed_on));

        if (!confs)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++) {
                if (passed_on[i].dialect == CONF_OLLAMA && !speaks_ollama(l))
                        continue;
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
                                        .filters = filter_of(l, passed_on[i].dialect),
                                        .filters_count = 1,
                                        .retries_posts = true,
                                        .replay_bytes_max = snap->limits.model_lookahead_bytes,
                                        .is_builtin = true };
        }
        models_routes_add(l, table);
        chat_routes_add(l, table);
        return ERR_OK;
}
