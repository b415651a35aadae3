/* What unsafe methods make old (RFC 9111 4.4): their own URL, and of its origin what Location and Content-Location name. */
#include "proxy/cache_priv.h"

#include "proxy/cache_purges.h"

static bool is_safe(enum http_method method)
{
        return method == HTTP_GET || method == HTTP_HEAD || method == HTTP_OPTIONS || method == HTTP_TRACE;
}

static void forget(struct cached *c, struct str key)
{
        uint64_t hash = cache_key_hash(c->cache->store, key);

        cache_flight_forget(c->cache, hash);
        cache_purges_add(c->x->w->shared->cache_purges, hash);
}

static uint16_t port_of(const struct http_authority *a, bool is_tls)
{
        return a->port ? a->port : is_tls ? 443 : 80;
}

/* "https://host:port/path", or "//host/path", of this request's origin: its path, else STR_NULL. */
static struct str path_of_absolute(struct exchange *x, struct str url)
{
        bool is_tls = str_eq_nocase(x->client.proto, STR("https"));
        struct str scheme = is_tls ? STR("https:") : STR("http:");
        struct http_authority a;

        if (str_eq_nocase(str_sub(url, 0, scheme.len), scheme))
                url = str_from(url, scheme.len);
        if (!str_eq(str_sub(url, 0, 2), STR("//")))
                return STR_NULL;
        url = str_from(url, 2);
        size_t len = MIN(str_find_char(url, '/'), str_find_char(url, '?'));
        struct str authority = str_sub(url, 0, MIN(len, url.len));
        const struct http_authority *own = &x->target.authority;
        if (http_authority_parse(authority, &x->arena, &a) != ERR_OK || !str_eq(a.host, own->host) ||
            port_of(&a, is_tls) != port_of(own, is_tls))
                return STR_NULL;
        return str_from(url, authority.len);
}

/* A reference (RFC 3986 4.2) as path and query of this origin, or STR_NULL. */
static struct str path_of(struct exchange *x, struct str url)
{
        size_t colon = str_find_char(url, ':'), stop = MIN(str_find_char(url, '/'), str_find_char(url, '?'));
        struct str path = x->target.path;

        url = str_sub(url, 0, MIN(str_find_char(url, '#'), url.len));
        if (url.len == 0)
                return STR_NULL;
        if ((colon != STR_NONE && colon < stop) || str_eq(str_sub(url, 0, 2), STR("//")))
                url = path_of_absolute(x, url);
        else if (url.ptr[0] == '?')
                url = arena_format(&x->arena, "%.*s%.*s", STR_FMT(path), STR_FMT(url));
        else if (url.ptr[0] != '/') { /* beside this one */
                while (path.len && path.ptr[path.len - 1] != '/')
                        path.len--;
                url = arena_format(&x->arena, "%.*s%.*s", STR_FMT(path), STR_FMT(url));
        }
        if (url.len && url.ptr[0] == '?')
                url = arena_format(&x->arena, "/%.*s", STR_FMT(url));
        return url.ptr && url.len == 0 ? STR("/") : url;
}

/* In the canonical form that keys are made of; what cannot be a request's target is kept under no key. */
static void forget_named(struct cached *c, struct str url)
{
        struct exchange *x = c->x;
        struct http_field fields[2];
        struct http_head head = { .method = HTTP_GET, .version_minor = 1, .fields = fields, .fields_max = 2 };
        struct http_target target;
        struct http_refusal refusal;

        head.target = path_of(x, str_trim(url));
        if (!head.target.len || http_set(&head, HTTP_FIELD_HOST, STR("a")) != ERR_OK ||
            http_target_parse(&head, &x->arena, &target, &refusal) != ERR_OK)
                return;
        struct str key = cache_key_of(x, target.text);
        if (key.ptr && !str_eq(target.text, x->target.text))
                forget(c, key);
}

void cache_unsafe_forget(struct cached *c, const struct http_head *answer)
{
        static const struct str names[] = { STR_INIT("Location"), STR_INIT("Content-Location") };

        if (is_safe(c->x->request.method) || answer->status < 200 || answer->status >= 400 || !c->key.ptr)
                return;
        forget(c, c->key);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                const struct http_field *f = http_find_name(answer, names[i]);

                if (f)
                        forget_named(c, f->value);
        }
}
