#include <string.h>

#include "cli/control_priv.h"

enum { COLUMN_MAX = 40, COLUMNS_MAX = 10 };

static const struct json_value *member_find(const struct json_value *v, const char *path)
{
        struct str rest = str_of(path), name;

        while (v && str_split(&rest, '.', &name))
                v = json_find(v, name);
        return v;
}

/* As a table shows it: a text, a number, "-" for nothing, a list with commas. */
static struct str cell_text(struct arena *a, const struct json_value *v)
{
        struct str text = STR("");

        if (!v || v->type == JSON_NULL)
                return STR("-");
        if (v->type == JSON_STRING)
                return v->text.len ? v->text : STR("-");
        if (v->type == JSON_BOOL)
                return v->boolean ? STR("yes") : STR("no");
        if (v->type != JSON_ARRAY)
                return v->raw;
        for (size_t i = 0; i < v->count; i++) {
                const struct json_value *item = json_item(v, i);
                struct str parts[] = { text, i ? STR(",") : STR(""),
                                       item->type == JSON_OBJECT ? json_str(json_find(item, STR("url")))
                                                                 : cell_text(a, item) };

                text = arena_join(a, parts, 3);
        }
        return text.len ? text : STR("-");
}

static void row_print(struct remote *r, const struct column *columns, const struct json_value *item,
                      const size_t *widths)
{
        for (size_t i = 0; columns[i].title; i++) {
                struct str text = item ? cell_text(&r->arena, member_find(item, columns[i].member))
                                       : str_of(columns[i].title);

                text = str_sub(text, 0, COLUMN_MAX);
                out_foreign(text);
                if (columns[i + 1].title)
                        out_print("%*s", (int)(widths[i] - MIN(widths[i], text.len) + 2), "");
        }
        out_print("\n");
}

struct page {
        const struct json_value *items;
        struct page *next;
};

static enum exit_code pages_get(struct remote *r, const char *path, struct page **first)
{
        struct page **tail = first;
        struct str after = STR("");

        *first = NULL;
        do {
                struct str place = arena_format(
                        &r->arena, "%s%slimit=%d%s%.*s", path, strchr(path, '?') ? "&" : "?",
                        strstr(path, "/audit") ? 100 : 1000, after.len ? "&after=" : "", STR_FMT(after));
                enum exit_code code = remote_ask(r, "GET", place.ptr, STR(""));
                struct page *page = ARENA_NEW(&r->arena, struct page);

                if (code != EXIT_OK)
                        return code;
                if (!page)
                        return EXIT_FAILED;
                page->items = json_find(r->root, STR("items"));
                *tail = page;
                tail = &page->next;
                after = strstr(path, "/audit") ? STR("") : json_str(json_find(r->root, STR("next")));
        } while (after.len);
        return EXIT_OK;
}

static void table_print(struct remote *r, const struct page *pages, const struct column *columns)
{
        size_t widths[COLUMNS_MAX] = { 0 };

        for (size_t i = 0; columns[i].title; i++)
                widths[i] = strlen(columns[i].title);
        for (const struct page *p = pages; p; p = p->next)
                for (size_t j = 0; p->items && j < p->items->count; j++)
                        for (size_t i = 0; columns[i].title; i++) {
                                struct str text = cell_text(
                                        &r->arena, member_find(json_item(p->items, j), columns[i].member));

                                widths[i] = MAX(widths[i], MIN(text.len, (size_t)COLUMN_MAX));
                        }
        row_print(r, columns, NULL, widths);
        for (const struct page *p = pages; p; p = p->next)
                for (size_t j = 0; p->items && j < p->items->count; j++)
                        row_print(r, columns, json_item(p->items, j), widths);
}

static void pages_print(const struct page *pages)
{
        const char *comma = "";

        out_print("[");
        for (const struct page *p = pages; p; p = p->next)
                for (size_t j = 0; p->items && j < p->items->count; j++) {
                        out_print("%s", comma);
                        out_str(json_item(p->items, j)->raw);
                        comma = ",";
                }
        out_print("]\n");
}

enum exit_code control_list(const struct control_options *o, const char *path, const struct column *columns)
{
        struct page *pages;
        struct remote r;
        enum exit_code code = remote_open(&r, o->server, o->token);

        if (code == EXIT_OK && (code = pages_get(&r, path, &pages)) == EXIT_OK) {
                if (o->json)
                        pages_print(pages);
                else
                        table_print(&r, pages, columns);
        }
        remote_close(&r);
        return code;
}

enum exit_code control_show(const struct control_options *o, const char *path, const char *what,
                            struct str name)
{
        const struct json_value *item;
        struct remote r;
        enum exit_code code = remote_open(&r, o->server, o->token);

        if (code == EXIT_OK && (code = remote_find(&r, path, what, name, &item)) == EXIT_OK) {
                if (o->json) {
                        out_str(item->raw);
                        out_print("\n");
                }
                for (size_t i = 0; !o->json && i < item->count; i++) {
                        out_print("%-20.*s ", STR_FMT(item->members[i].key));
                        out_foreign(cell_text(&r.arena, &item->members[i].value));
                        out_print("\n");
                }
        }
        remote_close(&r);
        return code;
}

enum exit_code control_touch(const struct control_options *o, const char *path, const char *what,
                             struct str name, const char *method, struct str body, const char *done)
{
        const struct json_value *item;
        struct remote r;
        enum exit_code code = remote_open(&r, o->server, o->token);

        if (code == EXIT_OK && (code = remote_find(&r, path, what, name, &item)) == EXIT_OK) {
                struct str list = str_sub(str_of(path), 0, str_find_char(str_of(path), '?'));
                struct str place = arena_format(&r.arena, "%.*s/%.*s", STR_FMT(list),
                                                STR_FMT(json_str(json_find(item, STR("id")))));

                code = remote_ask(&r, method, place.ptr, body);
                if (code == EXIT_OK && o->json && r.body.len)
                        out_str(r.body);
                else if (code == EXIT_OK && !o->json) {
                        out_print("%s ", done);
                        out_foreign(name);
                        out_print("\n");
                }
        }
        remote_close(&r);
        return code;
}

enum exit_code control_remove(const struct command_call *call, const char *path, const char *what)
{
        struct str name;

        if (!control_argument(call, 0, "a name", &name))
                return EXIT_WRONG;
        return control_touch(call->options, path, what, name, "DELETE", STR(""), "removed");
}

enum exit_code control_make(const struct control_options *o, const char *path, struct str body,
                            control_say_fn *say)
{
        struct remote r;
        enum exit_code code = remote_open(&r, o->server, o->token);

        if (code == EXIT_OK && (code = remote_ask(&r, "POST", path, body)) == EXIT_OK) {
                if (o->json)
                        out_str(r.body);
                else
                        say(o, &r);
        }
        remote_close(&r);
        return code;
}

bool control_argument(const struct command_call *call, size_t index, const char *what, struct str *out)
{
        if (index < call->arguments->count) {
                *out = call->arguments->items[index];
                return true;
        }
        out_problem("%s is missing; see sekisho %s --help", what, call->command->name);
        return false;
}
