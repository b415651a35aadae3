#include "node/connect_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"

enum { CONNECT_MS = 5000 };

enum err node_url_parse(struct str text, struct node_url *out)
{
        uint64_t port = 443;

        if (!str_has_prefix(text, STR("https://")))
                return ERR_MALFORMED;
        struct str rest = str_from(text, 8), host;
        if (rest.len && rest.ptr[rest.len - 1] == '/')
                rest.len--;
        bool is_ip6 = str_has_prefix(rest, STR("["));
        size_t end = is_ip6 ? str_find_char(rest, ']') : 0;
        if (end == STR_NONE)
                return ERR_MALFORMED;
        size_t colon = str_find_char(str_from(rest, end), ':');
        host = colon == STR_NONE ? rest : str_sub(rest, 0, end + colon);
        if (colon != STR_NONE &&
            (units_parse_u64(str_from(rest, end + colon + 1), 65535, &port) != ERR_OK || port == 0))
                return ERR_MALFORMED;
        if (is_ip6) {
                if (host.len != end + 1)
                        return ERR_MALFORMED;
                host = str_sub(host, 1, host.len - 2);
        }
        if (host.len == 0 || host.len >= sizeof(out->host))
                return ERR_MALFORMED;
        for (size_t i = 0; i < host.len; i++)
                if (!ascii_is_alpha(host.ptr[i]) && !ascii_is_digit(host.ptr[i]) && host.ptr[i] != '.' &&
                    host.ptr[i] != '-' && host.ptr[i] != '_' && !(is_ip6 && host.ptr[i] == ':'))
                        return ERR_MALFORMED;
        memcpy(out->host, host.ptr, host.len);
        out->host[host.len] = '\0';
        out->port = (uint16_t)port;
        return ERR_OK;
}

static void dial_next(struct node_connect *c);

static void on_dialled(struct dial *d, enum err e, int fd)
{
        struct node_connect *c = CONTAINER_OF(d, struct node_connect, dial);

        c->is_dialling = false;
        if (e != ERR_OK) {
                c->why = err_text(e);
                c->address++;
                dial_next(c);
                return;
        }
        if (stream_open_tls_client(&c->stream, c->loop, fd, c->events, c->tls, WIRE_HOST_CONTROL) != ERR_OK) {
                c->why = "no memory";
                c->on_failed(c);
                return;
        }
        c->is_open = true;
}

static void dial_next(struct node_connect *c)
{
        if (c->address >= c->addresses_count) {
                c->on_failed(c);
                return;
        }
        struct dial_target target = { .ip = c->addresses[c->address], .port = c->url.port };
        c->is_dialling = true;
        dial_start(&c->dial, c->loop, &target, CONNECT_MS, on_dialled);
}

static void on_found(struct resolver_query *q, enum err e, const struct ip *addresses, size_t addresses_count)
{
        struct node_connect *c = CONTAINER_OF(q, struct node_connect, query);

        c->is_resolving = false;
        c->why = e == ERR_OK ? "no address" : "control's name has no address";
        c->addresses_count = e == ERR_OK ? MIN(addresses_count, (size_t)RESOLVER_ADDRESSES_MAX) : 0;
        for (size_t i = 0; i < c->addresses_count; i++)
                c->addresses[i] = addresses[i];
        c->address = 0;
        dial_next(c);
}

void node_connect_start(struct node_connect *c, struct loop *l, struct resolver *r, struct tls_context *tls,
                        const struct node_url *url, const struct stream_events *events,
                        void (*on_failed)(struct node_connect *c))
{
        memset(c, 0, sizeof(*c));
        c->loop = l;
        c->tls = tls;
        c->url = *url;
        c->events = events;
        c->on_failed = on_failed;
        c->is_resolving = true;
        resolver_find(r, &c->query, str_of(c->url.host), on_found);
}

void node_connect_cancel(struct node_connect *c)
{
        if (c->is_resolving)
                resolver_cancel(&c->query);
        if (c->is_dialling)
                dial_cancel(&c->dial);
        c->is_resolving = c->is_dialling = false;
}

enum err node_tls_new(const struct node_state *s, const uint8_t *fingerprint, struct tls_context **out)
{
        struct wire_name control = { WIRE_CONTROL, str_of(s->papers.org), STR("") };
        struct tls_client_conf conf = { 0 };
        char name[WIRE_URI_SIZE];
        struct report report;

        if (fingerprint) {
                conf.root_sha256 = (struct str){ (const char *)fingerprint, WIRE_FINGERPRINT_BYTES };
                conf.uri_name = STR("sekisho://*/control");
        } else {
                conf.ca_pem = str_of(s->papers.authority);
                conf.cert_pem = str_of(s->papers.certificate);
                conf.key_pem = buf_str(&s->identity_pem);
                conf.uri_name = wire_name_format(&control, name);
        }
        report_init(&report, STR("node.json"));
        enum err e = tls_client_new(&conf, &report, out);
        report_fini(&report);
        return e;
}
