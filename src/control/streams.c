#include "control/streams.h"

#include "base/units.h"
#include "json/reader.h"

enum { STREAMS_MAX = 1000000 };

enum setting { A_RATE, A_COUNT, A_DURATION, A_BALANCE };

static const struct {
        struct str name;
        enum setting is;
        const char *right;
} settings[] = {
        { STR_INIT("rateLimit"), A_RATE, "new connections of one address in a time, as \"10/s\"" },
        { STR_INIT("maxConnections"), A_COUNT, "a number from 0 (no limit) to 1000000" },
        { STR_INIT("maxConnectionsPerAddress"), A_COUNT, "a number from 0 (no limit) to 1000000" },
        { STR_INIT("idleTimeout"), A_DURATION, "a time such as \"60s\", from 1s to 24h" },
        { STR_INIT("balance"), A_BALANCE, "two-choices, round-robin, least-requests or hash" },
};

static bool is_stream(enum store_service_kind kind)
{
        return kind == STORE_SERVICE_TCP || kind == STORE_SERVICE_UDP || kind == STORE_SERVICE_PASSTHROUGH;
}

static bool is_right(enum setting is, const struct json_value *v)
{
        struct units_rate rate;
        int64_t number;

        switch (is) {
        case A_RATE: return json_is(v, JSON_STRING) && units_parse_rate(json_str(v), &rate) == ERR_OK;
        case A_COUNT: return json_get_int64(v, &number) == ERR_OK && number >= 0 && number <= STREAMS_MAX;
        case A_DURATION:
                return json_is(v, JSON_STRING) && units_parse_duration(json_str(v), &number) == ERR_OK &&
                       number >= 1000 && number <= 24 * 60 * 60 * 1000;
        case A_BALANCE:
                return str_eq(json_str(v), STR("two-choices")) || str_eq(json_str(v), STR("round-robin")) ||
                       str_eq(json_str(v), STR("least-requests")) || str_eq(json_str(v), STR("hash"));
        }
        return false;
}

static enum err setting_check(struct api_call *c, struct str name, const struct json_value *v)
{
        for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
                if (!str_eq(settings[i].name, name))
                        continue;
                return is_right(settings[i].is, v)
                               ? ERR_OK
                               : api_fail(c, 400, NULL, "\"settings\".\"%.*s\": write %s.", STR_FMT(name),
                                          settings[i].right);
        }
        return api_fail(
                c, 400, NULL,
                "\"settings\" of such a service has no \"%.*s\": there are rateLimit, maxConnections, "
                "maxConnectionsPerAddress, idleTimeout and balance.",
                STR_FMT(str_sub(name, 0, 100)));
}

/* The members of an object, each looked at; absent is fine. */
static enum err members_check(struct api_call *c, struct str json,
                              enum err (*check)(struct api_call *c, struct str name,
                                                const struct json_value *v))
{
        const struct json_value *root = NULL;
        enum err e = json.len ? json_read_strict(&c->work, json, NULL, &root) : ERR_OK;

        if (e == ERR_OK && root && !json_is(root, JSON_NULL) && !json_is(root, JSON_OBJECT))
                return api_fail(c, 400, NULL, "\"settings\" must be an object.");
        for (size_t i = 0; e == ERR_OK && json_is(root, JSON_OBJECT) && i < root->count; i++)
                e = check(c, root->members[i].key, &root->members[i].value);
        return e;
}

enum err stream_service_check(struct api_call *c, const struct object_service *o,
                              enum store_service_kind kind)
{
        if (!is_stream(kind))
                return ERR_OK;
        if (o->access.kind.len && !str_eq(o->access.kind, STR("public")))
                return api_fail(
                        c, 400, NULL,
                        "Bytes bring no key along, so \"%.*s\" cannot be asked of who connects: leave access "
                        "\"public\" and name addresses in \"allowed_ips\".",
                        STR_FMT(o->access.kind));
        if (o->path.len && !str_eq(o->path, STR("/")))
                return api_fail(c, 400, NULL,
                                "\"path\" is for services of kind http: here no path is ever seen.");
        return members_check(c, o->settings, setting_check);
}

static enum err target_setting_check(struct api_call *c, struct str name, const struct json_value *v)
{
        struct str word = json_str(v);

        if (!str_eq(name, STR("proxyProtocol")))
                return api_fail(c, 400, NULL,
                                "\"settings\" of such a target has no \"%.*s\": there is proxyProtocol.",
                                STR_FMT(str_sub(name, 0, 100)));
        if (str_eq(word, STR("off")) || str_eq(word, STR("v1")) || str_eq(word, STR("v2")))
                return ERR_OK;
        return api_fail(c, 400, NULL, "\"proxyProtocol\" is one of off, v1 and v2.");
}

enum err stream_target_check(struct api_call *c, const struct object_target *o, enum store_service_kind kind)
{
        if (!is_stream(kind))
                return ERR_OK;
        return members_check(c, o->settings, target_setting_check);
}
