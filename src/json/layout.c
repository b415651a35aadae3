#include "json/layout_priv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "json/format.h"
#include "json/parser.h"

/*
 * Theory of operation. Four passes over the row: read the items with the line ends between them; decide bottom-up what
 * is expanded (expand); settle the line ends so that the printer need not think (settle); line values up (align).
 * Each decision depends only on what the printed text keeps, so printing a printed text changes nothing.
 */
enum { WIDTH_MAX = 80, ITEMS_MIN = 64 };

void json_layout_fini(struct json_layout *l)
{
        free(l->items);
        *l = (struct json_layout){ 0 };
}

size_t json_layout_skip_comments(const struct json_layout *l, size_t i)
{
        while (i < l->count && json_item_is_comment(&l->items[i]))
                i++;
        return i;
}

/* ---- reading ---- */

static struct json_item *item_add(struct json_layout *l, const struct json_token *token)
{
        if (l->count == l->cap) {
                size_t cap = MAX(l->cap * 2, (size_t)ITEMS_MIN);
                struct json_item *grown = realloc(l->items, cap * sizeof(*grown));
                if (!grown)
                        return NULL;
                l->items = grown;
                l->cap = cap;
        }
        struct json_item *item = &l->items[l->count++];
        *item = (struct json_item){ .start = (uint32_t)token->start.offset, .end = (uint32_t)token->end };
        item->type = (uint8_t)token->type;
        item->is_key = token->is_key;
        return item;
}

static enum err failed(struct report *report, enum err e, struct json_problem problem)
{
        if (report)
                report_error(report, problem.at.line, problem.at.column, "%s", problem.text);
        return e;
}

static uint32_t newlines_between(struct str text, size_t start, size_t end)
{
        uint32_t count = 0;

        for (size_t i = start; i < end; i++)
                count += text.ptr[i] == '\n';
        return count;
}

struct reading {
        size_t at;         /* end of the token before */
        uint32_t newlines; /* since the item before */
        bool after_key, after_comma;
};

static enum err token_take(struct json_layout *l, struct reading *r, const struct json_token *token)
{
        const struct json_item *last = l->count ? &l->items[l->count - 1] : NULL;

        r->newlines += newlines_between(l->text, r->at, (size_t)token->start.offset);
        r->at = (size_t)token->end;
        if (token->type == JSON_TOKEN_COMMA || token->type == JSON_TOKEN_COLON) {
                r->after_comma = token->type == JSON_TOKEN_COMMA;
                if (!last || !json_item_is_comment(last)) /* the comma will stand right after its value */
                        r->newlines = 0;
                return ERR_OK;
        }
        struct json_item *item = item_add(l, token);
        if (!item)
                return ERR_NO_MEMORY;
        item->newlines = (uint8_t)MIN(r->newlines, 2u);
        r->newlines = 0;
        if (json_item_is_comment(item)) {
                item->in_member = r->after_key;
                l->is_hujson = true;
                return ERR_OK;
        }
        if (r->after_comma && json_item_is_close(item))
                l->is_hujson = true;
        r->after_comma = false;
        r->after_key = token->is_key;
        return ERR_OK;
}

static enum err items_read(struct json_layout *l, struct report *report)
{
        struct json_token token = { .type = JSON_TOKEN_NULL };
        struct reading reading = { 0 };
        struct json_parser parser;
        struct str in = l->text;
        enum err e;

        json_parser_init(&parser, JSON_HUJSON, 0, JSON_DEPTH_MAX);
        for (;;) {
                if ((e = json_parser_next(&parser, &in, true, &token)) != ERR_OK)
                        return failed(report, e, parser.tokens.problem);
                if (token.type == JSON_TOKEN_END)
                        return ERR_OK;
                if ((e = token_take(l, &reading, &token)) != ERR_OK)
                        return failed(report, e, (struct json_problem){ .text = "out of memory" });
        }
}

/* ---- what is expanded ---- */

struct frame {
        size_t open;               /* the item that opened it */
        size_t width;              /* of its current line so far, from its bracket on */
        size_t first;              /* of its first line, when a part takes several */
        size_t gap;                /* of the comments since the last part */
        size_t opening;            /* of the comments that stay on the line of its bracket */
        size_t block, block_width; /* align: the last key of the block, and the widest */
        bool has_break;            /* a part takes several lines */
        bool is_multiline; /* and not only for comments in an empty container, which do not count when values line up */
        bool is_wide, has_newline, has_parts, has_comments;
};

static bool has_newline_inside(const struct json_layout *l, const struct json_item *item)
{
        return memchr(l->text.ptr + item->start, '\n', item->end - item->start) != NULL;
}

static void comment_weigh(const struct json_layout *l, struct frame *f, struct json_item *item)
{
        if (item->in_member)
                item->newlines = 0; /* none but what a line comment needs */
        if (item->newlines && !f->has_newline && !f->has_parts)
                f->opening = f->gap;
        if (item->newlines || has_newline_inside(l, item) ||
            (item->in_member && item->type == JSON_TOKEN_COMMENT_LINE))
                f->has_newline = true;
        f->has_comments = true;
        f->gap += item->end - item->start + 1u;
}

static void part_weigh(struct frame *f, struct json_item *item, bool is_value_of_member)
{
        if (is_value_of_member)
                item->newlines = 0;
        if (item->newlines && !f->has_newline && !f->has_parts)
                f->opening = f->gap;
        f->has_newline |= item->newlines > 0;
        f->has_parts = true;
        f->width += f->gap ? f->gap + 1 : 0;
        f->gap = 0;
        if (!json_item_is_open(item))
                f->width += item->end - item->start + 2u;
}

/* The container on top of the stack ends with `item`: fold what it takes into the one around it. */
static void container_weigh(struct json_layout *l, struct frame *f, struct json_item *item,
                            struct frame *around)
{
        assert(f); /* the parser lets no bracket close that was not opened */
        struct json_item *open = &l->items[f->open];

        f->width += 1;
        f->has_newline |= item->newlines && (f->has_parts || f->has_comments);
        open->is_expanded = f->has_newline || f->is_wide || f->width > WIDTH_MAX;
        open->is_multiline = (open->is_expanded && f->has_parts) || f->is_multiline;
        item->is_expanded = open->is_expanded;
        if (!around)
                return;
        around->is_multiline |= open->is_multiline;
        if (!open->is_expanded && !f->has_break) {
                around->width += f->width + 2;
                return;
        }
        around->width += open->is_expanded ? f->opening + 1 : f->first;
        around->is_wide |= around->width > WIDTH_MAX;
        if (!around->has_break)
                around->first = around->width;
        around->has_break = true;
        around->width = (open->is_expanded ? 1 : f->width) + 2;
}

static void expand(struct json_layout *l, struct frame *stack)
{
        size_t depth = 0;

        for (size_t i = 0; i < l->count; i++) {
                struct json_item *item = &l->items[i];
                struct frame *f = depth ? &stack[depth - 1] : NULL;
                bool is_value_of_member = i && (l->items[i - 1].is_key || l->items[i - 1].in_member);

                if (json_item_is_close(item)) {
                        container_weigh(l, f, item, depth > 1 ? f - 1 : NULL);
                        depth--;
                        continue;
                }
                if (f && json_item_is_comment(item))
                        comment_weigh(l, f, item);
                else if (f)
                        part_weigh(f, item, is_value_of_member);
                if (json_item_is_open(item))
                        stack[depth++] = (struct frame){ .open = i, .width = 1 };
        }
}

/* ---- line ends ---- */

/* The items [first, i) are the comments before item i, a part or the end of the container that item `open` begins. */
static void gap_settle(struct json_layout *l, const struct json_item *open, size_t first, size_t i)
{
        bool is_first_part = first && &l->items[first - 1] == open;
        uint32_t newlines = 0;

        for (size_t j = first; j <= i; j++) {
                if (!open->is_expanded)
                        l->items[j].newlines = 0;
                newlines += l->items[j].newlines;
        }
        if (!open->is_expanded)
                return;
        if (json_item_is_close(&l->items[i]))
                l->items[i].newlines = 1;
        else if (!newlines)
                l->items[first].newlines = 1;
        if (is_first_part)
                l->items[first].newlines = (uint8_t)MIN(l->items[first].newlines, 1);
}

static void settle(struct json_layout *l, struct frame *stack)
{
        size_t depth = 0, first = 0; /* the first item after the last part */

        for (size_t i = 0; i < l->count; i++) {
                struct json_item *item = &l->items[i];

                if (json_item_is_comment(item))
                        continue;
                if (depth && !(i && (l->items[i - 1].is_key || l->items[i - 1].in_member)))
                        gap_settle(l, &l->items[stack[depth - 1].open], first, i);
                first = i + 1;
                if (json_item_is_open(item))
                        stack[depth++].open = i;
                else if (json_item_is_close(item))
                        depth--;
        }
        assert(l->count); /* nor a text without a value pass */
        l->items[0].newlines = 0;
}

/* ---- values that line up ---- */

/* Columns from the start of the key to the space before its value. *is_multiline: the member takes several lines. */
static size_t key_width(const struct json_layout *l, size_t key, bool *is_multiline)
{
        size_t width = l->items[key].end - l->items[key].start, i = key + 1;

        *is_multiline = false;
        for (; json_item_is_comment(&l->items[i]); i++) {
                width += l->items[i].end - l->items[i].start + 1u;
                *is_multiline |=
                        l->items[i].type == JSON_TOKEN_COMMENT_LINE || has_newline_inside(l, &l->items[i]);
        }
        *is_multiline |= l->items[i].is_multiline;
        return width;
}

/* The keys of a block are chained through `pad` (index of the one before, plus 1) until their widest is known. */
static void block_end(struct json_layout *l, struct frame *f)
{
        bool is_multiline;

        while (f->block) {
                struct json_item *key = &l->items[f->block - 1];
                size_t before = key->pad;

                key->pad = (uint32_t)(f->block_width - key_width(l, f->block - 1, &is_multiline));
                f->block = before;
        }
        f->block_width = 0;
}

static void key_align(struct json_layout *l, struct frame *f, size_t key, uint32_t newlines)
{
        bool is_multiline;
        size_t width = key_width(l, key, &is_multiline);

        if (newlines != 1 || is_multiline)
                block_end(l, f);
        if (is_multiline)
                return;
        l->items[key].pad = (uint32_t)f->block;
        f->block = key + 1;
        f->block_width = MAX(f->block_width, width);
}

static void align(struct json_layout *l, struct frame *stack)
{
        uint32_t newlines = 0; /* since the last part */
        size_t depth = 0;

        for (size_t i = 0; i < l->count; i++) {
                struct json_item *item = &l->items[i];

                newlines += item->newlines;
                if (json_item_is_comment(item))
                        continue;
                if (item->is_key && l->items[stack[depth - 1].open].is_expanded)
                        key_align(l, &stack[depth - 1], i, newlines);
                if (json_item_is_open(item))
                        stack[depth++] = (struct frame){ .open = i };
                else if (json_item_is_close(item))
                        block_end(l, &stack[--depth]);
                newlines = 0;
        }
}

enum err json_layout_init(struct json_layout *l, struct str text, struct report *report)
{
        struct frame *stack;
        enum err e;

        *l = (struct json_layout){ .text = text };
        if (text.len > JSON_FORMAT_BYTES_MAX)
                return failed(report, ERR_TOO_LARGE,
                              (struct json_problem){ .text = "the text is too long to lay out" });
        if ((e = items_read(l, report)) != ERR_OK)
                goto fail_read;
        e = ERR_NO_MEMORY;
        if (!(stack = calloc(JSON_DEPTH_MAX, sizeof(*stack))))
                goto fail_read;
        expand(l, stack);
        settle(l, stack);
        align(l, stack);
        free(stack);
        return ERR_OK;

fail_read:
        json_layout_fini(l);
        return e;
}
