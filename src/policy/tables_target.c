/* Upward: for each service, model, provider and tool that the facts know, the units that name it. */
#include <stdlib.h>
#include <string.h>

#include "policy/tables_priv.h"

static bool unit_names(const struct policy_unit *unit, enum policy_alias_kind kind, struct str name,
                       struct str provider)
{
        for (size_t i = 0; i < unit->rule->dst.count; i++) {
                const struct policy_alias *a = &unit->rule->dst.items[i];

                if (a->kind == kind && str_match(a->name, name))
                        return true;
                /* A model is also reached through its provider. */
                if (kind == ALIAS_MODEL && a->kind == ALIAS_PROVIDER && provider.len &&
                    str_match(a->name, provider))
                        return true;
        }
        return false;
}

static const struct policy_set *target_set(struct policy_work *w, enum policy_alias_kind kind,
                                           struct str name, struct str provider)
{
        struct policy_units *u = w->t->units;

        memset(w->words, 0, u->words_count * sizeof(*w->words));
        for (uint32_t i = 0; i < u->upward_count; i++)
                if (unit_names(&u->items[u->upward[i]], kind, name, provider))
                        policy_words_add(w->words, u->upward[i]);
        return policy_set_intern(&u->pool, w->words);
}

/* Lists of records that begin with their name. */
static const struct policy_set **targets_of(struct policy_work *w, enum policy_alias_kind kind,
                                            const void *items, size_t count, size_t size)
{
        const struct policy_set **sets = calloc(count + 1, sizeof(struct policy_set *));

        for (size_t i = 0; sets && i < count; i++) {
                const char *item = (const char *)items + i * size;
                struct str name, provider = STR_NULL;

                memcpy(&name, item, sizeof(name));
                if (kind == ALIAS_MODEL)
                        provider = ((const struct policy_model *)(const void *)item)->provider;
                if (!(sets[i] = target_set(w, kind, name, provider)))
                        w->no_memory = true;
        }
        w->no_memory |= sets == NULL;
        return sets;
}

bool policy_targets_make(struct policy_work *w)
{
        const struct policy_facts *f = w->t->facts;

        w->t->services = targets_of(w, ALIAS_SERVICE, f->services, f->services_count, sizeof(*f->services));
        w->t->models = targets_of(w, ALIAS_MODEL, f->models, f->models_count, sizeof(*f->models));
        w->t->providers =
                targets_of(w, ALIAS_PROVIDER, f->providers, f->providers_count, sizeof(*f->providers));
        w->t->tools = targets_of(w, ALIAS_TOOL, f->tools, f->tools_count, sizeof(*f->tools));
        w->t->stranger = policy_set_intern(&w->t->units->pool, w->t->units->src_all);
        return !w->no_memory && w->t->stranger;
}

static void sets_free(struct policy_tables *t, const struct policy_set **sets, size_t count)
{
        for (size_t i = 0; sets && i < count; i++)
                policy_set_put(&t->units->pool, sets[i]);
        free(sets);
}

void policy_targets_fini(struct policy_tables *t)
{
        sets_free(t, t->services, t->facts->services_count);
        sets_free(t, t->models, t->facts->models_count);
        sets_free(t, t->providers, t->facts->providers_count);
        sets_free(t, t->tools, t->facts->tools_count);
        policy_set_put(&t->units->pool, t->stranger);
}

static const struct policy_set **sets_share(const struct policy_set **old, size_t count)
{
        const struct policy_set **sets = calloc(count + 1, sizeof(struct policy_set *));

        for (size_t i = 0; sets && i < count; i++)
                sets[i] = policy_set_get(old[i]);
        return sets;
}

bool policy_targets_share(struct policy_tables *t, const struct policy_tables *old)
{
        t->services = sets_share(old->services, t->facts->services_count);
        t->models = sets_share(old->models, t->facts->models_count);
        t->providers = sets_share(old->providers, t->facts->providers_count);
        t->tools = sets_share(old->tools, t->facts->tools_count);
        t->stranger = policy_set_get(old->stranger);
        return t->services && t->models && t->providers && t->tools;
}
