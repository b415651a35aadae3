#include "policy/subject.h"

#include <stdlib.h>
#include <string.h>

#include "policy/read_priv.h"

/*
 * Theory of operation. The numbers stand in blocks: autogroups, groups, tags, users, domains, groups of an identity
 * provider. The last three are the sorted lists of what the file names, made here; an alias keeps its index as `ref`.
 */
enum { GROUPS_BASE = AUTOGROUPS };

static uint32_t tags_base(const struct policy_file *f)
{
        return GROUPS_BASE + (uint32_t)f->groups_count;
}

static uint32_t users_base(const struct policy_file *f)
{
        return tags_base(f) + (uint32_t)f->tags_count;
}

static uint32_t domains_base(const struct policy_file *f)
{
        return users_base(f) + f->subject_users_count;
}

static uint32_t outer_base(const struct policy_file *f)
{
        return domains_base(f) + f->subject_domains_count;
}

uint32_t policy_subjects_count(const struct policy_file *f)
{
        return outer_base(f) + f->subject_outer_count;
}

static bool is_outer_group(const struct policy_file *f, const struct policy_alias *a)
{
        return a->kind == ALIAS_GROUP && !policy_file_find_group(f, a->text);
}

uint32_t policy_subject_of(const struct policy_file *f, const struct policy_alias *a)
{
        if (a->kind == ALIAS_AUTOGROUP)
                return policy_alias_is_identity(a) ? (uint32_t)a->autogroup : POLICY_SUBJECT_NONE;
        if (a->ref == POLICY_REF_NONE)
                return POLICY_SUBJECT_NONE;
        switch (a->kind) {
        case ALIAS_GROUP:
                return a->ref >= f->groups_count ? outer_base(f) + (a->ref - (uint32_t)f->groups_count)
                                                 : GROUPS_BASE + a->ref;
        case ALIAS_TAG: return tags_base(f) + a->ref;
        case ALIAS_USER: return users_base(f) + a->ref;
        case ALIAS_DOMAIN: return domains_base(f) + a->ref;
        default: return POLICY_SUBJECT_NONE;
        }
}

/* ---- the file's lists ---- */

static int nocase_order(const void *a, const void *b)
{
        const struct str *x = a, *y = b;

        for (size_t i = 0; i < x->len && i < y->len; i++) {
                int order = (unsigned char)ascii_lower(x->ptr[i]) - (unsigned char)ascii_lower(y->ptr[i]);

                if (order)
                        return order;
        }
        return x->len == y->len ? 0 : x->len < y->len ? -1 : 1;
}

/* Calls `visit` for every alias list of the file in which identities can stand. */
static void lists_visit(struct policy_file *f,
                        void (*visit)(struct policy_file *, struct policy_alias *, size_t))
{
        for (size_t i = 0; i < f->rules_count; i++) {
                visit(f, f->rules[i].src.items, f->rules[i].src.count);
                visit(f, f->rules[i].dst.items, f->rules[i].dst.count);
                for (size_t j = 0; j < f->rules[i].targets_count; j++)
                        visit(f, &f->rules[i].targets[j].alias, 1);
        }
        for (size_t i = 0; i < f->ssh_count; i++) {
                visit(f, f->ssh[i].src.items, f->ssh[i].src.count);
                visit(f, f->ssh[i].dst.items, f->ssh[i].dst.count);
        }
        for (size_t i = 0; i < f->node_attrs_count; i++)
                visit(f, f->node_attrs[i].target.items, f->node_attrs[i].target.count);
        for (size_t i = 0; i < f->tags_count; i++)
                visit(f, f->tags[i].owners.items, f->tags[i].owners.count);
        for (size_t i = 0; i < f->groups_count; i++)
                visit(f, f->groups[i].members.items, f->groups[i].members.count);
        for (size_t i = 0; i < f->routes_count; i++)
                visit(f, f->routes[i].approvers.items, f->routes[i].approvers.count);
        for (size_t i = 0; i < f->services_count; i++)
                visit(f, f->services[i].approvers.items, f->services[i].approvers.count);
        visit(f, f->exit_node.items, f->exit_node.count);
}

static void count_visit(struct policy_file *f, struct policy_alias *a, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                f->subject_users_count += a[i].kind == ALIAS_USER;
                f->subject_domains_count += a[i].kind == ALIAS_DOMAIN;
                f->subject_outer_count += is_outer_group(f, &a[i]);
        }
}

static void collect_visit(struct policy_file *f, struct policy_alias *a, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (a[i].kind == ALIAS_USER)
                        f->subject_users[f->subject_users_count++] = a[i].text;
                else if (a[i].kind == ALIAS_DOMAIN)
                        f->subject_domains[f->subject_domains_count++] = a[i].name;
                else if (is_outer_group(f, &a[i]))
                        f->subject_outer[f->subject_outer_count++] = a[i].name;
}

static uint32_t unique(struct str *items, uint32_t count)
{
        uint32_t kept = 0;

        if (!count)
                return 0;
        qsort(items, count, sizeof(*items), nocase_order);
        for (uint32_t i = 1; i < count; i++)
                if (nocase_order(&items[kept], &items[i]) != 0)
                        items[++kept] = items[i];
        return kept + 1;
}

static uint32_t index_of(struct str name, const struct str *items, uint32_t count)
{
        const struct str *found = count ? bsearch(&name, items, count, sizeof(*items), nocase_order) : NULL;

        return found ? (uint32_t)(found - items) : POLICY_REF_NONE;
}

static void refer_visit(struct policy_file *f, struct policy_alias *a, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (a[i].kind == ALIAS_USER)
                        a[i].ref = index_of(a[i].text, f->subject_users, f->subject_users_count);
                else if (a[i].kind == ALIAS_DOMAIN)
                        a[i].ref = index_of(a[i].name, f->subject_domains, f->subject_domains_count);
                else if (is_outer_group(f, &a[i]))
                        a[i].ref = (uint32_t)f->groups_count +
                                   index_of(a[i].name, f->subject_outer, f->subject_outer_count);
}

/* For each named user, the groups that list it: two passes over the members, count then fill. */
static void memberships_make(struct policy_reader *r)
{
        struct policy_file *f = r->file;
        uint32_t *starts = READ_ARRAY(r, uint32_t, f->subject_users_count + 2);
        uint32_t total = 0;

        if (!starts)
                return;
        for (size_t i = 0; i < f->groups_count; i++)
                for (size_t j = 0; j < f->groups[i].members.count; j++)
                        if (f->groups[i].members.items[j].kind == ALIAS_USER) {
                                starts[f->groups[i].members.items[j].ref + 2]++;
                                total++;
                        }
        uint32_t *groups = READ_ARRAY(r, uint32_t, total);
        if (!groups)
                return;
        for (uint32_t u = 0; u < f->subject_users_count; u++)
                starts[u + 2] += starts[u + 1];
        for (size_t i = 0; i < f->groups_count; i++)
                for (size_t j = 0; j < f->groups[i].members.count; j++)
                        if (f->groups[i].members.items[j].kind == ALIAS_USER)
                                groups[starts[f->groups[i].members.items[j].ref + 1]++] = (uint32_t)i;
        f->memberships = groups;
        f->memberships_start = starts;
}

void policy_check_subjects(struct policy_reader *r)
{
        struct policy_file *f = r->file;

        lists_visit(f, count_visit);
        f->subject_users = READ_ARRAY(r, struct str, f->subject_users_count);
        f->subject_domains = READ_ARRAY(r, struct str, f->subject_domains_count);
        f->subject_outer = READ_ARRAY(r, struct str, f->subject_outer_count);
        f->subject_users_count = f->subject_domains_count = f->subject_outer_count = 0;
        if (r->no_memory)
                return;
        lists_visit(f, collect_visit);
        f->subject_users_count = unique(f->subject_users, f->subject_users_count);
        f->subject_domains_count = unique(f->subject_domains, f->subject_domains_count);
        f->subject_outer_count = unique(f->subject_outer, f->subject_outer_count);
        lists_visit(f, refer_visit);
        memberships_make(r);
}

/* ---- lists of subjects ---- */

void policy_subjects_fini(struct policy_subjects *s)
{
        free(s->items);
        *s = (struct policy_subjects){ 0 };
}

bool policy_subjects_contain(const struct policy_subjects *s, uint32_t subject)
{
        size_t low = 0, high = s->count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (s->items[middle] == subject)
                        return true;
                if (s->items[middle] < subject)
                        low = middle + 1;
                else
                        high = middle;
        }
        return false;
}

static bool subject_add(struct policy_subjects *s, uint32_t subject)
{
        if (s->count == s->cap) {
                size_t cap = s->cap ? s->cap * 2 : 16;
                uint32_t *items = realloc(s->items, cap * sizeof(*items));

                if (!items)
                        return false;
                s->items = items;
                s->cap = cap;
        }
        s->items[s->count++] = subject;
        return true;
}

static int subject_order(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return x < y ? -1 : x > y;
}

static void subjects_seal(struct policy_subjects *s)
{
        size_t kept = 0;

        if (s->count < 2)
                return;
        qsort(s->items, s->count, sizeof(*s->items), subject_order);
        for (size_t i = 1; i < s->count; i++)
                if (s->items[i] != s->items[kept])
                        s->items[++kept] = s->items[i];
        s->count = kept + 1;
}

bool policy_user_is(const struct policy_user *user, struct str name)
{
        if (user->email.len && str_eq_nocase(user->email, name))
                return true;
        return name.len > 1 && name.ptr[name.len - 1] == '@' &&
               str_eq_nocase(user->name, str_sub(name, 0, name.len - 1));
}

/* The named user at that index, and the groups that list it. */
static bool named_add(const struct policy_file *f, uint32_t ref, struct policy_subjects *out)
{
        if (ref == POLICY_REF_NONE)
                return true;
        if (!subject_add(out, users_base(f) + ref))
                return false;
        for (uint32_t i = f->memberships_start[ref]; i < f->memberships_start[ref + 1]; i++)
                if (!subject_add(out, GROUPS_BASE + f->memberships[i]))
                        return false;
        return true;
}

static bool short_name_add(const struct policy_file *f, struct str name, struct policy_subjects *out)
{
        char text[256];

        if (!name.len || name.len + 1 > sizeof(text))
                return true;
        memcpy(text, name.ptr, name.len);
        text[name.len] = '@';
        return named_add(
                f, index_of((struct str){ text, name.len + 1 }, f->subject_users, f->subject_users_count),
                out);
}

/* "group:eng", "eng" or "eng@example.com", as an identity provider gives it. */
static bool group_add(const struct policy_file *f, struct str group, struct policy_subjects *out)
{
        char text[256] = "group:";
        struct str bare = str_has_prefix(group, STR("group:")) ? str_from(group, 6) : group;

        if (bare.len + 6 > sizeof(text))
                return true;
        memcpy(text + 6, bare.ptr, bare.len);
        const struct policy_group *own = policy_file_find_group(f, (struct str){ text, bare.len + 6 });
        if (own && !subject_add(out, GROUPS_BASE + (uint32_t)(own - f->groups)))
                return false;
        uint32_t ref = index_of(bare, f->subject_outer, f->subject_outer_count);
        return ref == POLICY_REF_NONE || subject_add(out, outer_base(f) + ref);
}

static bool domains_add(const struct policy_file *f, const struct policy_facts *facts,
                        const struct policy_user *user, struct policy_subjects *out)
{
        struct str domain = policy_email_domain(user->email), own;
        const struct policy_user *owner = policy_facts_owner(facts);
        uint32_t ref =
                domain.len ? index_of(domain, f->subject_domains, f->subject_domains_count) : POLICY_REF_NONE;

        if (ref != POLICY_REF_NONE && !subject_add(out, domains_base(f) + ref))
                return false;
        /* "passkey" is the network's own domain when it has none of an identity provider. */
        ref = index_of(STR("passkey"), f->subject_domains, f->subject_domains_count);
        own = owner ? policy_email_domain(owner->email) : STR_NULL;
        if (ref == POLICY_REF_NONE || !domain.len || !str_eq_nocase(domain, own))
                return true;
        return subject_add(out, domains_base(f) + ref);
}

static const enum policy_autogroup role_groups[ROLES] = {
        [ROLE_OWNER] = AUTOGROUP_OWNER,
        [ROLE_ADMIN] = AUTOGROUP_ADMIN,
        [ROLE_IT_ADMIN] = AUTOGROUP_IT_ADMIN,
        [ROLE_NETWORK_ADMIN] = AUTOGROUP_NETWORK_ADMIN,
        [ROLE_BILLING_ADMIN] = AUTOGROUP_BILLING_ADMIN,
        [ROLE_AUDITOR] = AUTOGROUP_AUDITOR,
};

bool policy_subjects_of_user(const struct policy_file *f, const struct policy_facts *facts,
                             const struct policy_user *user, struct policy_subjects *out)
{
        bool ok;

        out->count = 0;
        ok = subject_add(out, user->is_shared ? AUTOGROUP_SHARED : AUTOGROUP_MEMBER);
        if (ok && role_groups[user->role])
                ok = subject_add(out, role_groups[user->role]);
        if (ok && user->email.len)
                ok = named_add(f, index_of(user->email, f->subject_users, f->subject_users_count), out);
        ok = ok && short_name_add(f, user->name, out) && domains_add(f, facts, user, out);
        for (size_t i = 0; ok && i < user->groups_count; i++)
                ok = group_add(f, user->groups[i], out);
        subjects_seal(out);
        return ok;
}

bool policy_subjects_of_node(const struct policy_file *f, const struct policy_facts *facts,
                             const struct policy_node *node, struct policy_subjects *out)
{
        const struct policy_user *user;

        if (!node->tags_count) {
                if ((user = policy_facts_find_user(facts, node->user)))
                        return policy_subjects_of_user(f, facts, user, out);
                out->count = 0;
                return true;
        }
        out->count = 0;
        if (!subject_add(out, AUTOGROUP_TAGGED))
                return false;
        for (size_t i = 0; i < node->tags_count; i++) {
                const struct policy_tag *t = policy_file_find_tag(f, node->tags[i]);

                if (t && !subject_add(out, tags_base(f) + (uint32_t)(t - f->tags)))
                        return false;
        }
        subjects_seal(out);
        return true;
}
