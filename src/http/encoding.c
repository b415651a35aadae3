#include "http/encoding.h"

static const struct str names[HTTP_CODINGS] = {
        [HTTP_IDENTITY] = STR_INIT("identity"), [HTTP_GZIP] = STR_INIT("gzip"),
        [HTTP_DEFLATE] = STR_INIT("deflate"),   [HTTP_BR] = STR_INIT("br"),
        [HTTP_ZSTD] = STR_INIT("zstd"),
};

struct str http_coding_name(enum http_coding coding)
{
        return coding < HTTP_CODINGS ? names[coding] : STR_NULL;
}

/* "0", "1", "0.5", "0.125", "1.000". */
static bool weight_parse(struct str s, int *out)
{
        int weight, place = 100;

        if (s.len == 0 || s.len > 5 || (s.ptr[0] != '0' && s.ptr[0] != '1') || (s.len > 1 && s.ptr[1] != '.'))
                return false;
        weight = s.ptr[0] == '1' ? HTTP_QUALITY_MAX : 0;
        for (size_t i = 2; i < s.len; i++, place /= 10) {
                if (!ascii_is_digit(s.ptr[i]))
                        return false;
                weight += (s.ptr[i] - '0') * place;
        }
        *out = weight;
        return weight <= HTTP_QUALITY_MAX;
}

/* The weight among an element's parameters; 1 when there is none. */
static bool element_weight(struct str parameters, int *out)
{
        struct str parameter;

        *out = HTTP_QUALITY_MAX;
        while (str_split(&parameters, ';', &parameter)) {
                parameter = str_trim(parameter);
                if (parameter.len >= 2 && ascii_lower(parameter.ptr[0]) == 'q' && parameter.ptr[1] == '=')
                        return weight_parse(str_from(parameter, 2), out);
        }
        return true;
}

/* The largest weights a list gives to `token` and to '*', added to those found so far. */
static void list_weigh(struct str list, struct str token, int *own, int *any)
{
        struct str element;
        int weight;

        while (str_split(&list, ',', &element)) {
                size_t semicolon = str_find_char(element, ';');
                struct str name = str_trim(str_sub(element, 0, semicolon));
                struct str parameters = semicolon == STR_NONE ? STR_NULL : str_from(element, semicolon + 1);

                if (name.len == 0 || !element_weight(parameters, &weight))
                        continue;
                if (str_eq_nocase(name, token))
                        *own = MAX(*own, weight);
                else if (str_eq(name, STR("*")))
                        *any = MAX(*any, weight);
        }
}

int http_quality(struct str list, struct str token)
{
        int own = HTTP_QUALITY_ABSENT, any = HTTP_QUALITY_ABSENT;

        list_weigh(list, token, &own, &any);
        return own != HTTP_QUALITY_ABSENT ? own : any;
}

/* Over all Accept-Encoding fields: a name of its own anywhere goes before a '*' anywhere. */
static int coding_weight(const struct http_head *h, enum http_coding coding)
{
        int own = HTTP_QUALITY_ABSENT, any = HTTP_QUALITY_ABSENT;

        for (const struct http_field *f = http_find(h, HTTP_FIELD_ACCEPT_ENCODING); f;
             f = http_find_next(h, f)) {
                list_weigh(f->value, names[coding], &own, &any);
                if (coding == HTTP_GZIP) /* its old name: RFC 9110 8.4.1.3 */
                        list_weigh(f->value, STR("x-gzip"), &own, &any);
        }
        return own != HTTP_QUALITY_ABSENT ? own : any;
}

enum err http_coding_choose(const struct http_head *request, const enum http_coding *offered,
                            size_t offered_count, enum http_coding *out)
{
        int best = 0, identity;
        enum http_coding chosen = HTTP_IDENTITY;

        if (!http_find(request, HTTP_FIELD_ACCEPT_ENCODING)) {
                *out = HTTP_IDENTITY;
                return ERR_OK;
        }
        for (size_t i = 0; i < offered_count; i++) {
                int weight = coding_weight(request, offered[i]);

                if (offered[i] != HTTP_IDENTITY && weight > best) {
                        best = weight;
                        chosen = offered[i];
                }
        }
        identity = coding_weight(request, HTTP_IDENTITY);
        if (identity > best) /* named, and preferred */
                chosen = HTTP_IDENTITY;
        else if (best == 0 && identity == 0)
                return ERR_UNSUPPORTED;
        *out = chosen;
        return ERR_OK;
}
