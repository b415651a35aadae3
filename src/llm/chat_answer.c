#include "llm/chat_answer.h"

#include "json/reader.h"

enum { SCRATCH_BYTES_MAX = 64 << 20, WORDS_BYTES_MAX = 4096 };

void chat_answer_init(struct chat_answer *a)
{
        *a = (struct chat_answer){ 0 };
        buf_init(&a->text, CHAT_ANSWER_BYTES_MAX);
        buf_init(&a->model, WORDS_BYTES_MAX);
        buf_init(&a->problem, WORDS_BYTES_MAX);
}

void chat_answer_fini(struct chat_answer *a)
{
        buf_fini(&a->text);
        buf_fini(&a->model);
        buf_fini(&a->problem);
}

static void count_take(const struct json_value *usage, struct str name, uint64_t *out)
{
        uint64_t value;
        const struct json_value *v = json_find(usage, name);

        if (json_is(v, JSON_NUMBER) && json_get_uint64(v, &value) == ERR_OK)
                *out = value;
}

static void usage_take(struct chat_answer *a, const struct json_value *usage)
{
        count_take(usage, STR("prompt_tokens"), &a->tokens_in);
        count_take(usage, STR("completion_tokens"), &a->tokens_out);
        count_take(usage, STR("input_tokens"), &a->tokens_in);
        count_take(usage, STR("output_tokens"), &a->tokens_out);
}

static void model_take(struct chat_answer *a, const struct json_value *model)
{
        if (json_is(model, JSON_STRING) && a->model.len == 0)
                buf_add(&a->model, str_sub(model->text, 0, 256));
}

static void text_take(struct chat_answer *a, const struct json_value *text)
{
        if (json_is(text, JSON_STRING))
                buf_add(&a->text, text->text);
}

static void problem_take(struct chat_answer *a, const struct json_value *root)
{
        const struct json_value *error = json_find(root, STR("error"));
        const struct json_value *words =
                json_is(error, JSON_STRING) ? error : json_find(error, STR("message"));

        if (json_is(words, JSON_STRING))
                buf_add(&a->problem, str_sub(words->text, 0, 1000));
}

/* Reads `text` and hands the tree to `fn`; false when it is not JSON. */
static bool with_tree(struct chat_answer *a, struct str text,
                      void (*fn)(struct chat_answer *, const struct json_value *))
{
        const struct json_value *root;
        struct report ignored;
        struct arena scratch;
        enum err e;

        arena_init(&scratch, NULL, 0, SCRATCH_BYTES_MAX);
        report_init(&ignored, STR_NULL);
        e = json_read_strict(&scratch, text, &ignored, &root);
        if (e == ERR_OK)
                fn(a, root);
        report_fini(&ignored);
        arena_fini(&scratch);
        return e == ERR_OK;
}

/* ---- whole answers ---- */

static void openai_whole(struct chat_answer *a, const struct json_value *root)
{
        const struct json_value *choice = json_item(json_find(root, STR("choices")), 0);
        const struct json_value *message = json_find(choice, STR("message"));

        a->is_finished = json_is(message, JSON_OBJECT);
        text_take(a, json_find(message, STR("content")));
        model_take(a, json_find(root, STR("model")));
        usage_take(a, json_find(root, STR("usage")));
}

static void anthropic_whole(struct chat_answer *a, const struct json_value *root)
{
        const struct json_value *content = json_find(root, STR("content"));

        a->is_finished = json_is(content, JSON_ARRAY);
        for (size_t i = 0; json_is(content, JSON_ARRAY) && i < content->count; i++)
                text_take(a, json_find(json_item(content, i), STR("text")));
        model_take(a, json_find(root, STR("model")));
        usage_take(a, json_find(root, STR("usage")));
}

enum err chat_answer_read(struct chat_answer *a, struct str body, enum conf_dialect dialect)
{
        if (!with_tree(a, body, dialect == CONF_ANTHROPIC ? anthropic_whole : openai_whole) ||
            !a->is_finished)
                return ERR_MALFORMED;
        return a->text.full ? ERR_TOO_LARGE : ERR_OK;
}

void chat_answer_read_error(struct chat_answer *a, struct str body)
{
        if (!with_tree(a, body, problem_take))
                buf_add(&a->problem, STR("the provider gave no reason"));
}

/* ---- events ---- */

static void openai_event(struct chat_answer *a, const struct json_value *root)
{
        const struct json_value *choice = json_item(json_find(root, STR("choices")), 0);

        if (json_find(root, STR("error"))) {
                a->is_broken = true;
                problem_take(a, root);
        }
        text_take(a, json_find(json_find(choice, STR("delta")), STR("content")));
        if (json_is(json_find(choice, STR("finish_reason")), JSON_STRING))
                a->is_finished = true;
        model_take(a, json_find(root, STR("model")));
        usage_take(a, json_find(root, STR("usage")));
}

static void anthropic_event(struct chat_answer *a, const struct json_value *root)
{
        struct str type = json_str(json_find(root, STR("type")));

        if (str_eq(type, STR("error"))) {
                a->is_broken = true;
                problem_take(a, root);
        } else if (str_eq(type, STR("message_start"))) {
                const struct json_value *message = json_find(root, STR("message"));
                model_take(a, json_find(message, STR("model")));
                usage_take(a, json_find(message, STR("usage")));
        } else if (str_eq(type, STR("content_block_delta"))) {
                text_take(a, json_find(json_find(root, STR("delta")), STR("text")));
        } else if (str_eq(type, STR("message_delta"))) {
                usage_take(a, json_find(root, STR("usage")));
        } else if (str_eq(type, STR("message_stop"))) {
                a->is_finished = true;
        }
}

void chat_answer_event(struct chat_answer *a, const struct sse_event *event, enum conf_dialect dialect)
{
        if (str_eq(event->data, STR("[DONE]"))) {
                a->is_finished = true;
                return;
        }
        if (!with_tree(a, event->data, dialect == CONF_ANTHROPIC ? anthropic_event : openai_event) ||
            a->text.full)
                a->is_broken = true;
}
