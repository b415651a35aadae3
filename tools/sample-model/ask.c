#include "ask.h"

#include <stdint.h>
#include <string.h>

#include "base/units.h"
#include "walk.h"

/* A word ends at a space, or at an escape that stands for white space. */
unsigned ask_words_count(struct str raw)
{
        unsigned count = 0;
        bool is_inside = false;

        if (!raw.len)
                return 0;
        if (!memchr(raw.ptr, '\\', raw.len)) {
                count = raw.ptr[0] != ' ';
                for (size_t i = 1; i < raw.len; i++)
                        count += (raw.ptr[i] != ' ') & (raw.ptr[i - 1] == ' ');
                return count;
        }
        for (size_t i = 0; i < raw.len; i++) {
                char c = raw.ptr[i];
                bool is_space = c == ' ';

                if (c == '\\' && i + 1 < raw.len) {
                        c = raw.ptr[++i];
                        is_space = c == 'n' || c == 't' || c == 'r';
                }
                count += !is_space && !is_inside;
                is_inside = !is_space;
        }
        return count;
}

static unsigned number_of(struct str text)
{
        uint64_t number;

        return units_parse_u64(text, UINT32_MAX, &number) == ERR_OK ? (unsigned)number : 0;
}

static bool is_under(const struct walk *w, const char *root)
{
        return walk_is(w, 1, str_of(root));
}

/* The schema a property belongs to, when the walk stands in one: a tool's first, or the answer's. */
static struct ask_schema *schema_at(struct ask *a, const struct walk *w)
{
        if (is_under(w, "tools"))
                return w->depth >= 2 && w->levels[2].index == 0 ? &a->tool : NULL;
        return is_under(w, "response_format") || is_under(w, "text") || is_under(w, "output_config")
                       ? &a->answer
                       : NULL;
}

/* The depth of the outermost "properties" the walk stands in, or 0. */
static unsigned properties_depth(const struct walk *w)
{
        for (unsigned d = 2; d <= w->depth; d++)
                if (walk_is(w, d, STR("properties")))
                        return d;
        return 0;
}

static void note_schema(struct ask *a, const struct walk *w, enum walk_kind kind)
{
        struct ask_schema *s = schema_at(a, w);
        unsigned at = s ? properties_depth(w) : 0;

        if (!at || w->depth < at + 2)
                return;
        if (kind == WALK_OBJECT && w->depth == at + 2 && s->count < ASK_PROPERTIES_MAX)
                s->properties[s->count++] = (struct ask_property){ .name = w->levels[at + 1].key };
        if (!s->count || !str_eq(s->properties[s->count - 1].name, w->levels[at + 1].key))
                return;
        struct ask_property *p = &s->properties[s->count - 1];
        if (kind == WALK_STRING && w->depth == at + 2 && walk_is(w, at + 2, STR("type")))
                p->type = w->text;
        if (w->depth == at + 3 && walk_is(w, at + 2, STR("enum")) && w->levels[at + 3].index == 0) {
                if (kind == WALK_STRING)
                        p->choice = (struct str){ w->text.ptr - 1, w->text.len + 2 };
                else if (kind == WALK_NUMBER)
                        p->choice = w->text;
        }
}

static bool is_text(const struct walk *w)
{
        const struct walk_level *near = &w->levels[w->depth];

        if (!near->is_object) /* "prompt": ["..."] */
                return w->depth == 2;
        return str_eq(near->key, STR("text")) || str_eq(near->key, STR("content")) ||
               str_eq(near->key, STR("output"));
}

static void note_message(struct ask *a, const struct walk *w, enum walk_kind kind)
{
        if (kind == WALK_OBJECT && w->depth == 3)
                a->last = (struct ask_message){ .is_user = true };
        if (kind != WALK_STRING)
                return;
        if (w->depth == 3 && walk_is(w, 3, STR("role"))) {
                a->last.is_user = str_eq(w->text, STR("user"));
                a->last.is_result |= str_eq(w->text, STR("tool"));
        }
        if (str_eq(w->levels[w->depth].key, STR("type")))
                a->last.is_result |=
                        str_eq(w->text, STR("tool_result")) || str_eq(w->text, STR("function_call_output"));
        if (is_text(w)) {
                a->last.text = w->text;
                a->prompt_tokens += ask_words_count(w->text);
        }
}

static void note_tool_choice(struct ask *a, const struct walk *w, enum walk_kind kind)
{
        if (kind != WALK_STRING)
                return;
        if (w->depth == 2 && !walk_is(w, 2, STR("type")))
                return;
        a->tool_refused |= str_eq(w->text, STR("none"));
        a->tool_forced |= str_eq(w->text, STR("required")) || str_eq(w->text, STR("any")) ||
                          str_eq(w->text, STR("tool")) || str_eq(w->text, STR("function"));
}

static void note_inside(struct ask *a, const struct walk *w, enum walk_kind kind)
{
        if (is_under(w, "messages") || is_under(w, "input"))
                note_message(a, w, kind);
        else if (is_under(w, "tools")) {
                a->has_tools = true;
                if (kind == WALK_STRING && w->levels[2].index == 0 && !a->tool_name.ptr &&
                    str_eq(w->levels[w->depth].key, STR("name")))
                        a->tool_name = w->text;
        } else if (is_under(w, "tool_choice"))
                note_tool_choice(a, w, kind);
        else if (is_under(w, "stream_options") && walk_is(w, 2, STR("include_usage")))
                a->include_usage = kind == WALK_TRUE;
        else if ((is_under(w, "prompt") || is_under(w, "system")) && kind == WALK_STRING && is_text(w)) {
                a->prompt_tokens += ask_words_count(w->text);
                if (is_under(w, "prompt"))
                        a->last = (struct ask_message){ .is_user = true, .text = w->text };
        } else if (kind == WALK_STRING && str_eq(w->levels[w->depth].key, STR("type")))
                a->wants_json |= str_eq(w->text, STR("json_schema")) || str_eq(w->text, STR("json_object"));
        note_schema(a, w, kind);
}

static void note_text_member(struct ask *a, struct str key, struct str text)
{
        if (str_eq(key, STR("model"))) {
                a->model = text;
                a->has_model = true;
        } else if (str_eq(key, STR("input")) || str_eq(key, STR("prompt"))) {
                a->last = (struct ask_message){ .is_user = true, .text = text };
                a->prompt_tokens += ask_words_count(text);
        } else if (str_eq(key, STR("system")) || str_eq(key, STR("instructions"))) {
                a->prompt_tokens += ask_words_count(text);
        } else if (str_eq(key, STR("encoding_format"))) {
                a->base64 = str_eq(text, STR("base64"));
        }
}

static void note_member(struct ask *a, const struct walk *w, enum walk_kind kind)
{
        struct str key = w->levels[1].key;

        a->has_messages |= str_eq(key, STR("messages")) && kind == WALK_ARRAY_END;
        a->has_input |= str_eq(key, STR("input"));
        a->has_prompt |= str_eq(key, STR("prompt"));
        if (str_eq(key, STR("stream"))) {
                a->has_stream = true;
                a->stream = kind == WALK_TRUE;
        }
        if (kind == WALK_STRING) {
                note_text_member(a, key, w->text);
                if (str_eq(key, STR("tool_choice")))
                        note_tool_choice(a, w, kind);
        }
        if (kind != WALK_NUMBER)
                return;
        if (str_eq(key, STR("max_tokens")) || str_eq(key, STR("max_completion_tokens")) ||
            str_eq(key, STR("max_output_tokens"))) {
                a->has_max_tokens = true;
                a->tokens_max = number_of(w->text);
        } else if (str_eq(key, STR("dimensions")))
                a->dimensions = number_of(w->text);
}

static bool is_ascii(struct str s)
{
        unsigned char all = 0;

        for (size_t i = 0; i < s.len; i++)
                all |= (unsigned char)s.ptr[i];
        return all < 0x80;
}

bool ask_parse(struct str body, struct ask *out)
{
        struct walk w;

        memset(out, 0, sizeof(*out));
        if (!is_ascii(body) && !str_is_utf8(body))
                return false;
        walk_init(&w, body);
        if (walk_next(&w) != WALK_OBJECT)
                return false;
        for (;;) {
                enum walk_kind kind = walk_next(&w);

                if (kind == WALK_END)
                        return true;
                if (kind == WALK_BAD)
                        return false;
                if (w.depth == 1)
                        note_member(out, &w, kind);
                else if (w.depth > 1)
                        note_inside(out, &w, kind);
        }
}
