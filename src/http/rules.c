#include "http/rules.h"

#include <assert.h>
#include <string.h>

enum { NAME_BYTES_MAX = 64, CONNECTION_TOKENS_MAX = 64 };

/* As many back ends see a name: letters folded, '_' the same as '-'. */
static char name_fold(char c)
{
        return c == '_' ? '-' : ascii_lower(c);
}

static bool name_is(struct str name, struct str folded)
{
        if (name.len != folded.len)
                return false;
        for (size_t i = 0; i < name.len; i++)
                if (name_fold(name.ptr[i]) != folded.ptr[i])
                        return false;
        return true;
}

/* `family` itself, or anything that goes on with '-' after it. */
static bool name_is_of(struct str name, struct str family)
{
        return name_is(str_sub(name, 0, family.len), family) &&
               (name.len == family.len || name_fold(name.ptr[family.len]) == '-');
}

/* Every family's first letter: most names are none of ours after one look. */
static bool may_be_of_family(struct str name)
{
        return name.len && memchr("cCfFsStTxX", name.ptr[0], 10);
}

bool http_is_reserved(struct str name)
{
        if (!may_be_of_family(name))
                return false;
        return name_is_of(name, STR("x-sekisho")) || name_is_of(name, STR("sekisho")) ||
               name_is_of(name, STR("tailscale-user")) || name_is(name, STR("tailscale-headers-info")) ||
               name_is(name, STR("tailscale-app-capabilities")) ||
               name_is(name, STR("tailscale-funnel-request"));
}

bool http_is_forwarding(struct str name)
{
        static const struct str names[] = {
                STR_INIT("forwarded"),        STR_INIT("x-real-ip"),           STR_INIT("true-client-ip"),
                STR_INIT("cf-connecting-ip"), STR_INIT("x-client-ip"),         STR_INIT("x-original-url"),
                STR_INIT("x-rewrite-url"),    STR_INIT("x-cluster-client-ip"), STR_INIT("fastly-client-ip"),
                STR_INIT("x-original-host"),
        };

        if (!may_be_of_family(name))
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (name_is(name, names[i]))
                        return true;
        return name_is_of(name, STR("x-forwarded"));
}

bool http_is_alias(struct str name)
{
        char dashed[NAME_BYTES_MAX];

        if (name.len > sizeof(dashed) || str_find_char(name, '_') == STR_NONE)
                return false;
        for (size_t i = 0; i < name.len; i++)
                dashed[i] = name_fold(name.ptr[i]);
        return http_field_id_of((struct str){ dashed, name.len }) != HTTP_FIELD_OTHER;
}

static bool is_spoof(const struct http_field *f, bool peer_is_trusted)
{
        switch (f->id) {
        case HTTP_FIELD_OTHER: break;
        case HTTP_FIELD_FORWARDED:
        case HTTP_FIELD_X_FORWARDED_FOR:
        case HTTP_FIELD_X_FORWARDED_HOST:
        case HTTP_FIELD_X_FORWARDED_PROTO:
        case HTTP_FIELD_X_REAL_IP: return !peer_is_trusted;
        default: return false; /* any other known name is of no family */
        }
        bool has_alias = str_find_char(f->name, '_') != STR_NONE;
        return http_is_reserved(f->name) ||
               ((!peer_is_trusted || has_alias) && http_is_forwarding(f->name)) ||
               (has_alias && http_is_alias(f->name));
}

void http_remove_reserved(struct http_head *h, bool peer_is_trusted)
{
        for (size_t i = 0; i < h->fields_count; i++)
                if (is_spoof(&h->fields[i], peer_is_trusted))
                        h->fields[i].is_removed = true;
}

void http_remove_reserved_answer(struct http_head *h)
{
        for (size_t i = 0; i < h->fields_count; i++)
                if (h->fields[i].id == HTTP_FIELD_OTHER && http_is_reserved(h->fields[i].name))
                        h->fields[i].is_removed = true;
}

static bool is_hop_by_hop(const struct http_field *f)
{
        switch (f->id) {
        case HTTP_FIELD_CONNECTION:
        case HTTP_FIELD_HTTP2_SETTINGS:
        case HTTP_FIELD_KEEP_ALIVE:
        case HTTP_FIELD_PROXY_AUTHENTICATE:
        case HTTP_FIELD_PROXY_AUTHORIZATION:
        case HTTP_FIELD_PROXY_CONNECTION:
        case HTTP_FIELD_TRAILER:
        case HTTP_FIELD_TRANSFER_ENCODING: return true;
        case HTTP_FIELD_OTHER:
                return name_is_of(f->name, STR("proxy")); /* "Proxy" too: CGI makes it HTTP_PROXY */
        default: return false;
        }
}

/* What no Connection field may take away: what the rules know, and what belongs to the message itself. */
static bool is_protected(const struct http_field *f)
{
        return f->id != HTTP_FIELD_OTHER || f->line.len == 0 || name_is_of(f->name, STR("content")) ||
               name_is_of(f->name, STR("sec")) || name_is(f->name, STR("set-cookie")) ||
               http_is_reserved(f->name) || http_is_forwarding(f->name);
}

static void remove_named(struct http_head *h, struct str name)
{
        for (size_t i = 0; i < h->fields_count; i++)
                if (str_eq_nocase(h->fields[i].name, name) && !is_protected(&h->fields[i]))
                        h->fields[i].is_removed = true;
}

static enum err connection_apply(struct http_head *h)
{
        int tokens = 0;

        for (const struct http_field *f = http_find(h, HTTP_FIELD_CONNECTION); f; f = http_find_next(h, f)) {
                struct str rest = f->value, token;

                while (str_split(&rest, ',', &token)) {
                        if (++tokens > CONNECTION_TOKENS_MAX)
                                return ERR_TOO_LARGE;
                        token = str_trim(token);
                        if (token.len)
                                remove_named(h, token);
                }
        }
        return ERR_OK;
}

/* TE goes, but for the one thing it may say across hops. */
static enum err te_reduce(struct http_head *h)
{
        const struct http_field *te = http_find(h, HTTP_FIELD_TE);
        bool wants_trailers = false;

        if (!te || (!http_find_next(h, te) && str_eq(te->value, STR("trailers"))))
                return ERR_OK;
        for (; te; te = http_find_next(h, te))
                wants_trailers |= http_list_has(te->value, STR("trailers"));
        http_remove(h, HTTP_FIELD_TE);
        return wants_trailers ? http_add(h, STR("TE"), STR("trailers")) : ERR_OK;
}

enum err http_remove_hop_by_hop(struct http_head *h, bool keep_upgrade)
{
        bool upgrades = keep_upgrade && http_find(h, HTTP_FIELD_UPGRADE);
        enum err e = connection_apply(h);

        if (e == ERR_OK)
                e = te_reduce(h);
        if (e != ERR_OK)
                return e;
        for (size_t i = 0; i < h->fields_count; i++)
                if (is_hop_by_hop(&h->fields[i]))
                        h->fields[i].is_removed = true;
        if (!upgrades) {
                http_remove(h, HTTP_FIELD_UPGRADE);
                return ERR_OK;
        }
        return http_add(h, STR("Connection"), STR("upgrade"));
}

/* RFC 9110 6.5.1: fields that decide where a message goes, where it ends and who sent it. */
bool http_trailer_is_forbidden(const struct http_field *f)
{
        switch (f->id) {
        case HTTP_FIELD_AUTHORIZATION:
        case HTTP_FIELD_CONNECTION:
        case HTTP_FIELD_CONTENT_LENGTH:
        case HTTP_FIELD_COOKIE:
        case HTTP_FIELD_EXPECT:
        case HTTP_FIELD_HOST:
        case HTTP_FIELD_HTTP2_SETTINGS:
        case HTTP_FIELD_KEEP_ALIVE:
        case HTTP_FIELD_PROXY_AUTHENTICATE:
        case HTTP_FIELD_PROXY_AUTHORIZATION:
        case HTTP_FIELD_PROXY_CONNECTION:
        case HTTP_FIELD_TE:
        case HTTP_FIELD_TRAILER:
        case HTTP_FIELD_TRANSFER_ENCODING:
        case HTTP_FIELD_UPGRADE:
        case HTTP_FIELD_X_API_KEY: return true;
        default: return http_is_reserved(f->name) || http_is_forwarding(f->name) || http_is_alias(f->name);
        }
}

/* Harmless, but too late to mean anything. */
bool http_trailer_is_idle(const struct http_field *f)
{
        static const struct str names[] = {
                STR_INIT("Age"),
                STR_INIT("Cache-Control"),
                STR_INIT("Content-Encoding"),
                STR_INIT("Content-Range"),
                STR_INIT("Content-Type"),
                STR_INIT("Date"),
                STR_INIT("Expires"),
                STR_INIT("Location"),
                STR_INIT("Max-Forwards"),
                STR_INIT("Pragma"),
                STR_INIT("Range"),
                STR_INIT("Retry-After"),
                STR_INIT("Set-Cookie"),
                STR_INIT("Vary"),
                STR_INIT("Warning"),
                STR_INIT("If-Match"),
                STR_INIT("If-None-Match"),
                STR_INIT("If-Modified-Since"),
                STR_INIT("If-Range"),
                STR_INIT("WWW-Authenticate"),
                STR_INIT("If-Unmodified-Since"),
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (str_eq_nocase(f->name, names[i]))
                        return true;
        return false;
}
