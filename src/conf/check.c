#include "conf/check_priv.h"

#include "conf/loader_priv.h"
#include "http/head.h"
#include "http/target.h"

enum { NAME_BYTES_MAX = 64, HOST_BYTES_MAX = 253 };

static bool is_name_char(char c)
{
        return ascii_is_alpha(c) || ascii_is_digit(c) || c == '.' || c == '-' || c == '_';
}

bool conf_name_is_valid(struct str name)
{
        for (size_t i = 0; i < name.len; i++)
                if (!is_name_char(name.ptr[i]))
                        return false;
        return name.len > 0 && name.len <= NAME_BYTES_MAX;
}

bool conf_check_name(struct loader *l, const struct json_value *v, struct str *text)
{
        if (conf_name_is_valid(*text))
                return true;
        loader_error(l, v, "\"%.*s\" is no name; use up to %d letters, digits, '.', '-' and '_'",
                     STR_FMT(*text), NAME_BYTES_MAX);
        return false;
}

bool conf_check_caller(struct loader *l, const struct json_value *v, struct str *text)
{
        bool is_tag = str_has_prefix(*text, STR("tag:")),
             is_good = text->len > (is_tag ? 4 : 0) && text->len <= 320;

        for (size_t i = 0; i < text->len; i++)
                is_good &= (unsigned char)text->ptr[i] > ' ' && text->ptr[i] != 0x7f;
        if (is_good && is_tag && !str_eq(*text, STR("tag:*")))
                is_good = conf_name_is_valid(str_from(*text, 4));
        if (!is_good)
                loader_error(l, v,
                             "\"%.*s\" is nobody of a tailnet; write a login such as \"user@example.com\" or "
                             "\"*@example.com\", or a tag such as \"tag:ci\"",
                             STR_FMT(*text));
        return is_good;
}

bool conf_check_not_empty(struct loader *l, const struct json_value *v, struct str *text)
{
        bool has_control = false;

        for (size_t i = 0; i < text->len; i++)
                has_control |= (unsigned char)text->ptr[i] < ' ' || text->ptr[i] == 0x7f;
        if (text->len && !has_control)
                return true;
        loader_error(l, v, text->len ? "has control characters; take them out" : "is empty");
        return false;
}

/* The letters of a changed copy, in the arena. */
static bool fold(struct loader *l, struct str *text, char first, char last, char change)
{
        char *copy = (char *)(uintptr_t)arena_copy(l->arena, *text).ptr;

        if (!copy)
                return false;
        for (size_t i = 0; i < text->len; i++)
                if (copy[i] >= first && copy[i] <= last)
                        copy[i] = (char)(copy[i] ^ change);
        text->ptr = copy;
        return true;
}

static bool host_labels_valid(struct str host)
{
        struct str label;

        if (host.len == 0 || host.len > HOST_BYTES_MAX)
                return false;
        while (str_split(&host, '.', &label)) {
                if (label.len == 0 || label.len > 63 || label.ptr[0] == '-' ||
                    label.ptr[label.len - 1] == '-')
                        return false;
                for (size_t i = 0; i < label.len; i++)
                        if (label.ptr[i] == '.' || !is_name_char(label.ptr[i]))
                                return false;
        }
        return true;
}

bool conf_check_host(struct loader *l, const struct json_value *v, struct str *text)
{
        struct ip ip;
        struct str rest = str_has_prefix(*text, STR("*.")) ? str_from(*text, 2) : *text;

        if (!fold(l, text, 'A', 'Z', 0x20))
                return false;
        if (str_eq(*text, STR("*")) || ip_parse(*text, &ip) == ERR_OK || host_labels_valid(rest))
                return true;
        loader_error(
                l, v,
                "\"%.*s\" is no host; write a name without port, such as \"app.example.com\" or \"*.example.com\"",
                STR_FMT(*text));
        return false;
}

bool conf_check_method(struct loader *l, const struct json_value *v, struct str *text)
{
        if (!http_name_is_valid(*text)) {
                loader_error(l, v, "\"%.*s\" is no HTTP method", STR_FMT(*text));
                return false;
        }
        return fold(l, text, 'a', 'z', 0x20);
}

bool conf_check_coding(struct loader *l, const struct json_value *v, struct str *text)
{
        if (str_eq(*text, STR("zstd")) || str_eq(*text, STR("br")) || str_eq(*text, STR("gzip")))
                return true;
        loader_error(l, v,
                     "\"%.*s\" is no coding answers are sent in; there are \"zstd\", \"br\" and \"gzip\"",
                     STR_FMT(*text));
        return false;
}

bool conf_check_media_type(struct loader *l, const struct json_value *v, struct str *text)
{
        size_t slash = str_find_char(*text, '/');

        for (size_t i = 0; i < text->len; i++)
                if (text->ptr[i] <= ' ' || text->ptr[i] >= 0x7f || text->ptr[i] == ';')
                        slash = STR_NONE;
        if (text->len == 0 || (slash == STR_NONE && str_find_char(*text, '*') == STR_NONE)) {
                loader_error(l, v,
                             "\"%.*s\" is no content type; write \"text/html\", \"text/*\" or \"*+json\"",
                             STR_FMT(*text));
                return false;
        }
        return fold(l, text, 'A', 'Z', 0x20);
}

bool conf_check_field(struct loader *l, const struct json_value *v, struct str *text)
{
        if (http_name_is_valid(*text))
                return true;
        loader_error(l, v, "\"%.*s\" is no header field's name", STR_FMT(*text));
        return false;
}

bool conf_check_value(struct loader *l, const struct json_value *v, struct str *text)
{
        if (text->len && http_value_is_valid(*text))
                return true;
        loader_error(l, v, "\"%.*s\" cannot stand in a header field: no line ends or other controls",
                     STR_FMT(*text));
        return false;
}

bool conf_check_path(struct loader *l, const struct json_value *v, struct str *text)
{
        struct str path = str_sub(*text, 0, str_find_char(*text, '?')), canonical;

        if (path.len && path.ptr[0] == '/' && http_path_canonical(path, l->arena, &canonical) == ERR_OK &&
            str_eq(path, canonical))
                return true;
        loader_error(l, v, "\"%.*s\" is no path; begin with '/', without \"//\", \"..\" and needless escapes",
                     STR_FMT(*text));
        return false;
}
