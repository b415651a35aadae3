#include "store/url.h"

#include <string.h>

static bool has_control(struct str s)
{
        for (size_t i = 0; i < s.len; i++)
                if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
                        return true;
        return false;
}

static enum err parse_path(struct str path, struct report *r, struct store_url *out)
{
        if (str_has_prefix(path, STR("//"))) {
                report_error(r, 0, 0, "a SQLite store is written sqlite:PATH, with no // before the path");
                return ERR_CONFIG;
        }
        if (path.len == 0 || path.ptr[path.len - 1] == '/' || path.ptr[0] == ':') {
                report_error(r, 0, 0, "sqlite: needs the path of a file after it");
                return ERR_CONFIG;
        }
        *out = (struct store_url){ STORE_SQLITE, path };
        return ERR_OK;
}

enum err store_url_parse(struct str text, struct report *r, struct store_url *out)
{
        if (text.len > STORE_URL_BYTES_MAX || has_control(text) || !str_is_utf8(text)) {
                report_error(r, 0, 0, "a store's URL is at most %d bytes of printable text",
                             STORE_URL_BYTES_MAX);
                return ERR_CONFIG;
        }
        if (str_has_prefix(text, STR("sqlite:")))
                return parse_path(str_from(text, 7), r, out);
        if (str_has_prefix(text, STR("postgresql://")) || str_has_prefix(text, STR("postgres://"))) {
                *out = (struct store_url){ STORE_POSTGRESQL, text };
                return ERR_OK;
        }
        report_error(r, 0, 0, "a store is sqlite:PATH or postgresql://USER@HOST/DATABASE");
        return ERR_CONFIG;
}

/* A query's parameters, but for what is secret. */
static void show_query(struct str query, struct buf *out)
{
        struct str part;

        for (char before = '?'; str_split(&query, '&', &part); before = '&') {
                size_t equals = str_find_char(part, '=');
                struct str name = str_sub(part, 0, equals);
                bool is_secret =
                        str_find(name, STR("pass")) != STR_NONE || str_find_char(name, '%') != STR_NONE;

                buf_add_char(out, before);
                buf_add(out, is_secret ? name : part);
                if (is_secret && equals != STR_NONE)
                        buf_add(out, STR("=***"));
        }
}

void store_url_show(const struct store_url *url, struct buf *out)
{
        struct str rest = url->text;
        size_t end, at = STR_NONE, query;

        if (url->kind == STORE_SQLITE) {
                buf_add(out, STR("sqlite:"));
                buf_add(out, rest);
                return;
        }
        end = str_find(rest, STR("://")) + 3;
        buf_add(out, str_sub(rest, 0, end));
        rest = str_from(rest, end);
        /* Up to the last '@' anything may be a password that nobody coded: of that the user's name is shown, no more. */
        for (size_t i = 0; i < rest.len; i++)
                at = rest.ptr[i] == '@' ? i : at;
        if (at != STR_NONE) {
                for (end = 0; end < at && !memchr(":/?", rest.ptr[end], 3); end++)
                        ;
                buf_add(out, str_sub(rest, 0, end));
                rest = str_from(rest, at);
        }
        query = str_find_char(rest, '?');
        buf_add(out, str_sub(rest, 0, query));
        if (query != STR_NONE)
                show_query(str_from(rest, query + 1), out);
}
