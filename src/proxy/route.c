#include "proxy/route.h"

#include <stdlib.h>

/* Exact 2, wildcard 1, any 0. */
static int host_rank(const struct route *r)
{
        return r->host.len == 0 ? 0 : r->host.ptr[0] == '*' ? 1 : 2;
}

static int compare_size(size_t a, size_t b)
{
        return a == b ? 0 : a > b ? -1 : 1; /* longer first */
}

static int compare(const void *pa, const void *pb)
{
        const struct route *a = pa, *b = pb;
        int order;

        if (host_rank(a) != host_rank(b))
                return host_rank(b) - host_rank(a);
        if ((order = compare_size(a->host.len, b->host.len)) || (order = str_cmp(a->host, b->host)))
                return order;
        if (a->path_kind != b->path_kind)
                return (int)a->path_kind - (int)b->path_kind;
        if ((order = compare_size(a->path.len, b->path.len)) || (order = str_cmp(a->path, b->path)))
                return order;
        return (a->methods == 0) - (b->methods == 0);
}

static bool is_variable(struct str segment)
{
        return str_eq(segment, STR("*")) ||
               (segment.len > 2 && segment.ptr[0] == '{' && segment.ptr[segment.len - 1] == '}');
}

static size_t fixed_bytes(struct str pattern)
{
        struct str rest = pattern, segment;
        size_t bytes = 0;

        while (str_split(&rest, '/', &segment) && !is_variable(segment))
                bytes += segment.len + (rest.ptr != NULL);
        return bytes;
}

void route_table_sort(struct route_table *t)
{
        if (t->count)
                qsort(t->routes, t->count, sizeof(*t->routes), compare);
        t->has_named_hosts = false;
        for (size_t i = 0; i < t->count; i++)
                t->has_named_hosts |= t->routes[i].host.len > 0 && !t->routes[i].is_builtin;
        for (size_t i = 0; i < t->count; i++)
                if (t->routes[i].path_kind == PATH_PATTERN)
                        t->routes[i].fixed_bytes = fixed_bytes(t->routes[i].path);
}

static bool host_matches(const struct route *r, struct str host)
{
        switch (host_rank(r)) {
        case 0: return true;
        case 1: { /* one or more labels in place of the star */
                struct str suffix = str_from(r->host, 1);
                return host.len > suffix.len && str_has_suffix(host, suffix);
        }
        default: return str_eq(r->host, host);
        }
}

/* "/users/{id}/avatar": as many segments, each equal or variable and not empty; a last "*" takes all that is left. */
static bool pattern_matches(struct str pattern, struct str path)
{
        struct str want, have;

        for (;;) {
                bool more_pattern = str_split(&pattern, '/', &want);
                bool more_path = str_split(&path, '/', &have);

                if (!more_pattern || !more_path)
                        return more_pattern == more_path;
                if (!pattern.ptr && str_eq(want, STR("*")))
                        return true;
                if (is_variable(want) ? have.len == 0 : !str_eq(want, have))
                        return false;
        }
}

/* "/public" covers "/public" and "/public/…", not "/publications". "/" covers all. */
static bool prefix_matches(struct str prefix, struct str path)
{
        if (prefix.len && prefix.ptr[prefix.len - 1] == '/')
                return str_has_prefix(path, prefix);
        return str_has_prefix(path, prefix) && (path.len == prefix.len || path.ptr[prefix.len] == '/');
}

static bool path_matches(const struct route *r, struct str path)
{
        switch (r->path_kind) {
        case PATH_EXACT: return str_eq(r->path, path);
        case PATH_PATTERN:
                return str_has_prefix(path, str_sub(r->path, 0, r->fixed_bytes)) &&
                       pattern_matches(r->path, path);
        case PATH_PREFIX: return prefix_matches(r->path, path);
        }
        return false;
}

const struct route *route_find(const struct route_table *t, const struct http_target *target,
                               enum http_method method, uint16_t *status, unsigned *allowed)
{
        bool host_is_known = !t->has_named_hosts;

        *allowed = 0;
        for (size_t i = 0; i < t->count; i++) {
                const struct route *r = &t->routes[i];

                if (!host_matches(r, target->authority.host))
                        continue;
                host_is_known |=
                        !r->is_builtin; /* a built-in route answers at every name, and makes none known */
                if (!path_matches(r, target->match))
                        continue;
                if (r->methods == 0 || (r->methods & 1u << method))
                        return r;
                if (method == HTTP_HEAD && (r->methods & 1u << HTTP_GET)) /* HEAD is served where GET is */
                        return r;
                *allowed |= r->methods;
        }
        *status = *allowed ? 405 : host_is_known ? 404 : 421;
        return NULL;
}
