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

static bool failing_make(struct policy_work *w, struct policy_node_entry *entry)
{
        struct policy_units *u = w->t->units;
        bool fails = false;

        if (!u->postures_count)
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

/* ---- all routes ---- */

static int route_order(const void *a, const void *b)
{
        const struct policy_route *x = a, *y = b;
        int order = ip_cmp(x->prefix.ip, y->prefix.ip);

        return order ? order : (int)x->prefix.bits - (int)y->prefix.bits;
}

bool policy_routes_make(struct policy_work *w)
{
        struct policy_tables *t = w->t;
        size_t total = 0, kept = 0;

        for (size_t i = 0; i < t->facts->nodes_count; i++)
                total += t->facts->nodes[i]->approved_count;
        if (!(t->routes = calloc(total + 1, sizeof(*t->routes)))) {
                w->no_memory = true;
                return false;
        }
        for (size_t i = 0; i < t->facts->nodes_count; i++)
                for (size_t j = 0; j < t->facts->nodes[i]->approved_count; j++)
                        if (!policy_prefix_is_exit(&t->facts->nodes[i]->approved[j]))
                                t->routes[t->routes_count++] =
                                        (struct policy_route){ t->facts->nodes[i]->approved[j], 1 };
        qsort(t->routes, t->routes_count, sizeof(*t->routes), route_order);
        for (size_t i = 1; i < t->routes_count; i++)
                if (route_order(&t->routes[i], &t->routes[kept]) == 0)
                        t->routes[kept].routers_count++;
                else
                        t->routes[++kept] = t->routes[i];
        t->routes_count = t->routes_count ? kept + 1 : 0;
        return true;
}

bool policy_tables_has_route(const struct policy_tables *t, struct ip ip)
{
        /* Routes nest, so an address may lie behind each of its own prefixes: one look-up for each length. */
        for (int bits = ip.family == 4 ? 32 : 128; bits > 0; bits--) {
                struct policy_route key = { .prefix = { ip_masked(ip, (uint8_t)bits), (uint8_t)bits } };

                if (t->routes_count && bsearch(&key, t->routes, t->routes_count, sizeof(key), route_order))
                        return true;
        }
        return false;
}

bool policy_tables_is_any_source(const struct policy_tables *t, struct ip ip)
{
        return policy_ranges_contain(policy_ranges_tailnet(), ip) || policy_tables_has_route(t, ip);
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
