#include "dispatch/url.h"

enum { PORT_HTTP = 80, PORT_HTTPS = 443 };

uint16_t dispatch_url_port(bool is_tls)
{
        return is_tls ? PORT_HTTPS : PORT_HTTP;
}

static enum err refuse(const char **problem, const char *text)
{
        *problem = text;
        return ERR_MALFORMED;
}

/* Everything else a caller has to escape. */
bool dispatch_url_is_sendable(struct str s)
{
        for (size_t i = 0; i < s.len; i++)
                if (s.ptr[i] <= ' ' || s.ptr[i] >= 0x7f)
                        return false;
        return true;
}

static bool scheme_take(struct str *rest, bool *is_tls)
{
        static const struct {
                struct str text;
                bool is_tls;
        } schemes[] = { { STR_INIT("http:"), false }, { STR_INIT("https:"), true } };

        for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
                if (str_eq_nocase(str_sub(*rest, 0, schemes[i].text.len), schemes[i].text)) {
                        *rest = str_from(*rest, schemes[i].text.len);
                        *is_tls = schemes[i].is_tls;
                        return true;
                }
        return false;
}

static struct str until_any(struct str s, const char *ends)
{
        for (size_t i = 0; i < s.len; i++)
                for (const char *e = ends; *e; e++)
                        if (s.ptr[i] == *e)
                                return str_sub(s, 0, i);
        return s;
}

/* "" is "/", "?q" is "/?q". */
static struct str path_make(struct str rest, struct arena *a)
{
        struct str path = until_any(rest, "#");
        const struct str parts[] = { STR("/"), path };

        return path.len && path.ptr[0] == '/' ? path : arena_join(a, parts, ARRAY_SIZE(parts));
}

/* After "http:". */
static enum err rest_parse(struct str rest, struct arena *a, struct dispatch_url *out, const char **problem)
{
        struct str authority;
        enum err e;

        if (!str_has_prefix(rest, STR("//")))
                return refuse(problem, "has no \"//\" after its scheme");
        rest = str_from(rest, 2);
        authority = until_any(rest, "/?#");
        if (str_find_char(authority, '@') != STR_NONE)
                return refuse(problem, "has a user name in it; send an Authorization header instead");
        if ((e = http_authority_parse(authority, a, &out->authority)) == ERR_MALFORMED)
                return refuse(problem, "has no valid host");
        if (e != ERR_OK)
                return e;
        if (out->authority.port == 0)
                out->authority.port = dispatch_url_port(out->is_tls);
        out->path = path_make(str_from(rest, authority.len), a);
        return out->path.ptr ? ERR_OK : ERR_NO_MEMORY;
}

enum err dispatch_url_parse(struct str text, struct arena *a, struct dispatch_url *out, const char **problem)
{
        *out = (struct dispatch_url){ 0 };
        if (text.len > DISPATCH_URL_BYTES_MAX)
                return refuse(problem, "is longer than 16 KiB");
        if (!dispatch_url_is_sendable(text))
                return refuse(problem, "has spaces, controls or letters outside ASCII; escape them as %XX");
        if (!scheme_take(&text, &out->is_tls))
                return refuse(problem, "must begin with http:// or https://");
        return rest_parse(text, a, out, problem);
}

struct str dispatch_url_host(const struct dispatch_url *u, struct arena *a)
{
        const char *open = u->authority.is_ipv6 ? "[" : "", *close = u->authority.is_ipv6 ? "]" : "";

        if (u->authority.port == dispatch_url_port(u->is_tls))
                return arena_format(a, "%s%.*s%s", open, STR_FMT(u->authority.host), close);
        return arena_format(a, "%s%.*s%s:%u", open, STR_FMT(u->authority.host), close, u->authority.port);
}

struct str dispatch_url_format(const struct dispatch_url *u, struct arena *a)
{
        struct str host = dispatch_url_host(u, a);

        return arena_format(a, "%s://%.*s%.*s", u->is_tls ? "https" : "http", STR_FMT(host),
                            STR_FMT(u->path));
}

/* ---- redirects ---- */

/* RFC 3986 5.2.4 on the path alone. */
static struct str dots_remove(struct str path, struct arena *a)
{
        char *out = arena_alloc(a, path.len + 1, 1);
        struct str rest = str_from(path, 1), segment;
        size_t n = 0;

        if (!out)
                return STR_NULL;
        for (bool more = true; more;) {
                size_t slash = str_find_char(rest, '/');

                segment = str_sub(rest, 0, slash);
                more = slash != STR_NONE;
                rest = more ? str_from(rest, slash + 1) : STR("");
                if (str_eq(segment, STR(".."))) {
                        while (n && out[--n] != '/')
                                ;
                } else if (!str_eq(segment, STR("."))) {
                        out[n++] = '/';
                        for (size_t i = 0; i < segment.len; i++)
                                out[n++] = segment.ptr[i];
                        continue;
                }
                if (!more) /* what ended in a dot segment ends in a slash */
                        out[n++] = '/';
        }
        return (struct str){ out, n };
}

static struct str relative_join(struct str base, struct str location, struct arena *a)
{
        struct str path = until_any(base, "?"), query = str_from(location, until_any(location, "?").len),
                   joined;
        size_t end = path.len;

        location = until_any(location, "?");
        if (location.len == 0) {
                joined = path;
        } else {
                while (end && path.ptr[end - 1] != '/')
                        end--;
                const struct str parts[] = { str_sub(path, 0, end), location };
                joined = location.ptr[0] == '/' ? location : arena_join(a, parts, ARRAY_SIZE(parts));
                joined = joined.ptr ? dots_remove(joined, a) : joined;
        }
        const struct str parts[] = { joined, query };
        return joined.ptr ? arena_join(a, parts, ARRAY_SIZE(parts)) : STR_NULL;
}

enum err dispatch_url_resolve(const struct dispatch_url *base, struct str location, struct arena *a,
                              struct dispatch_url *out, const char **problem)
{
        struct str rest = location;
        bool is_tls;

        if (scheme_take(&rest, &is_tls))
                return dispatch_url_parse(location, a, out, problem);
        if (location.len > DISPATCH_URL_BYTES_MAX || !dispatch_url_is_sendable(location))
                return refuse(problem, "is no URL");
        *out = *base;
        if (str_has_prefix(location, STR("//")))
                return rest_parse(location, a, out, problem);
        if (str_find_char(until_any(location, "/?#"), ':') != STR_NONE)
                return refuse(problem, "must begin with http:// or https://");
        out->path = relative_join(base->path, until_any(location, "#"), a);
        return out->path.ptr ? ERR_OK : ERR_NO_MEMORY;
}
