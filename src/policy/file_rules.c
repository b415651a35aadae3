/* The sections that open the network: acls and grants. */
#include <stdio.h>
#include <string.h>

#include "policy/read_priv.h"

/* One entry while it is read: what needs other members of it is put together at the end. */
struct rule_draft {
        struct policy_rule rule;
        const char *what;
        const struct json_value *dst, *posture, *app, *ip, *via, *when;
        struct str action;
        const struct json_value *action_at, *proto_at;
        bool has_action;
        int16_t proto;
};

static void src_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_read_aliases(r, v, "src", &((struct rule_draft *)into)->rule.src);
}

static void dst_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        ((struct rule_draft *)into)->dst = v;
}

static void posture_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        ((struct rule_draft *)into)->posture = v;
}

static void app_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct rule_draft *draft = into;

        if (!policy_read_is(r, v, JSON_OBJECT, "app"))
                return;
        for (size_t i = 0; i < v->count; i++)
                if (!json_is(&v->members[i].value, JSON_ARRAY) && !json_is(&v->members[i].value, JSON_NULL))
                        policy_fault(r, &v->members[i].value,
                                     "a capability holds an array of its parameters, such as [{}], not %s",
                                     json_type_text(v->members[i].value.type));
        draft->rule.app = v->count ? v : NULL;
}

static void ip_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        ((struct rule_draft *)into)->ip = v;
}

static void via_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_read_aliases(r, v, "via", &((struct rule_draft *)into)->rule.via);
}

static void when_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        ((struct rule_draft *)into)->when = v;
}

static void action_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct rule_draft *draft = into;

        draft->has_action = policy_read_is(r, v, JSON_STRING, "action");
        draft->action = json_str(v);
        draft->action_at = v;
}

static void proto_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct rule_draft *draft = into;
        const char *why;

        draft->proto_at = v;
        if (!policy_read_is(r, v, JSON_STRING, "proto") || json_str(v).len == 0)
                return;
        if (policy_proto_parse(json_str(v), &draft->proto, &why) != ERR_OK)
                policy_fault(r, v, "proto name \"%.*s\" %s", (int)MIN(v->text.len, (size_t)64), v->text.ptr,
                             why);
}

/* ---- acls ---- */

static const struct policy_member acl_members[] = {
        { STR_INIT("action"), action_read },
        { STR_INIT("src"), src_read },
        { STR_INIT("dst"), dst_read },
        { STR_INIT("proto"), proto_read },
        { STR_INIT("users"), src_read }, /* legacy */
        { STR_INIT("ports"), dst_read }, /* legacy */
        { STR_INIT("srcPosture"), posture_read },
};

static void target_read(struct policy_reader *r, struct rule_draft *draft, const struct json_value *v)
{
        struct policy_target *t = &draft->rule.targets[draft->rule.targets_count];
        struct str host, ports;
        const char *why;

        if (!json_is(v, JSON_STRING)) {
                policy_fault(r, v, "dst must hold HOST:PORTS texts, not %s", json_type_text(v->type));
                return;
        }
        struct str text = policy_text_trim(json_str(v));
        struct str shown = str_sub(text, 0, 128);
        if ((why = policy_destination_split(text, &host, &ports))) {
                policy_fault(r, v, "dst=\"%.*s\": %s", STR_FMT(shown), why);
                return;
        }
        enum err e = policy_ports_parse(r->arena, ports, &t->ports, &why);
        if (e == ERR_NO_MEMORY)
                r->no_memory = true;
        if (e != ERR_OK) {
                policy_fault(r, v, "dst=\"%.*s\": port range \"%.*s\": %s", STR_FMT(shown),
                             (int)MIN(ports.len, (size_t)64), ports.ptr, why);
                return;
        }
        t->ports.proto = draft->proto;
        if (!policy_proto_has_ports(draft->proto) && !policy_ports_is_any(&t->ports)) {
                const char *name = policy_proto_name(draft->proto);

                policy_fault(r, v, "protocol \"%s\" does not support specific ports, only \"*\" is allowed",
                             name ? name : json_str(draft->proto_at).ptr);
        }
        t->alias = policy_alias_parse(host, v->line, v->column);
        draft->rule.targets_count++;
}

static void acl_read(struct policy_reader *r, const struct json_value *v, struct rule_draft *draft)
{
        policy_read_object(r, v, draft->what, acl_members, ARRAY_SIZE(acl_members), draft);
        if (!draft->has_action)
                policy_fault(r, v, "%s: action must be specified; it is \"accept\"", draft->what);
        else if (!str_eq(draft->action, STR("accept")))
                policy_fault(r, draft->action_at,
                             "action=\"%.*s\" is not supported; the only action is \"accept\"",
                             (int)MIN(draft->action.len, (size_t)64), draft->action.ptr);
        if (!policy_read_is(r, draft->dst, JSON_ARRAY, "dst") ||
            !(draft->rule.targets = READ_ARRAY(r, struct policy_target, draft->dst->count)))
                return;
        for (size_t i = 0; i < draft->dst->count; i++)
                target_read(r, draft, &draft->dst->items[i]);
}

/* ---- grants ---- */

static const struct policy_member grant_members[] = {
        { STR_INIT("src"), src_read },   { STR_INIT("dst"), dst_read },
        { STR_INIT("ip"), ip_read },     { STR_INIT("app"), app_read },
        { STR_INIT("via"), via_read },   { STR_INIT("srcPosture"), posture_read },
        { STR_INIT("when"), when_read },
};

/* "*", "443", "80-90,443", "tcp:443", "icmp:*", "17:53" */
static void ip_line_read(struct policy_reader *r, struct rule_draft *draft, const struct json_value *v)
{
        struct policy_ports *p = &draft->rule.ip[draft->rule.ip_count];
        int16_t proto = POLICY_PROTO_ANY;
        const char *why;

        if (!json_is(v, JSON_STRING)) {
                policy_fault(r, v, "ip must hold texts such as \"tcp:443\", not %s", json_type_text(v->type));
                return;
        }
        struct str text = policy_text_trim(json_str(v)), ports = text;
        size_t colon = str_find_char(text, ':');
        if (colon != STR_NONE) {
                struct str name = str_sub(text, 0, colon);

                ports = str_from(text, colon + 1);
                if (str_find_char(ports, ':') != STR_NONE) {
                        policy_fault(r, v,
                                     "\"%.*s\": expected only one colon in Internet protocol and port type",
                                     (int)MIN(text.len, (size_t)64), text.ptr);
                        return;
                }
                if (!str_eq(name, STR("*")) && policy_proto_parse(name, &proto, &why) != ERR_OK) {
                        policy_fault(r, v, "proto name \"%.*s\" %s", (int)MIN(name.len, (size_t)64), name.ptr,
                                     why);
                        return;
                }
        }
        enum err e = policy_ports_parse(r->arena, ports, p, &why);
        if (e == ERR_NO_MEMORY)
                r->no_memory = true;
        if (e != ERR_OK) {
                policy_fault(r, v, "port range \"%.*s\": %s", (int)MIN(ports.len, (size_t)64), ports.ptr,
                             why);
                return;
        }
        if (!policy_proto_has_ports(proto) && !policy_ports_is_any(p))
                report_warning(r->report, v->line, v->column,
                               "\"%.*s\": this protocol has no ports; write \":*\" after it",
                               (int)MIN(text.len, (size_t)64), text.ptr);
        p->proto = proto;
        draft->rule.ip_count++;
}

/* The limits of an upward grant; each object is a way in of its own. */
static void limits_read(struct policy_reader *r, struct policy_rule *rule)
{
        const struct json_value *list = json_find(rule->app, STR(POLICY_CAP_LIMITS));

        if (!list || !policy_read_is(r, list, JSON_ARRAY, POLICY_CAP_LIMITS) ||
            !(rule->limits = READ_ARRAY(r, const struct policy_limits *, list->count)))
                return;
        if (!list->count)
                policy_fault(r, list, POLICY_CAP_LIMITS " holds no limits; leave it out to set none");
        for (size_t i = 0; i < list->count; i++)
                if ((rule->limits[rule->limits_count] =
                             policy_limits_read(r->arena, &list->items[i], r->report)))
                        rule->limits_count++;
}

static void grant_read(struct policy_reader *r, const struct json_value *v, struct rule_draft *draft)
{
        policy_read_object(r, v, draft->what, grant_members, ARRAY_SIZE(grant_members), draft);
        policy_read_aliases(r, draft->dst, "dst", &draft->rule.dst);
        if (policy_read_is(r, draft->ip, JSON_ARRAY, "ip") &&
            (draft->rule.ip = READ_ARRAY(r, struct policy_ports, draft->ip->count)))
                for (size_t i = 0; i < draft->ip->count; i++)
                        ip_line_read(r, draft, &draft->ip->items[i]);
        limits_read(r, &draft->rule);
        if (draft->when) {
                draft->rule.when = policy_when_read(r->arena, draft->when, r->report);
                r->file->is_upward = true;
        }
}

/* ---- both ---- */

void policy_read_posture_names(struct policy_reader *r, const struct json_value *v, uint32_t **out,
                               size_t *count)
{
        struct str *names;
        size_t names_count;

        *count = 0;
        if (!v)
                return;
        policy_read_texts(r, v, "srcPosture", &names, &names_count);
        if (!names_count || !(*out = READ_ARRAY(r, uint32_t, names_count)))
                return;
        for (size_t i = 0; i < names_count; i++) {
                const struct policy_posture *p = policy_file_find_posture(r->file, names[i]);

                if (p)
                        (*out)[(*count)++] = (uint32_t)(p - r->file->postures);
                else
                        policy_fault(r, v, "posture not found: \"%.*s\"", (int)MIN(names[i].len, (size_t)64),
                                     names[i].ptr);
        }
}

/* Rules of one section, appended after those of the other. */
static void rules_read(struct policy_reader *r, const struct json_value *v, enum policy_rule_kind kind,
                       const char *section)
{
        struct policy_file *f = r->file;

        if (!policy_read_is(r, v, JSON_ARRAY, section))
                return;
        if (v->count > POLICY_RULES_MAX) {
                policy_fault(r, v, "%s has %zu entries; the limit is %d", section, v->count,
                             POLICY_RULES_MAX);
                return;
        }
        struct policy_rule *rules = READ_ARRAY(r, struct policy_rule, f->rules_count + v->count);
        if (!rules)
                return;
        if (f->rules_count)
                memcpy(rules, f->rules, f->rules_count * sizeof(*rules));
        f->rules = rules;
        for (size_t i = 0; i < v->count && !r->no_memory; i++) {
                char what[32];
                struct rule_draft draft = { .what = what, .proto = POLICY_PROTO_ANY };

                snprintf(what, sizeof(what), "%s[%zu]", section, i);
                draft.rule.kind = kind;
                draft.rule.at = policy_place_of(&v->items[i]);
                draft.rule.index = (uint32_t)i;
                if (kind == POLICY_ACL)
                        acl_read(r, &v->items[i], &draft);
                else
                        grant_read(r, &v->items[i], &draft);
                policy_read_posture_names(r, draft.posture, &draft.rule.src_posture,
                                          &draft.rule.src_posture_count);
                rules[f->rules_count++] = draft.rule;
        }
}

void policy_read_acls(struct policy_reader *r, void *into, const struct json_value *v)
{
        r->file->has_acls = true;
        rules_read(r, v, POLICY_ACL, "acls");
}

void policy_read_grants(struct policy_reader *r, void *into, const struct json_value *v)
{
        r->file->has_grants = true;
        rules_read(r, v, POLICY_GRANT, "grants");
        r->file->grants_count = r->file->rules_count;
}
