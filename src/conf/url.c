#include "conf/loader_priv.h"
#include "http/target.h"
#include "io/nodename.h"

static const struct {
        struct str prefix;
        enum conf_scheme scheme;
        uint16_t port;
} schemes[] = {
        { STR_INIT("http://"), CONF_HTTP, 80 },
        { STR_INIT("https://"), CONF_HTTPS, 443 },
};

static bool base_path_parse(struct loader *l, struct str path, unsigned rules, struct str *out)
{
        struct str canonical;

        while (path.len && path.ptr[path.len - 1] == '/')
                path.len--;
        *out = STR_NULL;
        if (path.len == 0)
                return true;
        if (!(rules & URL_BASE_PATH) || http_path_canonical(path, l->arena, &canonical) != ERR_OK)
                return false;
        *out = arena_copy(l->arena, canonical);
        return str_eq(path, canonical);
}

static bool network_url_parse(struct loader *l, struct str rest, unsigned rules, struct conf_url *out)
{
        struct http_authority authority;
        struct str text = str_sub(rest, 0, str_find_char(rest, '/'));

        if (str_find_char(rest, '?') != STR_NONE || str_find_char(rest, '#') != STR_NONE)
                return false;
        if (http_authority_parse(text, l->arena, &authority) != ERR_OK)
                return false;
        out->host = arena_copy(l->arena, authority.host);
        if (authority.port)
                out->port = authority.port;
        if (ip_parse(out->host, &out->ip) != ERR_OK)
                out->ip = (struct ip){ 0 };
        return base_path_parse(l, str_from(rest, text.len), rules, &out->path);
}

/* "link://ag-1/tg-2" */
static bool link_url_parse(struct loader *l, struct str rest, struct conf_url *out)
{
        struct str agent;

        if (!str_split(&rest, '/', &agent) || !node_word_is_valid(agent) || !node_word_is_valid(rest))
                return false;
        out->scheme = CONF_LINK;
        out->host = arena_copy(l->arena, agent);
        out->path = arena_copy(l->arena, rest);
        return true;
}

static bool url_parse(struct loader *l, struct str text, unsigned rules, struct conf_url *out)
{
        out->text = text;
        if (rules & URL_UNIX && str_has_prefix(text, STR("unix:/"))) {
                out->scheme = CONF_UNIX;
                out->path = arena_copy(l->arena, str_from(text, 5));
                return out->path.len > 1 && out->path.len < 108; /* sun_path, unix(7) */
        }
        if (rules & URL_LINK && str_has_prefix(text, STR("link://")))
                return link_url_parse(l, str_from(text, 7), out);
        if (rules & URL_TCP && str_has_prefix(text, STR("tcp://"))) {
                out->scheme = CONF_TCP;
                return network_url_parse(l, str_from(text, 6), rules, out) && out->port;
        }
        if (rules & URL_TCP && str_has_prefix(text, STR("udp://"))) {
                out->scheme = CONF_UDP;
                return network_url_parse(l, str_from(text, 6), rules, out) && out->port;
        }
        for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
                if (!str_has_prefix(text, schemes[i].prefix))
                        continue;
                out->scheme = schemes[i].scheme;
                out->port = schemes[i].port;
                return network_url_parse(l, str_from(text, schemes[i].prefix.len), rules, out);
        }
        return false;
}

bool resolve_url(struct loader *l, const char *what, const struct draft_text *text, unsigned rules,
                 struct conf_url *out)
{
        *out = (struct conf_url){ 0 };
        if (url_parse(l, text->text, rules, out))
                return true;
        if (str_find_char(text->text, '@') != STR_NONE) /* may hold a password: not repeated */
                loader_error_at(l, text->at, "%s: a URL here has no user and password", what);
        else
                loader_error_at(
                        l, text->at, "%s: \"%.*s\" is no URL for this place; write %s", what,
                        STR_FMT(text->text),
                        rules & URL_UNIX
                                ? "\"http://host:port\", \"https://host\", \"unix:/path\", \"tcp://host:port\", \"udp://host:port\" or \"link://agent/target\", without a path "
                                  "after the host (see addPrefix)"
                        : rules & URL_LINK
                                ? "\"http://host:port/path\", \"https://host/path\" or \"link://agent/target\""
                                : "\"http://host:port/path\" or \"https://host/path\"");
        return false;
}

bool resolve_listen_any(struct loader *l, const char *what, const struct draft_text *text,
                        struct listen_address *out)
{
        if (listen_address_parse(text->text, out) != ERR_OK) {
                loader_error_at(
                        l, text->at,
                        "%s: \"%.*s\" is no address to listen on; write \"127.0.0.1:3000\", \"[::1]:3000\", \":3000\", "
                        "\"unix:/path\", \"systemd:NAME\", or for datagrams \"udp:0.0.0.0:5353\"",
                        what, STR_FMT(text->text));
                return false;
        }
        out->path = arena_copy(l->arena, out->path);
        return true;
}

bool resolve_listen(struct loader *l, const char *what, const struct draft_text *text,
                    struct listen_address *out)
{
        if (!resolve_listen_any(l, what, text, out))
                return false;
        if (out->is_datagram)
                loader_error_at(l, text->at, "%s: \"%.*s\" is for datagrams, which nobody speaks here", what,
                                STR_FMT(text->text));
        return !out->is_datagram;
}

struct str conf_url_authority(const struct conf_url *url, struct arena *a)
{
        bool is_v6 = url->ip.family == 6;
        uint16_t usual = url->scheme == CONF_HTTPS ? 443 : 80;

        if (url->scheme == CONF_UNIX)
                return STR("localhost");
        if (url->scheme == CONF_LINK)
                return arena_format(a, "%.*s.sekisho.internal", STR_FMT(url->path));
        if (url->port == usual)
                return arena_format(a, is_v6 ? "[%.*s]" : "%.*s", STR_FMT(url->host));
        return arena_format(a, is_v6 ? "[%.*s]:%u" : "%.*s:%u", STR_FMT(url->host), url->port);
}
