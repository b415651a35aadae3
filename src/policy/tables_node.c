/* One machine or user of the tables: its class, its postures, what its routes open. */
#include <stdlib.h>
#include <string.h>

#include "policy/tables_priv.h"

/* ---- postures ---- */

static bool list_holds(const struct policy_file *f, const struct policy_posture_list *list,
                       const struct policy_attrs *attrs)
{
        for (size_t i = 0; i < list->count; i++)
                if (policy_posture_holds(&f->postures[list->postures[i]], attrs))
                        return true;
        return false;
}

bool policy_posture_is_asked(const struct policy_node_entry *entry, struct ip ip)
{
        if (entry)
                return !entry->user || !entry->user->is_shared;
        return policy_ranges_contain(policy_ranges_tailnet(), ip);
}

static bool failing_make(struct policy_work *w, struct policy_node_entry *entry)
{
        struct policy_units *u = w->t->units;
        bool fails = false;

        if (!u->postures_count || !policy_posture_is_asked(entry, (struct ip){ 0 }))
                return true;
        memset(w->words, 0, u->words_count * sizeof(*w->words));
        for (uint32_t i = 0; i < u->postures_count; i++) {
                if (list_holds(u->file, &u->postures[i], &entry->node->attrs))
                        continue;
                fails = true;
                for (size_t k = 0; k < u->words_count; k++)
                        w->words[k] |= u->postures[i].units[k];
        }
        if (fails)
                entry->failing = policy_set_intern(&u->pool, w->words);
        return !fails || entry->failing;
}

/* ---- routes ---- */

static bool has_tag(const struct policy_node *node, struct str tag)
{
        for (size_t i = 0; i < node->tags_count; i++)
                if (str_eq(node->tags[i], tag))
                        return true;
        return false;
}

static bool is_via(const struct policy_unit *unit, const struct policy_node *node)
{
        for (size_t i = 0; i < unit->rule->via.count; i++)
                if (has_tag(node, unit->rule->via.items[i].text))
                        return true;
        return false;
}

static void route_units(const struct policy_units *u, const struct policy_node *node,
                        const struct ip_prefix *route, uint64_t *words)
{
        struct policy_range range = policy_range_of(*route);

        for (uint32_t i = 0; i < u->dst_ranged_count; i++) {
                uint32_t n = u->dst_ranged[i];
                const struct policy_unit *unit = &u->items[n];

                if (!policy_words_have(words, n) && policy_ranges_overlap(&unit->dst, range) &&
                    (!(unit->flags & UNIT_VIA) || is_via(unit, node)))
                        policy_words_add(words, n);
        }
}

/* Units on this machine for what lies behind it. Exit routes carry autogroup:internet, and nothing else. */
static bool entry_routes_make(struct policy_work *w, struct policy_node_entry *entry)
{
        struct policy_units *u = w->t->units;
        const struct policy_node *node = entry->node;

        memset(w->words, 0, u->words_count * sizeof(*w->words));
        for (size_t i = 0; i < node->approved_count; i++)
                if (policy_prefix_is_exit(&node->approved[i]))
                        entry->is_exit = true;
                else
                        route_units(u, node, &node->approved[i], w->words);
        for (uint32_t i = 0; entry->is_exit && i < u->internet_count; i++)
                if (!(u->items[u->internet[i]].flags & UNIT_VIA) || is_via(&u->items[u->internet[i]], node))
                        policy_words_add(w->words, u->internet[i]);
        entry->routes = policy_set_intern(&u->pool, w->words);
        return entry->routes != NULL;
}

/* ---- entries ---- */

bool policy_entry_make(struct policy_work *w, const struct policy_node *node, struct policy_node_entry *out)
{
        struct policy_tables *t = w->t;

        *out = (struct policy_node_entry){ .node = node };
        if (!node->tags_count)
                out->user = policy_facts_find_user(t->facts, node->user);
        if (!policy_subjects_of_node(t->units->file, t->facts, node, &w->subjects) ||
            !(out->class = policy_class_find(w, &w->subjects)) || !failing_make(w, out) ||
            !entry_routes_make(w, out)) {
                policy_entry_fini(t, out);
                w->no_memory = true;
                return false;
        }
        return true;
}

void policy_entry_fini(struct policy_tables *t, struct policy_node_entry *entry)
{
        policy_class_put(t, entry->class);
        policy_set_put(&t->units->pool, entry->routes);
        policy_set_put(&t->units->pool, entry->failing);
        *entry = (struct policy_node_entry){ 0 };
}

bool policy_user_entry_make(struct policy_work *w, const struct policy_user *user,
                            struct policy_user_entry *out)
{
        *out = (struct policy_user_entry){ .user = user };
        if (policy_subjects_of_user(w->t->units->file, w->t->facts, user, &w->subjects))
                out->class = policy_class_find(w, &w->subjects);
        w->no_memory |= out->class == NULL;
        return out->class != NULL;
}

/* ---- matching ---- */

bool policy_entry_matches(const struct policy_tables *t, const struct policy_node_entry *entry,
                          const struct policy_alias *a)
{
        const struct policy_file *f = t->units->file;
        struct policy_range room;

        if (a->kind == ALIAS_ANY)
                return true;
        if (policy_alias_is_identity(a)) {
                uint32_t subject = policy_subject_of(f, a);

                return subject != POLICY_SUBJECT_NONE &&
                       policy_subjects_contain(&entry->class->subjects, subject);
        }
        struct policy_ranges ranges = policy_alias_ranges(f, t->facts, a, &room);
        for (size_t i = 0; i < entry->node->addresses_count; i++)
                if (policy_ranges_contain(&ranges, entry->node->addresses[i]))
                        return true;
        return false;
}
