#include "walk.h"

#include <string.h>

void walk_init(struct walk *w, struct str json)
{
        w->depth = 0;
        w->at = json.ptr;
        w->end = json.ptr + json.len;
        w->is_done = false;
        w->text = STR_NULL;
}

bool walk_is(const struct walk *w, unsigned depth, struct str key)
{
        return depth <= w->depth && w->levels[depth].is_object && str_eq(w->levels[depth].key, key);
}

static void skip_space(struct walk *w)
{
        while (w->at < w->end && (*w->at == ' ' || *w->at == '\n' || *w->at == '\r' || *w->at == '\t'))
                w->at++;
}

static bool take_escape(struct walk *w)
{
        if (w->at == w->end)
                return false;
        char c = *w->at++;
        if (c != 'u')
                return c && strchr("\"\\/bfnrt", c);
        for (int i = 0; i < 4; i++)
                if (w->at == w->end || ascii_hex(*w->at++) < 0)
                        return false;
        return true;
}

/* Over bytes that are just text, eight at a time: none below a space, no quote, no backslash (Hacker's Delight 6-1). */
static void skip_plain(struct walk *w)
{
        const uint64_t ones = 0x0101010101010101ull, tops = ones << 7;
        uint64_t b;

        for (; w->end - w->at >= 8; w->at += 8) {
                memcpy(&b, w->at, 8);
                uint64_t quote = b ^ ones * '"', slash = b ^ ones * '\\';
                uint64_t found =
                        ((b - ones * 0x20) & ~b) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash);
                if (found & tops)
                        return;
        }
}

static bool take_string(struct walk *w, struct str *out)
{
        if (w->at == w->end || *w->at != '"')
                return false;
        const char *from = ++w->at;

        for (skip_plain(w); w->at < w->end;) {
                unsigned char c = (unsigned char)*w->at++;

                if (c == '"') {
                        *out = (struct str){ from, (size_t)(w->at - 1 - from) };
                        return true;
                }
                if (c < 0x20 || (c == '\\' && !take_escape(w)))
                        return false;
        }
        return false;
}

static bool take_digits(struct walk *w)
{
        const char *from = w->at;

        while (w->at < w->end && ascii_is_digit(*w->at))
                w->at++;
        return w->at > from;
}

static enum walk_kind take_number(struct walk *w)
{
        const char *from = w->at;

        if (*w->at == '-')
                w->at++;
        bool is_zero = w->at < w->end && *w->at == '0';
        const char *digits = w->at;
        if (!take_digits(w) || (is_zero && w->at - digits > 1))
                return WALK_BAD;
        if (w->at < w->end && *w->at == '.') {
                w->at++;
                if (!take_digits(w))
                        return WALK_BAD;
        }
        if (w->at < w->end && (*w->at == 'e' || *w->at == 'E')) {
                w->at++;
                if (w->at < w->end && (*w->at == '+' || *w->at == '-'))
                        w->at++;
                if (!take_digits(w))
                        return WALK_BAD;
        }
        w->text = (struct str){ from, (size_t)(w->at - from) };
        return WALK_NUMBER;
}

static enum walk_kind take_word(struct walk *w, struct str word, enum walk_kind kind)
{
        if (!str_has_prefix((struct str){ w->at, (size_t)(w->end - w->at) }, word))
                return WALK_BAD;
        w->at += word.len;
        return kind;
}

static enum walk_kind open_container(struct walk *w, bool is_object)
{
        if (w->depth == WALK_DEPTH_MAX)
                return WALK_BAD;
        w->levels[++w->depth] = (struct walk_level){ .is_object = is_object, .from = w->at };
        w->at++;
        return is_object ? WALK_OBJECT : WALK_ARRAY;
}

static enum walk_kind take_value(struct walk *w)
{
        if (w->at == w->end)
                return WALK_BAD;
        switch (*w->at) {
        case '{': return open_container(w, true);
        case '[': return open_container(w, false);
        case '"': return take_string(w, &w->text) ? WALK_STRING : WALK_BAD;
        case 't': return take_word(w, STR("true"), WALK_TRUE);
        case 'f': return take_word(w, STR("false"), WALK_FALSE);
        case 'n': return take_word(w, STR("null"), WALK_NULL);
        default: return *w->at == '-' || ascii_is_digit(*w->at) ? take_number(w) : WALK_BAD;
        }
}

static enum walk_kind close_container(struct walk *w, const struct walk_level *level)
{
        w->at++;
        w->depth--;
        w->text = (struct str){ level->from, (size_t)(w->at - level->from) };
        return level->is_object ? WALK_OBJECT_END : WALK_ARRAY_END;
}

enum walk_kind walk_next(struct walk *w)
{
        skip_space(w);
        if (w->depth == 0) {
                if (w->is_done)
                        return w->at == w->end ? WALK_END : WALK_BAD;
                w->is_done = true;
                return take_value(w);
        }
        struct walk_level *level = &w->levels[w->depth];

        if (w->at < w->end && *w->at == (level->is_object ? '}' : ']'))
                return close_container(w, level);
        if (level->is_begun) {
                if (w->at == w->end || *w->at++ != ',')
                        return WALK_BAD;
                level->index++;
                skip_space(w);
        }
        level->is_begun = true;
        if (level->is_object) {
                if (!take_string(w, &level->key))
                        return WALK_BAD;
                skip_space(w);
                if (w->at == w->end || *w->at++ != ':')
                        return WALK_BAD;
                skip_space(w);
        }
        return take_value(w);
}
