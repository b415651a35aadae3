/* Questions as people write them, and explanations as people read them. */
#include <stdio.h>

#include "policy/explain_priv.h"
#include "policy/test_priv.h"
#include "json/writer.h"

/* ---- questions ---- */

/* "5432", "53/udp", "icmp" behind the last colon. */
static const char *port_read(struct str text, int16_t *proto, uint16_t *port)
{
        size_t slash = str_find_char(text, '/');
        const char *why;
        uint64_t number;

        *proto = PROTO_TCP;
        *port = 0;
        if (slash != STR_NONE && policy_proto_parse(str_from(text, slash + 1), proto, &why) != ERR_OK)
                return "the protocol after the / is not known";
        if (slash == STR_NONE && text.len && !ascii_is_digit(text.ptr[0]) &&
            policy_proto_parse(text, proto, &why) == ERR_OK)
                return NULL;
        if (units_parse_u64(str_sub(text, 0, slash), POLICY_PORT_MAX, &number) != ERR_OK)
                return "the port is no number up to 65535";
        *port = (uint16_t)number;
        return NULL;
}

/* A machine by id or name, else whatever a test could name. Gives one address of the wanted family, if there is one. */
const char *policy_explain_end(const struct policy_tables *t, struct arena *arena, struct str text,
                               uint8_t family, struct ip *out)
{
        const struct policy_node *node = policy_facts_find_node(t->facts, text);
        struct policy_end end;
        const char *why;

        *out = (struct ip){ 0 };
        if (node) {
                for (size_t i = node->addresses_count; i-- > 0;)
                        if (!out->family || node->addresses[i].family == family || !family)
                                *out = node->addresses[i];
                return out->family ? NULL : "this machine has no address";
        }
        if ((why = policy_end_find(t, arena, policy_alias_parse(text, 0, 0), &end)))
                return why;
        for (size_t i = end.count; i-- > 0;)
                if (!out->family || end.spots[i].range.first.family == family || !family)
                        *out = end.spots[i].range.first;
        return out->family ? NULL : "it stands for no one machine";
}

static const char *asker_read(const struct policy_tables *t, const struct json_value *v,
                              struct policy_asker *out)
{
        struct str address = json_str(json_find(v, STR("address"))),
                   time = json_str(json_find(v, STR("time"))), auth = json_str(json_find(v, STR("auth")));

        *out = (struct policy_asker){ .now = t->facts->now, .auth = AUTH_SSO };
        out->country = json_str(json_find(v, STR("country")));
        out->method = json_str(json_find(v, STR("method")));
        out->path = json_str(json_find(v, STR("path")));
        if (address.len && ip_parse(address, &out->address) != ERR_OK)
                return "address is no address";
        if (time.len && units_parse_time(time, &out->now) != ERR_OK)
                return "time is no time; write it like 2027-01-31T09:00:00Z";
        if (auth.len && !policy_auth_find(auth, &out->auth))
                return "auth is none of none, token, password, sso, mfa, hardware";
        return NULL;
}

static const char *use_explain(const struct policy_tables *t, struct str from, const struct policy_alias *to,
                               const struct json_value *context, struct policy_explanation *e)
{
        const struct policy_user *user = policy_facts_find_user(t->facts, from);
        const struct policy_node *node = user ? NULL : policy_facts_find_node(t->facts, from);
        struct policy_resource what = { .kind = to->kind, .name = to->name };
        struct policy_principal who = { 0 };
        struct policy_asker asker;
        const char *why = asker_read(t, context, &asker);

        if (why)
                return why;
        if (to->kind == ALIAS_SERVICE && t->facts->services_count &&
            !policy_facts_find_service(t->facts, to->name))
                return "there is no such service";
        if (user) {
                who.class = policy_tables_find_user(t, user)->class;
        } else if (node) {
                who.class = policy_tables_find_node(t, node)->class;
                who.attrs = &node->attrs;
        } else if (!str_eq(from, STR("anonymous"))) {
                return "from is no user and no machine; write \"anonymous\" for a stranger";
        }
        policy_explain_use(t, &who, from, &asker, &what, e);
        return NULL;
}

static const char *flow_explain(const struct policy_tables *t, struct str from, struct str to,
                                struct policy_explanation *e)
{
        struct policy_question q = { 0 };
        struct str host, port;
        const char *why;

        if ((why = policy_destination_split(to, &host, &port)) ||
            (why = port_read(port, &q.proto, &q.port)) ||
            (why = policy_explain_end(t, &e->arena, from, 0, &q.src)) ||
            (why = policy_explain_end(t, &e->arena, host, q.src.family, &q.dst)))
                return why;
        policy_explain_flow(t, &q, e);
        return NULL;
}

/* The machine, person, host or service whose name is nearest to an end that nothing is called; or empty. */
static struct str end_nearest(const struct policy_tables *t, struct arena *arena, struct str end)
{
        const struct policy_facts *f = t->facts;
        const struct policy_file *file = t->units->file;
        struct policy_alias a = policy_alias_parse(end, 0, 0);
        struct str *names =
                ARENA_ARRAY(arena, struct str,
                            f->nodes_count + f->users_count + f->services_count + file->hosts_count + 1);
        size_t count = 0;

        if (!names || policy_facts_find_node(f, end) || policy_facts_find_user(f, end))
                return STR_NULL;
        for (size_t i = 0; a.kind == ALIAS_SERVICE && i < f->services_count; i++)
                names[count++] = f->services[i].name;
        for (size_t i = 0; a.kind == ALIAS_HOST && i < f->nodes_count; i++)
                names[count++] = f->nodes[i]->name;
        for (size_t i = 0; a.kind == ALIAS_HOST && i < file->hosts_count; i++)
                names[count++] = file->hosts[i].name;
        for (size_t i = 0; a.kind == ALIAS_USER && i < f->users_count; i++)
                names[count++] = f->users[i]->email;
        return report_nearest(a.name, names, count);
}

struct str policy_explain_why(const struct policy_tables *t, struct policy_explanation *e, struct str from,
                              struct str to, const char *text)
{
        struct str host, ports, near = end_nearest(t, &e->arena, from);

        if (!near.len)
                near = end_nearest(t, &e->arena, to);
        if (!near.len && !policy_destination_split(to, &host, &ports))
                near = end_nearest(t, &e->arena, host);
        struct str hint =
                near.len ? arena_format(&e->arena, "; did you mean \"%.*s\"?", STR_FMT(near)) : STR("");
        return arena_format(&e->arena, "from \"%.*s\" to \"%.*s\": %s%.*s", (int)MIN(from.len, (size_t)128),
                            from.ptr, (int)MIN(to.len, (size_t)128), to.ptr, text, STR_FMT(hint));
}

enum err policy_explain(const struct policy_tables *t, struct str from, struct str to,
                        const struct json_value *context, struct policy_explanation *out, struct str *why)
{
        struct policy_alias a = policy_alias_parse(to, 0, 0);

        policy_explanation_init(out);
        const char *text = policy_alias_is_upward(&a) ? use_explain(t, from, &a, context, out)
                                                      : flow_explain(t, from, to, out);
        if (!text)
                return out->no_memory ? ERR_NO_MEMORY : ERR_OK;
        *why = policy_explain_why(t, out, from, to, text);
        return ERR_CONFIG;
}

/* ---- answers ---- */

/* "grants[3]", "ssh[0]", "default". */
static struct str considered_label(const struct policy_considered *c, char out[32])
{
        if (!c->ssh)
                return c->rule->at.line ? policy_rule_label(c->rule, out) : STR("default");
        snprintf(out, 32, "ssh[%u]", c->ssh->index);
        return str_of(out);
}

static uint32_t considered_line(const struct policy_considered *c)
{
        return c->ssh ? c->ssh->at.line : c->rule->at.line;
}

static void rule_name(const struct policy_considered *c, struct buf *out)
{
        char label[32];

        if (!considered_line(c))
                buf_add(out, STR("no acls and no grants in the file: everything is allowed"));
        else
                buf_addf(out, "%.*s, line %u", STR_FMT(considered_label(c, label)), considered_line(c));
}

void policy_explanation_print(const struct policy_explanation *e, struct buf *out)
{
        buf_addf(out, "%s: %.*s to %.*s%s%.*s\n", e->is_allowed ? "allowed" : "refused", STR_FMT(e->src),
                 STR_FMT(e->dst), e->port.len ? " " : "", STR_FMT(e->port));
        if (!e->is_allowed)
                buf_add(out, e->rules_count ? STR("no rule allows it; the nearest:\n")
                                            : STR("no rule comes near it\n"));
        for (size_t i = 0; i < e->rules_count; i++) {
                const struct policy_considered *c = &e->rules[i];

                buf_add(out, c->decides ? STR("by ") : STR("  "));
                rule_name(c, out);
                buf_add_char(out, '\n');
                for (size_t j = 0; j < c->findings_count; j++) {
                        const struct policy_finding *f = &c->findings[j];

                        buf_addf(out, "    %s %.*s: %.*s; here %.*s\n", f->holds ? "yes" : "NO ",
                                 STR_FMT(f->what), STR_FMT(f->asked), STR_FMT(f->found));
                }
        }
}

void policy_explanation_write(const struct policy_explanation *e, struct json_writer *w)
{
        char label[32];

        json_write_object_begin(w);
        json_write_member_bool(w, STR("allowed"), e->is_allowed);
        json_write_member_str(w, STR("from"), e->src);
        json_write_member_str(w, STR("to"), e->dst);
        if (e->port.len)
                json_write_member_str(w, STR("port"), e->port);
        json_write_key(w, e->is_allowed ? STR("by") : STR("nearest"));
        json_write_array_begin(w);
        for (size_t i = 0; i < e->rules_count; i++) {
                const struct policy_considered *c = &e->rules[i];

                json_write_object_begin(w);
                json_write_member_str(w, STR("rule"), considered_label(c, label));
                json_write_member_uint(w, STR("line"), considered_line(c));
                if (c->ssh)
                        json_write_member_str(w, STR("action"),
                                              c->ssh->action == POLICY_SSH_CHECK ? STR("check")
                                                                                 : STR("accept"));
                json_write_key(w, STR("findings"));
                json_write_array_begin(w);
                for (size_t j = 0; j < c->findings_count; j++) {
                        json_write_object_begin(w);
                        json_write_member_str(w, STR("what"), c->findings[j].what);
                        json_write_member_str(w, STR("asked"), c->findings[j].asked);
                        json_write_member_str(w, STR("found"), c->findings[j].found);
                        json_write_member_bool(w, STR("holds"), c->findings[j].holds);
                        json_write_object_end(w);
                }
                json_write_array_end(w);
                json_write_object_end(w);
        }
        json_write_array_end(w);
        json_write_object_end(w);
}
