#include "policy/tables.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "policy/tables_priv.h"

/* ---- life ---- */

static struct policy_tables *tables_new(struct policy_units *units, struct policy_facts *facts)
{
        struct policy_tables *t = calloc(1, sizeof(*t));

        if (!t)
                return NULL;
        t->references = 1;
        t->units = policy_units_get(units);
        t->facts = policy_facts_get(facts);
        t->nodes = calloc(facts->nodes_count + 1, sizeof(*t->nodes));
        t->users = calloc(facts->users_count + 1, sizeof(*t->users));
        return t;
}

struct policy_tables *policy_tables_get(struct policy_tables *t)
{
        t->references++;
        return t;
}

void policy_tables_put(struct policy_tables *t)
{
        if (!t || --t->references)
                return;
        for (size_t i = 0; i < t->addresses_cap; i++)
                if (t->addresses[i].ip.family) {
                        policy_set_put(&t->units->pool, t->addresses[i].src);
                        policy_set_put(&t->units->pool, t->addresses[i].dst);
                }
        for (size_t i = 0; t->nodes && i < t->facts->nodes_count; i++)
                policy_entry_fini(t, &t->nodes[i]);
        for (size_t i = 0; t->users && i < t->facts->users_count; i++)
                policy_class_put(t, t->users[i].class);
        policy_targets_fini(t);
        policy_routes_fini(t);
        policy_classes_put(t);
        policy_facts_put(t->facts);
        policy_units_put(t->units);
        free(t->addresses);
        free(t->nodes);
        free(t->users);
        free(t);
}

static bool work_init(struct policy_work *w, struct policy_tables *t, struct report *report)
{
        *w = (struct policy_work){ .t = t, .report = report };
        w->words = calloc(t->units->words_count, sizeof(*w->words));
        w->more = calloc(t->units->words_count, sizeof(*w->more));
        return w->words && w->more && t->nodes && t->users;
}

static void work_fini(struct policy_work *w)
{
        free(w->words);
        free(w->more);
        policy_subjects_fini(&w->subjects);
}

/* ---- whole ---- */

static bool tables_fill(struct policy_work *w)
{
        struct policy_tables *t = w->t;

        for (size_t i = 0; i < t->facts->users_count; i++)
                if (!policy_user_entry_make(w, t->facts->users[i], &t->users[i]))
                        return false;
        for (size_t i = 0; i < t->facts->nodes_count; i++)
                if (!policy_entry_make(w, t->facts->nodes[i], &t->nodes[i]))
                        return false;
        return policy_addresses_make(w) && policy_routes_make(w) && policy_targets_make(w);
}

static enum err tables_finish(struct policy_work *w, bool ok, size_t errors_before,
                              struct policy_tables **out)
{
        enum err e = !ok && w->no_memory                              ? ERR_NO_MEMORY
                     : w->report->errors_count > errors_before || !ok ? ERR_CONFIG
                                                                      : ERR_OK;

        work_fini(w);
        if (e != ERR_OK)
                policy_tables_put(w->t);
        else
                *out = w->t;
        return e;
}

static enum err compile_units(struct policy_units *units, struct policy_facts *facts, struct report *report,
                              size_t errors_before, struct policy_tables **out)
{
        struct policy_tables *t = tables_new(units, facts);
        struct policy_work w;

        if (!t)
                return ERR_NO_MEMORY;
        if (!work_init(&w, t, report) || !(t->classes = policy_classes_new())) {
                w.no_memory = true;
                return tables_finish(&w, false, errors_before, out);
        }
        return tables_finish(&w, tables_fill(&w), errors_before, out);
}

enum err policy_compile(struct policy_file *file, struct policy_facts *facts, struct report *report,
                        struct policy_tables **out)
{
        size_t errors_before = report->errors_count;
        struct policy_units *units;

        policy_check_facts(file, facts, report);
        if (report->errors_count > errors_before)
                return ERR_CONFIG;
        enum err e = policy_units_new(file, facts, report, &units);
        if (e != ERR_OK)
                return e;
        e = compile_units(units, facts, report, errors_before, out);
        policy_units_put(units);
        return e;
}

/* ---- update ---- */

/* The next service that has addresses of its own, or NULL. */
static const struct policy_service *next_addressed(const struct policy_facts *f, size_t *at)
{
        while (*at < f->services_count && !f->services[*at].addresses_count)
                ++*at;
        return *at < f->services_count ? &f->services[(*at)++] : NULL;
}

static bool same_service_addresses(const struct policy_facts *a, const struct policy_facts *b)
{
        const struct policy_service *x, *y;
        size_t i = 0, j = 0;

        if (a->services == b->services)
                return true;
        while (x = next_addressed(a, &i), y = next_addressed(b, &j), x && y) {
                if (!str_eq(x->name, y->name) || x->addresses_count != y->addresses_count)
                        return false;
                for (size_t n = 0; n < x->addresses_count; n++)
                        if (!ip_eq(x->addresses[n], y->addresses[n]))
                                return false;
        }
        return !x && !y;
}

/* What units and identities are made from, beside the file and the records of people and machines. */
static bool same_grounds(const struct policy_facts *a, const struct policy_facts *b)
{
        return same_service_addresses(a, b) && a->domains == b->domains &&
               policy_facts_owner(a) == policy_facts_owner(b);
}

static bool same_targets(const struct policy_facts *a, const struct policy_facts *b)
{
        return a->services == b->services && a->models == b->models && a->providers == b->providers &&
               a->tools == b->tools;
}

static bool addresses_share(struct policy_tables *t, const struct policy_tables *old)
{
        t->addresses = policy_slots_new(old->addresses_cap);
        if (!t->addresses)
                return false;
        memcpy(t->addresses, old->addresses, old->addresses_cap * sizeof(*t->addresses));
        t->addresses_cap = old->addresses_cap;
        t->addresses_count = old->addresses_count;
        for (size_t i = 0; i < t->addresses_cap; i++)
                if (t->addresses[i].ip.family) {
                        policy_set_get(t->addresses[i].src);
                        policy_set_get(t->addresses[i].dst);
                }
        return true;
}

static void entry_share(struct policy_node_entry *out, const struct policy_node_entry *old)
{
        *out = *old;
        out->class->references++;
        policy_set_get(out->routes);
        if (out->failing)
                policy_set_get(out->failing);
}

static void addresses_drop(struct policy_tables *t, const struct policy_node *node)
{
        for (size_t i = 0; i < node->addresses_count; i++)
                policy_address_remove(t, node->addresses[i]);
}

/* Users first: whose record changed has all of its machines made anew. */
static bool users_update(struct policy_work *w, const struct policy_tables *old)
{
        struct policy_tables *t = w->t;
        size_t j = 0;

        for (size_t i = 0; i < t->facts->users_count; i++) {
                struct policy_user *user = t->facts->users[i];

                while (j < old->facts->users_count && old->facts->users[j] != user &&
                       policy_id_compare(old->facts->users[j]->id, user->id) < 0)
                        j++;
                if (j < old->facts->users_count && old->facts->users[j] == user) {
                        t->users[i] = old->users[j];
                        t->users[i].class->references++;
                } else if (!policy_user_entry_make(w, user, &t->users[i])) {
                        return false;
                }
        }
        return true;
}

static bool is_same_node(const struct policy_tables *t, const struct policy_node_entry *old,
                         const struct policy_node *node, bool users_are_same)
{
        return old->node == node && (node->tags_count || users_are_same ||
                                     old->user == policy_facts_find_user(t->facts, node->user));
}

/* Both lists are sorted by id: walk them together; an equal record of an equal user is taken over. */
static bool nodes_update(struct policy_work *w, const struct policy_tables *old)
{
        struct policy_tables *t = w->t;
        size_t i = 0, j = 0, added_count = 0;
        uint32_t *added = malloc((t->facts->nodes_count + 1) * sizeof(*added));
        bool ok = added != NULL;
        bool users_are_same = t->facts->users_count == old->facts->users_count &&
                              memcmp(t->facts->users, old->facts->users,
                                     t->facts->users_count * sizeof(*t->facts->users)) == 0;

        while (ok && (i < t->facts->nodes_count || j < old->facts->nodes_count)) {
                struct policy_node *now = i < t->facts->nodes_count ? t->facts->nodes[i] : NULL;
                const struct policy_node_entry *was = j < old->facts->nodes_count ? &old->nodes[j] : NULL;
                int order = !now               ? 1
                            : !was             ? -1
                            : was->node == now ? 0
                                               : policy_id_compare(now->id, was->node->id);

                if (order == 0 && is_same_node(t, was, now, users_are_same)) {
                        entry_share(&t->nodes[i], was);
                } else {
                        assert(was || order < 0);
                        if (order >= 0)
                                addresses_drop(t, was->node);
                        if (order <= 0)
                                added[added_count++] = (uint32_t)i;
                        ok = order > 0 || policy_entry_make(w, now, &t->nodes[i]);
                }
                i += order <= 0;
                j += order >= 0;
        }
        for (i = 0; ok && i < added_count; i++)
                ok = policy_node_addresses_add(w, &t->nodes[added[i]]);
        free(added);
        return ok;
}

enum err policy_tables_update(const struct policy_tables *old, struct policy_facts *facts,
                              struct report *report, struct policy_tables **out)
{
        size_t errors_before = report->errors_count;
        struct policy_tables *t;
        struct policy_work w;

        if (!same_grounds(old->facts, facts))
                return policy_compile(old->units->file, facts, report, out);
        policy_check_facts(old->units->file, facts, report);
        if (report->errors_count > errors_before)
                return ERR_CONFIG;
        if (!(t = tables_new(old->units, facts)))
                return ERR_NO_MEMORY;
        t->classes = old->classes;
        t->classes->references++;
        bool ok = work_init(&w, t, report) && addresses_share(t, old) &&
                  (same_targets(old->facts, facts) ? policy_targets_share(t, old) : policy_targets_make(&w));
        if (!ok)
                w.no_memory = true;
        ok = ok && users_update(&w, old) && nodes_update(&w, old) && policy_routes_make(&w);
        return tables_finish(&w, ok, errors_before, out);
}

/* ---- look-ups ---- */

const struct policy_node_entry *policy_tables_find_node(const struct policy_tables *t,
                                                        const struct policy_node *node)
{
        size_t low = 0, high = t->facts->nodes_count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = policy_id_compare(node->id, t->facts->nodes[middle]->id);

                if (order == 0)
                        return &t->nodes[middle];
                if (order < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return NULL;
}

const struct policy_user_entry *policy_tables_find_user(const struct policy_tables *t,
                                                        const struct policy_user *user)
{
        size_t low = 0, high = t->facts->users_count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = policy_id_compare(user->id, t->facts->users[middle]->id);

                if (order == 0)
                        return &t->users[middle];
                if (order < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return NULL;
}
