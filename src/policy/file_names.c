/* The sections that give names: groups, hosts, tagOwners, ipsets, postures, autoApprovers. */
#include <stdio.h>
#include <stdlib.h>

#include "policy/read_priv.h"

/* ---- by name ---- */

/* All definitions begin with their name, so one comparison serves them all. */
static int name_order(const void *a, const void *b)
{
        return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static const void *name_find(struct str name, const void *items, size_t count, size_t size)
{
        return count ? bsearch(&name, items, count, size, name_order) : NULL;
}

const struct policy_group *policy_file_find_group(const struct policy_file *f, struct str name)
{
        return name_find(name, f->groups, f->groups_count, sizeof(*f->groups));
}

const struct policy_host *policy_file_find_host(const struct policy_file *f, struct str name)
{
        return name_find(name, f->hosts, f->hosts_count, sizeof(*f->hosts));
}

const struct policy_tag *policy_file_find_tag(const struct policy_file *f, struct str name)
{
        return name_find(name, f->tags, f->tags_count, sizeof(*f->tags));
}

const struct policy_ipset *policy_file_find_ipset(const struct policy_file *f, struct str name)
{
        return name_find(name, f->ipsets, f->ipsets_count, sizeof(*f->ipsets));
}

const struct policy_posture *policy_file_find_posture(const struct policy_file *f, struct str name)
{
        return name_find(name, f->postures, f->postures_count, sizeof(*f->postures));
}

/* The shared walk over `{"NAME": ...}`; each definition's first member is its name. */
#define READ_NAMED(r, v, what, type, items, n)                \
        if (!policy_read_is((r), (v), JSON_OBJECT, (what)) || \
            !((items) = READ_ARRAY((r), type, (v)->count)))   \
                return;                                       \
        for ((n) = 0; (n) < (v)->count; (n)++)                \
        (items)[n].name = (v)->members[n].key

/* ---- groups ---- */

/* NULL, or why `name` cannot follow its prefix. Source: tailcfg's CheckTag, whose words these are. */
static const char *name_check(struct str name, const char *empty, const char *letter, const char *rest)
{
        if (name.len == 0)
                return empty;
        if (!ascii_is_alpha(name.ptr[0]))
                return letter;
        for (size_t i = 0; i < name.len; i++)
                if (!ascii_is_alpha(name.ptr[i]) && !ascii_is_digit(name.ptr[i]) && name.ptr[i] != '-')
                        return rest;
        return NULL;
}

static void group_members_check(struct policy_reader *r, const struct policy_group *g)
{
        for (size_t i = 0; i < g->members.count; i++) {
                const struct policy_alias *m = &g->members.items[i];
                struct policy_place at = { m->line, m->column };

                if (str_has_prefix(m->text, STR("group:")))
                        policy_fault_at(r, at,
                                        "groups[\"%.*s\"]: \"%.*s\": group members cannot be recursive",
                                        (int)MIN(g->name.len, (size_t)64), g->name.ptr,
                                        (int)MIN(m->text.len, (size_t)64), m->text.ptr);
                else if (m->kind != ALIAS_USER)
                        policy_fault_at(r, at,
                                        "groups[\"%.*s\"]: \"%.*s\" is not a user; members are user@domain",
                                        (int)MIN(g->name.len, (size_t)64), g->name.ptr,
                                        (int)MIN(m->text.len, (size_t)64), m->text.ptr);
        }
}

void policy_read_groups(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_file *f = r->file;
        size_t n;

        READ_NAMED(r, v, "groups", struct policy_group, f->groups, n);
        f->groups_count = n;
        for (size_t i = 0; i < n; i++) {
                struct policy_group *g = &f->groups[i];
                const struct json_member *m = &v->members[i];

                g->at = (struct policy_place){ m->key_line, m->key_column };
                if (!str_has_prefix(g->name, STR("group:")) || g->name.len == 6)
                        policy_fault_at(r, g->at,
                                        "groups[\"%.*s\"]: group names must start with 'group:' and a letter",
                                        (int)MIN(g->name.len, (size_t)64), g->name.ptr);
                policy_read_aliases(r, &m->value, "a group", &g->members);
                group_members_check(r, g);
        }
        qsort(f->groups, n, sizeof(*f->groups), name_order);
}

/* ---- hosts ---- */

void policy_read_hosts(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_file *f = r->file;
        size_t n;

        READ_NAMED(r, v, "hosts", struct policy_host, f->hosts, n);
        f->hosts_count = n;
        for (size_t i = 0; i < n; i++) {
                struct policy_host *h = &f->hosts[i];
                const struct json_member *m = &v->members[i];
                struct str text = STR_NULL;

                h->at = (struct policy_place){ m->key_line, m->key_column };
                struct policy_alias as = policy_alias_parse(h->name, 0, 0);
                if (as.kind != ALIAS_HOST || as.text.len != h->name.len)
                        policy_fault_at(
                                r, h->at,
                                "hosts[\"%.*s\"]: a host name has no ':', '@' or '*', and is no address",
                                (int)MIN(h->name.len, (size_t)64), h->name.ptr);
                policy_read_text(r, &m->value, "a host", &text);
                if (text.ptr && ip_prefix_parse(policy_text_trim(text), &h->prefix) != ERR_OK)
                        policy_fault(r, &m->value,
                                     "hosts[\"%.*s\"]: \"%.*s\": invalid address; write an IP or a CIDR",
                                     (int)MIN(h->name.len, (size_t)64), h->name.ptr,
                                     (int)MIN(text.len, (size_t)64), text.ptr);
                h->prefix.ip = ip_masked(h->prefix.ip, h->prefix.bits);
        }
        qsort(f->hosts, n, sizeof(*f->hosts), name_order);
}

/* ---- tags ---- */

void policy_read_tag_owners(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_file *f = r->file;
        size_t n;

        READ_NAMED(r, v, "tagOwners", struct policy_tag, f->tags, n);
        f->tags_count = n;
        for (size_t i = 0; i < n; i++) {
                struct policy_tag *t = &f->tags[i];
                const struct json_member *m = &v->members[i];
                const char *why = "tags must start with 'tag:'";

                t->at = (struct policy_place){ m->key_line, m->key_column };
                if (str_has_prefix(t->name, STR("tag:")))
                        why = name_check(str_from(t->name, 4), "tag names must not be empty",
                                         "tag names must start with a letter, after 'tag:'",
                                         "tag names can only contain numbers, letters, or dashes");
                if (why)
                        policy_fault_at(r, t->at, "tagOwners[\"%.*s\"]: %s",
                                        (int)MIN(t->name.len, (size_t)64), t->name.ptr, why);
                policy_read_aliases(r, &m->value, "the owners of a tag", &t->owners);
        }
        qsort(f->tags, n, sizeof(*f->tags), name_order);
}

/* ---- ipsets ---- */

void policy_read_ipsets(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_file *f = r->file;
        size_t n;

        READ_NAMED(r, v, "ipsets", struct policy_ipset, f->ipsets, n);
        f->ipsets_count = n;
        for (size_t i = 0; i < n; i++) {
                struct policy_ipset *s = &f->ipsets[i];
                const struct json_member *m = &v->members[i];

                s->at = (struct policy_place){ m->key_line, m->key_column };
                if (!str_has_prefix(s->name, STR("ipset:")) || s->name.len == 6)
                        policy_fault_at(r, s->at,
                                        "ipsets[\"%.*s\"]: the name of a set must start with 'ipset:'",
                                        (int)MIN(s->name.len, (size_t)64), s->name.ptr);
                if (policy_read_is(r, &m->value, JSON_ARRAY, "an ipset"))
                        s->entries = &m->value;
        }
        qsort(f->ipsets, n, sizeof(*f->ipsets), name_order);
}

/* ---- postures ---- */

static void conditions_read(struct policy_reader *r, struct policy_posture *p, const struct json_value *v)
{
        if (!policy_read_is(r, v, JSON_ARRAY, "a posture"))
                return;
        if (v->count > POLICY_CONDITIONS_MAX) {
                policy_fault(r, v, "postures[\"%.*s\"] has %zu conditions; the limit is %d",
                             (int)MIN(p->name.len, (size_t)64), p->name.ptr, v->count, POLICY_CONDITIONS_MAX);
                return;
        }
        if (!(p->conditions = READ_ARRAY(r, struct policy_condition, v->count)))
                return;
        for (size_t i = 0; i < v->count; i++) {
                const struct json_value *item = &v->items[i];
                struct policy_condition *c = &p->conditions[p->conditions_count];
                char why[POSTURE_WHY_MAX];

                if (!policy_read_is(r, item, JSON_STRING, "a condition"))
                        continue;
                if (policy_condition_parse(r->arena, json_str(item), c, why) != ERR_OK) {
                        policy_fault(r, item, "postures[\"%.*s\"]: \"%.*s\": %s",
                                     (int)MIN(p->name.len, (size_t)64), p->name.ptr,
                                     (int)MIN(item->text.len, (size_t)96), item->text.ptr, why);
                        continue;
                }
                c->line = item->line;
                c->column = item->column;
                p->conditions_count++;
        }
}

void policy_read_postures(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_file *f = r->file;
        size_t n;

        READ_NAMED(r, v, "postures", struct policy_posture, f->postures, n);
        f->postures_count = n;
        for (size_t i = 0; i < n; i++) {
                struct policy_posture *p = &f->postures[i];
                const struct json_member *m = &v->members[i];

                p->line = m->key_line;
                p->column = m->key_column;
                if (!str_has_prefix(p->name, STR("posture:")) || p->name.len == 8)
                        policy_fault_at(
                                r, (struct policy_place){ p->line, p->column },
                                "postures[\"%.*s\"]: the name of a posture must start with 'posture:'",
                                (int)MIN(p->name.len, (size_t)64), p->name.ptr);
                conditions_read(r, p, &m->value);
        }
        qsort(f->postures, n, sizeof(*f->postures), name_order);
}

void policy_read_default_posture(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_read_posture_names(r, v, &r->file->default_posture, &r->file->default_posture_count);
}

/* ---- autoApprovers ---- */

static void approvers_read(struct policy_reader *r, const struct json_value *v, const char *what,
                           bool by_prefix, struct policy_approver **out, size_t *count)
{
        if (!policy_read_is(r, v, JSON_OBJECT, what) ||
            !(*out = READ_ARRAY(r, struct policy_approver, v->count)))
                return;
        for (size_t i = 0; i < v->count; i++) {
                const struct json_member *m = &v->members[i];
                struct policy_approver *a = &(*out)[*count];

                a->at = (struct policy_place){ m->key_line, m->key_column };
                a->service = m->key;
                if (by_prefix && ip_prefix_parse(policy_text_trim(m->key), &a->prefix) != ERR_OK) {
                        policy_fault_at(r, a->at, "autoApprovers: \"%.*s\": invalid address; write a CIDR",
                                        (int)MIN(m->key.len, (size_t)64), m->key.ptr);
                        continue;
                }
                a->prefix.ip = ip_masked(a->prefix.ip, a->prefix.bits);
                if (!by_prefix && !str_has_prefix(m->key, STR("svc:")) &&
                    !str_has_prefix(m->key, STR("tag:")))
                        policy_fault_at(r, a->at, "autoApprovers: \"%.*s\" is neither svc:NAME nor tag:NAME",
                                        (int)MIN(m->key.len, (size_t)64), m->key.ptr);
                policy_read_aliases(r, &m->value, what, &a->approvers);
                (*count)++;
        }
}

static void routes_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        approvers_read(r, v, "autoApprovers.routes", true, &r->file->routes, &r->file->routes_count);
}

static void services_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        approvers_read(r, v, "autoApprovers.services", false, &r->file->services, &r->file->services_count);
}

static void exit_node_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_read_aliases(r, v, "autoApprovers.exitNode", &r->file->exit_node);
}

void policy_read_auto_approvers(struct policy_reader *r, void *into, const struct json_value *v)
{
        static const struct policy_member members[] = {
                { STR_INIT("routes"), routes_read },
                { STR_INIT("exitNode"), exit_node_read },
                { STR_INIT("services"), services_read },
        };

        policy_read_object(r, v, "autoApprovers", members, ARRAY_SIZE(members), r->file);
}
