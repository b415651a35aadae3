#include <string.h>

#include "conf/loader_priv.h"
#include "http/target.h"
#include "io/nodename.h"
#include "io/tls.h"

enum { GATEWAYS_MAX = 1000, SERVICES_MAX = 10000, ALLOW_MAX = 1000, GATEWAY_PORT = 443 };

/* ---- the way out ---- */

static void address_resolve(struct loader *l, const struct draft_agent_gateway *d, struct str text,
                            struct conf_agent_address *out)
{
        struct http_authority authority = { 0 };

        *out = (struct conf_agent_address){ 0 };
        if (http_authority_parse(text, l->arena, &authority) != ERR_OK) {
                loader_error_at(l, d->item.at,
                                "%.*s.address: \"%.*s\" is no address; write \"gw.example.com:443\"",
                                STR_FMT(d->item.path), STR_FMT(text));
                return;
        }
        out->host = arena_copy(l->arena, authority.host);
        out->port = authority.port ? authority.port : GATEWAY_PORT;
        if (ip_parse(out->host, &out->ip) != ERR_OK)
                out->ip = (struct ip){ 0 };
}

static void addresses_resolve(struct loader *l, const struct draft_agent_gateway *d,
                              struct conf_agent_gateway *g)
{
        size_t count = d->addresses.count;

        if (count == 0 || count > CONF_AGENT_ADDRESSES_MAX)
                loader_error_at(l, d->item.at, "%.*s.address: %zu addresses; a gateway has 1 to %d",
                                STR_FMT(d->item.path), count, CONF_AGENT_ADDRESSES_MAX);
        else if ((g->addresses = ARENA_ARRAY(l->arena, struct conf_agent_address, count)))
                for (size_t i = 0; i < count; i++)
                        address_resolve(l, d, d->addresses.items[i], &g->addresses[g->addresses_count++]);
}

static void gateways_resolve(struct loader *l, struct draft_agent *d, struct conf_agent *a)
{
        struct draft_agent_gateway *drafts = d->gateways.items;

        if (d->gateways.count == 0 || d->gateways.count > GATEWAYS_MAX ||
            !(a->gateways = ARENA_ARRAY(l->arena, struct conf_agent_gateway, d->gateways.count)))
                return;
        a->gateways_count = d->gateways.count;
        for (size_t i = 0; i < a->gateways_count; i++) {
                struct conf_agent_gateway *g = &a->gateways[i];

                g->id = drafts[i].id.text;
                addresses_resolve(l, &drafts[i], g);
                if (g->id.ptr && !node_word_is_valid(g->id))
                        loader_error_at(l, drafts[i].id.at, "%.*s.id: \"%.*s\" is no gateway's id",
                                        STR_FMT(drafts[i].item.path), STR_FMT(g->id));
        }
}

static void own_name_check(struct loader *l, struct draft_agent *d, const struct conf_agent *a)
{
        struct tls_client_conf conf = { .ca_pem = a->authority_pem,
                                        .cert_pem = a->certificate.cert_pem,
                                        .key_pem = a->certificate.key_pem,
                                        .offer_h2 = true };
        struct tls_context *context = NULL;
        size_t errors = l->report->errors_count;
        struct node_name own;

        if (tls_client_new(&conf, l->report, &context) != ERR_OK) {
                if (errors == l->report->errors_count)
                        loader_error_at(l, d->authority.at,
                                        "agent.authority: %.*s holds no certificate of an authority",
                                        STR_FMT(d->authority.text));
                return;
        }
        if (node_name_own(context, &own) != ERR_OK || own.kind != NODE_AGENT)
                loader_error_at(l, d->cert.at,
                                "agent.cert: %.*s has no name sekisho://ORG/agent/ID, or several",
                                STR_FMT(d->cert.text));
        tls_context_put(context);
}

static void certificates_resolve(struct loader *l, struct draft_agent *d, struct conf_agent *a)
{
        if (!d->authority.text.ptr || !d->cert.text.ptr || !d->key.text.ptr) {
                loader_error_at(l, d->gateways.at,
                                "agent.gateways: authority, cert and key are needed to reach one");
                return;
        }
        if (resolve_pair(l, "agent", &d->cert, &d->key, CONF_READ_SECRET, &a->certificate) &&
            loader_pem_read(l, CONF_READ_FILE, &d->authority, &a->authority_pem))
                own_name_check(l, d, a);
}

/* ---- what is offered ---- */

static const struct conf_upstream *upstream_find(struct loader *l, const struct draft_agent_service *d)
{
        const struct conf *c = l->conf;
        struct str *names = ARENA_ARRAY(&l->scratch, struct str, c->upstreams_count + 1);

        for (size_t i = 0; i < c->upstreams_count; i++)
                if (str_eq(c->upstreams[i].name, d->upstream.text))
                        return &c->upstreams[i];
        for (size_t i = 0; names && i < c->upstreams_count; i++)
                names[i] = c->upstreams[i].name;
        loader_error_at(l, d->upstream.at, "%.*s.upstream: there is no upstream \"%.*s\"%s",
                        STR_FMT(d->item.path), STR_FMT(d->upstream.text),
                        names ? loader_hint(l, d->upstream.text, names, c->upstreams_count) : "");
        return NULL;
}

static void services_resolve(struct loader *l, struct draft_agent *d, struct conf_agent *a)
{
        struct draft_agent_service *drafts = d->services.items;

        if (d->services.count > SERVICES_MAX)
                loader_error_at(l, d->services.at, "agent.services: more than %d", SERVICES_MAX);
        if (d->services.count == 0 || d->services.count > SERVICES_MAX ||
            !(a->services = ARENA_ARRAY(l->arena, struct conf_agent_service, d->services.count)))
                return;
        a->services_count = d->services.count;
        for (size_t i = 0; i < a->services_count; i++) {
                struct conf_agent_service *s = &a->services[i];

                *s = (struct conf_agent_service){ .target = drafts[i].item.name,
                                                  .upstream = upstream_find(l, &drafts[i]) };
                if (!node_word_is_valid(s->target))
                        loader_error_at(l, drafts[i].item.at,
                                        "%.*s: an id has up to 64 lower case letters, digits and '-'",
                                        STR_FMT(drafts[i].item.path));
                for (size_t j = 0; s->upstream && j < s->upstream->targets_count; j++)
                        if (s->upstream->targets[j].url.scheme == CONF_LINK)
                                loader_error_at(l, drafts[i].upstream.at,
                                                "%.*s.upstream: an agent does not pass on to other agents",
                                                STR_FMT(drafts[i].item.path));
        }
}

/* ---- where it may dial ---- */

/* "80", "3000-3999", "*" or nothing. */
static bool ports_parse(struct str text, struct conf_allow *out)
{
        struct str from, rest = text;
        uint64_t least, most;

        out->port_min = 1;
        out->port_max = UINT16_MAX;
        if (!text.ptr || str_eq(text, STR("*")))
                return true;
        if (!str_split(&rest, '-', &from) || units_parse_u64(from, UINT16_MAX, &least) != ERR_OK)
                return false;
        most = least;
        if (rest.ptr && units_parse_u64(rest, UINT16_MAX, &most) != ERR_OK)
                return false;
        out->port_min = (uint16_t)least;
        out->port_max = (uint16_t)most;
        return least > 0 && least <= most;
}

static bool name_is_valid(struct str name)
{
        for (size_t i = 0; i < name.len; i++)
                if (!ascii_is_alpha(name.ptr[i]) && !ascii_is_digit(name.ptr[i]) &&
                    !memchr(".-_*", name.ptr[i], 4))
                        return false;
        return name.len > 0;
}

static bool allow_parse(struct loader *l, struct str text, struct conf_allow *out)
{
        struct str host = text, ports = STR_NULL;
        size_t colon = text.len;

        *out = (struct conf_allow){ .text = text };
        if (str_has_prefix(text, STR("unix:/"))) {
                out->path = str_from(text, 5);
                return true;
        }
        /* The last ':' is before ports, unless it is one of an address of IPv6 without brackets. */
        if (text.len && text.ptr[0] == '[') {
                size_t end = str_find_char(text, ']');

                if (end == STR_NONE)
                        return false;
                host = str_sub(text, 1, end - 1);
                struct str after = str_from(text, end + 1);
                if (after.len && after.ptr[0] != ':')
                        return false;
                ports = after.len ? str_from(after, 1) : STR_NULL;
        } else if (ip_prefix_parse(text, &out->prefix) != ERR_OK) {
                while (colon > 0 && text.ptr[colon - 1] != ':')
                        colon--;
                if (colon > 0) {
                        host = str_sub(text, 0, colon - 1);
                        ports = str_from(text, colon);
                }
        }
        if (!ports_parse(ports, out))
                return false;
        if (out->prefix.ip.family || ip_prefix_parse(host, &out->prefix) == ERR_OK)
                return true;
        out->prefix = (struct ip_prefix){ 0 };
        if (!name_is_valid(host))
                return false;
        char *lower = arena_alloc(l->arena, host.len + 1, 1);
        if (!lower)
                return true; /* the arena's end is seen later */
        for (size_t i = 0; i < host.len; i++)
                lower[i] = ascii_lower(host.ptr[i]);
        lower[host.len] = '\0';
        out->name = (struct str){ lower, host.len };
        return true;
}

void resolve_allow(struct loader *l, const char *key, struct draft_place at, const struct conf_strs *texts,
                   struct conf_allow **out, size_t *count)
{
        if (texts->count == 0 || !(*out = ARENA_ARRAY(l->arena, struct conf_allow, texts->count)))
                return;
        *count = texts->count;
        for (size_t i = 0; i < texts->count; i++)
                if (i >= ALLOW_MAX || !allow_parse(l, texts->items[i], &(*out)[i]))
                        loader_error_at(
                                l, at,
                                "%s: \"%.*s\" is none of \"10.0.0.0/8\", \"127.0.0.1:8080\", \"[::1]:80\", "
                                "\"localhost:3000-3999\", \"*.lan:443\" and \"unix:/path\"",
                                key, STR_FMT(texts->items[i]));
}

static void addresses_to_send_from_resolve(struct loader *l, const struct draft_agent *d,
                                           struct conf_dispatch *c)
{
        const struct conf_strs *texts = &d->dispatch_addresses;

        if (texts->count == 0 || !(c->addresses = ARENA_ARRAY(l->arena, struct ip, texts->count)))
                return;
        c->addresses_count = texts->count;
        for (size_t i = 0; i < texts->count; i++)
                if (ip_parse(texts->items[i], &c->addresses[i]) != ERR_OK)
                        loader_error_at(l, d->at, "agent.dispatch.addresses: \"%.*s\" is no IP address",
                                        STR_FMT(texts->items[i]));
}

static void credentials_resolve(struct loader *l, const struct draft_agent *d, struct conf_agent *a)
{
        enum { CREDENTIALS_BYTES_MAX = 256 };

        a->proxy_credentials = d->proxy_credentials.value;
        if (d->proxy_credentials.from == DRAFT_NO_SECRET)
                return;
        if (!d->proxy.text.ptr)
                loader_error_at(l, d->proxy_credentials.at,
                                "agent.proxyCredentials: there is no agent.proxy to say them to");
        else if (str_find_char(a->proxy_credentials, ':') == STR_NONE ||
                 a->proxy_credentials.len > CREDENTIALS_BYTES_MAX)
                loader_error_at(l, d->proxy_credentials.at,
                                "agent.proxyCredentials: write \"user:password\", at most %d characters",
                                CREDENTIALS_BYTES_MAX);
}

void resolve_agent(struct loader *l, struct draft_agent *d)
{
        struct conf_agent *a = &l->conf->agent;

        *a = d->agent;
        gateways_resolve(l, d, a);
        if (d->proxy.text.ptr && resolve_url(l, "agent.proxy", &d->proxy, 0, &a->proxy) &&
            a->proxy.scheme != CONF_HTTP)
                loader_error_at(l, d->proxy.at,
                                "agent.proxy: write \"http://host:port\"; TLS goes through it");
        credentials_resolve(l, d, a);
        if (d->gateways.count || d->authority.text.ptr || d->cert.text.ptr)
                certificates_resolve(l, d, a);
        services_resolve(l, d, a);
        if (d->docker.text.len && !str_has_prefix(d->docker.text, STR("unix:/")))
                loader_error_at(l, d->docker.at, "agent.docker: write \"unix:/run/docker.sock\"");
        else if (d->docker.text.len)
                a->docker = str_from(d->docker.text, sizeof("unix:") - 1);
        a->inference = d->inference.text.len ? d->inference.text : STR("offer");
        resolve_allow(l, "agent.allow", d->at, &d->allow, &a->allow, &a->allow_count);
        resolve_allow(l, "agent.dispatch.allow", d->at, &d->dispatch_allow, &a->dispatch.allow,
                      &a->dispatch.allow_count);
        addresses_to_send_from_resolve(l, d, &a->dispatch);
}
