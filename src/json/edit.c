#include "json/edit_priv.h"

#include <assert.h>
#include <string.h>

#include "json/parser.h"

/*
 * Theory of operation. A part is an element, or a member with its key. Between two parts lies a gap: white space and
 * comments (a comma stands at its one end). What a change needs to know of a gap is its first line end, and where the
 * comments that belong to the part after it begin: see struct gap.
 */
struct gap {
        size_t start, end;
        size_t first;    /* offset of its first comment; else `end` */
        size_t last_end; /* offset after its last comment; else `start` */
        size_t newline;  /* offset of its first line end outside comments; STR_NONE */
        size_t attached; /* of the line end above the comment lines right above `end`, or above `end`; STR_NONE */
};

static bool is_blank(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A line end at `at` begins with its carriage return, if it has one. */
static size_t line_end_start(struct str text, size_t at)
{
        return at && text.ptr[at - 1] == '\r' ? at - 1 : at;
}

static size_t comment_end(struct str text, size_t at)
{
        struct str rest = str_from(text, at);
        bool is_line = rest.ptr[1] == '/';
        size_t len = is_line ? str_find_char(rest, '\n') : str_find(str_from(rest, 2), STR("*/"));

        if (len == STR_NONE)
                return text.len;
        return at + len + (is_line ? 0 : 4);
}

static struct gap gap_of(struct str text, size_t start, size_t end)
{
        struct gap g = { start, end, end, start, STR_NONE, STR_NONE };
        size_t i = start;

        while (i < end) {
                size_t newlines = 0, last = STR_NONE;

                for (; i < end && is_blank(text.ptr[i]); i++)
                        if (text.ptr[i] == '\n') {
                                newlines++;
                                last = line_end_start(text, i);
                                if (g.newline == STR_NONE)
                                        g.newline = last;
                        }
                if (newlines > 1 || (newlines && g.attached == STR_NONE))
                        g.attached = last;
                if (i == end)
                        break;
                g.first = MIN(g.first, i);
                i = g.last_end = comment_end(text, i);
        }
        return g;
}

/* ---- parts ---- */

static size_t part_start(const struct json_value *c, size_t i)
{
        return c->type == JSON_OBJECT ? c->members[i].key_offset : c->items[i].offset;
}

static size_t part_end(const struct json_value *c, size_t i)
{
        const struct json_value *v = c->type == JSON_OBJECT ? &c->members[i].value : &c->items[i];

        return v->offset + v->raw.len;
}

static size_t open_end(const struct json_value *c)
{
        return c->offset + 1;
}

static size_t close_at(const struct json_value *c)
{
        return c->offset + c->raw.len - 1;
}

/* Offset of the comma after part i; STR_NONE when it is the last and has none. */
static size_t comma_after(struct str text, const struct json_value *c, size_t i)
{
        size_t at = part_end(c, i);

        for (;;) {
                while (is_blank(text.ptr[at]))
                        at++;
                if (text.ptr[at] != '/')
                        return text.ptr[at] == ',' ? at : STR_NONE;
                at = comment_end(text, at);
        }
}

/* The gap before part i (count: before the closing bracket). */
static struct gap gap_before(struct str text, const struct json_value *c, size_t i)
{
        size_t start = open_end(c), end = i < c->count ? part_start(c, i) : close_at(c);

        if (i) {
                size_t comma = comma_after(text, c, i - 1);
                start = comma == STR_NONE ? part_end(c, i - 1) : comma + 1;
        }
        return gap_of(text, start, end);
}

/* ---- texts ---- */

static struct str line_indent(struct str text, size_t at)
{
        size_t start = at, len = 0;

        while (start && text.ptr[start - 1] != '\n')
                start--;
        while (start + len < at && (text.ptr[start + len] == ' ' || text.ptr[start + len] == '\t'))
                len++;
        return str_sub(text, start, len);
}

static struct str newline_of(struct str text)
{
        size_t at = str_find_char(text, '\n');

        return at != STR_NONE && at && text.ptr[at - 1] == '\r' ? STR("\r\n") : STR("\n");
}

/* One level of indentation, as the first member or element of the text has it. */
static struct str indent_unit(const struct json_edit *e)
{
        const struct json_value *root = e->root;
        bool has_parts = (root->type == JSON_OBJECT || root->type == JSON_ARRAY) && root->count;
        struct str indent = has_parts ? line_indent(e->text, part_start(root, 0)) : STR_NULL;

        return indent.len ? indent : STR("\t");
}

static struct str join(struct json_edit *e, struct str a, struct str b, struct str c, struct str d)
{
        return arena_join(&e->texts, (struct str[]){ a, b, c, d }, 4);
}

/*
 * The value with its lines moved: those after the first begin with the indentation of the line it came from, which is
 * replaced by that of the line it goes to. Strings hold no line end, so only space and comments move.
 */
static struct str graft_text(struct json_edit *e, struct json_graft value, struct str indent)
{
        struct str rest = value.raw, line,
                   old = line_indent(value.from, (size_t)(value.raw.ptr - value.from.ptr));
        size_t lines = 0;

        if (str_find_char(value.raw, '\n') == STR_NONE)
                return value.raw;
        for (size_t i = 0; i < value.raw.len; i++)
                lines += value.raw.ptr[i] == '\n';
        struct str *parts = ARENA_ARRAY(&e->texts, struct str, 3 * lines + 1);
        size_t count = 0;

        if (!parts)
                return STR_NULL;
        (void)str_split(&rest, '\n', &line);
        parts[count++] = line;
        while (str_split(&rest, '\n', &line)) {
                parts[count++] = STR("\n");
                parts[count++] = line.len ? indent : STR_NULL;
                parts[count++] = str_has_prefix(line, old) ? str_from(line, old.len) : line;
        }
        return arena_join(&e->texts, parts, count);
}

static void splice(struct json_edit *e, size_t at, size_t end, struct str text)
{
        assert(e->splices_count < JSON_SPLICES_MAX && at <= end && end <= e->text.len);
        e->splices[e->splices_count++] = (struct json_splice){ at, end - at, text };
}

/* ---- insertion ---- */

/* Whether the text writes {"a":1} rather than {"a": 1}, as far as this object shows it. */
static bool is_compact(struct str text, const struct json_value *c)
{
        if (c->type != JSON_OBJECT || !c->count)
                return false;
        const struct json_member *first = &c->members[0];
        size_t key_end = first->key_offset + first->key_raw.len;

        return first->value.offset == key_end + 1 && text.ptr[key_end] == ':';
}

/* The space after the container's commas, when it stands on one line. */
static struct str comma_space(struct str text, const struct json_value *c)
{
        if (c->count < 2)
                return is_compact(text, c) ? STR_NULL : STR(" ");
        struct gap g = gap_before(text, c, 1);
        struct str space = str_sub(text, g.start, g.first - g.start);

        return str_find_char(space, '\n') == STR_NONE ? space : STR(" ");
}

static struct str part_text(struct json_edit *e, const struct json_value *c, struct str key,
                            struct json_graft value, struct str indent)
{
        struct str text = graft_text(e, value, indent);

        if (!key.len)
                return text;
        return join(e, key, is_compact(e->text, c) ? STR(":") : STR(": "), text, STR_NULL);
}

static void insert_first(struct json_edit *e, const struct json_value *c, struct str key,
                         struct json_graft value)
{
        struct gap g = gap_of(e->text, open_end(c), close_at(c));
        struct str indent = line_indent(e->text, close_at(c)), part;

        if (g.newline != STR_NONE) {
                indent = join(e, indent, indent_unit(e), STR_NULL, STR_NULL);
                part = part_text(e, c, key, value, indent);
                splice(e, g.last_end, g.last_end, join(e, newline_of(e->text), indent, part, STR_NULL));
                return;
        }
        part = part_text(e, c, key, value, indent);
        if (g.last_end == g.start)
                splice(e, g.start, g.end, part);
        else
                splice(e, g.last_end, g.last_end, join(e, STR(" "), part, STR_NULL, STR_NULL));
}

static void insert_before(struct json_edit *e, const struct json_value *c, size_t index, struct str key,
                          struct json_graft value)
{
        struct gap g = gap_before(e->text, c, index);
        struct str indent = line_indent(e->text, part_start(c, index));
        struct str part = part_text(e, c, key, value, indent);

        if (g.attached == STR_NONE) {
                splice(e, g.first, g.first, join(e, part, STR(","), comma_space(e->text, c), STR_NULL));
                return;
        }
        splice(e, g.attached, g.attached, join(e, newline_of(e->text), indent, part, STR(",")));
}

static void insert_last(struct json_edit *e, const struct json_value *c, struct str key,
                        struct json_graft value)
{
        size_t last = c->count - 1;
        bool has_comma = comma_after(e->text, c, last) != STR_NONE;
        struct gap before = gap_before(e->text, c, last), after = gap_before(e->text, c, c->count);
        struct str comma = has_comma ? STR(",") : STR_NULL, indent, part;

        if (before.newline == STR_NONE && after.newline == STR_NONE) { /* all on one line */
                part = part_text(e, c, key, value, line_indent(e->text, part_start(c, last)));
                splice(e, after.last_end, after.last_end,
                       join(e, has_comma ? STR_NULL : STR(","), comma_space(e->text, c), part, comma));
                return;
        }
        if (before.newline != STR_NONE)
                indent = line_indent(e->text, part_start(c, last));
        else
                indent = join(e, line_indent(e->text, close_at(c)), indent_unit(e), STR_NULL, STR_NULL);
        part = part_text(e, c, key, value, indent);
        if (!has_comma)
                splice(e, part_end(c, last), part_end(c, last), STR(","));
        splice(e, after.last_end, after.last_end, join(e, newline_of(e->text), indent, part, comma));
}

void json_edit_insert(struct json_edit *e, const struct json_value *container, size_t index, struct str key,
                      struct json_graft value)
{
        assert(index <= container->count);
        if (!container->count)
                insert_first(e, container, key, value);
        else if (index == container->count)
                insert_last(e, container, key, value);
        else
                insert_before(e, container, index, key, value);
}

/* ---- removal ---- */

/* Where the cut ends: the comments on the part's line, up to the line end, are its own. */
static size_t cut_end(const struct json_value *c, size_t index, struct gap before, struct gap after)
{
        if (after.newline != STR_NONE)
                return after.newline;
        if (index + 1 == c->count)
                return before.attached == STR_NONE && !index ? after.end : after.last_end;
        return index && before.attached == STR_NONE ? after.start : after.first;
}

static size_t cut_start(const struct json_edit *e, const struct json_value *c, size_t index,
                        struct gap before, struct gap after)
{
        size_t at = before.attached;

        if (at == STR_NONE) /* it stands on the line of what is before it */
                return index || c->count == 1 ? before.start : before.first;
        /* The line end stays when the next part takes the place on the line, or when it ends a comment. */
        if (after.newline == STR_NONE && (index + 1 < c->count || before.first < at))
                while (is_blank(e->text.ptr[at]))
                        at++;
        return at;
}

void json_edit_remove(struct json_edit *e, const struct json_value *container, size_t index)
{
        struct gap before = gap_before(e->text, container, index);
        struct gap after = gap_before(e->text, container, index + 1);
        bool is_last = index + 1 == container->count;

        assert(index < container->count);
        if (is_last && index && comma_after(e->text, container, index) == STR_NONE) {
                size_t comma = comma_after(e->text, container, index - 1);
                splice(e, comma, comma + 1, STR_NULL); /* no comma after what is last now, as before */
        }
        splice(e, cut_start(e, container, index, before, after), cut_end(container, index, before, after),
               STR_NULL);
}

/* ---- the rest ---- */

void json_edit_replace(struct json_edit *e, const struct json_value *old, struct json_graft value)
{
        splice(e, old->offset, old->offset + old->raw.len,
               graft_text(e, value, line_indent(e->text, old->offset)));
}

void json_edit_rename(struct json_edit *e, const struct json_member *member, struct str key)
{
        splice(e, member->key_offset, member->key_offset + member->key_raw.len, key);
}

enum err json_edit_apply(struct json_edit *e, struct buf *out)
{
        size_t at = 0, before = out->len;

        for (size_t i = 0; i < e->splices_count; i++) {
                const struct json_splice *s = &e->splices[i];

                assert(s->at >= at);
                buf_add(out, str_sub(e->text, at, s->at - at));
                buf_add(out, s->text);
                at = s->at + s->cut;
        }
        buf_add(out, str_from(e->text, at));
        if (!out->full && !e->texts.full)
                return ERR_OK;
        out->len = before;
        return ERR_NO_MEMORY;
}

size_t json_edit_arena_bytes(size_t text_bytes)
{
        enum {
                FIXED = 64 * 1024,
                PER_BYTE = 128
        }; /* "[]," is a value in three bytes, and blocks are half empty */

        return text_bytes > (SIZE_MAX - FIXED) / PER_BYTE ? SIZE_MAX : FIXED + text_bytes * PER_BYTE;
}

enum err json_edit_open(struct json_edit *e, struct str text, const struct json_options *options,
                        struct report *report)
{
        *e = (struct json_edit){ .text = text };
        size_t bytes_max = options && options->bytes_max ? options->bytes_max : JSON_BYTES_DEFAULT;

        arena_init(&e->tree, NULL, 0, json_edit_arena_bytes(text.len));
        arena_init(&e->texts, NULL, 0, json_edit_arena_bytes(bytes_max));
        enum err err = json_read(&e->tree, text, options, report, &e->root);
        if (err != ERR_OK)
                json_edit_close(e);
        return err;
}

void json_edit_close(struct json_edit *e)
{
        arena_fini(&e->tree);
        arena_fini(&e->texts);
}
