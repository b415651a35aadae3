#include "json/format.h"

#include <assert.h>
#include <string.h>

#include "json/layout_priv.h"
#include "json/parser.h"
#include "json/writer.h"

/* ---- printing a layout ---- */

struct printer {
        const struct json_layout *layout;
        struct buf *out;
        unsigned indent;
        unsigned depth; /* containers open */
        unsigned level; /* of them expanded: what is not takes no indentation */
};

static void spaces_add(struct buf *out, size_t count)
{
        for (; count; count--)
                buf_add_char(out, ' ');
}

static void indent_add(struct printer *p, unsigned level)
{
        if (p->indent != JSON_INDENT_TAB)
                spaces_add(p->out, (size_t)p->indent * level);
        else
                for (; level; level--)
                        buf_add_char(p->out, '\t');
}

static void line_begin(struct printer *p, unsigned newlines, unsigned level)
{
        buf_add(p->out, newlines > 1 ? STR("\n\n") : STR("\n"));
        indent_add(p, level);
}

static bool is_space(char c)
{
        return c == ' ' || c == '\t' || c == '\r';
}

static struct str end_trimmed(struct str line)
{
        while (line.len && is_space(line.ptr[line.len - 1]))
                line.len--;
        return line;
}

static struct str start_trimmed(struct str line)
{
        while (line.len && is_space(line.ptr[0]))
                line = str_from(line, 1);
        return line;
}

static bool is_comment_end(struct str line)
{
        return str_eq(start_trimmed(line), STR("*/"));
}

/* What the lines of a block comment after the first begin with in common; empty ones and a lone end aside. */
static struct str common_margin(struct str comment)
{
        struct str line, margin = STR_NULL;

        (void)str_split(&comment, '\n', &line);
        while (str_split(&comment, '\n', &line)) {
                size_t n = 0;

                line = end_trimmed(line);
                if (!line.len || is_comment_end(line))
                        continue;
                line.len -= start_trimmed(line).len;
                if (!margin.ptr)
                        margin = line;
                while (n < MIN(margin.len, line.len) && margin.ptr[n] == line.ptr[n])
                        n++;
                margin.len = n;
        }
        return margin;
}

static struct str without_margin(struct str line, struct str margin)
{
        line = end_trimmed(line);
        return is_comment_end(line) ? start_trimmed(line) : str_from(line, margin.len);
}

/* Whether each line after the first goes on with a star. */
static bool is_starred(struct str comment, struct str margin)
{
        struct str line;

        (void)str_split(&comment, '\n', &line);
        while (str_split(&comment, '\n', &line)) {
                line = without_margin(line, margin);
                if (line.len && line.ptr[0] != '*')
                        return false;
        }
        return true;
}

/* A block comment of several lines moves as a whole: its lines keep their distance to each other. */
static void comment_print(struct printer *p, struct str comment, unsigned level)
{
        struct str line, margin = common_margin(comment);
        bool starred = is_starred(comment, margin);

        (void)str_split(&comment, '\n', &line);
        buf_add(p->out, end_trimmed(line));
        while (str_split(&comment, '\n', &line)) {
                line = without_margin(line, margin);
                buf_add_char(p->out, '\n');
                if (!line.len)
                        continue;
                indent_add(p, level);
                if (starred)
                        buf_add_char(p->out, ' ');
                buf_add(p->out, line);
        }
}

/* What stands between item i and the one before it: a line end or spaces. */
static void separator_print(struct printer *p, size_t i)
{
        const struct json_item *item = &p->layout->items[i], *last = item - 1;
        unsigned level = p->level - (json_item_is_close(item) && item->is_expanded);

        if (last->is_key || last->in_member) {
                if (last->type == JSON_TOKEN_COMMENT_LINE)
                        line_begin(p, 1, p->level + 1);
                else
                        buf_add_char(p->out, ' ');
                return;
        }
        if (item->newlines)
                line_begin(p, item->newlines, level);
        else if (json_item_is_comment(item) || json_item_is_comment(last) ||
                 !(json_item_is_open(last) || json_item_is_close(item)))
                buf_add_char(p->out, ' ');
}

/* The value that ends with item i gets a comma when another part follows, or the bracket of several lines. */
static void comma_print(struct printer *p, size_t i)
{
        size_t next = json_layout_skip_comments(p->layout, i + 1);

        if (!p->depth)
                return;
        const struct json_item *item = &p->layout->items[next];
        if (!json_item_is_close(item) || (item->is_expanded && p->layout->is_hujson))
                buf_add_char(p->out, ',');
}

/* The key whose value is item i: the spaces that line the value up stand right before it. */
static void pad_print(struct printer *p, size_t i)
{
        size_t key = i;

        while (key && json_item_is_comment(&p->layout->items[key - 1]) && p->layout->items[key - 1].in_member)
                key--;
        if (key && p->layout->items[key - 1].is_key)
                spaces_add(p->out, p->layout->items[key - 1].pad);
}

static void item_print(struct printer *p, size_t i)
{
        const struct json_item *item = &p->layout->items[i];
        struct str text = str_sub(p->layout->text, item->start, item->end - item->start);

        if (i)
                separator_print(p, i);
        if (json_item_is_comment(item)) {
                comment_print(p, text, p->level + item->in_member);
                return;
        }
        if (json_item_is_close(item)) {
                p->depth--;
                p->level -= item->is_expanded;
        } else if (!item->is_key) {
                pad_print(p, i);
        }
        buf_add(p->out, text);
        if (item->is_key) {
                buf_add_char(p->out, ':');
        } else if (json_item_is_open(item)) {
                p->depth++;
                p->level += item->is_expanded;
        } else {
                comma_print(p, i);
        }
}

static enum err out_check(struct buf *out, size_t len_before, struct report *report)
{
        if (!out->full)
                return ERR_OK;
        out->len = len_before;
        if (report)
                report_error(report, 0, 0, "the result needs more memory than it may take");
        return ERR_NO_MEMORY;
}

enum err json_format(struct str text, unsigned indent, struct buf *out, struct report *report)
{
        struct json_layout layout;
        struct printer p = { .layout = &layout, .out = out, .indent = indent };
        size_t before = out->len;
        enum err e = json_layout_init(&layout, text, report);

        if (e != ERR_OK)
                return e;
        for (size_t i = 0; i < layout.count; i++)
                item_print(&p, i);
        buf_add_char(out, '\n');
        json_layout_fini(&layout);
        return out_check(out, before, report);
}

/* ---- plain JSON ---- */

static enum err text_check(struct str text, struct report *report)
{
        if (text.len <= JSON_FORMAT_BYTES_MAX)
                return ERR_OK;
        if (report)
                report_error(report, 0, 0, "the text is longer than %d bytes", (int)JSON_FORMAT_BYTES_MAX);
        return ERR_TOO_LARGE;
}

static enum err token_next(struct json_parser *p, struct str *in, struct json_token *token,
                           struct report *report)
{
        enum err e = json_parser_next(p, in, true, token);
        struct json_problem problem = p->tokens.problem;

        if (e != ERR_OK && report)
                report_error(report, problem.at.line, problem.at.column, "%s", problem.text);
        return e;
}

/* Commas and colons are written where the next part shows that they are needed. */
enum err json_minimize(struct str text, struct buf *out, struct report *report)
{
        struct json_token token = { .type = JSON_TOKEN_NULL };
        size_t before = out->len;
        struct json_parser parser;
        struct str in = text;
        bool comma = false;
        enum err e = text_check(text, report);

        json_parser_init(&parser, JSON_HUJSON, 0, JSON_DEPTH_MAX);
        while (e == ERR_OK && (e = token_next(&parser, &in, &token, report)) == ERR_OK) {
                if (token.type == JSON_TOKEN_END)
                        return out_check(out, before, report);
                if (token.type == JSON_TOKEN_COMMENT_LINE || token.type == JSON_TOKEN_COMMENT_BLOCK)
                        continue;
                if (token.type == JSON_TOKEN_COMMA) {
                        comma = true;
                        continue;
                }
                if (comma && token.type != JSON_TOKEN_OBJECT_END && token.type != JSON_TOKEN_ARRAY_END)
                        buf_add_char(out, ',');
                comma = false;
                buf_add(out,
                        str_sub(text, (size_t)token.start.offset, (size_t)(token.end - token.start.offset)));
        }
        out->len = before;
        return e;
}

/* Spaces over a comment; its line ends stay, so that lines keep their numbers. */
static void blank(struct buf *out, size_t start, size_t end)
{
        for (size_t i = start; i < end && !out->full; i++)
                if (out->ptr[i] != '\n' && out->ptr[i] != '\r' && out->ptr[i] != '\t')
                        out->ptr[i] = ' ';
}

enum err json_standardize(struct str text, struct buf *out, struct report *report)
{
        struct json_token token = { .type = JSON_TOKEN_NULL };
        size_t before = out->len, comma = STR_NONE;
        struct json_parser parser;
        struct str in = text;
        enum err e = text_check(text, report);

        if (e == ERR_OK)
                buf_add(out, text);
        json_parser_init(&parser, JSON_HUJSON, 0, JSON_DEPTH_MAX);
        while (e == ERR_OK && (e = token_next(&parser, &in, &token, report)) == ERR_OK) {
                size_t start = before + (size_t)token.start.offset, end = before + (size_t)token.end;

                if (token.type == JSON_TOKEN_END)
                        return out_check(out, before, report);
                if (token.type == JSON_TOKEN_COMMENT_LINE || token.type == JSON_TOKEN_COMMENT_BLOCK) {
                        blank(out, start, end);
                        continue;
                }
                bool is_end = token.type == JSON_TOKEN_OBJECT_END || token.type == JSON_TOKEN_ARRAY_END;
                if (is_end && comma != STR_NONE)
                        blank(out, comma, comma + 1);
                comma = token.type == JSON_TOKEN_COMMA ? start : STR_NONE;
        }
        out->len = before;
        return e;
}
