#include "find/label.h"

#include "base/units.h"

#define PREFIX "sekisho."

static const struct str words[] = { STR_INIT("host"), STR_INIT("port"), STR_INIT("path"), STR_INIT("name"),
                                    STR_INIT("access") };

static struct str label_of(const struct json_value *labels, const char *key)
{
        return json_str(json_find(labels, str_of(key)));
}

/* A label of ours that nobody knows is a mistake somebody should hear of. */
static bool has_unknown(const struct json_value *labels)
{
        for (size_t i = 0; i < labels->count; i++) {
                struct str key = labels->members[i].key;
                bool is_known = !str_has_prefix(key, STR(PREFIX));

                for (size_t j = 0; j < ARRAY_SIZE(words) && !is_known; j++)
                        is_known = str_eq(str_from(key, sizeof(PREFIX) - 1), words[j]);
                if (!is_known)
                        return true;
        }
        return false;
}

static bool is_plain(struct str s, const char *more, size_t max)
{
        for (size_t i = 0; i < s.len; i++) {
                char c = s.ptr[i];
                bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

                if (!good && str_find_char(str_of(more), c) == STR_NONE)
                        return false;
        }
        return s.len > 0 && s.len <= max;
}

static bool hosts_read(struct str text, struct label_offer *out)
{
        struct str host;

        while (str_split(&text, ',', &host)) {
                host = str_trim(host);
                if (out->hosts_count == LABEL_HOSTS_MAX || !is_plain(host, ".-", 253) || host.ptr[0] == '.' ||
                    str_find(host, STR("..")) != STR_NONE)
                        return false;
                out->hosts[out->hosts_count++] = host;
        }
        return out->hosts_count > 0;
}

/* "/wiki" of the Engine; what cannot stand in a service's name becomes a dash. */
static struct str name_of(const struct json_value *item, struct str label, struct arena *a)
{
        struct str name = label.len ? label : json_str(json_item(json_find(item, STR("Names")), 0));
        char *copy;

        if (name.len && name.ptr[0] == '/')
                name = str_from(name, 1);
        name = str_sub(name, 0, LABEL_NAME_BYTES_MAX);
        if (label.len || !(copy = arena_alloc(a, name.len + 1, 1)))
                return name;
        for (size_t i = 0; i < name.len; i++) {
                char c = name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? (char)(name.ptr[i] + 32) : name.ptr[i];

                copy[i] = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '-';
        }
        return (struct str){ copy, name.len };
}

/* ---- where it is ---- */

static bool is_port(const struct json_value *v, uint16_t *out)
{
        int64_t n;

        if (json_get_int64(v, &n) != ERR_OK || n < 1 || n > 65535)
                return false;
        *out = (uint16_t)n;
        return true;
}

/* The only TCP port there is, where no label names one. */
static bool port_guess(const struct json_value *ports, uint16_t *out)
{
        bool found = false;

        for (size_t i = 0; json_is(ports, JSON_ARRAY) && i < ports->count; i++) {
                const struct json_value *p = json_item(ports, i);
                uint16_t port;

                if (!str_eq(json_str(json_find(p, STR("Type"))), STR("tcp")) ||
                    !is_port(json_find(p, STR("PrivatePort")), &port))
                        continue;
                if (found && port != *out)
                        return false; /* which? */
                *out = port;
                found = true;
        }
        return found;
}

static const struct ip loopback = { 4, { 127, 0, 0, 1 } };

/* As the machine itself sees it: 0.0.0.0 is reached at 127.0.0.1. */
static bool published_find(const struct json_value *ports, uint16_t port, struct label_offer *out)
{
        for (size_t i = 0; json_is(ports, JSON_ARRAY) && i < ports->count; i++) {
                const struct json_value *p = json_item(ports, i);
                struct str at = json_str(json_find(p, STR("IP")));
                uint16_t private, public;

                if (!is_port(json_find(p, STR("PrivatePort")), &private) || private != port ||
                    !is_port(json_find(p, STR("PublicPort")), &public) ||
                    !str_eq(json_str(json_find(p, STR("Type"))), STR("tcp")))
                        continue;
                out->ip = loopback;
                if (at.len && !str_eq(at, STR("0.0.0.0")) && !str_eq(at, STR("::")) &&
                    ip_parse(at, &out->ip) != ERR_OK)
                        continue;
                out->port = public;
                return true;
        }
        return false;
}

static bool address_find(const struct json_value *networks, struct ip *out)
{
        for (size_t i = 0; json_is(networks, JSON_OBJECT) && i < networks->count; i++)
                if (ip_parse(json_str(json_find(&networks->members[i].value, STR("IPAddress"))), out) ==
                    ERR_OK)
                        return true;
        return false;
}

static bool place_find(const struct json_value *item, uint16_t port, struct label_offer *out)
{
        struct str mode = json_str(json_find(json_find(item, STR("HostConfig")), STR("NetworkMode")));

        if (published_find(json_find(item, STR("Ports")), port, out))
                return true;
        out->port = port;
        if (str_eq(mode, STR("host"))) {
                out->ip = loopback;
                return true;
        }
        return address_find(json_find(json_find(item, STR("NetworkSettings")), STR("Networks")), &out->ip);
}

static const char *offer_read(const struct json_value *item, const struct json_value *labels, struct arena *a,
                              struct label_offer *out)
{
        struct str port_text = label_of(labels, PREFIX "port");
        char text[IP_TEXT_MAX];
        uint64_t number = 0;
        uint16_t port = 0;

        if (has_unknown(labels))
                return "has a label sekisho.… that there is not: host, port, path, name, access";
        if (!is_plain(out->name, "-", LABEL_NAME_BYTES_MAX) || out->name.ptr[0] == '-')
                return "has a name that is none: a-z, 0-9 and -";
        if (!hosts_read(label_of(labels, PREFIX "host"), out))
                return "names a host that is none, or too many";
        out->path = label_of(labels, PREFIX "path");
        out->access = label_of(labels, PREFIX "access");
        if (out->path.len &&
            (out->path.ptr[0] != '/' || out->path.len > LABEL_PATH_BYTES_MAX ||
             !is_plain(str_from(out->path, 1), "/-._~ABCDEFGHIJKLMNOPQRSTUVWXYZ", LABEL_PATH_BYTES_MAX)) &&
            !str_eq(out->path, STR("/")))
                return "names a path that is none";
        if (out->access.len && !str_eq(out->access, STR("public")) && !str_eq(out->access, STR("token")) &&
            !str_eq(out->access, STR("owner")))
                return "names an access that there is not: public, token, owner";
        if (port_text.len && (units_parse_u64(port_text, 65535, &number) != ERR_OK || number == 0))
                return "names a port that is none";
        port = (uint16_t)number;
        if (!port && !port_guess(json_find(item, STR("Ports")), &port))
                return "needs a label sekisho.port: it has no port, or several";
        if (!place_find(item, port, out))
                return "has no address that this machine could reach";
        out->url = arena_format(a, out->ip.family == 6 ? "http://[%.*s]:%u" : "http://%.*s:%u",
                                STR_FMT(ip_format(out->ip, text)), out->port);
        return out->url.ptr ? NULL : "does not fit in memory";
}

enum label_answer label_read(const struct json_value *item, struct arena *a, struct label_offer *out,
                             const char **why)
{
        const struct json_value *labels = json_find(item, STR("Labels"));

        *out = (struct label_offer){ 0 };
        if (!json_is(labels, JSON_OBJECT) || !json_find(labels, STR(PREFIX "host")) ||
            !str_eq(json_str(json_find(item, STR("State"))), STR("running")))
                return LABEL_NONE;
        out->name = name_of(item, label_of(labels, PREFIX "name"), a);
        *why = offer_read(item, labels, a, out);
        return *why ? LABEL_REFUSED : LABEL_OFFER;
}
