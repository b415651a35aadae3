#include "conf/check_priv.h"
#include "conf/draft_priv.h"
#include "conf/table_priv.h"

#define AT(type, member) .offset = offsetof(struct type, member)

static const struct conf_word dialects[] = {
        { "openai", CONF_OPENAI,
          "`/chat/completions`, `/responses`, `/embeddings`, `/models` below `baseUrl`" },
        { "anthropic", CONF_ANTHROPIC, "`/v1/messages` below `baseUrl`" },
        { "ollama", CONF_OLLAMA, "`/api/chat`, `/api/tags` below `baseUrl`" },
        { NULL },
};

static const struct conf_key provider_keys[] = {
        { "kind", CONF_TYPE_WORD, 0, AT(draft_provider, kind), .words = dialects,
          .unless =
                  "by the name, where it is one of anthropic, openai, openrouter, deepseek, groq, zhipu, vllm, gemini, "
                  "moonshot, ollama",
          .doc = "The form of its API." },
        { "baseUrl", CONF_TYPE_TEXT, 0, AT(draft_provider, base_url),
          .unless = "the maker's, by name or kind",
          .doc = "Where its API begins: for `openai` with the version (`http://127.0.0.1:11434/v1`), for `anthropic` and "
                 "`ollama` without (`https://api.anthropic.com`); `link://AGENT/TARGET` for one beside an agent." },
        { "apiBase", CONF_TYPE_TEXT, CONF_HIDDEN, AT(draft_provider, api_base),
          .doc = "The predecessor's name for `baseUrl`." },
        { "apiKey", CONF_TYPE_SECRET, 0, AT(draft_provider, api_key), .unless = "none",
          .doc = "Sent along with each call: `{\"env\": \"NAME\"}`, `{\"file\": \"path\"}`, or, with a warning, the key itself." },
        { "dialects", CONF_TYPE_WORDS, 0, AT(draft_provider, dialects), .words = dialects,
          .unless = "`kind` alone; one beside an agent is asked which",
          .doc = "All forms of call it understands." },
        { "headers", CONF_TYPE_HEADERS, 0, AT(draft_provider, headers), "{}",
          .doc = "Fields sent along with each call; a value may be `{\"env\": …}` or `{\"file\": …}`." },
        { "models", CONF_TYPE_TEXTS, 0, AT(draft_provider, provider.models), "[]", .unless = "it is asked",
          .check = conf_check_not_empty,
          .doc = "The models it serves; of one beside an agent, which of those that it lists may be named." },
        { "timeouts", CONF_TYPE_TABLE, 0, AT(draft_provider, provider.timeouts),
          .table = &conf_table_provider_timeouts, .doc = "Timeouts." },
        { "tls", CONF_TYPE_TABLE, 0, AT(draft_provider, tls), .table = &conf_table_client_tls,
          .doc = "For `https://`." },
        { "maxConcurrency", CONF_TYPE_NUMBER, 0, AT(draft_provider, provider.max_concurrency), "0", 0,
          1000000, .doc = "Calls to it at a time; 0: no limit. Above: the model's next provider, else 503." },
};
const struct conf_table conf_table_provider = {
        "providers.NAME",
        sizeof(struct draft_provider),
        CONF_KEYS(provider_keys),
        .doc = "A server of models: one on this machine, or an API on the network.",
};

static const struct conf_key model_target_keys[] = {
        { "provider", CONF_TYPE_TEXT, CONF_REQUIRED, AT(draft_model_target, provider),
          .doc = "Who serves it." },
        { "model", CONF_TYPE_TEXT, 0, AT(draft_model_target, model), .check = conf_check_not_empty,
          .unless = "the name the caller used", .doc = "What the provider calls it." },
        { "weight", CONF_TYPE_PLACED, 0, AT(draft_model_target, weight), "1", 1, 1000,
          .doc = "Its share among those of the same priority." },
        { "priority", CONF_TYPE_PLACED, 0, AT(draft_model_target, priority), NULL, 0, 1000,
          .unless = "its place in the list; 0 with a `weight`",
          .doc = "The lowest is used first; the next when all before it failed." },
};
static const struct conf_table conf_table_model_target = {
        "models.NAME[]",         sizeof(struct draft_model_target), CONF_KEYS(model_target_keys),
        .short_key = "provider", .doc = "One way to a model.",
};

static const struct conf_key model_keys[] = {
        { "targets", CONF_TYPE_LIST, CONF_REQUIRED, AT(draft_model, targets),
          .table = &conf_table_model_target, .doc = "The ways to it." },
};
const struct conf_table conf_table_model = {
        "models.NAME",
        sizeof(struct draft_model),
        CONF_KEYS(model_keys),
        .short_key = "targets",
        .doc = "A name callers may use, exact or with `*`, and the providers behind it. Without any, every model that a "
               "provider lists may be named.",
};
