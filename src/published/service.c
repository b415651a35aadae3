#include "published/service.h"

#include <stdio.h>

#include "io/listener.h"
#include "wire/document.h"

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

void service_upstream_write(struct json_writer *w, struct str id, const struct json_value *service)
{
        const struct json_value *targets = json_find(service, STR("targets"));
        const struct json_value *settings = json_find(service, STR("settings"));
        const struct json_value *balance = json_find(settings, STR("balance"));
        const struct json_value *idle =
                is_kind(service, STR("http")) ? NULL : json_find(settings, STR("idleTimeout"));

        json_write_key(w, id);
        json_write_object_begin(w);
        if (balance)
                json_write_member_raw(w, STR("balance"), balance->raw);
        json_write_key(w, STR("targets"));
        json_write_array_begin(w);
        for (size_t i = 0; json_is(targets, JSON_ARRAY) && i < targets->count; i++) {
                const struct json_value *target = json_item(targets, i);
                struct str agent = json_str(json_find(target, STR("agent")));
                struct str target_id = json_str(json_find(target, STR("id")));
                const struct json_value *weight = json_find(target, STR("weight"));
                char url[2 * WIRE_ID_MAX + 16];
                if (!wire_id_is_valid(agent) || !wire_id_is_valid(target_id))
                        continue;
                int n = snprintf(url, sizeof(url), "link://%.*s/%.*s", STR_FMT(agent), STR_FMT(target_id));
                json_write_object_begin(w);
                json_write_member_str(w, STR("url"), (struct str){ url, (size_t)n });
                if (weight)
                        json_write_member_raw(w, STR("weight"), weight->raw);
                json_write_object_end(w);
        }
        json_write_array_end(w);
        if (idle) {
                json_write_key(w, STR("timeouts"));
                json_write_object_begin(w);
                json_write_member_raw(w, STR("tunnel"), idle->raw);
                json_write_object_end(w);
        }
        json_write_object_end(w);
}

bool service_has_targets(const struct json_value *service)
{
        const struct json_value *targets = json_find(service, STR("targets"));

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

/* An IP address and one port: no file of this machine, and no range, whose ports the target would have to be told. */
static bool is_port_of_ours(const struct json_value *listen)
{
        struct listen_address a;

        return listen_address_parse(json_str(listen), &a) == ERR_OK && a.ip.family && a.port;
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

        if (!is_kind(service, STR("tcp")) || !json_is(listen, JSON_ARRAY) || listen->count == 0 ||
            !is_open(service))
                return false;
        for (size_t i = 0; i < listen->count; i++)
                if (!is_port_of_ours(json_item(listen, i)))
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
                                               STR_INIT("maxConnectionsPerAddress") };
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

void service_listens_write(struct json_writer *w, struct str id, const struct json_value *service)
{
        const struct json_value *listen = json_find(service, STR("listen"));

        for (size_t i = 0; i < listen->count; i++) {
                json_write_object_begin(w);
                json_write_member_str(w, STR("address"), json_str(json_item(listen, i)));
                json_write_member_str(w, STR("upstream"), id);
                rules_write(w, service);
                json_write_object_end(w);
        }
}
