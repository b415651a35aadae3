#include <string.h>

#include "http/chars_priv.h"
#include "http/rules.h"

/* A chain longer than this is not followed to its end: the address reached is the client. */
enum { HOPS_MAX = 32 };

static bool is_trusted(struct ip ip, const struct ip_prefix *trusted, size_t trusted_count)
{
        for (size_t i = 0; i < trusted_count; i++)
                if (ip_prefix_contains(&trusted[i], ip))
                        return true;
        return false;
}

static bool is_port(struct str s)
{
        for (size_t i = 0; i < s.len; i++)
                if (!ascii_is_digit(s.ptr[i]))
                        return false;
        return s.len >= 1 && s.len <= 5;
}

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80". RFC 7239 6, and what proxies write. */
static bool node_parse(struct str node, struct ip *out)
{
        size_t colon = str_find_char(node, ':');
        struct str port = STR_NULL;

        if (node.len && node.ptr[0] == '[') {
                size_t close = str_find_char(node, ']');

                if (close == STR_NONE)
                        return false;
                port = str_from(node, close + 1);
                node = str_sub(node, 1, close - 1);
                if (str_find_char(node, ':') == STR_NONE)
                        return false;
        } else if (colon != STR_NONE && str_find_char(str_from(node, colon + 1), ':') == STR_NONE) {
                port = str_from(node, colon);
                node = str_sub(node, 0, colon);
        }
        if (port.len && (port.ptr[0] != ':' || !is_port(str_from(port, 1))))
                return false;
        return ip_parse(node, out) == ERR_OK;
}

/* One hop of a chain: its text as X-Forwarded-For writes it, or an element of Forwarded. */
struct hops {
        struct str items[HOPS_MAX]; /* a ring: the last HOPS_MAX of the chain */
        size_t count;
};

static void hop_add(struct hops *hops, struct str item)
{
        hops->items[hops->count++ % HOPS_MAX] = str_trim(item);
}

/* The n-th from the right, from 0; false past the chain's left end or the ring's. */
static bool hop_from_right(const struct hops *hops, size_t n, struct str *out)
{
        if (n >= hops->count || n >= HOPS_MAX)
                return false;
        *out = hops->items[(hops->count - 1 - n) % HOPS_MAX];
        return true;
}

/* Takes the part up to `sep` off *rest, quoted strings left whole. False at the end, or when a quote does not close. */
static bool quoted_split(struct str *rest, char sep, struct str *part)
{
        bool is_quoted = false;
        size_t i = 0;

        if (!rest->ptr)
                return false;
        for (; i < rest->len && (is_quoted || rest->ptr[i] != sep); i++) {
                if (rest->ptr[i] == '"')
                        is_quoted = !is_quoted;
                else if (rest->ptr[i] == '\\' && is_quoted)
                        i++;
        }
        if (is_quoted || i > rest->len)
                return false;
        *part = str_sub(*rest, 0, i);
        *rest = i < rest->len ? (struct str){ rest->ptr + i + 1, rest->len - i - 1 } : STR_NULL;
        return true;
}

/* The parameter of a Forwarded element; quotes taken off. Escapes inside quotes are not used by addresses and names. */
static struct str parameter_find(struct str element, struct str name)
{
        struct str pair;

        while (quoted_split(&element, ';', &pair)) {
                size_t equals = str_find_char(pair, '=');

                if (equals == STR_NONE || !str_eq_nocase(str_trim(str_sub(pair, 0, equals)), name))
                        continue;
                struct str value = str_trim(str_from(pair, equals + 1));
                if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
                        value = str_sub(value, 1, value.len - 2);
                return value;
        }
        return STR_NULL;
}

static void hops_collect(const struct http_head *h, enum http_field_id id, struct hops *out)
{
        out->count = 0;
        for (const struct http_field *f = http_find(h, id); f; f = http_find_next(h, f)) {
                struct str rest = f->value, item;

                while (id == HTTP_FIELD_FORWARDED ? quoted_split(&rest, ',', &item)
                                                  : str_split(&rest, ',', &item))
                        hop_add(out, item);
                if (rest.ptr) /* an open quote: what stands behind it cannot be told apart */
                        out->count = 0;
        }
}

/*
 * Walks from the right while the hop that wrote an entry is trusted. Returns how many entries were believed; the last of
 * them gave out->ip.
 */
static size_t chain_walk(const struct hops *hops, bool is_forwarded, const struct ip_prefix *trusted,
                         size_t trusted_count, struct http_client *out)
{
        size_t n = 0;
        struct str item;
        struct ip ip;

        for (; is_trusted(out->ip, trusted, trusted_count) && hop_from_right(hops, n, &item); n++) {
                if (!node_parse(is_forwarded ? parameter_find(item, STR("for")) : item, &ip))
                        break;
                out->ip = ip;
        }
        return n;
}

static bool host_is_plausible(struct str host)
{
        for (size_t i = 0; i < host.len; i++)
                if (!http_char_is(host.ptr[i], HTTP_CHAR_HOST) && host.ptr[i] != ':' && host.ptr[i] != '[' &&
                    host.ptr[i] != ']')
                        return false;
        return host.len > 0;
}

static void proto_take(struct str proto, struct http_client *out)
{
        if (str_eq_nocase(proto, STR("https")))
                out->proto = STR("https");
        else if (str_eq_nocase(proto, STR("http")))
                out->proto = STR("http");
}

static void host_take(struct str host, struct http_client *out)
{
        if (host_is_plausible(host))
                out->host = host;
}

/* A field there is one of; a second one, or a list, says nothing certain. */
static struct str only_value(const struct http_head *h, enum http_field_id id)
{
        const struct http_field *f = http_find(h, id);

        return f && !http_find_next(h, f) ? f->value : STR_NULL;
}

void http_client_find(const struct http_head *h, struct ip peer, bool is_tls, const struct ip_prefix *trusted,
                      size_t trusted_count, struct http_client *out)
{
        *out = (struct http_client){
                .ip = peer,
                .peer = peer,
                .is_tls = is_tls,
                .proto = is_tls ? STR("https") : STR("http"),
                .host = http_value(h, HTTP_FIELD_HOST),
        };
        if (!is_trusted(peer, trusted, trusted_count))
                return;
        struct hops hops;
        struct str element = STR_NULL;
        if (http_find(h, HTTP_FIELD_X_FORWARDED_FOR)) {
                hops_collect(h, HTTP_FIELD_X_FORWARDED_FOR, &hops);
                chain_walk(&hops, false, trusted, trusted_count, out);
        } else if (http_find(h, HTTP_FIELD_FORWARDED)) {
                hops_collect(h, HTTP_FIELD_FORWARDED, &hops);
                size_t believed = chain_walk(&hops, true, trusted, trusted_count, out);
                if (believed && hop_from_right(&hops, believed - 1, &element)) {
                        proto_take(parameter_find(element, STR("proto")), out);
                        host_take(parameter_find(element, STR("host")), out);
                }
        }
        proto_take(only_value(h, HTTP_FIELD_X_FORWARDED_PROTO), out);
        host_take(only_value(h, HTTP_FIELD_X_FORWARDED_HOST), out);
}

/* All values of the id, and `last`, as one list. */
static struct str list_extend(const struct http_head *h, enum http_field_id id, struct str last,
                              struct arena *a)
{
        size_t bytes = last.len;

        for (const struct http_field *f = http_find(h, id); f; f = http_find_next(h, f))
                bytes += f->value.len + 2;
        char *text = arena_alloc(a, bytes, 1), *at = text;
        if (!text)
                return STR_NULL;
        for (const struct http_field *f = http_find(h, id); f; f = http_find_next(h, f)) {
                if (f->value.len == 0)
                        continue;
                memcpy(at, f->value.ptr, f->value.len);
                memcpy(at + f->value.len, ", ", 2);
                at += f->value.len + 2;
        }
        memcpy(at, last.ptr, last.len);
        return (struct str){ text, (size_t)(at - text) + last.len };
}

static struct str forwarded_element(const struct http_client *client, struct str address, struct arena *a)
{
        const bool is_ipv6 = client->peer.family == 6, has_host = host_is_plausible(client->host);
        const struct str parts[] = {
                is_ipv6 ? STR("for=\"[") : STR("for="),
                address,
                is_ipv6 ? STR("]\"") : STR(""),
                has_host ? STR(";host=\"") : STR(""),
                has_host ? client->host : STR(""),
                has_host ? STR("\";proto=") : STR(";proto="),
                client->proto,
        };

        return arena_join(a, parts, ARRAY_SIZE(parts));
}

static enum err set(struct http_head *h, enum http_field_id id, struct str value)
{
        return value.ptr ? http_set(h, id, value) : ERR_NO_MEMORY;
}

enum err http_add_forwarded(struct http_head *h, const struct http_client *client, bool peer_is_trusted,
                            struct arena *a)
{
        char text[IP_TEXT_MAX];
        /* A peer without an address (a Unix socket) is "unknown", as RFC 7239 6.2 has it. */
        struct str address =
                client->peer.family ? arena_copy(a, ip_format(client->peer, text)) : STR("unknown");
        struct str chain = address, element;
        enum err e;

        if (!address.ptr || !(element = forwarded_element(client, address, a)).ptr)
                return ERR_NO_MEMORY;
        if (peer_is_trusted) {
                chain = list_extend(h, HTTP_FIELD_X_FORWARDED_FOR, address, a);
                element = list_extend(h, HTTP_FIELD_FORWARDED, element, a);
        }
        if ((e = set(h, HTTP_FIELD_X_FORWARDED_FOR, chain)) != ERR_OK ||
            (e = set(h, HTTP_FIELD_X_FORWARDED_PROTO, client->proto)) != ERR_OK)
                return e;
        if (host_is_plausible(client->host))
                e = set(h, HTTP_FIELD_X_FORWARDED_HOST, client->host);
        else
                http_remove(h, HTTP_FIELD_X_FORWARDED_HOST);
        return e == ERR_OK ? set(h, HTTP_FIELD_FORWARDED, element) : e;
}
