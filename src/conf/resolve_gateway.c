#include "base/map.h"
#include "conf/loader_priv.h"
#include "crypto/sha256.h"
#include "crypto/text.h"
#include "io/journal.h"
#include "io/tls.h"
#include "io/tls_keys.h"

enum { TOKEN_BYTES_MIN = 8, TOKEN_BYTES_WEAK = 22 };

/* ---- tokens ---- */

/* Exactly one of the four forms; its hash. */
static bool token_hash(struct loader *l, const struct draft_token *d, uint8_t out[CONF_SHA256_BYTES])
{
        int forms = !!d->sha256.text.ptr + !!d->env.text.ptr + !!d->file.text.ptr +
                    (d->plain.from != DRAFT_NO_SECRET);
        struct str token = d->plain.value;

        if (forms != 1) {
                loader_error_at(l, d->item.at,
                                "%.*s: give the token in one of the forms sha256, env, file or token%s",
                                STR_FMT(d->item.path), forms ? ", not in several" : "");
                return false;
        }
        if (d->sha256.text.ptr) {
                if (crypto_hex_parse(d->sha256.text, out, CONF_SHA256_BYTES) == ERR_OK)
                        return true;
                loader_error_at(
                        l, d->sha256.at,
                        "%.*s.sha256: must be the 64 hexadecimal digits that 'sekisho token hash' prints",
                        STR_FMT(d->item.path));
                return false;
        }
        if (d->env.text.ptr && !loader_secret_read(l, CONF_READ_ENV, d->env.text, d->env.at, &token))
                return false;
        if (d->file.text.ptr && !loader_secret_read(l, CONF_READ_SECRET, d->file.text, d->file.at, &token))
                return false;
        if (token.len < TOKEN_BYTES_MIN) {
                loader_error_at(
                        l, d->item.at,
                        "%.*s: the token has fewer than %d characters; make one with 'sekisho token new'",
                        STR_FMT(d->item.path), TOKEN_BYTES_MIN);
                return false;
        }
        if (token.len < TOKEN_BYTES_WEAK)
                loader_warning_at(
                        l, d->item.at,
                        "%.*s: the token is short enough to be guessed; make one with 'sekisho token new'",
                        STR_FMT(d->item.path));
        crypto_sha256(token, out);
        return true;
}

static void token_resolve(struct loader *l, struct draft_token *d, size_t number, struct conf_token *out)
{
        *out = d->token;
        out->name = d->name.text.ptr ? d->name.text : arena_format(l->arena, "token-%zu", number);
        if (!token_hash(l, d, out->sha256))
                return;
        if (d->plain.from == DRAFT_PLAIN)
                loader_warning_at(
                        l, d->item.at,
                        "%.*s: the token stands in the file itself; 'sekisho token hash' makes the sha256 form of it",
                        STR_FMT(d->item.path));
        if (out->expires <= l->source->now)
                loader_warning_at(l, d->item.at, "%.*s: the token \"%.*s\" has expired",
                                  STR_FMT(d->item.path), STR_FMT(out->name));
}

/* Same name, or same token: whose it is would depend on the order. */
static void tokens_compare(struct loader *l, const struct draft_token *drafts,
                           const struct conf_token *tokens, size_t count)
{
        struct map names, hashes;

        map_init(&names, (struct hash_key){ 1, 2 }, count);
        map_init(&hashes, (struct hash_key){ 1, 2 }, count);
        for (size_t i = 0; i < count; i++) {
                struct str hash = { (const char *)tokens[i].sha256, CONF_SHA256_BYTES };

                if (map_add(&names, tokens[i].name, (void *)(uintptr_t)&tokens[i]) == ERR_EXISTS)
                        loader_error_at(l, drafts[i].name.at.line ? drafts[i].name.at : drafts[i].item.at,
                                        "%.*s: there is a token \"%.*s\" already; names must be unique",
                                        STR_FMT(drafts[i].item.path), STR_FMT(tokens[i].name));
                if (map_add(&hashes, hash, (void *)(uintptr_t)&tokens[i]) == ERR_EXISTS)
                        loader_error_at(l, drafts[i].item.at, "%.*s: this token is in the list already",
                                        STR_FMT(drafts[i].item.path));
        }
        map_fini(&hashes);
        map_fini(&names);
}

static void tokens_resolve(struct loader *l, struct draft_gateway *d, struct conf_gateway *g)
{
        struct draft_token *drafts = d->tokens.items;

        if (d->tokens.count && (g->tokens = ARENA_ARRAY(l->arena, struct conf_token, d->tokens.count))) {
                size_t errors = l->report->errors_count;

                g->tokens_count = d->tokens.count;
                for (size_t i = 0; i < g->tokens_count; i++)
                        token_resolve(l, &drafts[i], i + 1, &g->tokens[i]);
                if (errors == l->report->errors_count)
                        tokens_compare(l, drafts, g->tokens, g->tokens_count);
        }
        if (g->auth && d->tokens.count == 0 && g->ai_identity == CONF_BY_TOKEN && !l->is_agents &&
            !l->is_control_only && !l->is_published)
                loader_error_at(
                        l, d->tokens.at.line ? d->tokens.at : d->at,
                        "gateway.apiTokens: gateway.auth is on, and there is no token; 'sekisho setup' makes one");
        if (!g->auth)
                loader_warning_at(l, d->at, "gateway.auth is off: whoever reaches the gateway%s may use it",
                                  g->allowed_ips.count ? " from gateway.allowedIps" : "");
}

/* ---- certificates ---- */

/* Presents the pair to the TLS library, which finds out whether they are PEM and fit. */
static void pair_check(struct loader *l, struct draft_place at, bool has_public_half,
                       const struct conf_certificate *c)
{
        struct tls_certificate pair = { c->cert_pem, c->key_pem, c->cert_name, c->key_name };
        struct tls_server_conf conf = { .certificates = &pair,
                                        .certificates_count = 1,
                                        .signer = has_public_half ? &tls_signer_none : NULL };
        struct tls_context *context = NULL;
        size_t errors = l->report->errors_count;

        if (tls_server_new(&conf, l->report, &context) != ERR_OK) {
                if (errors == l->report->errors_count)
                        loader_error_at(l, at, "%.*s and %.*s cannot be used as certificate and key",
                                        STR_FMT(c->cert_name), STR_FMT(c->key_name));
                return;
        }
        if (tls_not_after(context) * 1000 <= l->source->now) {
                char text[UNITS_TIME_TEXT_MAX];

                loader_error_at(l, at, "the certificate %.*s ended %.*s; renew it", STR_FMT(c->cert_name),
                                STR_FMT(units_format_time(tls_not_after(context) * 1000, text)));
        }
        tls_context_put(context);
}

bool resolve_pair(struct loader *l, const char *what, const struct draft_text *cert,
                  const struct draft_text *key, enum conf_read_kind key_kind, struct conf_certificate *out)
{
        if (!cert->text.ptr || !key->text.ptr) {
                loader_error_at(l, cert->text.ptr ? cert->at : key->at,
                                "%s: %s is there without its %s; give both or neither", what,
                                cert->text.ptr ? "the certificate" : "the key",
                                cert->text.ptr ? "key" : "certificate");
                return false;
        }
        out->cert_name = cert->text;
        out->key_name = key->text;
        if (!loader_pem_read(l, CONF_READ_FILE, cert, &out->cert_pem) ||
            !loader_pem_read(l, key_kind, key, &out->key_pem))
                return false;
        pair_check(l, cert->at, key_kind == CONF_READ_KEY && l->source->has_public_halves, out);
        return true;
}

/* What tailscaled gave for this machine's name. It may not have yet, and what it gave last goes on until there is another. */
static void tailnet_certificate(struct loader *l, struct draft_place at, struct conf_gateway *g)
{
        struct conf_certificate *c = &g->certificates[g->certificates_count];
        struct tls_certificate pair = { .cert_name = CONF_TAILNET_CERT, .key_name = CONF_TAILNET_KEY };
        const struct tls_server_conf conf = { .certificates = &pair,
                                              .certificates_count = 1,
                                              .signer = l->source->has_public_halves ? &tls_signer_none
                                                                                     : NULL };
        struct tls_context *context;
        struct report unused;

        g->tailnet.is_used = g->tailnet.wants_certificate = true;
        if (!loader_pem_find(l, CONF_READ_FILE, CONF_TAILNET_CERT, &pair.cert_pem) ||
            !loader_pem_find(l, CONF_READ_KEY, CONF_TAILNET_KEY, &pair.key_pem))
                return;
        report_init(&unused, STR(""));
        if (tls_server_new(&conf, &unused, &context) == ERR_OK) {
                *c = (struct conf_certificate){ pair.cert_name, pair.key_name, pair.cert_pem, pair.key_pem };
                g->certificates_count++;
                if (tls_not_after(context) * 1000 <= l->source->now)
                        loader_warning_at(
                                l, at, "the tailnet's certificate has ended, and tailscaled gave no other");
                tls_context_put(context);
        } else {
                loader_warning_at(l, at, "the tailnet's certificate cannot be used");
        }
        report_fini(&unused);
}

static bool is_of_tailnet(const struct draft_certificate *d)
{
        return str_eq(d->cert.text, STR("tailnet")) && !d->key.text.ptr;
}

static void certificates_resolve(struct loader *l, struct draft_gateway *d, struct conf_gateway *g)
{
        struct draft_certificate *drafts = d->certificates.items;
        size_t most = d->certificates.count + 1;

        if (!(g->certificates = ARENA_ARRAY(l->arena, struct conf_certificate, most)))
                return;
        if ((d->tls_cert.text.ptr || d->tls_key.text.ptr) &&
            resolve_pair(l, "gateway.tlsCert and tlsKey", &d->tls_cert, &d->tls_key, CONF_READ_KEY,
                         &g->certificates[0]))
                g->certificates_count = 1;
        for (size_t i = 0; i < d->certificates.count; i++)
                if (is_of_tailnet(&drafts[i]) && !g->tailnet.wants_certificate)
                        tailnet_certificate(l, drafts[i].item.at, g);
                else if (is_of_tailnet(&drafts[i]))
                        loader_error_at(l, drafts[i].item.at,
                                        "%.*s: the tailnet's certificate is in the list already",
                                        STR_FMT(drafts[i].item.path));
                else if (resolve_pair(l, drafts[i].item.path.ptr, &drafts[i].cert, &drafts[i].key,
                                      CONF_READ_KEY, &g->certificates[g->certificates_count]))
                        g->certificates_count++;
        if (g->certificates_count == 0)
                g->certificates = NULL;
}

static void client_certificates_resolve(struct loader *l, struct draft_gateway *d, struct conf_gateway *g)
{
        struct tls_context *context = NULL;
        size_t errors = l->report->errors_count;

        if (d->client_crl.text.ptr && !d->client_ca.text.ptr)
                loader_error_at(l, d->client_crl.at,
                                "gateway.clientCertificates.crl: whose? `ca` is missing");
        if (!d->client_ca.text.ptr)
                return;
        if (!loader_pem_read(l, CONF_READ_FILE, &d->client_ca, &g->client_ca_pem) ||
            (d->client_crl.text.ptr &&
             !loader_pem_read(l, CONF_READ_FILE, &d->client_crl, &g->client_crl_pem)) ||
            g->certificates_count == 0)
                return;
        const struct conf_certificate *c = &g->certificates[0];
        struct tls_certificate pair = { c->cert_pem, c->key_pem, c->cert_name, c->key_name };
        struct tls_server_conf conf = { .certificates = &pair,
                                        .certificates_count = 1,
                                        .client_ca_pem = g->client_ca_pem,
                                        .client_crl_pem = g->client_crl_pem,
                                        .signer = l->source->has_public_halves ? &tls_signer_none : NULL };

        if (tls_server_new(&conf, l->report, &context) == ERR_OK)
                tls_context_put(context);
        else if (errors == l->report->errors_count)
                loader_error_at(l, d->client_ca.at,
                                "gateway.clientCertificates.ca: %.*s holds no certificate of an authority",
                                STR_FMT(d->client_ca.text));
}

/* ---- listeners ---- */

static bool host_port_resolve(struct loader *l, const struct draft_gateway *d, struct listen_address *out)
{
        struct str host = d->host.text;

        if (str_eq(host, STR("localhost")))
                host = STR("127.0.0.1");
        *out = (struct listen_address){ .port = (uint16_t)d->port.value };
        if (ip_parse(host, &out->ip) == ERR_OK)
                return true;
        loader_error_at(
                l, d->host.at,
                "gateway.host: \"%.*s\" is no address of this machine; write \"127.0.0.1\", \"::1\", \"0.0.0.0\", \"::\" "
                "or one of its addresses",
                STR_FMT(d->host.text));
        return false;
}

static void listen_add(struct loader *l, struct conf_gateway *g, const struct conf_listen *listen,
                       struct draft_place at)
{
        char text[LISTEN_ADDRESS_TEXT_MAX], other[LISTEN_ADDRESS_TEXT_MAX];
        struct str address = listen_address_format(&listen->address, text);

        for (size_t i = 0; i < g->listens_count; i++)
                if (str_eq(address, listen_address_format(&g->listens[i].address, other)))
                        loader_error_at(l, at, "gateway: the address %.*s is listened on twice",
                                        STR_FMT(address));
        if (listen->address.is_datagram &&
            (listen->is_tls || listen->takes_proxy_protocol || !listen->upstream_name.ptr))
                loader_error_at(
                        l, at,
                        "gateway: %.*s is for datagrams: it needs an upstream, and has no TLS or PROXY header",
                        STR_FMT(address));
        if (listen->is_tls && g->certificates_count == 0 && !g->tailnet.wants_certificate)
                loader_error_at(l, at,
                                "gateway: %.*s is to speak TLS, and there is no certificate; add one to "
                                "gateway.certificates%s",
                                STR_FMT(address),
                                listen->tailnet_family ? ", such as \"tailnet\", the tailnet's own" : "");
        if (listen->takes_proxy_protocol && g->trusted_proxies.count == 0)
                loader_error_at(
                        l, at,
                        "gateway: %.*s is to believe PROXY headers, and gateway.trustedProxies is empty",
                        STR_FMT(address));
        g->listens[g->listens_count++] = *listen;
}

static bool has_tls(const struct conf_gateway *g)
{
        for (size_t i = 0; i < g->listens_count; i++)
                if (g->listens[i].is_tls)
                        return true;
        return false;
}

static bool is_tailnet(struct str address)
{
        return str_eq(address, STR("tailnet")) || str_has_prefix(address, STR("tailnet:"));
}

/* One listener a family: which addresses these are is known once tailscaled has said so. */
static void tailnet_add(struct loader *l, struct conf_gateway *g, struct conf_listen *more,
                        const struct draft_listen *d)
{
        static const char *const families[] = { "IPv4", "IPv6" };
        struct str text = d->address.text;
        uint64_t port = more->is_tls ? 443 : g->port;

        if (text.len > 7 && (units_parse_u64(str_from(text, 8), 65535, &port) != ERR_OK || port == 0)) {
                loader_error_at(l, d->address.at, "%.*s: \"%.*s\" names no port; write \"tailnet:443\"",
                                STR_FMT(d->item.path), STR_FMT(text));
                return;
        }
        if (more->takes_proxy_protocol)
                loader_error_at(
                        l, d->item.at,
                        "%.*s: who calls over the tailnet is known by the connection; proxyProtocol does not go with it",
                        STR_FMT(d->item.path));
        g->tailnet.is_used = true;
        for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
                more->tailnet_family = i ? 6 : 4;
                more->address = (struct listen_address){ .port = (uint16_t)port,
                                                         .is_later = true,
                                                         .path = arena_format(l->arena, "tailnet:%u (%s)",
                                                                              (unsigned)port, families[i]) };
                listen_add(l, g, more, d->item.at);
        }
}

static void listens_resolve(struct loader *l, struct draft_gateway *d, struct conf_gateway *g)
{
        struct draft_listen *drafts = d->listen.items;
        size_t own_count = 0;

        while (own_count < d->listen.count && drafts[own_count].item.at.line != DRAFT_LINE_PUBLISHED)
                own_count++; /* what was published stands behind (merge.c), and switches no default off */
        bool host_given = d->host.at.line || d->port.at.line || own_count == 0;

        if (!(g->listens = ARENA_ARRAY(l->arena, struct conf_listen, 2 * d->listen.count + 2)))
                return;
        g->host = d->host.text;
        g->port = d->port.value;
        if (host_given) {
                struct conf_listen first = { .is_tls = d->tls_cert.text.ptr && d->tls_key.text.ptr };

                if (host_port_resolve(l, d, &first.address))
                        listen_add(l, g, &first, d->host.at);
        }
        for (size_t i = 0; i < own_count; i++) {
                struct conf_listen more = { .is_tls = drafts[i].is_tls,
                                            .takes_proxy_protocol = drafts[i].takes_proxy_protocol,
                                            .upstream_name = drafts[i].upstream.text,
                                            .rules = drafts[i].rules };
                const struct conf_stream_rules *r = &more.rules;

                if (!more.upstream_name.ptr &&
                    (r->allowed_ips.count || r->denied_ips.count || r->rate.count || r->streams_max ||
                     r->streams_per_address_max || r->idle))
                        loader_error_at(
                                l, drafts[i].item.at,
                                "%.*s: allowedIps, deniedIps and limits go with upstream; for HTTP they are keys of routes",
                                STR_FMT(drafts[i].item.path));

                if (is_tailnet(drafts[i].address.text))
                        tailnet_add(l, g, &more, &drafts[i]);
                else if (resolve_listen_any(l, drafts[i].item.path.ptr, &drafts[i].address, &more.address))
                        listen_add(l, g, &more, drafts[i].item.at);
        }
        if (d->redirect_http.text.ptr) {
                struct conf_listen redirect = { .redirects_to_https = true };

                if (!has_tls(g))
                        loader_error_at(
                                l, d->redirect_http.at,
                                "gateway.redirectHttp: redirects to https, and nothing in gateway.listen speaks TLS");
                if (resolve_listen(l, "gateway.redirectHttp", &d->redirect_http, &redirect.address))
                        listen_add(l, g, &redirect, d->redirect_http.at);
        }
}

enum { ERROR_PAGE_BYTES_MAX = 64 * 1024 };

static void error_pages_resolve(struct loader *l, struct draft_gateway *d, struct conf_gateway *g)
{
        struct draft_error_page *drafts = d->error_pages.items;

        if (d->error_pages.count == 0 ||
            !(g->error_pages = ARENA_ARRAY(l->arena, struct conf_error_page, d->error_pages.count)))
                return;
        g->error_pages_count = d->error_pages.count;
        for (size_t i = 0; i < d->error_pages.count; i++) {
                struct conf_error_page *p = &g->error_pages[i];

                if (!resolve_status_range(drafts[i].status.text, &p->status_min, &p->status_max))
                        loader_error_at(l, drafts[i].status.at,
                                        "%.*s.status: \"%.*s\" is no range; write \"404\" or \"500-599\"",
                                        STR_FMT(drafts[i].item.path), STR_FMT(drafts[i].status.text));
                if (!drafts[i].file.text.ptr ||
                    !loader_pem_read(l, CONF_READ_FILE, &drafts[i].file, &p->text))
                        continue;
                if (p->text.len > ERROR_PAGE_BYTES_MAX)
                        loader_error_at(l, drafts[i].file.at, "%.*s.file: has more than 64 KiB",
                                        STR_FMT(drafts[i].item.path));
        }
}

static void tailnet_resolve(struct loader *l, const struct draft_gateway *d, struct conf_gateway *g)
{
        g->tailnet.socket = d->tailnet_socket.text;
        if (g->tailnet.socket.len == 0 || g->tailnet.socket.ptr[0] != '/' || g->tailnet.socket.len > 100)
                loader_error_at(
                        l, d->tailnet_socket.at,
                        "gateway.tailnet.socket: must be the whole path of tailscaled's socket, 100 bytes at most");
        if (g->ai_identity != CONF_BY_TAILNET)
                return;
        g->tailnet.is_used = true;
        if (!g->auth)
                loader_error_at(
                        l, d->at,
                        "gateway.ai: gateway.auth is off, so nobody is asked who they are; switch it on, or leave "
                        "ai.identity out");
        if (g->ai_callers.count == 0)
                loader_error_at(l, d->at,
                                "gateway.ai.tailnet: is empty, so nobody of the tailnet could call");
}

void resolve_gateway(struct loader *l, struct draft_gateway *d)
{
        struct conf_gateway *g = &l->conf->gateway;

        *g = d->gateway;
        g->user = d->user.text;
        tailnet_resolve(l, d, g);
        g->dns.servers = d->dns_servers.text;
        tokens_resolve(l, d, g);
        certificates_resolve(l, d, g);
        client_certificates_resolve(l, d, g);
        listens_resolve(l, d, g);
        error_pages_resolve(l, d, g);
        if (d->client_ca.text.ptr && !has_tls(g))
                loader_error_at(
                        l, d->client_ca.at,
                        "gateway.clientCertificates: nothing listens with TLS, so nobody could show one");
        if (g->dns.ttl_min > g->dns.ttl_max)
                loader_error_at(l, d->at, "gateway.dns: ttlMin is above ttlMax");
        resolve_links(l, d);
}

void resolve_admin(struct loader *l, struct draft_admin *d)
{
        struct conf_admin *a = &l->conf->admin;

        *a = d->admin;
        a->is_on = !str_eq(d->listen.text, STR("off"));
        if (a->is_on && resolve_listen(l, "admin.listen", &d->listen, &a->listen) &&
            a->allowed_ips.count == 0)
                loader_error_at(
                        l, d->listen.at,
                        "admin.allowedIps: is empty; the listener asks for no token, so name who may use it");
}

void resolve_log(struct loader *l, struct draft_log *d)
{
        static const struct {
                struct str word;
                enum conf_access_log to;
        } words[] = {
                { STR_INIT("stdout"), CONF_LOG_STDOUT },
                { STR_INIT("stderr"), CONF_LOG_STDERR },
                { STR_INIT("off"), CONF_LOG_OFF },
        };
        struct conf_log *log = &l->conf->log;

        *log = d->log;
        log->access = CONF_LOG_FILE;
        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (str_eq(d->access.text, words[i].word))
                        log->access = words[i].to;
        if (log->access != CONF_LOG_FILE)
                return;
        if (str_eq(d->access.text, STR("journal")) || str_has_prefix(d->access.text, STR("journal:/"))) {
                log->access = CONF_LOG_JOURNAL;
                log->access_path = d->access.text.len > 8 ? str_from(d->access.text, 8) : STR(JOURNAL_SOCKET);
                return;
        }
        if (str_find_char(d->access.text, '/') != STR_NONE)
                log->access_path = loader_file_name(l, d->access.text);
        else
                loader_error_at(
                        l, d->access.at,
                        "log.access: \"%.*s\" is neither \"stdout\", \"stderr\", \"journal\" nor \"off\"; a file's path "
                        "has a '/' in it, as \"./access.log\"",
                        STR_FMT(d->access.text));
}
