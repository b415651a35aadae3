#include "published/service.h"

#include <stdio.h>

#include "io/listener.h"
#include "published/published.h"
#include "wire/document.h"
#include "wire/name.h"
#include "wire/ports.h"

/* Members of a service's settings that are not control's to say there. */
static bool is_ours(struct str key)
{
        static const struct str ours[] = { STR_INIT("name"),     STR_INIT("host"),   STR_INIT("path"),
                                           STR_INIT("upstream"), STR_INIT("access"), STR_INIT("redirect"),
                                           STR_INIT("respond") };

        for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
                if (str_eq(key, ours[i]))
                        return true;
        return false;
}

static bool is_kind(const struct json_value *service, struct str kind)
{
        return str_eq(json_str(json_find(service, STR("kind"))), kind);
}

/* ---- upstreams ---- */

enum { NOT_NUMBERED = UINT16_MAX };

/* "sv-x-3": the fourth port of a range. */
static struct str numbered(struct str id, unsigned n, char text[LISTEN_ADDRESS_TEXT_MAX])
{
        int len = snprintf(text, LISTEN_ADDRESS_TEXT_MAX, n == NOT_NUMBERED ? "%.*s" : "%.*s-%u", STR_FMT(id),
                           n);

        return (struct str){ text, MIN((size_t)len, (size_t)LISTEN_ADDRESS_TEXT_MAX - 1) };
}

/* How many ports a target has that is a range; 1: it is none. 0: what it says is no number of ports. */
static size_t ports_of(const struct json_value *target)
{
        const struct json_value *v = json_find(target, STR("ports"));
        int64_t count = 1;

        if (v && (json_get_int64(v, &count) != ERR_OK || count < 2 || count > WIRE_PORTS_MAX))
                return 0;
        return (size_t)count;
}

/* Of all targets: those that are ranges have as many ports. 0: they have not. */
static size_t target_ports(const struct json_value *service)
{
        const struct json_value *targets = json_find(service, STR("targets"));
        size_t count = 1;

        for (size_t i = 0; json_is(targets, JSON_ARRAY) && i < targets->count; i++) {
                size_t own = ports_of(json_item(targets, i));

                if (own == 0 || (own > 1 && count > 1 && own != count))
                        return 0;
                count = MAX(count, own);
        }
        return count;
}

/* Control itself, which this gateway dials. */
static bool is_control(const struct json_value *target)
{
        const struct json_value *v = json_find(target, STR("control"));

        return json_is(v, JSON_BOOL) && v->boolean;
}

bool service_is_control(const struct json_value *service)
{
        const struct json_value *targets = json_find(service, STR("targets"));

        return json_is(targets, JSON_ARRAY) && targets->count == 1 && is_control(json_item(targets, 0)) &&
               is_kind(service, STR("http"));
}

/* At any of its addresses, under a name that is for this alone, and by its own authority. An answer may take as long as a request
 * that is sent out may (dispatch/ask.h), and what is waiting in between. */
void service_control_upstream_write(struct json_writer *w, struct str id, const struct str *urls,
                                    size_t count)
{
        json_write_key(w, id);
        json_write_object_begin(w);
        json_write_key(w, STR("targets"));
        json_write_array_begin(w);
        for (size_t i = 0; i < count; i++)
                json_write_str(w, urls[i]);
        json_write_array_end(w);
        json_write_key(w, STR("tls"));
        json_write_object_begin(w);
        json_write_member_str(w, STR("ca"), STR(PUBLISHED_FOLDER "authority.pem"));
        json_write_member_str(w, STR("serverName"), WIRE_HOST_CALLERS);
        json_write_object_end(w);
        json_write_key(w, STR("timeouts"));
        json_write_object_begin(w);
        json_write_member_str(w, STR("firstByte"), STR("330s"));
        json_write_member_str(w, STR("idle"), STR("330s"));
        json_write_object_end(w);
        json_write_object_end(w);
}

/* Its own Host, and our word for the client's address. */
static void control_route_write(struct json_writer *w)
{
        json_write_member_bool(w, STR("preserveHost"), false);
        json_write_key(w, STR("requestHeaders"));
        json_write_object_begin(w);
        json_write_key(w, STR("set"));
        json_write_object_begin(w);
        json_write_key(w, STR(WIRE_FIELD_VOUCHER));
        json_write_object_begin(w);
        json_write_member_str(w, STR("file"), STR(PUBLISHED_FOLDER "voucher"));
        json_write_object_end(w);
        json_write_object_end(w);
        json_write_object_end(w);
}

static void upstream_target_write(struct json_writer *w, const struct json_value *target, unsigned n)
{
        struct str agent = json_str(json_find(target, STR("agent")));
        struct str id = json_str(json_find(target, STR("id")));
        const struct json_value *weight = json_find(target, STR("weight"));
        char url[2 * WIRE_ID_MAX + 32], name[LISTEN_ADDRESS_TEXT_MAX];
        int len;

        if (!wire_id_is_valid(agent) || !wire_id_is_valid(id))
                return;
        len = snprintf(url, sizeof(url), "link://%.*s/%s", STR_FMT(agent),
                       numbered(id, ports_of(target) > 1 ? n : NOT_NUMBERED, name).ptr);
        json_write_object_begin(w);
        json_write_member_str(w, STR("url"), (struct str){ url, (size_t)len });
        if (weight)
                json_write_member_raw(w, STR("weight"), weight->raw);
        json_write_object_end(w);
}

/* For the n-th port of a range, or for all there is. */
static void upstream_write(struct json_writer *w, struct str id, const struct json_value *service, unsigned n)
{
        const struct json_value *targets = json_find(service, STR("targets"));
        const struct json_value *balance = json_find(json_find(service, STR("settings")), STR("balance"));
        char name[LISTEN_ADDRESS_TEXT_MAX];

        json_write_key(w, numbered(id, n, name));
        json_write_object_begin(w);
        if (balance)
                json_write_member_raw(w, STR("balance"), balance->raw);
        json_write_key(w, STR("targets"));
        json_write_array_begin(w);
        for (size_t i = 0; json_is(targets, JSON_ARRAY) && i < targets->count; i++)
                upstream_target_write(w, json_item(targets, i), n);
        json_write_array_end(w);
        json_write_object_end(w);
}

void service_upstreams_write(struct json_writer *w, struct str id, const struct json_value *service)
{
        size_t count = target_ports(service);

        for (unsigned n = 0; count > 1 && n < count; n++)
                upstream_write(w, id, service, n);
        if (count <= 1)
                upstream_write(w, id, service, NOT_NUMBERED);
}

bool service_has_targets(const struct json_value *service)
{
        const struct json_value *targets = json_find(service, STR("targets"));

        if (service_is_control(service))
                return true;
        for (size_t i = 0; json_is(targets, JSON_ARRAY) && i < targets->count; i++)
                if (wire_id_is_valid(json_str(json_find(json_item(targets, i), STR("agent")))) &&
                    wire_id_is_valid(json_str(json_find(json_item(targets, i), STR("id")))))
                        return true;
        return false;
}

/* public: everybody; token: the scope `proxy`; owner, and whatever we do not know: the scope `admin`. */
static void access_write(struct json_writer *w, const struct json_value *service)
{
        const struct json_value *access = json_find(service, STR("access"));
        struct str kind = json_str(json_find(access, STR("kind")));
        const struct json_value *ips = json_find(access, STR("allowedIps")),
                                *denied = json_find(access, STR("deniedIps"));

        json_write_key(w, STR("access"));
        json_write_object_begin(w);
        json_write_member_str(w, STR("token"),
                              str_eq(kind, STR("public"))  ? STR("public")
                              : str_eq(kind, STR("token")) ? STR("proxy")
                                                           : STR("admin"));
        if (json_is(ips, JSON_ARRAY))
                json_write_member_raw(w, STR("allowedIps"), ips->raw);
        if (json_is(denied, JSON_ARRAY))
                json_write_member_raw(w, STR("deniedIps"), denied->raw);
        json_write_object_end(w);
}

/* "/": all; "/x": it and what is below; what has a star or braces already stays as it is. */
static void path_write(struct json_writer *w, const struct json_value *service)
{
        struct str path = json_str(json_find(service, STR("path")));
        char text[1024];

        if (path.len == 0 || str_eq(path, STR("/")) || path.len >= sizeof(text) - 3)
                return;
        if (str_find_char(path, '*') != STR_NONE || str_find_char(path, '{') != STR_NONE) {
                json_write_member_str(w, STR("path"), path);
                return;
        }
        while (path.len > 1 && path.ptr[path.len - 1] == '/')
                path.len--;
        int n = snprintf(text, sizeof(text), "%.*s/*", STR_FMT(path));
        json_write_member_str(w, STR("path"), (struct str){ text, (size_t)n });
}

static void answer_write(struct json_writer *w, struct str code, const char *message)
{
        char body[256];
        int n = snprintf(body, sizeof(body), "{\"error\":{\"code\":\"%.*s\",\"message\":\"%s\"}}\n",
                         STR_FMT(code), message);

        json_write_key(w, STR("respond"));
        json_write_object_begin(w);
        json_write_member_uint(w, STR("status"), 503);
        json_write_member_str(w, STR("contentType"), STR("application/json"));
        json_write_member_str(w, STR("body"), (struct str){ body, (size_t)n });
        json_write_object_end(w);
}

void service_route_write(struct json_writer *w, struct str id, const struct json_value *service, bool is_over)
{
        const struct json_value *settings = json_find(service, STR("settings"));
        const struct json_value *hosts = json_find(service, STR("hosts"));

        json_write_object_begin(w);
        json_write_member_str(w, STR("name"), id);
        json_write_member_raw(w, STR("host"), hosts->raw);
        path_write(w, service);
        access_write(w, service);
        if (is_over) {
                answer_write(w, STR("lease_expired"),
                             "this gateway has not heard from its control for too long");
        } else if (!service_has_targets(service)) {
                answer_write(w, STR("no_target"), "this service has no target yet");
        } else {
                json_write_member_str(w, STR("upstream"), id);
                if (service_is_control(service))
                        control_route_write(w);
                for (size_t i = 0; json_is(settings, JSON_OBJECT) && i < settings->count; i++)
                        if (!is_ours(settings->members[i].key) &&
                            !str_eq(settings->members[i].key, STR("balance")))
                                json_write_member_raw(w, settings->members[i].key,
                                                      settings->members[i].value.raw);
        }
        json_write_object_end(w);
}

/* Without a host a service of control would catch what the operator's file leaves open. */
bool service_is_route(const struct json_value *service)
{
        const struct json_value *hosts = json_find(service, STR("hosts"));

        return is_kind(service, STR("http")) && json_is(hosts, JSON_ARRAY) && hosts->count > 0;
}

/* ---- models ---- */

/* Who may use models is said by keys, and by nothing else here. */
bool service_is_models(const struct json_value *service)
{
        const struct json_value *access = json_find(service, STR("access")),
                                *ips = json_find(access, STR("allowedIps"));

        return is_kind(service, STR("llm")) &&
               str_eq(json_str(json_find(access, STR("kind"))), STR("token")) &&
               (!ips || (json_is(ips, JSON_ARRAY) && ips->count == 0));
}

/* Each box is a provider of its own, as each has models of its own; what it understands the gateway finds out. */
void service_providers_write(struct json_writer *w, const struct json_value *service)
{
        const struct json_value *targets = json_find(service, STR("targets"));

        for (size_t i = 0; json_is(targets, JSON_ARRAY) && i < targets->count; i++) {
                const struct json_value *target = json_item(targets, i),
                                        *models = json_find(target, STR("models"));
                struct str agent = json_str(json_find(target, STR("agent")));
                struct str id = json_str(json_find(target, STR("id")));
                char url[2 * WIRE_ID_MAX + 16];

                if (!wire_id_is_valid(agent) || !wire_id_is_valid(id))
                        continue;
                int n = snprintf(url, sizeof(url), "link://%.*s/%.*s", STR_FMT(agent), STR_FMT(id));
                json_write_key(w, id);
                json_write_object_begin(w);
                json_write_member_str(w, STR("kind"), STR("openai"));
                json_write_member_str(w, STR("baseUrl"), (struct str){ url, (size_t)n });
                if (json_is(models, JSON_ARRAY))
                        json_write_member_raw(w, STR("models"), models->raw);
                json_write_object_end(w);
        }
}

/* ---- byte streams ---- */

/* An IP address with ports: no file of this machine. Datagrams: of one family, since one socket takes one family's. */
static bool is_port_of_ours(const struct json_value *listen, bool is_udp, struct wire_ports *out)
{
        char text[LISTEN_ADDRESS_TEXT_MAX];
        struct listen_address a;

        if (wire_ports_parse(json_str(listen), out) != ERR_OK || out->before.len >= sizeof(text) - 16)
                return false;
        int n = snprintf(text, sizeof(text), "%s%.*s:%u", is_udp ? "udp:" : "", STR_FMT(out->before),
                         out->first);
        return listen_address_parse((struct str){ text, (size_t)n }, &a) == ERR_OK && a.ip.family;
}

/* Bytes bring no token along: who is to be judged by more than his address is not let in. */
static bool is_open(const struct json_value *service)
{
        const struct json_value *access = json_find(service, STR("access")),
                                *ips = json_find(access, STR("allowedIps"));

        return str_eq(json_str(json_find(access, STR("kind"))), STR("public")) &&
               (!ips || json_is(ips, JSON_ARRAY));
}

bool service_is_stream(const struct json_value *service)
{
        const struct json_value *listen = json_find(service, STR("listen"));
        bool is_udp = is_kind(service, STR("udp"));
        size_t count = target_ports(service);
        struct wire_ports ports;

        if (count == 0 || !(is_udp || is_kind(service, STR("tcp"))) || !json_is(listen, JSON_ARRAY) ||
            listen->count == 0 || !is_open(service))
                return false;
        for (size_t i = 0; i < listen->count; i++)
                if (!is_port_of_ours(json_item(listen, i), is_udp, &ports) ||
                    (count > 1 && ports.count != count))
                        return false;
        return true;
}

bool service_is_pass(const struct json_value *service)
{
        const struct json_value *hosts = json_find(service, STR("hosts"));

        return is_kind(service, STR("passthrough")) && json_is(hosts, JSON_ARRAY) && hosts->count > 0 &&
               is_open(service);
}

/* Who may come, and how many: the same keys in every such place (conf: STREAM_RULES). */
static void rules_write(struct json_writer *w, const struct json_value *service)
{
        static const struct str settings[] = { STR_INIT("rateLimit"), STR_INIT("maxConnections"),
                                               STR_INIT("maxConnectionsPerAddress"),
                                               STR_INIT("idleTimeout") };
        static const struct str addresses[] = { STR_INIT("allowedIps"), STR_INIT("deniedIps") };

        for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
                const struct json_value *v = json_find(json_find(service, STR("access")), addresses[i]);

                if (json_is(v, JSON_ARRAY))
                        json_write_member_raw(w, addresses[i], v->raw);
        }
        for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
                const struct json_value *v = json_find(json_find(service, STR("settings")), settings[i]);

                if (v)
                        json_write_member_raw(w, settings[i], v->raw);
        }
}

void service_pass_write(struct json_writer *w, struct str id, const struct json_value *service)
{
        json_write_object_begin(w);
        json_write_member_raw(w, STR("host"), json_find(service, STR("hosts"))->raw);
        json_write_member_str(w, STR("upstream"), id);
        rules_write(w, service);
        json_write_object_end(w);
}

static void listen_write(struct json_writer *w, struct str id, const struct json_value *service,
                         const struct wire_ports *ports, unsigned n, bool is_range)
{
        const char *udp = is_kind(service, STR("udp")) ? "udp:" : "";
        char text[2 * LISTEN_ADDRESS_TEXT_MAX];
        int len = snprintf(text, sizeof(text), "%s%.*s:%u", udp, STR_FMT(ports->before), ports->first + n);

        json_write_object_begin(w);
        json_write_member_str(w, STR("address"), (struct str){ text, (size_t)len });
        json_write_member_str(w, STR("upstream"), numbered(id, is_range ? n : NOT_NUMBERED, text));
        rules_write(w, service);
        json_write_object_end(w);
}

void service_listens_write(struct json_writer *w, struct str id, const struct json_value *service)
{
        const struct json_value *listen = json_find(service, STR("listen"));
        bool is_range = target_ports(service) > 1;

        for (size_t i = 0; i < listen->count; i++) {
                struct wire_ports ports;

                if (is_port_of_ours(json_item(listen, i), is_kind(service, STR("udp")), &ports))
                        for (unsigned n = 0; n < ports.count; n++)
                                listen_write(w, id, service, &ports, n, is_range);
        }
}
