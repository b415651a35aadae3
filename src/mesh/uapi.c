#include "mesh/uapi.h"

#include <errno.h>
#include <string.h>

#include "base/units.h"
#include "crypto/secret.h"
#include "crypto/text.h"

size_t mesh_uapi_request_len(struct str text)
{
        size_t end = str_find(text, STR("\n\n"));

        return end == STR_NONE ? 0 : end + 2;
}

/* ---- get ---- */

static void add_key(struct buf *out, const char *name, const uint8_t key[WG_KEY_BYTES])
{
        char text[CRYPTO_HEX_SIZE(WG_KEY_BYTES)];

        crypto_hex_format((struct str){ (const char *)key, WG_KEY_BYTES }, text);
        buf_addf(out, "%s=%s\n", name, text);
        crypto_wipe(text, sizeof(text));
}

static void add_endpoint(struct buf *out, const struct wg_endpoint *e)
{
        char text[IP_TEXT_MAX];

        if (!wg_endpoint_is_known(e) || e->is_carried)
                return;
        ip_format(e->ip, text);
        if (e->ip.family == 4)
                buf_addf(out, "endpoint=%s:%u\n", text, e->port);
        else if (e->scope)
                buf_addf(out, "endpoint=[%s%%%u]:%u\n", text, e->scope, e->port);
        else
                buf_addf(out, "endpoint=[%s]:%u\n", text, e->port);
}

static void add_peer(struct buf *out, const struct wg_peer *p, mono_ms now)
{
        struct wg_peer_stats stats;
        const struct list *at = NULL;
        struct ip_prefix prefix;
        char text[IP_PREFIX_TEXT_MAX];

        wg_peer_get_stats(p, now, &stats);
        add_key(out, "public_key", wg_peer_public_key(p));
        add_key(out, "preshared_key", wg_peer_preshared_key(p));
        buf_add(out, STR("protocol_version=1\n"));
        add_endpoint(out, wg_peer_endpoint(p));
        buf_addf(out, "last_handshake_time_sec=%lld\nlast_handshake_time_nsec=%lld\n",
                 (long long)(stats.last_handshake / 1000),
                 (long long)(stats.last_handshake % 1000 * 1000000));
        buf_addf(out, "tx_bytes=%llu\nrx_bytes=%llu\npersistent_keepalive_interval=%u\n",
                 (unsigned long long)stats.sent_bytes, (unsigned long long)stats.received_bytes,
                 wg_peer_keepalive(p));
        while (wg_allowedips_next(wg_peer_allowedips(p), &at, &prefix)) {
                ip_prefix_format(&prefix, text);
                buf_addf(out, "allowed_ip=%s\n", text);
        }
}

static void get(const struct mesh_uapi_target *t, struct buf *out)
{
        if (!crypto_is_zero(wg_device_private_key(t->device), WG_KEY_BYTES))
                add_key(out, "private_key", wg_device_private_key(t->device));
        if (t->port)
                buf_addf(out, "listen_port=%u\n", t->port);
        if (t->fwmark)
                buf_addf(out, "fwmark=%u\n", t->fwmark);
        for (const struct wg_peer *p = wg_device_first_peer(t->device); p;
             p = wg_device_next_peer(t->device, p))
                add_peer(out, p, t->now);
}

/* Not of the protocol, which ends with "get=1": only who asks for it by name sees it. */
static void get_counters(const struct mesh_uapi_target *t, struct buf *out)
{
        const struct wg_device_stats *s = wg_device_get_stats(t->device);

        buf_addf(out, "packets_sent=%llu\npackets_received=%llu\n", (unsigned long long)s->packets_sent,
                 (unsigned long long)s->packets_received);
        buf_addf(out, "initiations_sent=%llu\ninitiations_received=%llu\n",
                 (unsigned long long)s->initiations_sent, (unsigned long long)s->initiations_received);
        buf_addf(out, "responses_sent=%llu\nresponses_received=%llu\ncookies_sent=%llu\n",
                 (unsigned long long)s->responses_sent, (unsigned long long)s->responses_received,
                 (unsigned long long)s->cookies_sent);
        for (enum wg_drop i = 0; i < WG_DROPS; i++)
                buf_addf(out, "drop_%s=%llu\n", wg_drop_label(i), (unsigned long long)s->drops[i]);
        if (t->add_counters)
                t->add_counters(t->context, out);
}

/* ---- set ---- */

/* A set is walked twice with the same code: first only to check (`is_real` false), then to do it. */
struct set {
        const struct mesh_uapi_target *t;
        bool is_real;
        bool has_peer;        /* a public_key line has come */
        struct wg_peer *peer; /* NULL in the check, and for one that is not to be made or is removed */
        bool is_new;
};

static int errno_of(enum err e)
{
        switch (e) {
        case ERR_OK: return 0;
        case ERR_EXISTS: return EADDRINUSE;
        case ERR_DENIED: return EPERM;
        case ERR_NO_MEMORY: return ENOMEM;
        case ERR_TOO_LARGE: return ENOSPC;
        case ERR_UNSUPPORTED: return EAFNOSUPPORT;
        case ERR_NOT_FOUND: return ENOENT;
        default: return EINVAL;
        }
}

static enum err parse_key(struct str value, uint8_t key[WG_KEY_BYTES])
{
        return crypto_hex_parse(value, key, WG_KEY_BYTES);
}

static enum err parse_number(struct str value, uint64_t max, uint64_t *out)
{
        return units_parse_u64(value, max, out) == ERR_OK ? ERR_OK : ERR_MALFORMED;
}

static enum err is_true(struct str value)
{
        return str_eq(value, STR("true")) ? ERR_OK : ERR_MALFORMED;
}

static enum err parse_endpoint(struct str value, struct wg_endpoint *out)
{
        size_t colon = value.len;
        uint64_t port, scope = 0;

        while (colon > 0 && value.ptr[colon - 1] != ':')
                colon--;
        if (colon == 0 || parse_number(str_from(value, colon), 65535, &port) != ERR_OK || port == 0)
                return ERR_MALFORMED;
        struct str host = str_sub(value, 0, colon - 1);
        if (str_has_prefix(host, STR("[")) && str_has_suffix(host, STR("]"))) {
                host = str_sub(host, 1, host.len - 2);
                size_t percent = str_find_char(host, '%');
                if (percent != STR_NONE) {
                        if (parse_number(str_from(host, percent + 1), UINT32_MAX, &scope) != ERR_OK)
                                return ERR_MALFORMED;
                        host = str_sub(host, 0, percent);
                }
        }
        *out = (struct wg_endpoint){ .port = (uint16_t)port, .scope = (uint32_t)scope };
        return ip_parse(host, &out->ip);
}

static enum err set_private_key(struct set *s, struct str value)
{
        uint8_t key[WG_KEY_BYTES];
        enum err e = parse_key(value, key);

        if (e == ERR_OK && s->is_real)
                wg_device_set_private_key(s->t->device, key);
        crypto_wipe(key, sizeof(key));
        return e;
}

static enum err set_listen_port(struct set *s, struct str value)
{
        uint64_t port;
        enum err e = parse_number(value, 65535, &port);

        return e == ERR_OK && s->is_real ? s->t->listen(s->t->context, (uint16_t)port) : e;
}

static enum err set_fwmark(struct set *s, struct str value)
{
        uint64_t mark;
        enum err e = parse_number(value, UINT32_MAX, &mark);

        return e == ERR_OK && s->is_real ? s->t->set_fwmark(s->t->context, (uint32_t)mark) : e;
}

static enum err set_replace_peers(struct set *s, struct str value)
{
        enum err e = is_true(value);

        if (e == ERR_OK && s->is_real)
                for (struct wg_peer *p; (p = wg_device_first_peer(s->t->device));)
                        wg_device_remove_peer(s->t->device, p);
        return e;
}

static enum err set_public_key(struct set *s, struct str value)
{
        uint8_t key[WG_KEY_BYTES];
        enum err e = parse_key(value, key);

        if (e != ERR_OK)
                return e;
        s->has_peer = true;
        s->is_new = false;
        s->peer = NULL;
        if (!s->is_real)
                return ERR_OK;
        if ((s->peer = wg_device_find_peer(s->t->device, key)))
                return ERR_OK;
        e = wg_device_add_peer(s->t->device, key, &s->peer);
        s->is_new = e == ERR_OK;
        /* Our own key is passed over, so that one list of peers can be given to all of them. */
        return e == ERR_DENIED ? ERR_OK : e;
}

static enum err set_remove(struct set *s, struct str value)
{
        enum err e = is_true(value);

        if (e == ERR_OK && s->peer)
                wg_device_remove_peer(s->t->device, s->peer);
        s->peer = NULL;
        return e;
}

static enum err set_update_only(struct set *s, struct str value)
{
        enum err e = is_true(value);

        if (e == ERR_OK && s->peer && s->is_new) {
                wg_device_remove_peer(s->t->device, s->peer);
                s->peer = NULL;
        }
        return e;
}

static enum err set_preshared_key(struct set *s, struct str value)
{
        uint8_t key[WG_KEY_BYTES];
        enum err e = parse_key(value, key);

        if (e == ERR_OK && s->peer)
                wg_peer_set_preshared_key(s->peer, key);
        crypto_wipe(key, sizeof(key));
        return e;
}

static enum err set_endpoint(struct set *s, struct str value)
{
        struct wg_endpoint endpoint;
        enum err e = parse_endpoint(value, &endpoint);

        if (e == ERR_OK && s->peer)
                wg_peer_set_endpoint(s->peer, &endpoint);
        return e;
}

static enum err set_keepalive(struct set *s, struct str value)
{
        uint64_t seconds;
        enum err e = parse_number(value, 65535, &seconds);

        if (e == ERR_OK && s->peer)
                wg_peer_set_keepalive(s->t->device, s->peer, (uint16_t)seconds, s->t->now);
        return e;
}

static enum err set_replace_allowed_ips(struct set *s, struct str value)
{
        enum err e = is_true(value);

        if (e == ERR_OK && s->peer)
                wg_device_clear_allowedips(s->t->device, s->peer);
        return e;
}

/* "-" in front takes the prefix away again. */
static enum err set_allowed_ip(struct set *s, struct str value)
{
        struct ip_prefix prefix;
        bool is_removal = str_has_prefix(value, STR("-"));
        enum err e = ip_prefix_parse(is_removal ? str_from(value, 1) : value, &prefix);

        if (e != ERR_OK || !s->peer)
                return e;
        if (!is_removal)
                return wg_device_add_allowedip(s->t->device, s->peer, &prefix);
        e = wg_device_remove_allowedip(s->t->device, s->peer, &prefix);
        return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err set_protocol_version(struct set *s, struct str value)
{
        return str_eq(value, STR("1")) ? ERR_OK : ERR_UNSUPPORTED;
}

static const struct {
        const char *name;
        bool is_of_peer;
        enum err (*set)(struct set *s, struct str value);
} keys[] = {
        { "private_key", false, set_private_key },
        { "listen_port", false, set_listen_port },
        { "fwmark", false, set_fwmark },
        { "replace_peers", false, set_replace_peers },
        { "public_key", false, set_public_key },
        { "remove", true, set_remove },
        { "update_only", true, set_update_only },
        { "preshared_key", true, set_preshared_key },
        { "endpoint", true, set_endpoint },
        { "persistent_keepalive_interval", true, set_keepalive },
        { "replace_allowed_ips", true, set_replace_allowed_ips },
        { "allowed_ip", true, set_allowed_ip },
        { "protocol_version", true, set_protocol_version },
};

static enum err set_line(struct set *s, struct str line)
{
        size_t equals = str_find_char(line, '=');
        struct str name = str_sub(line, 0, equals == STR_NONE ? 0 : equals);

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                if (str_eq(name, str_of(keys[i].name))) {
                        /* The device's keys stand before the first peer. */
                        bool is_in_place = keys[i].is_of_peer == s->has_peer || keys[i].set == set_public_key;
                        return is_in_place ? keys[i].set(s, str_from(line, equals + 1)) : ERR_MALFORMED;
                }
        return ERR_MALFORMED;
}

static enum err set_walk(const struct mesh_uapi_target *t, struct str lines, bool is_real)
{
        struct set s = { .t = t, .is_real = is_real };
        struct str line;
        enum err e;

        while (str_split(&lines, '\n', &line))
                if (line.len > 0 && (e = set_line(&s, line)) != ERR_OK)
                        return e;
        return ERR_OK;
}

bool mesh_uapi_answer(const struct mesh_uapi_target *t, struct str request, struct buf *answer)
{
        struct str operation, rest = request;
        enum err e = ERR_MALFORMED;
        bool is_set = false;

        if (str_split(&rest, '\n', &operation)) {
                if (str_eq(operation, STR("get=1")) && str_trim(rest).len <= 1) {
                        get(t, answer);
                        e = ERR_OK;
                } else if (str_eq(operation, STR("get=counters")) && str_trim(rest).len <= 1) {
                        get_counters(t, answer);
                        e = ERR_OK;
                } else if (str_eq(operation, STR("set=1"))) {
                        e = set_walk(t, rest, false);
                        if ((is_set = e == ERR_OK))
                                e = set_walk(t, rest, true);
                }
        }
        buf_addf(answer, "errno=%d\n\n", errno_of(e));
        return is_set;
}
