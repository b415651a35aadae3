#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/control_priv.h"
#include "control/dispatch.h"
#include "control/routes.h"
#include "crypto/p256.h"
#include "io/process.h"
#include "io/tls.h"
#include "proxy/reply.h"

/*
 * Theory of operation. The listener has up to three kinds of certificates. The operator's, for the names people use. Our
 * own authority's for the names and addresses this machine surely has, so that nothing is ever asked in the clear. And the
 * internal one, `control.sekisho.internal`: only who asks for that name is asked for a certificate; who shows none may
 * join and nothing else there. The keys of the last two are made at each start and never stored.
 */

#define CERTIFICATE_LIFE_MS (INT64_C(90) * 86400 * 1000)
#define CLOCK_SLACK_MS      (INT64_C(3600) * 1000)

enum {
        SNAPSHOT_BYTES_MAX = 16 << 20,
        NAMES_MAX = 4,
        ADDRESSES_MAX = 64,
        CONNECTIONS_MAX = 16384,
        HEAD_BYTES = 32 * 1024
};

struct pair {
        struct buf chain, key;
};

static void pair_fini(struct pair *p)
{
        buf_fini(&p->chain);
        buf_wipe(&p->key);
}

static enum err pair_make(struct control *c, struct pair *p, const struct certs_request *wanted)
{
        struct certs_request r = *wanted;
        uint8_t spki[CRYPTO_P256_SPKI_BYTES];
        unix_ms now = process_wall_ms();
        enum err e;

        buf_init(&p->chain, 1 << 20);
        buf_init_secret(&p->key, CRYPTO_P256_PEM_MAX);
        if ((e = crypto_p256_generate(&p->key)) != ERR_OK ||
            (e = crypto_p256_public(buf_str(&p->key), spki)) != ERR_OK)
                return e;
        r.spki = (struct str){ (const char *)spki, sizeof(spki) };
        r.from = now - CLOCK_SLACK_MS;
        r.to = now + CERTIFICATE_LIFE_MS;
        r.for_servers = true;
        if ((e = certs_issue(c->secrets.authority, &r, &p->chain)) != ERR_OK)
                return e;
        buf_add(&p->chain,
                certs_authority_pem(c->secrets.authority)); /* a node that joins looks for the root */
        return p->chain.full ? ERR_NO_MEMORY : ERR_OK;
}

enum err control_pair_make(struct control *c, const struct wire_name *who, struct str host, struct buf *chain,
                           struct buf *key)
{
        char uri[WIRE_URI_SIZE];
        struct certs_request r = { .common_name = STR("control"),
                                   .uri = wire_name_format(who, uri),
                                   .names = &host,
                                   .names_count = 1 };
        struct pair p;
        enum err e = pair_make(c, &p, &r);

        *chain = p.chain;
        *key = p.key;
        return e;
}

static enum err inner_make(struct control *c, struct pair *p)
{
        const struct wire_name who = { .kind = WIRE_CONTROL, .org = str_of(c->secrets.org) };

        return control_pair_make(c, &who, WIRE_HOST_CONTROL, &p->chain, &p->key);
}

static size_t addresses_find(struct ip out[ADDRESSES_MAX])
{
        struct ifaddrs *all, *at;
        size_t n = 0;

        if (getifaddrs(&all) != 0)
                return 0;
        for (at = all; at && n < ADDRESSES_MAX; at = at->ifa_next) {
                const struct sockaddr_in *in4 = (const void *)at->ifa_addr;
                const struct sockaddr_in6 *in6 = (const void *)at->ifa_addr;

                if (!at->ifa_addr)
                        continue;
                if (at->ifa_addr->sa_family == AF_INET)
                        out[n++] = ip_from_bytes(4, (const uint8_t *)&in4->sin_addr);
                else if (at->ifa_addr->sa_family == AF_INET6 && !IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
                        out[n++] = ip_from_bytes(6, (const uint8_t *)&in6->sin6_addr);
        }
        freeifaddrs(all);
        return n;
}

static bool is_name(struct str s)
{
        struct ip ip;

        if (s.len == 0 || s.len > 253 || ip_parse(s, &ip) == ERR_OK)
                return false;
        for (size_t i = 0; i < s.len; i++)
                if (!ascii_is_alpha(s.ptr[i]) && !ascii_is_digit(s.ptr[i]) && s.ptr[i] != '-' &&
                    s.ptr[i] != '.')
                        return false;
        return true;
}

static enum err outer_make(struct control *c, struct pair *p)
{
        char host[256] = "";
        struct str names[NAMES_MAX] = { STR("localhost"), WIRE_HOST_CALLERS };
        struct ip addresses[ADDRESSES_MAX + 1];
        struct certs_request r = { .common_name = STR("Sekisho control"),
                                   .names = names,
                                   .addresses = addresses };

        r.names_count = 2;
        r.addresses_count = addresses_find(addresses);
        if (gethostname(host, sizeof(host) - 1) == 0 && is_name(str_of(host)) &&
            !str_eq(str_of(host), names[0]))
                names[r.names_count++] = str_of(host);
        if (is_name(c->conf->control.public_url.host) &&
            !str_eq(c->conf->control.public_url.host, names[0]) &&
            !str_eq(c->conf->control.public_url.host, str_of(host)))
                names[r.names_count++] = c->conf->control.public_url.host;
        if (c->conf->control.public_url.ip.family)
                addresses[r.addresses_count++] = c->conf->control.public_url.ip;
        return pair_make(c, p, &r);
}

static enum err tls_make(struct control *c, struct report *r, struct tls_context **out)
{
        const struct conf_control *conf = &c->conf->control;
        struct tls_certificate *list = calloc(conf->certificates_count + 2, sizeof(*list));
        struct tls_server_conf tls = { .certificates = list, .offer_h2 = true, .light_records = true };
        struct pair outer = { 0 }, inner = { 0 };
        enum err e = list ? ERR_OK : ERR_NO_MEMORY;

        for (size_t i = 0; e == ERR_OK && i < conf->certificates_count; i++)
                list[tls.certificates_count++] =
                        (struct tls_certificate){ .cert_pem = conf->certificates[i].cert_pem,
                                                  .key_pem = conf->certificates[i].key_pem,
                                                  .cert_name = conf->certificates[i].cert_name,
                                                  .key_name = conf->certificates[i].key_name };
        if (e == ERR_OK && (e = outer_make(c, &outer)) == ERR_OK && (e = inner_make(c, &inner)) == ERR_OK) {
                list[tls.certificates_count++] =
                        (struct tls_certificate){ .cert_pem = buf_str(&outer.chain),
                                                  .key_pem = buf_str(&outer.key),
                                                  .cert_name = STR("our certificate"),
                                                  .key_name = STR("its key") };
                list[tls.certificates_count++] =
                        (struct tls_certificate){ .cert_pem = buf_str(&inner.chain),
                                                  .key_pem = buf_str(&inner.key),
                                                  .cert_name = STR("the internal certificate"),
                                                  .key_name = STR("its key"),
                                                  .client_ca_pem =
                                                          certs_authority_pem(c->secrets.authority) };
                e = tls_server_new(&tls, r, out);
        }
        pair_fini(&outer);
        pair_fini(&inner);
        free(list);
        return e;
}

/* ---- the snapshot ---- */

static void snapshot_free(struct snapshot *s)
{
        for (size_t i = 0; i < s->listens_count; i++)
                tls_context_put(s->listens[i].tls);
        tls_context_put(s->links.tls);
        map_fini(&s->tokens.by_hash);
        arena_fini(&s->arena);
        free(s);
}

static void limits_set(struct snapshot *s)
{
        s->limits = (struct proxy_limits){
                .request = { .head_bytes_max = HEAD_BYTES, .target_bytes_max = 8 * 1024, .lines_max = 100 },
                .answer = { .head_bytes_max = HEAD_BYTES, .target_bytes_max = 8 * 1024, .lines_max = 100 },
                .connections_max = CONNECTIONS_MAX,
                .requests_max = CONNECTIONS_MAX,
                .body_bytes_max = API_BODY_MAX,
                .descriptors_max = process_fd_limit(),
                .header_ms = 10 * 1000,
                .idle_ms = 75 * 1000,
                .body_idle_ms = 60 * 1000,
                .tls_ms = 10 * 1000,
                .model_lookahead_bytes = API_BODY_MAX,
        };
        s->names = (struct resolver_conf){
                .ttl_min_ms = 1000, .ttl_max_ms = 3600 * 1000, .timeout_ms = 5000, .names_max = 16
        };
}

enum err control_snapshot(struct control *c, struct report *r, struct snapshot **out)
{
        struct snapshot *s = calloc(1, sizeof(*s));
        enum err e;

        if (!s)
                return ERR_NO_MEMORY;
        arena_init(&s->arena, NULL, 0, SNAPSHOT_BYTES_MAX);
        s->uses = 1;
        s->number = ++c->snapshots_count;
        s->version = arena_format(&s->arena, "control-%llu", (unsigned long long)s->number);
        s->on_free = snapshot_free;
        s->conf = c;
        limits_set(s);
        map_init(&s->tokens.by_hash, c->shared.hash_key, 1);
        s->listens = ARENA_ARRAY(&s->arena, struct listen_conf, 1);
        e = s->listens ? routes_build(&s->routes, c, &s->arena) : ERR_NO_MEMORY;
        if (e == ERR_OK)
                e = tls_make(c, r, &s->listens[0].tls);
        if (e == ERR_OK)
                s->listens_count = 1;
        if (e == ERR_OK)
                e = dispatch_links_build(c, s, r);
        if (e == ERR_OK && s->arena.full)
                e = ERR_NO_MEMORY;
        if (e != ERR_OK) {
                snapshot_free(s);
                return e;
        }
        for (size_t i = 0; i < s->routes.count; i++)
                measure_route_init(c->shared.metrics, &s->routes.routes[i].measure, s->routes.routes[i].name,
                                   STR(""));
        *out = s;
        return ERR_OK;
}
