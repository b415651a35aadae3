#include "conf/loader_priv.h"

/*
 * Byte streams: ports that pass on what comes, and names whose TLS is passed on unopened. What control published stands behind what the
 * operator wrote, and gives way to it.
 */

static const struct conf_upstream *upstream_find(const struct conf *c, struct str name)
{
        for (size_t i = 0; i < c->upstreams_count; i++)
                if (str_eq(c->upstreams[i].name, name))
                        return &c->upstreams[i];
        return NULL;
}

/* A link's target is judged at the agent. */
static bool carries(const struct conf_upstream *u, enum conf_scheme scheme)
{
        for (size_t i = 0; i < u->targets_count; i++)
                if (u->targets[i].url.scheme != scheme && u->targets[i].url.scheme != CONF_LINK)
                        return false;
        return true;
}

static const struct draft_listen *draft_find(const struct draft_gateway *d, struct str upstream)
{
        const struct draft_listen *drafts = d->listen.items;

        for (size_t i = 0; i < d->listen.count; i++)
                if (drafts[i].upstream.text.ptr == upstream.ptr)
                        return &drafts[i];
        return NULL;
}

static void raw_listen_resolve(struct loader *l, struct draft_gateway *d, struct conf_listen *listen)
{
        const struct draft_listen *draft = draft_find(d, listen->upstream_name);

        listen->upstream = upstream_find(l->conf, listen->upstream_name);
        if (!draft)
                return;
        if (!listen->upstream)
                loader_error_at(l, draft->upstream.at, "%.*s.upstream: there is no upstream \"%.*s\"",
                                STR_FMT(draft->item.path), STR_FMT(listen->upstream_name));
        else if (!carries(listen->upstream, listen->address.is_datagram ? CONF_UDP : CONF_TCP))
                loader_error_at(
                        l, draft->upstream.at,
                        "%.*s.upstream: the targets of %.*s are of another kind; write %s://host:port to pass %s on",
                        STR_FMT(draft->item.path), STR_FMT(listen->upstream_name),
                        listen->address.is_datagram ? "udp" : "tcp",
                        listen->address.is_datagram ? "datagrams" : "bytes");
}

void resolve_raw_listens(struct loader *l, struct draft_gateway *d)
{
        struct conf_gateway *g = &l->conf->gateway;

        for (size_t i = 0; i < g->listens_count; i++)
                if (g->listens[i].upstream_name.ptr)
                        raw_listen_resolve(l, d, &g->listens[i]);
}

/* ---- what control has listened on ---- */

static bool is_taken(const struct conf *c, const struct listen_address *a)
{
        if (c->admin.is_on && listen_address_overlaps(a, &c->admin.listen))
                return true;
        for (size_t i = 0; i < c->gateway.listens_count; i++)
                if (listen_address_overlaps(a, &c->gateway.listens[i].address))
                        return true;
        return false;
}

/* Whoever listens there already is right, the operator first of all; the others of the document are served all the same. */
static const char *published_refusal(const struct conf *c, const struct conf_listen *listen)
{
        if (is_taken(c, &listen->address))
                return "something of this gateway listens there already";
        if (!listen->upstream_name.ptr) /* HTTP where bytes were meant would be another door */
                return "it names no upstream";
        if (c->gateway.listens_count + c->admin.is_on >= CONF_LISTENS_MAX)
                return "there are too many addresses";
        return NULL;
}

void resolve_published_listens(struct loader *l, struct draft_gateway *d)
{
        struct draft_listen *drafts = d->listen.items;
        struct conf_gateway *g = &l->conf->gateway;

        for (size_t i = 0; i < d->listen.count && g->listens; i++) {
                struct conf_listen more = { .is_published = true,
                                            .upstream_name = drafts[i].upstream.text,
                                            .rules = drafts[i].rules };

                if (drafts[i].item.at.line != DRAFT_LINE_PUBLISHED ||
                    !resolve_listen_any(l, drafts[i].item.path.ptr, &drafts[i].address, &more.address))
                        continue;
                const char *why = published_refusal(l->conf, &more);
                if (why) {
                        loader_warning_at(l, drafts[i].item.at,
                                          "%.*s of the service \"%.*s\" is not listened on: %s",
                                          STR_FMT(drafts[i].address.text), STR_FMT(more.upstream_name), why);
                        continue;
                }
                raw_listen_resolve(l, d, &more);
                g->listens[g->listens_count++] = more;
        }
}

/* ---- TLS passed on ---- */

static bool pass_has(const struct conf_pass *p, struct str host)
{
        for (size_t i = 0; i < p->hosts.count; i++)
                if (str_eq(p->hosts.items[i], host))
                        return true;
        return false;
}

/* Whose the name is already: a route's of that very name, or another one's of these. NULL: nobody's. */
static const char *pass_holder(const struct conf *c, struct str host)
{
        for (size_t i = 0; i < c->gateway.passes_count; i++)
                if (pass_has(&c->gateway.passes[i], host))
                        return "its TLS is passed on already";
        for (size_t i = 0; i < c->routes_count; i++)
                for (size_t j = 0; j < c->routes[i].hosts.count; j++)
                        if (str_eq(c->routes[i].hosts.items[j], host))
                                return "a route answers under it";
        return NULL;
}

/* The operator's mistakes are errors; what control says too much is left out, name by name. */
static void pass_hosts_resolve(struct loader *l, const struct draft_pass *d, struct conf_pass *p)
{
        size_t count = 0;

        for (size_t i = 0; i < d->hosts.count; i++) {
                struct str host = d->hosts.items[i];
                const char *why = pass_holder(l->conf, host);

                if (str_eq(host, STR("*")))
                        why = "it would be every name; write names, or \"*.example.com\"";
                if (why && p->is_published)
                        loader_warning_at(l, d->item.at,
                                          "the TLS of \"%.*s\" is not passed on to \"%.*s\": %s",
                                          STR_FMT(host), STR_FMT(p->upstream_name), why);
                else if (why)
                        loader_error_at(l, d->item.at, "%.*s.host: \"%.*s\": %s", STR_FMT(d->item.path),
                                        STR_FMT(host), why);
                else
                        p->hosts.items[count++] = host;
        }
        p->hosts.count = count;
}

static bool has_tls_listener(const struct conf_gateway *g)
{
        for (size_t i = 0; i < g->listens_count; i++)
                if (g->listens[i].is_tls && !g->listens[i].upstream_name.ptr)
                        return true;
        return false;
}

static void pass_resolve(struct loader *l, const struct draft_pass *d, struct conf_pass *p)
{
        *p = (struct conf_pass){ .is_published = d->item.at.line == DRAFT_LINE_PUBLISHED,
                                 .upstream_name = d->upstream.text,
                                 .upstream = upstream_find(l->conf, d->upstream.text),
                                 .rules = d->rules };
        if (!p->upstream)
                loader_error_at(l, d->upstream.at, "%.*s.upstream: there is no upstream \"%.*s\"",
                                STR_FMT(d->item.path), STR_FMT(p->upstream_name));
        else if (!carries(p->upstream, CONF_TCP))
                loader_error_at(
                        l, d->upstream.at,
                        "%.*s.upstream: the targets of %.*s speak HTTP; write tcp://host:port to pass TLS on",
                        STR_FMT(d->item.path), STR_FMT(p->upstream_name));
        if (!p->is_published && !has_tls_listener(&l->conf->gateway))
                loader_error_at(
                        l, d->item.at,
                        "%.*s: names are looked at where TLS is spoken, and nothing in gateway.listen does",
                        STR_FMT(d->item.path));
        if (d->hosts.count == 0)
                loader_error_at(l, d->item.at, "%.*s.host: is empty; name at least one",
                                STR_FMT(d->item.path));
        else if ((p->hosts.items = ARENA_ARRAY(l->arena, struct str, d->hosts.count)))
                pass_hosts_resolve(l, d, p);
}

void resolve_pass_through(struct loader *l, struct draft_gateway *d)
{
        struct conf_gateway *g = &l->conf->gateway;
        struct draft_pass *drafts = d->passes.items;

        if (d->passes.count == 0 || !(g->passes = ARENA_ARRAY(l->arena, struct conf_pass, d->passes.count)))
                return;
        for (size_t i = 0; i < d->passes.count; i++) {
                pass_resolve(l, &drafts[i], &g->passes[i]);
                g->passes_count++; /* now: a name twice in one is no harm */
        }
}
