#include "conf/check_priv.h"
#include "conf/loader_priv.h"
#include "http/head.h"

/* ---- shared ---- */

void resolve_headers(struct loader *l, const struct draft_headers *d, struct conf_header **items,
                     size_t *count)
{
        *count = 0;
        *items = NULL;
        if (d->count == 0 || !(*items = ARENA_ARRAY(l->arena, struct conf_header, d->count)))
                return;
        *count = d->count;
        for (size_t i = 0; i < d->count; i++) {
                (*items)[i] = (struct conf_header){ d->items[i].name, d->items[i].value.value };
                if (!http_value_is_valid(d->items[i].value.value))
                        loader_error_at(l, d->items[i].at,
                                        "the value of %.*s cannot stand in a header field: no line ends "
                                        "or other controls",
                                        STR_FMT(d->items[i].name));
        }
}

/* Workers show client certificates themselves: such a key is with them, and a listener's is not to be. */
static void key_compare(struct loader *l, const struct draft_item *item, struct str key_pem)
{
        const struct conf_gateway *g = &l->conf->gateway;

        for (size_t i = 0; i < g->certificates_count; i++)
                if (!l->source->has_public_halves && str_eq(g->certificates[i].key_pem, key_pem)) {
                        loader_warning_at(
                                l, item->at,
                                "%.*s.tls: this is a listener's key too (gateway.certificates), and so the "
                                "workers have it, not the key holder alone; use another for upstreams",
                                STR_FMT(item->path));
                        return;
                }
}

void resolve_client_tls(struct loader *l, const struct draft_item *item, const struct draft_client_tls *d,
                        struct conf_client_tls *out)
{
        struct conf_certificate pair = { 0 };

        out->server_name = d->server_name.text;
        out->skip_verify = d->skip_verify;
        if (out->skip_verify)
                loader_warning_at(l, item->at, "%.*s.tls: skipVerify takes any certificate, anybody's",
                                  STR_FMT(item->path));
        if (d->ca.text.ptr)
                loader_pem_read(l, CONF_READ_FILE, &d->ca, &out->ca_pem);
        if (!d->cert.text.ptr && !d->key.text.ptr)
                return;
        if (resolve_pair(l, item->path.ptr, &d->cert, &d->key, CONF_READ_SECRET, &pair)) {
                out->cert_pem = pair.cert_pem;
                out->key_pem = pair.key_pem;
                key_compare(l, item, pair.key_pem);
        }
}

/* ---- upstreams ---- */

enum { TARGETS_MAX = 1024 };

bool resolve_status_range(struct str text, uint16_t *least, uint16_t *most)
{
        struct str from, rest = text;
        uint64_t low, high;

        if (!str_split(&rest, '-', &from) || units_parse_u64(from, 599, &low) != ERR_OK)
                return false;
        high = low;
        if (rest.ptr && units_parse_u64(rest, 599, &high) != ERR_OK)
                return false;
        *least = (uint16_t)low;
        *most = (uint16_t)high;
        return low >= 100 && low <= high;
}

static void protocol_check(struct loader *l, const struct draft_target *d, enum conf_protocol protocol,
                           const struct conf_url *url)
{
        if (url->scheme == CONF_LINK) /* what is spoken at the other end is the agent's affair */
                return;
        if (protocol == CONF_PROTOCOL_H2 && url->scheme != CONF_HTTPS)
                loader_error_at(l, d->url.at,
                                "%.*s: protocol \"h2\" needs an https:// URL; in plain text it is \"h2c\"",
                                STR_FMT(d->item.path));
        if (protocol == CONF_PROTOCOL_H2C && url->scheme == CONF_HTTPS)
                loader_error_at(l, d->url.at,
                                "%.*s: protocol \"h2c\" is plain text; with an https:// URL it is \"h2\"",
                                STR_FMT(d->item.path));
}

/* Bytes and requests do not mix: a route could not tell which target takes what. */
static void streams_check(struct loader *l, const struct draft_upstream *d, const struct conf_upstream *u)
{
        size_t streams = 0, datagrams = 0, others = 0;

        for (size_t i = 0; i < u->targets_count; i++) {
                streams += u->targets[i].url.scheme == CONF_TCP;
                datagrams += u->targets[i].url.scheme == CONF_UDP;
                others += u->targets[i].url.scheme != CONF_TCP && u->targets[i].url.scheme != CONF_UDP &&
                          u->targets[i].url.scheme != CONF_LINK;
        }
        if ((streams > 0) + (datagrams > 0) + (others > 0) > 1)
                loader_error_at(
                        l, d->targets.at,
                        "%.*s.targets: bytes (tcp://), datagrams (udp://) and HTTP stand beside each other; one upstream has "
                        "targets of one kind",
                        STR_FMT(d->item.path));
        if ((streams || datagrams) && u->health.path.len)
                loader_error_at(l, d->item.at,
                                "%.*s.health.path: targets of tcp:// and udp:// answer no requests",
                                STR_FMT(d->item.path));
        if (datagrams && u->proxy_protocol == CONF_PROXY_V1)
                loader_error_at(l, d->item.at, "%.*s.proxyProtocol: v1 has no form for datagrams; write v2",
                                STR_FMT(d->item.path));
}

static void targets_resolve(struct loader *l, const struct draft_upstream *d, struct conf_upstream *u)
{
        struct draft_target *drafts = d->targets.items;
        size_t backups = 0;

        if (d->targets.count == 0) {
                loader_error_at(l, d->item.at, "%.*s.targets: is empty; name at least one URL",
                                STR_FMT(d->item.path));
                return;
        }
        if (d->targets.count > TARGETS_MAX) {
                loader_error_at(l, d->targets.at, "%.*s.targets: more than %d", STR_FMT(d->item.path),
                                TARGETS_MAX);
                return;
        }
        if (!(u->targets = ARENA_ARRAY(l->arena, struct conf_target, d->targets.count)))
                return;
        u->targets_count = d->targets.count;
        for (size_t i = 0; i < u->targets_count; i++) {
                struct conf_target *t = &u->targets[i];

                *t = drafts[i].target;
                backups += t->is_backup;
                resolve_url(l, drafts[i].item.path.ptr, &drafts[i].url, URL_UNIX | URL_LINK | URL_TCP,
                            &t->url);
                protocol_check(l, &drafts[i], u->protocol, &t->url);
                for (size_t j = 0; j < i; j++)
                        if (str_eq(u->targets[j].url.text, t->url.text))
                                loader_error_at(l, drafts[i].url.at,
                                                "%.*s: the target %.*s is in the list twice",
                                                STR_FMT(drafts[i].item.path), STR_FMT(t->url.text));
        }
        streams_check(l, d, u);
        if (backups == u->targets_count)
                loader_error_at(l, d->targets.at,
                                "%.*s.targets: all are backups; leave at least one that is none",
                                STR_FMT(d->item.path));
}

/* "source", "header:NAME" or "cookie:NAME". */
static bool hash_by_parse(struct str text, struct conf_upstream *u)
{
        const struct str header = STR("header:"), cookie = STR("cookie:");

        if (str_eq(text, STR("source"))) {
                u->hash_by = CONF_BY_SOURCE;
                return true;
        }
        u->hash_by = str_has_prefix(text, header) ? CONF_BY_HEADER : CONF_BY_COOKIE;
        if (u->hash_by == CONF_BY_COOKIE && !str_has_prefix(text, cookie))
                return false;
        u->hash_name = str_from(text, u->hash_by == CONF_BY_HEADER ? header.len : cookie.len);
        return http_name_is_valid(u->hash_name);
}

static void upstream_resolve(struct loader *l, struct draft_upstream *d, struct conf_upstream *u)
{
        *u = d->upstream;
        u->name = d->item.name;
        u->is_published = d->item.at.line == DRAFT_LINE_PUBLISHED;
        u->health.path = d->health_path.text;
        if (!conf_name_is_valid(u->name))
                loader_error_at(l, d->item.at,
                                "%.*s: an upstream's name has up to 64 letters, digits, '.', '-' and '_'",
                                STR_FMT(d->item.path));
        if (!resolve_status_range(d->health_status.text, &u->health.status_min, &u->health.status_max))
                loader_error_at(l, d->health_status.at,
                                "%.*s.health.status: \"%.*s\" is no range; write \"200\" or \"200-399\"",
                                STR_FMT(d->item.path), STR_FMT(d->health_status.text));
        if (!hash_by_parse(d->hash_by.text, u))
                loader_error_at(
                        l, d->hash_by.at,
                        "%.*s.hashBy: \"%.*s\" is not known; write source, header:NAME or cookie:NAME",
                        STR_FMT(d->item.path), STR_FMT(d->hash_by.text));
        if (u->proxy_protocol != CONF_PROXY_OFF &&
            (u->protocol == CONF_PROTOCOL_H2 || u->protocol == CONF_PROTOCOL_H2C))
                loader_error_at(
                        l, d->item.at,
                        "%.*s.proxyProtocol: a connection of HTTP/2 carries many clients' requests, and the header "
                        "names one; take protocol h1",
                        STR_FMT(d->item.path));
        targets_resolve(l, d, u);
        resolve_client_tls(l, &d->item, &d->tls, &u->tls);
}

void resolve_upstreams(struct loader *l, struct draft_list *list)
{
        struct draft_upstream *drafts = list->items;
        struct conf *c = l->conf;

        if (list->count == 0 || !(c->upstreams = ARENA_ARRAY(l->arena, struct conf_upstream, list->count)))
                return;
        c->upstreams_count = list->count;
        for (size_t i = 0; i < list->count; i++)
                upstream_resolve(l, &drafts[i], &c->upstreams[i]);
}
