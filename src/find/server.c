#include "find/server.h"

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

enum { OLLAMA = 0, ANY = ARRAY_SIZE(kinds), TREE_BYTES_MAX = 32 << 20 };

static const struct kind unknown = {
        STR_INIT("server"), STR_INIT("an OpenAI-compatible server"), 0, { NULL, 0 }
};

const struct server_place server_any = { .kind = ANY };

void server_list_usual(struct server_list *out)
{
        *out = (struct server_list){ .count = ARRAY_SIZE(kinds) };
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                out->places[i] = (struct server_place){ i, kinds[i].port };
}

static bool place_parse(struct str text, struct server_list *out)
{
        struct str rest = text, name;
        uint64_t port;

        str_split(&rest, '=', &name);
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                if (!str_eq(kinds[i].name, name) || out->count == SERVER_PLACES_MAX)
                        continue;
                port = kinds[i].port;
                if (rest.ptr && (units_parse_u64(rest, 65535, &port) != ERR_OK || port == 0))
                        return false;
                out->places[out->count++] = (struct server_place){ i, (uint16_t)port };
                return true;
        }
        return false;
}

enum err server_list_parse(struct str text, struct server_list *out)
{
        struct str place;

        *out = (struct server_list){ 0 };
        if (str_eq(text, STR("none")))
                return ERR_OK;
        while (str_split(&text, ',', &place))
                if (!place_parse(str_trim(place), out))
                        return ERR_MALFORMED;
        return ERR_OK;
}

struct str server_path(const struct server_place *place)
{
        return place->kind == OLLAMA ? STR("/api/tags") : STR("/v1/models");
}

/* ---- answers ---- */

/* The names in a list of objects; false when it is no such list. */
static bool models_take(const struct json_value *list, struct str key, struct arena *a, struct server *out)
{
        if (!json_is(list, JSON_ARRAY))
                return false;
        for (size_t i = 0; i < list->count; i++) {
                struct str name = json_str(json_find(&list->items[i], key));

                if (name.len == 0)
                        return false;
                if (out->models_count < SERVER_MODELS_MAX && name.len <= SERVER_NAME_BYTES_MAX)
                        out->models[out->models_count++] = arena_copy(a, name);
        }
        return true;
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

/* {"models": [{"name": …}]} */
static const struct kind *ollama_read(const struct json_value *root, const struct server_answer *answer,
                                      struct arena *a, struct server *out)
{
        return answer->status == 200 && models_take(json_find(root, STR("models")), STR("name"), a, out)
                       ? &kinds[OLLAMA]
                       : NULL;
}

/* {"data": [{"id": …, "owned_by": …}]} */
static const struct kind *openai_read(const struct json_value *root, const struct server_answer *answer,
                                      struct arena *a, struct server *out)
{
        const struct json_value *list = json_find(root, STR("data"));

        if (answer->status == 401 || answer->status == 403) {
                out->wants_key = json_is(root, JSON_OBJECT);
                return out->wants_key ? &unknown : NULL;
        }
        return answer->status == 200 && models_take(list, STR("id"), a, out) ? kind_of(list, answer->server)
                                                                             : NULL;
}

bool server_read(const struct server_place *place, const struct server_answer *answer, struct arena *a,
                 struct server *out)
{
        static const struct json_options options = { .duplicates_allowed = true };
        const struct json_value *root;
        const struct kind *kind = NULL;
        struct arena scratch;

        *out = (struct server){ .port = place->port };
        arena_init(&scratch, NULL, 0, TREE_BYTES_MAX);
        if (json_read(&scratch, answer->body, &options, NULL, &root) == ERR_OK)
                kind = place->kind == OLLAMA ? ollama_read(root, answer, a, out)
                                             : openai_read(root, answer, a, out);
        arena_fini(&scratch);
        if (!kind || a->full)
                return false;
        out->name = kind->name;
        out->title = kind->title;
        out->base_url = arena_format(a, "http://127.0.0.1:%u/v1", place->port);
        return out->base_url.ptr != NULL;
}
