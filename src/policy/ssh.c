#include "policy/ssh.h"

#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES_MAX = 1024 * 1024 * 1024 };

struct owned {
        const struct policy_user *user;
        struct ip *ips;
        size_t count;
};

/* The sources of one rule, found when a node first needs them. */
struct sources {
        bool is_found;
        struct owned *people; /* in the order of the users */
        size_t people_count;
        struct ip *tagged; /* repeated as often as the hosted service repeats them */
        size_t tagged_count;
        struct ip *all; /* both */
        size_t all_count;
        struct policy_login *logins; /* without localparts */
        size_t logins_count;
        bool has_localpart;
};

struct policy_ssh_set {
        const struct policy_tables *t;
        struct arena arena;
        struct sources *rules;
};

struct policy_ssh_set *policy_ssh_set_new(const struct policy_tables *t)
{
        struct policy_ssh_set *s = calloc(1, sizeof(*s));

        if (!s)
                return NULL;
        s->t = t;
        arena_init(&s->arena, NULL, 0, ARENA_BYTES_MAX);
        s->rules = ARENA_ARRAY(&s->arena, struct sources, t->units->file->ssh_count + 1);
        if (!s->rules) {
                policy_ssh_set_free(s);
                return NULL;
        }
        return s;
}

void policy_ssh_set_free(struct policy_ssh_set *s)
{
        if (!s)
                return;
        arena_fini(&s->arena);
        free(s);
}

/* ---- sources ---- */

static bool posture_holds(const struct policy_file *f, const struct policy_ssh_rule *rule,
                          const struct policy_node_entry *e)
{
        const uint32_t *list = rule->src_posture_count ? rule->src_posture : f->default_posture;
        size_t count = rule->src_posture_count ? rule->src_posture_count : f->default_posture_count;

        for (size_t i = 0; i < count; i++)
                if (policy_posture_holds(&f->postures[list[i]], &e->node->attrs))
                        return true;
        return count == 0 || !policy_posture_is_asked(e, (struct ip){ 0 });
}

/*
 * How often a machine is among the sources: a person's once; one with tags once for each tag that autogroup:tagged
 * walks, or for each tag that is named.
 */
static size_t copies(const struct policy_tables *t, const struct policy_ssh_rule *rule,
                     const struct policy_node_entry *e)
{
        size_t count = 0;
        bool walks_tags = false;

        if (!posture_holds(t->units->file, rule, e))
                return 0;
        for (size_t i = 0; i < rule->src.count; i++)
                if (policy_entry_matches(t, e, &rule->src.items[i])) {
                        count++;
                        walks_tags |= rule->src.items[i].kind == ALIAS_AUTOGROUP;
                }
        if (!e->node->tags_count)
                return count ? 1 : 0;
        return walks_tags ? e->node->tags_count : count;
}

static int ip_order(const void *a, const void *b)
{
        return ip_cmp(*(const struct ip *)a, *(const struct ip *)b);
}

static bool ips_add(struct arena *arena, struct ip **ips, size_t *count, const struct policy_node *node,
                    size_t times)
{
        struct ip *grown = ARENA_ARRAY(arena, struct ip, *count + times * node->addresses_count + 1);

        if (!grown)
                return false;
        if (*count)
                memcpy(grown, *ips, *count * sizeof(*grown));
        *ips = grown;
        while (times--)
                for (size_t i = 0; i < node->addresses_count; i++)
                        grown[(*count)++] = node->addresses[i];
        return true;
}

static bool people_add(struct policy_ssh_set *s, struct sources *src, const struct policy_node_entry *e,
                       struct owned **by_user)
{
        const struct policy_tables *t = s->t;
        const struct policy_user_entry *u = policy_tables_find_user(t, e->user);
        struct owned *o = &(*by_user)[u - t->users];

        o->user = e->user;
        return ips_add(&s->arena, &o->ips, &o->count, e->node, 1);
}

static bool all_make(struct policy_ssh_set *s, struct sources *src)
{
        size_t total = src->tagged_count;

        for (size_t i = 0; i < src->people_count; i++)
                total += src->people[i].count;
        if (!(src->all = ARENA_ARRAY(&s->arena, struct ip, total + 1)))
                return false;
        for (size_t i = 0; i < src->people_count; i++) {
                memcpy(src->all + src->all_count, src->people[i].ips,
                       src->people[i].count * sizeof(struct ip));
                src->all_count += src->people[i].count;
        }
        if (src->tagged_count)
                memcpy(src->all + src->all_count, src->tagged, src->tagged_count * sizeof(struct ip));
        src->all_count += src->tagged_count;
        return true;
}

/* ---- logins ---- */

static int login_order(const void *a, const void *b)
{
        return str_cmp(((const struct policy_login *)a)->from, ((const struct policy_login *)b)->from);
}

static void login_add(struct sources *src, struct str from, struct str to)
{
        for (size_t i = 0; i < src->logins_count; i++)
                if (str_eq(src->logins[i].from, from))
                        return;
        src->logins[src->logins_count++] = (struct policy_login){ from, to };
}

/* Root is refused unless it is named; whom a localpart means depends on who comes. */
static bool logins_make(struct policy_ssh_set *s, struct sources *src, const struct policy_ssh_rule *rule)
{
        struct str domain;

        if (!(src->logins = ARENA_ARRAY(&s->arena, struct policy_login, rule->users_count + 2)))
                return false;
        for (size_t i = 0; i < rule->users_count; i++)
                if (str_eq(rule->users[i], STR("autogroup:nonroot")))
                        login_add(src, STR("*"), STR("="));
                else if (policy_localpart_domain(rule->users[i], &domain))
                        src->has_localpart = true;
                else
                        login_add(src, rule->users[i], rule->users[i]);
        login_add(src, STR("root"), STR(""));
        qsort(src->logins, src->logins_count, sizeof(*src->logins), login_order);
        return true;
}

/* The part before the @ of somebody whose domain a localpart names; empty for others. */
static struct str localpart_of(const struct policy_tables *t, const struct policy_ssh_rule *rule,
                               const struct policy_user *user)
{
        struct str own = policy_email_domain(user->email), domain;
        const struct policy_user *owner = policy_facts_owner(t->facts);

        for (size_t i = 0; i < rule->users_count && own.len; i++) {
                if (!policy_localpart_domain(rule->users[i], &domain))
                        continue;
                if (str_eq(domain, STR("passkey")) && owner)
                        domain = policy_email_domain(owner->email);
                if (str_eq_nocase(own, domain))
                        return str_sub(user->email, 0, user->email.len - own.len - 1);
        }
        return STR_NULL;
}

static struct sources *sources_of(struct policy_ssh_set *s, size_t index)
{
        const struct policy_tables *t = s->t;
        const struct policy_ssh_rule *rule = &t->units->file->ssh[index];
        struct sources *src = &s->rules[index];

        if (src->is_found)
                return src;
        struct owned *by_user = ARENA_ARRAY(&s->arena, struct owned, t->facts->users_count + 1);
        bool ok = by_user && logins_make(s, src, rule);
        for (size_t i = 0; ok && i < t->facts->nodes_count; i++) {
                const struct policy_node_entry *e = &t->nodes[i];
                size_t times = copies(t, rule, e);

                if (times && e->user)
                        ok = people_add(s, src, e, &by_user);
                else if (times)
                        ok = ips_add(&s->arena, &src->tagged, &src->tagged_count, e->node, times);
        }
        for (size_t i = 0; ok && i < t->facts->users_count; i++)
                if (by_user[i].count) {
                        qsort(by_user[i].ips, by_user[i].count, sizeof(struct ip), ip_order);
                        by_user[src->people_count++] = by_user[i];
                }
        src->people = by_user;
        src->is_found = ok && all_make(s, src);
        return src->is_found ? src : NULL;
}

/* ---- the rules of a node ---- */

struct outs {
        const struct policy_tables *t;
        struct arena *arena;
        struct policy_ssh_out *items;
        size_t count, cap;
        bool no_memory;
};

static void out_add(struct outs *o, struct policy_ssh_out out)
{
        if (!out.principals_count)
                return;
        if (o->count == o->cap) {
                size_t cap = o->cap ? o->cap * 2 : 8;
                struct policy_ssh_out *items = ARENA_ARRAY(o->arena, struct policy_ssh_out, cap);

                if (!items) {
                        o->no_memory = true;
                        return;
                }
                if (o->count)
                        memcpy(items, o->items, o->count * sizeof(*items));
                o->items = items;
                o->cap = cap;
        }
        o->items[o->count++] = out;
}

static void outs_add(struct outs *o, const struct policy_ssh_rule *rule, const struct sources *src,
                     const struct ip *ips, size_t count, const struct policy_user *user)
{
        out_add(o, (struct policy_ssh_out){ rule, ips, count, src->logins, src->logins_count });
        struct str name = user ? localpart_of(o->t, rule, user) : STR_NULL;
        if (!name.len)
                return;
        struct policy_login *login = ARENA_NEW(o->arena, struct policy_login);
        if (!login) {
                o->no_memory = true;
                return;
        }
        *login = (struct policy_login){ name, name };
        out_add(o, (struct policy_ssh_out){ rule, ips, count, login, 1 });
}

static const struct owned *owned_find(const struct sources *src, const struct policy_user *user)
{
        for (size_t i = 0; user && i < src->people_count; i++)
                if (src->people[i].user == user)
                        return &src->people[i];
        return NULL;
}

/* With a localpart every person has rules of their own, which a source that is no destination also gets for itself. */
static void other_add(struct outs *o, const struct policy_ssh_rule *rule, const struct sources *src,
                      const struct policy_node_entry *e, bool is_destination)
{
        const struct owned *own = owned_find(src, e->user);

        if (is_destination && !src->has_localpart) {
                outs_add(o, rule, src, src->all, src->all_count, NULL);
        } else if (is_destination) {
                for (size_t i = 0; i < src->people_count; i++)
                        outs_add(o, rule, src, src->people[i].ips, src->people[i].count, src->people[i].user);
                outs_add(o, rule, src, src->tagged, src->tagged_count, NULL);
        } else if (src->has_localpart && own) {
                outs_add(o, rule, src, own->ips, own->count, own->user);
        } else if (src->has_localpart && !e->user && copies(o->t, rule, e)) {
                outs_add(o, rule, src, e->node->addresses, e->node->addresses_count, NULL);
        }
}

static void rule_add(struct outs *o, struct policy_ssh_set *s, size_t index,
                     const struct policy_node_entry *e)
{
        const struct policy_ssh_rule *rule = &s->t->units->file->ssh[index];
        bool has_self = false, has_other = false, is_destination = false;

        for (size_t i = 0; i < rule->dst.count; i++) {
                const struct policy_alias *a = &rule->dst.items[i];

                if (a->kind == ALIAS_AUTOGROUP && a->autogroup == AUTOGROUP_SELF) {
                        has_self = true;
                        continue;
                }
                has_other = true;
                is_destination |= policy_entry_matches(s->t, e, a);
        }
        struct sources *src = sources_of(s, index);
        if (!src) {
                o->no_memory = true;
                return;
        }
        const struct owned *own = owned_find(src, e->user);
        if (has_self && own)
                outs_add(o, rule, src, own->ips, own->count, own->user);
        if (has_other)
                other_add(o, rule, src, e, is_destination);
}

bool policy_ssh_rules(struct policy_ssh_set *s, struct arena *arena, const struct policy_node_entry *node,
                      struct policy_ssh_out **out, size_t *count)
{
        struct outs o = { .t = s->t, .arena = arena };

        for (int pass = 0; pass < 2; pass++) /* check, then accept */
                for (size_t i = 0; i < s->t->units->file->ssh_count && !o.no_memory; i++)
                        if ((s->t->units->file->ssh[i].action == POLICY_SSH_CHECK) == (pass == 0))
                                rule_add(&o, s, i, node);
        *out = o.items;
        *count = o.count;
        return !o.no_memory;
}

bool policy_logins_allow(const struct policy_ssh_out *rule, struct str login)
{
        const struct policy_login *any = NULL;

        for (size_t i = 0; i < rule->logins_count; i++) {
                if (str_eq(rule->logins[i].from, login))
                        return rule->logins[i].to.len > 0;
                if (str_eq(rule->logins[i].from, STR("*")))
                        any = &rule->logins[i];
        }
        return any && login.len && !str_eq(login, STR("root"));
}
