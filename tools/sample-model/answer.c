#include "answer.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { PIECE_BYTES = 8, INTRO_WORDS = 9, COUNT_WORDS = 2, WORD_BYTES_MAX = 40 };

/* Copies into the answer; what does not fit is left out. */
static struct str keep(struct answer *a, struct str s)
{
        if (s.len > sizeof(a->texts) - a->texts_len)
                return STR_NULL;
        char *to = a->texts + a->texts_len;

        if (s.len)
                memcpy(to, s.ptr, s.len);
        a->texts_len += s.len;
        return (struct str){ to, s.len };
}

/* The next word of a raw string; an escape for white space parts words as a space does. */
static struct str next_word(struct str *raw)
{
        size_t at = 0, from = STR_NONE;

        for (; at < raw->len; at++) {
                bool is_escape = raw->ptr[at] == '\\' && at + 1 < raw->len;
                char c = is_escape ? raw->ptr[at + 1] : raw->ptr[at];
                bool is_space = is_escape ? c == 'n' || c == 't' || c == 'r' : c == ' ';

                if (is_space && from != STR_NONE)
                        break;
                if (!is_space && from == STR_NONE)
                        from = at;
                at += is_escape;
        }
        struct str word = from == STR_NONE ? STR_NULL : str_sub(*raw, from, at - from);
        *raw = str_from(*raw, at);
        return word;
}

static void keep_echo(struct answer *a, struct str text)
{
        while (a->echo_count < ANSWER_WORDS_MAX) {
                struct str word = next_word(&text);

                if (!word.ptr)
                        return;
                if (word.len > WORD_BYTES_MAX)
                        word = STR("(...)");
                a->echo[a->echo_count++] = keep(a, word);
        }
}

static void add_property_value(const struct answer *a, const struct ask_property *p, struct buf *out)
{
        if (p->choice.len)
                buf_add(out, p->choice);
        else if (str_eq(p->type, STR("number")) || str_eq(p->type, STR("integer")))
                ADD(out, "42");
        else if (str_eq(p->type, STR("boolean")))
                ADD(out, "true");
        else if (str_eq(p->type, STR("array")))
                ADD(out, "[]");
        else if (str_eq(p->type, STR("object")))
                ADD(out, "{}");
        else {
                buf_add_char(out, '"');
                for (unsigned i = 0; i < a->echo_count; i++) {
                        if (i)
                                buf_add_char(out, ' ');
                        buf_add(out, a->echo[i]);
                }
                buf_add_char(out, '"');
        }
}

/* {"city":"...","days":42}: every property of the schema, with a value of its type. */
static void make_json(struct answer *a, const struct ask_schema *s)
{
        struct buf json;

        buf_init(&json, ANSWER_JSON_MAX - 1);
        buf_add_char(&json, '{');
        for (unsigned i = 0; i < s->count; i++) {
                if (i)
                        buf_add_char(&json, ',');
                buf_add_char(&json, '"');
                buf_add(&json, s->properties[i].name);
                ADD(&json, "\":");
                add_property_value(a, &s->properties[i], &json);
        }
        buf_add_char(&json, '}');
        struct str text = json.full ? STR("{}") : buf_str(&json);
        memcpy(a->json, text.ptr, text.len);
        a->json_len = text.len;
        buf_fini(&json);
}

static bool calls_tool(const struct ask *ask)
{
        if (!ask->has_tools || ask->tool_refused || ask->last.is_result || !ask->last.is_user)
                return false;
        return ask->tool_forced || str_find(ask->last.text, STR("tool")) != STR_NONE;
}

void answer_init(struct answer *a, const struct dialect *dialect, const struct ask *ask,
                 const struct http_request *r, const struct options *o, uint64_t id)
{
        memset(a, 0, offsetof(struct answer, link));
        list_init(&a->link);
        a->dialect = dialect;
        a->id = id;
        a->is_stream = ask->has_stream ? ask->stream : dialect->streams_unasked;
        a->include_usage = ask->include_usage;
        a->prompt_tokens = MAX(ask->prompt_tokens, 1u);
        a->delay_ms = (int64_t)http_number_find(r, "delay-ms", 3600000, o->delay_ms);
        a->interval_ms = (int64_t)http_number_find(r, "interval-ms", 3600000, o->interval_ms);
        a->model = keep(a, str_sub(ask->model, 0, 128));
        a->tool_name = keep(a, ask->tool_name.len <= 128 ? ask->tool_name : STR("tool"));
        keep_echo(a, ask->last.text);
        a->is_tool = calls_tool(ask);
        a->is_json = !a->is_tool && ask->wants_json;
        a->ending = a->is_tool ? ENDING_TOOL : ENDING_STOP;
        a->tokens = (unsigned)http_number_find(r, "tokens", 1000000, o->tokens);
        if (a->is_tool || a->is_json) {
                make_json(a, a->is_tool ? &ask->tool : &ask->answer);
                a->tokens = (unsigned)((a->json_len + PIECE_BYTES - 1) / PIECE_BYTES);
        }
        if (!a->is_tool && ask->tokens_max && ask->tokens_max < a->tokens) {
                a->tokens = ask->tokens_max;
                a->ending = ENDING_LENGTH;
        }
}

/* Not in the middle of a character. */
static size_t piece_from(const struct answer *a, unsigned i)
{
        size_t at = MIN((size_t)i * PIECE_BYTES, a->json_len);

        while (at < a->json_len && ((unsigned char)a->json[at] & 0xc0) == 0x80)
                at++;
        return at;
}

struct str answer_piece(const struct answer *a, unsigned i)
{
        size_t from = piece_from(a, i), to = piece_from(a, i + 1);

        return (struct str){ a->json + from, to - from };
}

void answer_word(const struct answer *a, unsigned i, struct buf *out)
{
        static const struct str intro[INTRO_WORDS] = { STR_INIT("This"),     STR_INIT(" is"),
                                                       STR_INIT(" "),        STR_INIT(" the"),
                                                       STR_INIT(" bundled"), STR_INIT(" sample"),
                                                       STR_INIT(" model."),  STR_INIT(" You"),
                                                       STR_INIT(" said:") };
        static const struct str count[COUNT_WORDS] = { STR_INIT(" I"), STR_INIT(" count:") };

        if (a->is_json) {
                add_quoted(out, answer_piece(a, i));
                return;
        }
        if (i < INTRO_WORDS) {
                buf_add(out, intro[i]);
                if (i == 2) {
                        buf_add(out, a->model);
                        buf_add_char(out, ',');
                }
                return;
        }
        i -= INTRO_WORDS;
        if (i < a->echo_count) {
                buf_add_char(out, ' ');
                buf_add(out, a->echo[i]);
                if (i + 1 == a->echo_count)
                        buf_add_char(out, '.');
                return;
        }
        i -= a->echo_count;
        if (i < COUNT_WORDS)
                buf_add(out, count[i]);
        else {
                buf_add_char(out, ' ');
                add_number(out, i - COUNT_WORDS + 1);
        }
}

void answer_text(const struct answer *a, struct buf *out)
{
        for (unsigned i = 0; i < a->tokens; i++)
                answer_word(a, i, out);
}

void answer_keep_start(struct answer *a, struct buf *out, size_t from)
{
        struct str start = str_from(buf_str(out), from);

        assert(start.len <= sizeof(a->start));
        memcpy(a->start, start.ptr, start.len);
        a->start_len = start.len;
        out->len = from;
}

void add_quoted(struct buf *out, struct str raw)
{
        for (size_t i = 0; i < raw.len; i++) {
                if (raw.ptr[i] == '"' || raw.ptr[i] == '\\')
                        buf_add_char(out, '\\');
                buf_add_char(out, raw.ptr[i]);
        }
}

void add_number(struct buf *out, uint64_t number)
{
        char digits[20];
        size_t at = sizeof(digits);

        do {
                digits[--at] = (char)('0' + number % 10);
                number /= 10;
        } while (number);
        buf_add(out, (struct str){ digits + at, sizeof(digits) - at });
}
