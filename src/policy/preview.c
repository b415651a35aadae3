#include "policy/preview.h"

#include <stdio.h>

#include "policy/decide.h"

/* "tag:web:443", "tag:web:tcp:80-90", "service:wiki": the destinations of a rule with what it opens there. */
static void ports_write(const struct policy_unit *u, struct json_writer *out)
{
        char text[600];

        json_write_array_begin(out);
        for (size_t i = 0; i < policy_unit_dst_count(u); i++) {
                struct str dst = policy_unit_dst(u, i)->text;

                dst = str_sub(dst, 0, 512);
                if (policy_alias_is_upward(policy_unit_dst(u, i)))
                        json_write_str(out, dst);
                for (size_t j = 0; j < u->ports_count; j++) {
                        const struct policy_ports *p = &u->ports[j];
                        const char *proto = policy_proto_name(p->proto);

                        for (size_t k = 0; k < p->count; k++) {
                                char port[32] = "*", number[16] = "";

                                if (p->proto != POLICY_PROTO_ANY)
                                        snprintf(number, sizeof(number), "%d", p->proto);
                                if (p->ranges[k].first == p->ranges[k].last)
                                        snprintf(port, sizeof(port), "%u", p->ranges[k].first);
                                else if (p->ranges[k].first || p->ranges[k].last != POLICY_PORT_MAX)
                                        snprintf(port, sizeof(port), "%u-%u", p->ranges[k].first,
                                                 p->ranges[k].last);
                                snprintf(text, sizeof(text), "%.*s:%s%s%s", STR_FMT(dst),
                                         proto ? proto : number, proto || number[0] ? ":" : "", port);
                                json_write_str(out, str_of(text));
                        }
                }
        }
        json_write_array_end(out);
}

static void match_write(const struct policy_unit *u, struct json_writer *out)
{
        json_write_object_begin(out);
        json_write_key(out, STR("users"));
        json_write_array_begin(out);
        for (size_t i = 0; i < u->rule->src.count; i++)
                json_write_str(out, u->rule->src.items[i].text);
        json_write_array_end(out);
        json_write_key(out, STR("ports"));
        ports_write(u, out);
        json_write_member_uint(out, STR("lineNumber"), u->rule->at.line);
        json_write_object_end(out);
}

static bool ipport_read(struct str text, struct ip *ip, uint16_t *port)
{
        struct str host, port_text;
        uint64_t number;

        if (policy_destination_split(policy_text_trim(text), &host, &port_text))
                return false;
        struct policy_alias a = policy_alias_parse(host, 0, 0);
        if (a.kind != ALIAS_PREFIX || units_parse_u64(port_text, POLICY_PORT_MAX, &number) != ERR_OK)
                return false;
        *ip = a.prefix.ip;
        *port = (uint16_t)number;
        return true;
}

/* Whether the unit ends at that address, from whomever. */
static bool ends_at(const struct policy_tables *t, uint32_t n, struct ip ip, uint16_t port)
{
        const struct policy_unit *u = &t->units->items[n];
        const struct policy_address *a = policy_tables_find_address(t, ip);

        if (!policy_unit_takes_port(u, PROTO_TCP, port) && !policy_unit_takes_port(u, PROTO_UDP, port))
                return false;
        return a ? policy_set_has(a->dst, n) : policy_unit_takes_dst(t, n, (struct ip){ 0 }, ip);
}

enum err policy_preview(const struct policy_tables *t, enum policy_preview_type type, struct str preview_for,
                        struct json_writer *out)
{
        const struct policy_user *user = policy_facts_find_user(t->facts, preview_for);
        const struct policy_class *class = user ? policy_tables_find_user(t, user)->class : NULL;
        uint16_t port = 0;
        struct ip ip = { 0 };

        if (type == PREVIEW_USER && !user)
                return ERR_NOT_FOUND;
        if (type == PREVIEW_IPPORT && !ipport_read(preview_for, &ip, &port))
                return ERR_MALFORMED;
        json_write_object_begin(out);
        json_write_key(out, STR("matches"));
        json_write_array_begin(out);
        for (uint32_t n = 0; n < t->units->count; n++)
                if (type == PREVIEW_USER ? policy_set_has(class->asker, n) : ends_at(t, n, ip, port))
                        match_write(&t->units->items[n], out);
        json_write_array_end(out);
        json_write_member_str(out, STR("type"), type == PREVIEW_USER ? STR("user") : STR("ipport"));
        json_write_member_str(out, STR("previewFor"), preview_for);
        json_write_object_end(out);
        return ERR_OK;
}
