#include "base/map.h"
#include "conf/check_priv.h"
#include "conf/loader_priv.h"
#include "http/head.h"
#include "http/rules.h"
#include "http/target.h"

/* ---- path ---- */

/* A path whose segments in braces stand for any: each is a whole segment with a name. Writes the path with them
 * replaced, for the check of the rest. */
static bool braces_replace(struct str path, struct buf *plain, bool *has_braces)
{
        struct str rest = str_from(path, 1), segment;

        *has_braces = false;
        while (str_split(&rest, '/', &segment)) {
                bool opens = str_find_char(segment, '{') != STR_NONE,
                     closes = str_find_char(segment, '}') != STR_NONE;

                buf_add_char(plain, '/');
                if (!opens && !closes) {
                        buf_add(plain, segment);
                        continue;
                }
                if (segment.len < 3 || segment.ptr[0] != '{' || segment.ptr[segment.len - 1] != '}' ||
                    !conf_name_is_valid(str_sub(segment, 1, segment.len - 2)))
                        return false;
                *has_braces = true;
                buf_add_char(plain, 'x');
        }
        return true;
}

static bool path_parse(struct loader *l, struct str text, struct conf_route *r)
{
        bool is_prefix = str_has_suffix(text, STR("/*")), has_braces = false, ok = false;
        struct str path = is_prefix ? str_sub(text, 0, text.len - 2) : text, canonical;
        struct buf plain;

        if (str_eq(text, STR("/")) || str_eq(text, STR("/*"))) {
                r->path_kind = CONF_PATH_ALL;
                r->path = STR("/");
                return true;
        }
        if (path.len == 0 || path.ptr[0] != '/' || str_find_char(path, '*') != STR_NONE)
                return false;
        buf_init(&plain, 64 * 1024);
        if (braces_replace(path, &plain, &has_braces) && !plain.full)
                ok = http_path_canonical(buf_str(&plain), &l->scratch, &canonical) == ERR_OK &&
                     str_eq(buf_str(&plain), canonical);
        l->scratch.full |= plain.full;
        buf_fini(&plain);
        r->path_kind = has_braces ? CONF_PATH_PATTERN : is_prefix ? CONF_PATH_PREFIX : CONF_PATH_EXACT;
        r->path = has_braces ? text : path;
        if (!has_braces && is_prefix)
                r->path = arena_copy(l->arena, path);
        return ok;
}

static void path_resolve(struct loader *l, const struct draft_route *d, struct conf_route *r)
{
        if (!path_parse(l, d->path.text, r))
                loader_error_at(
                        l, d->path.at.line ? d->path.at : d->item.at,
                        "%.*s.path: \"%.*s\" is no path; write \"/x\", \"/x/*\", \"/users/{id}/x\" or \"/\", without \"//\", "
                        "\"..\" and needless escapes",
                        STR_FMT(d->item.path), STR_FMT(d->path.text));
}

/* ---- prefixes ---- */

static bool prefix_parse(struct loader *l, const struct draft_route *d, const struct draft_text *text,
                         const char *key, struct str *out)
{
        struct str prefix = text->text, canonical;

        *out = STR_NULL;
        if (!prefix.ptr)
                return true;
        while (prefix.len && prefix.ptr[prefix.len - 1] == '/')
                prefix.len--;
        if (text->text.len && text->text.ptr[0] == '/' &&
            (prefix.len == 0 ||
             (http_path_canonical(prefix, &l->scratch, &canonical) == ERR_OK && str_eq(prefix, canonical)))) {
                *out = arena_copy(l->arena, prefix);
                return true;
        }
        loader_error_at(l, text->at, "%.*s.%s: \"%.*s\" is no path prefix; write it as \"/x\"",
                        STR_FMT(d->item.path), key, STR_FMT(text->text));
        return false;
}

static void prefixes_resolve(struct loader *l, const struct draft_route *d, struct conf_route *r)
{
        struct str rewrite;

        if (!prefix_parse(l, d, &d->strip_prefix, "stripPrefix", &r->strip_prefix) ||
            !prefix_parse(l, d, &d->add_prefix, "addPrefix", &r->add_prefix) ||
            !prefix_parse(l, d, &d->rewrite_prefix, "rewritePrefix", &rewrite))
                return;
        if (d->rewrite_prefix.text.ptr) {
                if (r->path_kind != CONF_PATH_PREFIX || d->strip_prefix.text.ptr || d->add_prefix.text.ptr)
                        loader_error_at(
                                l, d->rewrite_prefix.at,
                                "%.*s.rewritePrefix: goes with a path such as \"/x/*\", and not with stripPrefix or "
                                "addPrefix",
                                STR_FMT(d->item.path));
                r->strip_prefix = r->path;
                r->add_prefix = rewrite;
        }
        struct str after = str_from(r->path, r->strip_prefix.len);

        if (r->strip_prefix.len && r->path_kind != CONF_PATH_ALL &&
            (!str_has_prefix(r->path, r->strip_prefix) || (after.len && after.ptr[0] != '/')))
                loader_error_at(l, d->strip_prefix.at,
                                "%.*s.stripPrefix: the route's path does not begin with \"%.*s\"",
                                STR_FMT(d->item.path), STR_FMT(r->strip_prefix));
}

/* ---- action ---- */

static void stream_check(struct loader *l, const struct draft_route *d, const struct conf_upstream *u)
{
        for (size_t i = 0; u && i < u->targets_count; i++)
                if (u->targets[i].url.scheme == CONF_TCP || u->targets[i].url.scheme == CONF_UDP)
                        loader_error_at(
                                l, d->upstream.at,
                                "%.*s.upstream: %.*s speaks no HTTP; name it in gateway.listen[].upstream",
                                STR_FMT(d->item.path), STR_FMT(u->name));
}

static const struct conf_upstream *upstream_find(struct loader *l, const struct draft_route *d)
{
        struct conf *c = l->conf;
        struct str *names;

        for (size_t i = 0; i < c->upstreams_count; i++)
                if (str_eq(c->upstreams[i].name, d->upstream.text))
                        return &c->upstreams[i];
        if (!(names = ARENA_ARRAY(&l->scratch, struct str, c->upstreams_count + 1)))
                return NULL;
        for (size_t i = 0; i < c->upstreams_count; i++)
                names[i] = c->upstreams[i].name;
        loader_error_at(l, d->upstream.at, "%.*s.upstream: there is no upstream \"%.*s\"%s",
                        STR_FMT(d->item.path), STR_FMT(d->upstream.text),
                        loader_hint(l, d->upstream.text, names, c->upstreams_count));
        return NULL;
}

static bool redirect_is_valid(const struct draft_redirect *d)
{
        bool status_ok = d->status == 301 || d->status == 302 || d->status == 303 || d->status == 307 ||
                         d->status == 308;

        return status_ok &&
               (str_has_prefix(d->to.text, STR("/")) || str_has_prefix(d->to.text, STR("http://")) ||
                str_has_prefix(d->to.text, STR("https://")));
}

static void action_resolve(struct loader *l, const struct draft_route *d, struct conf_route *r)
{
        int actions = !!d->upstream.text.ptr + !!d->redirect.at.line + !!d->respond.at.line;

        if (actions != 1) {
                loader_error_at(l, d->item.at,
                                "%.*s: name what answers: one of upstream, redirect and respond%s",
                                STR_FMT(d->item.path), actions ? ", not several" : "");
        } else if (d->upstream.text.ptr) {
                r->action = CONF_TO_UPSTREAM;
                r->upstream = upstream_find(l, d);
                stream_check(l, d, r->upstream);
        } else if (d->redirect.at.line) {
                r->action = CONF_REDIRECT;
                r->redirect_to = d->redirect.to.text;
                r->status = (uint16_t)d->redirect.status;
                if (d->redirect.to.text.ptr && !redirect_is_valid(&d->redirect))
                        loader_error_at(
                                l, d->redirect.at,
                                "%.*s.redirect: give a path or an http(s) URL, and the status 301, 302, "
                                "303, 307 or 308",
                                STR_FMT(d->item.path));
        } else {
                r->action = CONF_RESPOND;
                r->status = (uint16_t)d->respond.status;
                r->body = d->respond.body.text;
                r->content_type = d->respond.content_type.text;
                if (r->body.len && (r->status == 204 || r->status == 304))
                        loader_error_at(l, d->respond.at,
                                        "%.*s.respond: an answer with status %u has no body",
                                        STR_FMT(d->item.path), r->status);
        }
}

/* ---- the rest ---- */

/* Fields the gateway itself answers for: framing, the connection, and the family it vouches with. */
static bool field_is_ours(struct str name)
{
        switch (http_field_id_of(name)) {
        case HTTP_FIELD_CONNECTION:
        case HTTP_FIELD_CONTENT_LENGTH:
        case HTTP_FIELD_KEEP_ALIVE:
        case HTTP_FIELD_PROXY_CONNECTION:
        case HTTP_FIELD_TE:
        case HTTP_FIELD_TRAILER:
        case HTTP_FIELD_TRANSFER_ENCODING:
        case HTTP_FIELD_UPGRADE:
        case HTTP_FIELD_EXPECT: return true;
        default: return http_is_reserved(name);
        }
}

static void header_rules_resolve(struct loader *l, const struct draft_header_rules *d,
                                 struct conf_header_rules *out)
{
        const struct draft_headers *both[] = { &d->set, &d->add };

        for (size_t i = 0; i < ARRAY_SIZE(both); i++)
                for (size_t j = 0; j < both[i]->count; j++)
                        if (field_is_ours(both[i]->items[j].name))
                                loader_error_at(l, both[i]->items[j].at,
                                                "the field %.*s is the gateway's own; a rule cannot write it",
                                                STR_FMT(both[i]->items[j].name));
        resolve_headers(l, &d->set, &out->set, &out->set_count);
        resolve_headers(l, &d->add, &out->add, &out->add_count);
        out->remove = d->remove;
}

static int64_t timeout_or(int64_t own, int64_t inherited)
{
        return own == (int64_t)CONF_UNSET ? inherited : own;
}

static void timeouts_inherit(struct conf_route *r)
{
        struct conf_timeouts none = { 0 }, *t = &r->timeouts;
        const struct conf_timeouts *from = r->upstream ? &r->upstream->timeouts : &none;

        t->connect = timeout_or(t->connect, from->connect);
        t->first_byte = timeout_or(t->first_byte, from->first_byte);
        t->idle = timeout_or(t->idle, from->idle);
        t->tunnel = timeout_or(t->tunnel, from->tunnel);
        t->total = timeout_or(t->total, from->total);
}

static void name_make(struct loader *l, const struct draft_route *d, struct conf_route *r)
{
        struct buf name;

        if (d->name.text.ptr) {
                r->name = d->name.text;
                return;
        }
        buf_init(&name, 4096);
        buf_add(&name, r->hosts.count ? r->hosts.items[0] : STR("*"));
        buf_add(&name, d->path.text);
        for (size_t i = 0; i < r->methods.count; i++)
                buf_addf(&name, "%c%.*s", i ? ',' : ' ', STR_FMT(r->methods.items[i]));
        r->name = arena_copy(l->arena, buf_str(&name));
        l->scratch.full |= name.full;
        buf_fini(&name);
}

static void compress_resolve(struct loader *l, const struct draft_route *d, struct conf_route *r)
{
        r->compress = d->compress.compress;
        r->compress.is_on &= d->compress.at.line != 0;
        if (r->compress.is_on &&
            (r->compress.codings.count == 0 || r->compress.codings.count > CONF_CODINGS_MAX))
                loader_error_at(l, d->compress.at,
                                "%.*s.compress.codings: name one to three of \"zstd\", \"br\" and \"gzip\"",
                                STR_FMT(d->item.path));
}

static void cache_resolve(struct loader *l, const struct draft_route *d, struct conf_route *r)
{
        r->cache = d->cache.cache;
        r->cache.is_on &= d->cache.at.line != 0;
        if (r->cache.is_on && r->action != CONF_TO_UPSTREAM)
                loader_error_at(l, d->cache.at, "%.*s.cache: only the answers of an upstream can be kept",
                                STR_FMT(d->item.path));
}

/* Control asks for a token, and the operator's file asks nobody for one: that must not make it public. */
static void published_check(struct loader *l, const struct draft_route *d, struct conf_route *r)
{
        if (d->item.at.line != DRAFT_LINE_PUBLISHED || d->access == DRAFT_PUBLIC || l->conf->gateway.auth)
                return;
        loader_warning_at(l, d->item.at,
                          "%.*s: it is for holders of a token, and gateway.auth is off: not served",
                          STR_FMT(d->item.path));
        r->action = CONF_RESPOND;
        r->upstream = NULL;
        r->status = 503;
        r->content_type = STR("application/json");
        r->body =
                STR("{\"error\":{\"code\":\"auth_off\",\"message\":\"this service is for holders of a token, "
                    "which this gateway asks nobody for\"}}\n");
}

static void route_resolve(struct loader *l, const struct draft_route *d, struct conf_route *r)
{
        *r = d->route;
        path_resolve(l, d, r);
        name_make(l, d, r);
        r->access.needs_token = d->access != DRAFT_PUBLIC && l->conf->gateway.auth;
        r->access.scope = d->access == DRAFT_PUBLIC ? 0 : d->access;
        if (r->access.needs_client_certificate && !l->conf->gateway.client_ca_pem.len)
                loader_error_at(
                        l, d->item.at,
                        "%.*s.access.clientCertificate: gateway.clientCertificates names no authority, so nobody "
                        "could have one",
                        STR_FMT(d->item.path));
        l->conf->gateway.tailnet.is_used |= r->access.tailnet.count > 0;
        action_resolve(l, d, r);
        prefixes_resolve(l, d, r);
        header_rules_resolve(l, &d->request_headers, &r->request_headers);
        header_rules_resolve(l, &d->response_headers, &r->response_headers);
        compress_resolve(l, d, r);
        cache_resolve(l, d, r);
        timeouts_inherit(r);
        if (r->max_body_bytes == CONF_UNSET)
                r->max_body_bytes = l->conf->gateway.limits.request_bytes;
        published_check(l, d, r);
}

/* ---- no two routes for the same requests ---- */

/* "host /path method", braces without their names. */
static struct str match_key(struct loader *l, const struct conf_route *r, struct str host, struct str method)
{
        struct buf key;
        bool in_braces = false;

        buf_init(&key, 64 * 1024);
        buf_addf(&key, "%.*s %d", STR_FMT(host), (int)r->path_kind);
        for (size_t i = 0; i < r->path.len; i++) {
                in_braces = in_braces && r->path.ptr[i] != '}';
                if (!in_braces)
                        buf_add_char(&key, r->path.ptr[i]);
                in_braces |= r->path.ptr[i] == '{';
        }
        buf_addf(&key, " %.*s", STR_FMT(method));
        struct str kept = arena_copy(&l->scratch, buf_str(&key));
        l->scratch.full |= key.full;
        buf_fini(&key);
        return kept;
}

struct seen {
        struct map names, matches;
};

static void match_add(struct loader *l, struct seen *seen, const struct draft_route *d, struct conf_route *r,
                      struct str host, struct str method)
{
        struct str key = match_key(l, r, host, method);
        const struct conf_route *other = map_find(&seen->matches, key);

        if (other && other != r &&
            d->item.at.line == DRAFT_LINE_PUBLISHED) /* published: what stands before it is right */
                loader_warning_at(
                        l, d->item.at,
                        "the route \"%.*s\" that control published is not served for \"%.*s\": \"%.*s\" has it",
                        STR_FMT(r->name), STR_FMT(host), STR_FMT(other->name));
        else if (other && other != r)
                loader_error_at(
                        l, d->item.at,
                        "%.*s: the route \"%.*s\" has the same host, path and method already; only the "
                        "first could ever answer",
                        STR_FMT(d->item.path), STR_FMT(other->name));
        else if (key.ptr && !other && map_add(&seen->matches, key, r) != ERR_OK)
                l->scratch.full = true;
}

static void duplicates_find(struct loader *l, struct seen *seen, const struct draft_route *d,
                            struct conf_route *r)
{
        if (map_add(&seen->names, r->name, r) == ERR_EXISTS && d->name.text.ptr)
                loader_error_at(l, d->name.at,
                                "%.*s.name: there is a route \"%.*s\" already; names must be unique",
                                STR_FMT(d->item.path), STR_FMT(r->name));
        for (size_t i = 0; i < MAX(r->hosts.count, (size_t)1); i++)
                for (size_t j = 0; j < MAX(r->methods.count, (size_t)1); j++)
                        match_add(l, seen, d, r, r->hosts.count ? r->hosts.items[i] : STR("*"),
                                  r->methods.count ? r->methods.items[j] : STR("*"));
}

enum { ROUTES_MAX = 100000, MATCHES_MAX = 1000000 };

void resolve_routes(struct loader *l, struct draft_list *list)
{
        struct draft_route *drafts = list->items;
        struct conf *c = l->conf;
        size_t errors = l->report->errors_count;
        struct seen seen;

        if (list->count == 0 || !(c->routes = ARENA_ARRAY(l->arena, struct conf_route, list->count)))
                return;
        c->routes_count = list->count;
        for (size_t i = 0; i < list->count; i++)
                route_resolve(l, &drafts[i], &c->routes[i]);
        if (errors != l->report->errors_count)
                return;
        map_init(&seen.names, (struct hash_key){ 1, 2 }, ROUTES_MAX);
        map_init(&seen.matches, (struct hash_key){ 1, 2 }, MATCHES_MAX);
        for (size_t i = 0; i < list->count; i++)
                duplicates_find(l, &seen, &drafts[i], &c->routes[i]);
        map_fini(&seen.matches);
        map_fini(&seen.names);
}
