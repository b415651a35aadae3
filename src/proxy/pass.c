#include "proxy/pass.h"

#include <stdlib.h>

static bool is_wildcard(struct str host)
{
        return host.len && host.ptr[0] == '*';
}

static int compare(const void *pa, const void *pb)
{
        const struct pass *a = pa, *b = pb;

        if (is_wildcard(a->host) != is_wildcard(b->host))
                return is_wildcard(a->host) - is_wildcard(b->host);
        if (a->host.len != b->host.len)
                return a->host.len > b->host.len ? -1 : 1;
        return str_cmp(a->host, b->host);
}

void pass_table_sort(struct pass_table *t)
{
        if (t->count)
                qsort(t->passes, t->count, sizeof(*t->passes), compare);
}

static bool matches(struct str host, struct str name)
{
        struct str suffix = str_from(host, 1);

        if (!is_wildcard(host))
                return str_eq(host, name);
        return name.len > suffix.len && str_has_suffix(name, suffix);
}

/* A route says more of this name than a wildcard of `len` bytes does. */
static bool is_routes(const struct route_table *t, struct str name, size_t len)
{
        for (size_t i = 0; i < t->count; i++) {
                struct str host = t->routes[i].host;

                if (host.len && matches(host, name) && (!is_wildcard(host) || host.len >= len))
                        return true;
        }
        return false;
}

const struct listen_conf *pass_find(const struct snapshot *s, struct str name)
{
        if (name.len && name.ptr[name.len - 1] == '.') /* no client should, RFC 6066 3; some do */
                name.len--;
        for (size_t i = 0; name.len && i < s->passes.count; i++) {
                const struct pass *p = &s->passes.passes[i];

                if (matches(p->host, name))
                        return is_wildcard(p->host) && is_routes(&s->routes, name, p->host.len) ? NULL
                                                                                                : &p->listen;
        }
        return NULL;
}
