#include "cli/probe.h"

#include "base/units.h"
#include "json/reader.h"

static const struct kind {
        struct str name, title;
        uint16_t port;
        struct str owner; /* what its models' owned_by says */
} kinds[] = {
        { STR_INIT("ollama"), STR_INIT("Ollama"), 11434, STR_INIT("library") },
        { STR_INIT("llamacpp"), STR_INIT("llama.cpp"), 8080, STR_INIT("llamacpp") },
        { STR_INIT("vllm"), STR_INIT("vLLM"), 8000, STR_INIT("vllm") },
        { STR_INIT("sglang"), STR_INIT("SGLang"), 30000, STR_INIT("sglang") },
        { STR_INIT("lmstudio"), STR_INIT("LM Studio"), 1234, STR_INIT("organization_owner") },
};

enum { OLLAMA = 0 };

static const struct kind unknown = {
        STR_INIT("server"), STR_INIT("an OpenAI-compatible server"), 0, { NULL, 0 }
};

void probe_list_usual(struct probe_list *out)
{
        *out = (struct probe_list){ .count = ARRAY_SIZE(kinds) };
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                out->places[i].kind = i;
                out->places[i].port = kinds[i].port;
        }
}

static bool place_parse(struct str text, struct probe_list *out)
{
        struct str rest = text, name;
        uint64_t port;

        str_split(&rest, '=', &name);
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                if (!str_eq(kinds[i].name, name) || out->count == PROBE_SERVERS_MAX)
                        continue;
                port = kinds[i].port;
                if (rest.ptr && (units_parse_u64(rest, 65535, &port) != ERR_OK || port == 0))
                        return false;
                out->places[out->count].kind = i;
                out->places[out->count++].port = (uint16_t)port;
                return true;
        }
        return false;
}

enum err probe_list_parse(struct str text, struct probe_list *out)
{
        struct str place;

        *out = (struct probe_list){ 0 };
        if (str_eq(text, STR("none")))
                return ERR_OK;
        while (str_split(&text, ',', &place))
                if (!place_parse(str_trim(place), out))
                        return ERR_MALFORMED;
        return ERR_OK;
}

/* ---- asking ---- */

static enum err ask(struct client *c, uint16_t port, struct str path, int64_t wait_ms, struct arena *a,
                    struct client_answer *out)
{
        struct dial_target target = { .port = port };
        struct str host = arena_format(a, "127.0.0.1:%u", port);
        const struct client_request request = { .method = STR("GET"), .path = path, .host = host };
        enum err e = ip_parse(STR("127.0.0.1"), &target.ip);

        if (e == ERR_OK)
                e = client_dial(c, &target, wait_ms);
        if (e == ERR_OK)
                e = client_ask(c, &request, wait_ms, out);
        return e;
}

/* The names in a list of objects; false when it is no such list. */
static bool models_take(const struct json_value *list, struct str key, struct arena *a,
                        struct probe_server *out)
{
        if (!json_is(list, JSON_ARRAY))
                return false;
        for (size_t i = 0; i < list->count; i++) {
                struct str name = json_str(json_find(&list->items[i], key));

                if (name.len == 0)
                        return false;
                if (out->models_count < PROBE_MODELS_MAX)
                        out->models[out->models_count++] = arena_copy(a, name);
        }
        return true;
}

static const struct json_value *body_read(const struct client_answer *answer, struct arena *a)
{
        static const struct json_options options = { .duplicates_allowed = true };
        const struct json_value *root;

        return json_read(a, answer->body, &options, NULL, &root) == ERR_OK ? root : NULL;
}

/* /api/tags: {"models": [{"name": …}]} */
static bool ollama_ask(struct client *c, uint16_t port, int64_t wait_ms, struct arena *a,
                       struct probe_server *out)
{
        struct client_answer answer;

        if (ask(c, port, STR("/api/tags"), wait_ms, a, &answer) != ERR_OK || answer.status != 200)
                return false;
        return models_take(json_find(body_read(&answer, a), STR("models")), STR("name"), a, out);
}

static const struct kind *kind_of(const struct json_value *list, struct str server)
{
        struct str owner = json_str(json_find(json_item(list, 0), STR("owned_by")));

        if (str_find(server, STR("llama.cpp")) != STR_NONE)
                owner = STR("llamacpp");
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (str_eq(kinds[i].owner, owner))
                        return &kinds[i];
        return &unknown;
}

/* /v1/models: {"data": [{"id": …, "owned_by": …}]} */
static const struct kind *openai_ask(struct client *c, uint16_t port, int64_t wait_ms, struct arena *a,
                                     struct probe_server *out)
{
        struct client_answer answer;
        const struct json_value *list;

        if (ask(c, port, STR("/v1/models"), wait_ms, a, &answer) != ERR_OK)
                return NULL;
        if (answer.status == 401 || answer.status == 403) {
                out->wants_key = json_is(body_read(&answer, a), JSON_OBJECT);
                return out->wants_key ? &unknown : NULL;
        }
        list = json_find(body_read(&answer, a), STR("data"));
        if (answer.status != 200 || !models_take(list, STR("id"), a, out))
                return NULL;
        return kind_of(list, answer.server);
}

size_t probe_find(struct client *c, const struct probe_list *list, int64_t wait_ms, struct arena *a,
                  struct probe_server out[PROBE_SERVERS_MAX])
{
        size_t count = 0;

        for (size_t i = 0; i < list->count; i++) {
                struct probe_server *s = &out[count];
                uint16_t port = list->places[i].port;
                const struct kind *kind = NULL;

                *s = (struct probe_server){ .port = port };
                if (list->places[i].kind == OLLAMA && ollama_ask(c, port, wait_ms, a, s))
                        kind = &kinds[OLLAMA];
                else if (list->places[i].kind != OLLAMA)
                        kind = openai_ask(c, port, wait_ms, a, s);
                client_close(c);
                if (!kind)
                        continue;
                s->name = kind->name;
                s->title = kind->title;
                s->base_url = arena_format(a, "http://127.0.0.1:%u/v1", port);
                count++;
        }
        return count;
}

struct str probe_first_model(struct client *c, uint16_t port, int64_t wait_ms, struct arena *a)
{
        struct probe_server found = { .port = port };
        const struct kind *kind = openai_ask(c, port, wait_ms, a, &found);

        client_close(c);
        return kind && found.models_count ? found.models[0] : STR_NULL;
}
