/* A name as one end of a question: the machines and addresses it stands for. */
#include <string.h>

#include "policy/test_priv.h"

static bool spot_add(struct arena *arena, struct policy_end *out, struct policy_range range,
                     const struct policy_node_entry *entry)
{
        /* Grown by doubling: the count alone tells when. */
        if ((out->count & (out->count - 1)) == 0) {
                struct policy_spot *spots =
                        ARENA_ARRAY(arena, struct policy_spot, out->count ? out->count * 2 : 1);

                if (!spots)
                        return false;
                if (out->count)
                        memcpy(spots, out->spots, out->count * sizeof(*spots));
                out->spots = spots;
        }
        out->spots[out->count++] = (struct policy_spot){ range, entry };
        return true;
}

static bool entry_add(struct arena *arena, struct policy_end *out, const struct policy_node_entry *e)
{
        for (size_t i = 0; i < e->node->addresses_count; i++)
                if (!spot_add(arena, out,
                              (struct policy_range){ e->node->addresses[i], e->node->addresses[i] }, e))
                        return false;
        return true;
}

static bool has_tag(const struct policy_node *node, struct str tag)
{
        for (size_t i = 0; i < node->tags_count; i++)
                if (str_eq(node->tags[i], tag))
                        return true;
        return false;
}

/* Whether the machine is meant by the name, which may stand nowhere in the file's rules. */
static bool is_meant(const struct policy_tables *t, const struct policy_node_entry *e,
                     const struct policy_alias *name)
{
        const struct policy_file *f = t->units->file;

        switch (name->kind) {
        case ALIAS_USER: return e->user && policy_user_is(e->user, name->text);
        case ALIAS_DOMAIN: return e->user && str_eq_nocase(policy_email_domain(e->user->email), name->name);
        case ALIAS_TAG: return has_tag(e->node, name->text);
        case ALIAS_GROUP:
        case ALIAS_AUTOGROUP: return policy_subjects_contain(&e->class->subjects, policy_subject_of(f, name));
        default: return false;
        }
}

/* The same name with what a check would have found, or why it stands for nothing. */
static const char *name_find(const struct policy_tables *t, struct policy_alias *name, struct policy_end *out)
{
        const struct policy_file *f = t->units->file;
        const void *found;

        switch (name->kind) {
        case ALIAS_USER:
                for (size_t i = 0; i < t->facts->users_count; i++)
                        if (policy_user_is(t->facts->users[i], name->text))
                                out->user = t->facts->users[i];
                return out->user ? NULL : "there is no such user";
        case ALIAS_GROUP:
                found = policy_file_find_group(f, name->text);
                if (found)
                        name->ref = (uint32_t)((const struct policy_group *)found - f->groups);
                return found ? NULL : "group not found";
        case ALIAS_TAG: return policy_file_find_tag(f, name->text) ? NULL : "tag not found";
        case ALIAS_HOST:
                found = policy_file_find_host(f, name->name);
                if (found)
                        name->prefix = ((const struct policy_host *)found)->prefix;
                return found ? NULL : "invalid address; there is no such host";
        case ALIAS_IPSET:
                found = policy_file_find_ipset(f, name->text);
                if (found)
                        name->ref = (uint32_t)((const struct policy_ipset *)found - f->ipsets);
                return found ? NULL : "ipset not found";
        case ALIAS_SVC: return policy_facts_find_service(t->facts, name->name) ? NULL : "service not found";
        case ALIAS_AUTOGROUP:
                out->is_self = name->autogroup == AUTOGROUP_SELF;
                return policy_alias_is_identity(name) || out->is_self
                               ? NULL
                               : "this autogroup cannot be asked about";
        case ALIAS_DOMAIN:
        case ALIAS_PREFIX:
        case ALIAS_ANY: return NULL;
        default: return "invalid address";
        }
}

static bool ranges_add(const struct policy_tables *t, struct arena *arena, struct policy_end *out,
                       const struct policy_ranges *ranges)
{
        for (size_t i = 0; i < ranges->count; i++) {
                struct policy_range r = ranges->items[i];
                const struct policy_address *a =
                        ip_eq(r.first, r.last) ? policy_tables_find_address(t, r.first) : NULL;

                if (!spot_add(arena, out, r, a ? policy_tables_find_node(t, a->node) : NULL))
                        return false;
        }
        return true;
}

const char *policy_end_find(const struct policy_tables *t, struct arena *arena, struct policy_alias name,
                            struct policy_end *out)
{
        struct policy_ranges ranges = { 0 };
        struct policy_range room;
        const char *why;
        bool ok = true;

        *out = (struct policy_end){ 0 };
        if ((why = name_find(t, &name, out)))
                return why;
        for (size_t i = 0; ok && i < t->facts->nodes_count; i++)
                if (is_meant(t, &t->nodes[i], &name))
                        ok = entry_add(arena, out, &t->nodes[i]);
        if (name.kind == ALIAS_ANY)
                ranges = *policy_ranges_tailnet();
        else if (name.kind == ALIAS_SVC)
                for (size_t i = 0; ok && i < policy_facts_find_service(t->facts, name.name)->addresses_count;
                     i++) {
                        struct ip ip = policy_facts_find_service(t->facts, name.name)->addresses[i];

                        ok = policy_ranges_add(arena, &ranges, (struct policy_range){ ip, ip });
                }
        else
                ranges = policy_alias_ranges(t->units->file, t->facts, &name, &room);
        ok = ok && ranges_add(t, arena, out, &ranges);
        if (!ok)
                return "out of memory";
        return out->count || out->is_self ? NULL : "it stands for no address";
}
