#include "control/streams.h"

#include "base/units.h"
#include "io/listener.h"
#include "wire/ports.h"
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
        for (size_t i = 0; e == ERR_OK && root && json_is(root, JSON_OBJECT) && i < root->count; i++)
                e = check(c, root->members[i].key, &root->members[i].value);
        return e;
}

enum err stream_ports_check(struct api_call *c, const struct schema_texts *listen, struct str url)
{
        struct wire_ports to, at;

        if (wire_ports_parse(url, &to) != ERR_OK || to.count == 1)
                return ERR_OK;
        for (size_t i = 0; i < listen->count; i++)
                if (wire_ports_parse(listen->items[i], &at) != ERR_OK || at.count != to.count)
                        return api_fail(
                                c, 400, NULL,
                                "The target %.*s has %u ports, and %.*s has %u: write as many, or one port for the "
                                "target.",
                                STR_FMT(url), to.count, STR_FMT(listen->items[i]), at.count);
        return ERR_OK;
}

/* The addresses, whatever the ports are. */
static bool address_overlaps(struct str a, struct str b, bool is_datagram, struct arena *arena)
{
        struct listen_address first, second;
        const char *udp = is_datagram ? "udp:" : "";

        return listen_address_parse(arena_format(arena, "%s%.*s:1", udp, STR_FMT(a)), &first) == ERR_OK &&
               listen_address_parse(arena_format(arena, "%s%.*s:1", udp, STR_FMT(b)), &second) == ERR_OK &&
               listen_address_overlaps(&first, &second);
}

bool stream_listens_overlap(const struct schema_texts *a, const struct schema_texts *b, bool is_datagram,
                            struct str *mine, struct str *theirs)
{
        struct wire_ports one, other;
        struct arena arena;
        bool found = false;

        arena_init(&arena, NULL, 0, 1 << 20);
        for (size_t i = 0; i < a->count && !found; i++)
                for (size_t j = 0; j < b->count && !found; j++) {
                        found = wire_ports_parse(a->items[i], &one) == ERR_OK &&
                                wire_ports_parse(b->items[j], &other) == ERR_OK &&
                                wire_ports_overlap(&one, &other) &&
                                address_overlaps(one.before, other.before, is_datagram, &arena);
                        *mine = a->items[i];
                        *theirs = b->items[j];
                }
        arena_fini(&arena);
        return found;
}

size_t stream_ports_count(const struct schema_texts *listen)
{
        struct wire_ports ports;
        size_t count = 0;

        for (size_t i = 0; i < listen->count; i++)
                count += wire_ports_parse(listen->items[i], &ports) == ERR_OK ? ports.count : 0;
        return count;
}

/* Within one service no port stands twice, a socket of datagrams is of one family, and targets that are ranges fit. */
static enum err listens_check(struct api_call *c, const struct object_service *o, bool is_datagram)
{
        const struct object_target *targets = o->targets.items;
        enum err e = ERR_OK;

        for (size_t i = 0; i < o->listen.count; i++) {
                struct schema_texts one = { &o->listen.items[i], 1 },
                                    rest = { &o->listen.items[i + 1], o->listen.count - i - 1 };
                struct str mine, theirs;

                if (is_datagram && str_has_prefix(one.items[0], STR(":")))
                        return api_fail(
                                c, 400, NULL,
                                "\"%.*s\": a socket of datagrams has one family; write 0.0.0.0%.*s, [::]%.*s or both.",
                                STR_FMT(one.items[0]), STR_FMT(one.items[0]), STR_FMT(one.items[0]));
                if (stream_listens_overlap(&one, &rest, is_datagram, &mine, &theirs))
                        return api_fail(c, 400, NULL,
                                        "\"listen\" has %.*s and %.*s, which are partly the same.",
                                        STR_FMT(mine), STR_FMT(theirs));
        }
        for (size_t i = 0; i < o->targets.count && e == ERR_OK; i++)
                e = stream_ports_check(c, &o->listen, targets[i].url);
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
        enum err e =
                kind == STORE_SERVICE_PASSTHROUGH ? ERR_OK : listens_check(c, o, kind == STORE_SERVICE_UDP);

        return e == ERR_OK ? members_check(c, o->settings, setting_check) : e;
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

static enum err datagram_setting_check(struct api_call *c, struct str name, const struct json_value *v)
{
        enum err e = target_setting_check(c, name, v);

        return e == ERR_OK && str_eq(json_str(v), STR("v1"))
                       ? api_fail(c, 400, NULL, "\"proxyProtocol\": v1 has no form for datagrams; write v2.")
                       : e;
}

enum err stream_target_check(struct api_call *c, const struct object_target *o, enum store_service_kind kind)
{
        struct wire_ports ports;

        if (!is_stream(kind))
                return ERR_OK;
        if (kind == STORE_SERVICE_PASSTHROUGH && wire_ports_parse(o->url, &ports) == ERR_OK &&
            ports.count > 1)
                return api_fail(c, 400, NULL, "The target %.*s is a range of ports, and a name has none.",
                                STR_FMT(o->url));
        return members_check(c, o->settings,
                             kind == STORE_SERVICE_UDP ? datagram_setting_check : target_setting_check);
}
