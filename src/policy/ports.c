#include "policy/ports.h"

#include "base/units.h"

static const struct {
        const char *name;
        int16_t number;
} protos[] = {
        { "icmp", 1 }, { "igmp", 2 },       { "ipv4", 4 },   { "ip-in-ip", 4 }, { "tcp", 6 },
        { "egp", 8 },  { "igp", 9 },        { "udp", 17 },   { "gre", 47 },     { "esp", 50 },
        { "ah", 51 },  { "ipv6-icmp", 58 }, { "sctp", 132 }, { "fc", 133 },
};

static const struct policy_port_range any_port = { 0, POLICY_PORT_MAX };

bool policy_ports_is_any(const struct policy_ports *p)
{
        return p->count == 1 && p->ranges[0].first == 0 && p->ranges[0].last == POLICY_PORT_MAX;
}

bool policy_ports_is_single(const struct policy_ports *p)
{
        return p->count == 1 && p->ranges[0].first == p->ranges[0].last;
}

bool policy_ports_allow(const struct policy_ports *p, uint16_t port)
{
        for (size_t i = 0; i < p->count; i++)
                if (port >= p->ranges[i].first && port <= p->ranges[i].last)
                        return true;
        return false;
}

bool policy_ports_proto_allows(const struct policy_ports *p, int16_t proto)
{
        if (p->proto == POLICY_PROTO_ANY)
                return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_ICMP ||
                       proto == PROTO_ICMP6;
        return p->proto == proto;
}

static bool port_parse(struct str text, uint16_t *out)
{
        uint64_t port;

        if (units_parse_u64(text, POLICY_PORT_MAX, &port) != ERR_OK)
                return false;
        *out = (uint16_t)port;
        return true;
}

static const char *range_parse(struct str text, struct policy_port_range *out)
{
        size_t dash = str_find_char(text, '-');

        if (!port_parse(str_sub(text, 0, dash), &out->first))
                return "invalid first integer";
        if (dash == STR_NONE) {
                out->last = out->first;
                return out->first == 0 ? "first port must be >0, or use '*' for wildcard" : NULL;
        }
        if (!port_parse(str_from(text, dash + 1), &out->last))
                return "invalid last integer";
        return out->first > out->last ? "first port is greater than last port" : NULL;
}

enum err policy_ports_parse(struct arena *arena, struct str text, struct policy_ports *out, const char **why)
{
        size_t count = 1;

        if (str_eq(text, STR("*"))) {
                *out = (struct policy_ports){ POLICY_PROTO_ANY, 1, &any_port };
                return ERR_OK;
        }
        for (size_t i = 0; i < text.len; i++)
                count += text.ptr[i] == ',';
        if (count > POLICY_PORT_RANGES_MAX) {
                *why = "more than 1024 ports and ranges";
                return ERR_MALFORMED;
        }
        struct policy_port_range *ranges = ARENA_ARRAY(arena, struct policy_port_range, count);
        if (!ranges)
                return ERR_NO_MEMORY;
        struct str rest = text, part;
        size_t n = 0;
        if (!rest.ptr)
                rest.ptr = "";
        while (n < count && str_split(&rest, ',', &part))
                if ((*why = range_parse(part, &ranges[n++])))
                        return ERR_MALFORMED;
        *out = (struct policy_ports){ POLICY_PROTO_ANY, (uint16_t)n, ranges };
        return ERR_OK;
}

enum err policy_proto_parse(struct str text, int16_t *out, const char **why)
{
        uint64_t number;

        for (size_t i = 0; i < ARRAY_SIZE(protos); i++)
                if (str_eq_nocase(text, str_of(protos[i].name))) {
                        *out = protos[i].number;
                        return ERR_OK;
                }
        *why = "not known; use protocol number 0-255 or protocol name (icmp, tcp, udp, etc.)";
        if (text.len > 0 && text.ptr[0] == '0' && units_parse_u64(text, 255, &number) == ERR_OK) {
                *why = "leading 0 not permitted in protocol number";
                return ERR_MALFORMED;
        }
        if (units_parse_u64(text, 255, &number) != ERR_OK)
                return ERR_MALFORMED;
        *out = (int16_t)number;
        return ERR_OK;
}

const char *policy_proto_name(int16_t proto)
{
        for (size_t i = 0; i < ARRAY_SIZE(protos); i++)
                if (protos[i].number == proto)
                        return protos[i].name;
        return NULL;
}

bool policy_proto_has_ports(int16_t proto)
{
        return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_SCTP || proto == POLICY_PROTO_ANY;
}
