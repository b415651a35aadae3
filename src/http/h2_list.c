#include "http/h2_list.h"

#include "http/chars_priv.h"
#include "http/h2_fields_priv.h"

static bool is_sent(const struct http_field *f)
{
        switch (f->id) {
        case HTTP_FIELD_CONNECTION:
        case HTTP_FIELD_HOST:
        case HTTP_FIELD_HTTP2_SETTINGS:
        case HTTP_FIELD_KEEP_ALIVE:
        case HTTP_FIELD_PROXY_CONNECTION:
        case HTTP_FIELD_TRANSFER_ENCODING:
        case HTTP_FIELD_UPGRADE: return false;
        case HTTP_FIELD_TE: return !f->is_removed && str_eq_nocase(f->value, STR("trailers"));
        default: return !f->is_removed;
        }
}

/* Secrets; and names of one request, which would only push what comes again out of the table. */
static bool is_unindexed(const struct http_field *f)
{
        switch (f->id) {
        case HTTP_FIELD_AUTHORIZATION:
        case HTTP_FIELD_COOKIE:
        case HTTP_FIELD_PROXY_AUTHORIZATION:
        case HTTP_FIELD_REQUEST_ID:
        case HTTP_FIELD_X_API_KEY:
        case HTTP_FIELD_X_REQUEST_ID: return true;
        case HTTP_FIELD_OTHER:
                return str_eq_nocase(f->name, STR("x-sekisho-request-id")) ||
                       str_eq_nocase(f->name, STR("traceparent"));
        default: return false;
        }
}

static void pair_put(struct h2_list *l, struct str name, struct str value)
{
        l->pairs[l->count++] = (struct h2_pair){ name, value, false };
}

/* Room for `pairs_count` pairs and as many pseudo-fields as there are. */
static enum err list_begin(struct h2_list *l, size_t pairs_count, struct arena *a)
{
        l->count = 0;
        l->pairs = ARENA_ARRAY_RAW(a, struct h2_pair, pairs_count + H2_PSEUDO_COUNT);
        return l->pairs ? ERR_OK : ERR_NO_MEMORY;
}

static void name_lower(char *to, struct str name)
{
        size_t i = 0;

        for (; name.len - i >= 8; i += 8) {
                uint64_t word = http_word(name.ptr + i);

                word |= http_word_capitals(word);
                memcpy(to + i, &word, sizeof(word));
        }
        for (; i < name.len; i++)
                to[i] = ascii_lower(name.ptr[i]);
}

static enum err fields_put(struct h2_list *l, const struct http_field *fields, size_t count, bool is_tunnel,
                           struct arena *a)
{
        size_t names_bytes = 1;

        for (size_t i = 0; i < count; i++)
                names_bytes += fields[i].name.len;
        char *at = arena_alloc(a, names_bytes, 1);
        if (!at)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < count; i++) {
                const struct http_field *f = &fields[i];

                if (!is_sent(f) || (is_tunnel && (f->id == HTTP_FIELD_SEC_WEBSOCKET_KEY ||
                                                  f->id == HTTP_FIELD_SEC_WEBSOCKET_ACCEPT ||
                                                  f->id == HTTP_FIELD_CONTENT_LENGTH)))
                        continue;
                /* What was received was judged then, and goes on as it came over HTTP/1.1 too. */
                if (!f->line.len && (!http_name_is_valid(f->name) || !http_value_is_valid(f->value)))
                        return ERR_MALFORMED;
                name_lower(at, f->name);
                l->pairs[l->count++] =
                        (struct h2_pair){ { at, f->name.len }, str_trim(f->value), is_unindexed(f) };
                at += f->name.len;
        }
        return ERR_OK;
}

enum err h2_list_request(const struct http_head *h, struct str scheme, struct str target, struct arena *a,
                         struct h2_list *out)
{
        struct str method = h->method == HTTP_OTHER ? h->method_text : http_method_name(h->method);
        struct str host = http_value(h, HTTP_FIELD_HOST);
        bool is_tunnel =
                h->asks_upgrade && str_eq_nocase(http_value(h, HTTP_FIELD_UPGRADE), STR("websocket"));

        if (h2_pseudo_check(H2_METHOD, method) || h2_pseudo_check(H2_PATH, target) ||
            h2_pseudo_check(H2_SCHEME, scheme) || h2_pseudo_check(H2_AUTHORITY, host))
                return ERR_MALFORMED;
        if (list_begin(out, (size_t)h->fields_count + H2_LIST_SPARE, a) != ERR_OK)
                return ERR_NO_MEMORY;
        if (h->is_raw) {
                pair_put(out, h2_pseudo_name(H2_METHOD), STR("CONNECT"));
                if (h->is_datagram) { /* RFC 8441 4, RFC 9298 3.4 */
                        pair_put(out, h2_pseudo_name(H2_PROTOCOL), STR("connect-udp"));
                        pair_put(out, h2_pseudo_name(H2_SCHEME), scheme);
                        pair_put(out, h2_pseudo_name(H2_PATH), target);
                }
                pair_put(out, h2_pseudo_name(H2_AUTHORITY), host);
                return fields_put(out, h->fields, h->fields_count, true, a);
        }
        pair_put(out, h2_pseudo_name(H2_METHOD), is_tunnel ? STR("CONNECT") : method);
        if (is_tunnel)
                pair_put(out, h2_pseudo_name(H2_PROTOCOL), STR("websocket"));
        pair_put(out, h2_pseudo_name(H2_SCHEME), scheme);
        pair_put(out, h2_pseudo_name(H2_AUTHORITY), host);
        pair_put(out, h2_pseudo_name(H2_PATH), target);
        return fields_put(out, h->fields, h->fields_count, is_tunnel, a);
}

enum err h2_list_answer(const struct http_head *h, struct arena *a, struct h2_list *out)
{
        bool is_tunnel = h->status == 101;
        unsigned status = is_tunnel ? 200 : h->status;
        char *digits = arena_alloc(a, 3, 1);

        if (status < 100 || status > 599)
                return ERR_MALFORMED;
        if (!digits || list_begin(out, h->fields_count, a) != ERR_OK)
                return ERR_NO_MEMORY;
        digits[0] = (char)('0' + status / 100);
        digits[1] = (char)('0' + status / 10 % 10);
        digits[2] = (char)('0' + status % 10);
        pair_put(out, h2_pseudo_name(H2_STATUS), (struct str){ digits, 3 });
        return fields_put(out, h->fields, h->fields_count, is_tunnel, a);
}

enum err h2_list_trailers(const struct http_field *fields, size_t fields_count, struct arena *a,
                          struct h2_list *out)
{
        enum err e = list_begin(out, fields_count, a);

        return e == ERR_OK ? fields_put(out, fields, fields_count, false, a) : e;
}
