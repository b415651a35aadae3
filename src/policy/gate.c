#include "policy/gate.h"

#include <stdlib.h>

static const struct policy_attrs no_attrs;

static int name_order(const void *a, const void *b)
{
        return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Lists of records that begin with their name, sorted; each with its set. */
static const struct policy_set *target_find(struct str name, const void *items, size_t count, size_t size,
                                            const struct policy_set *const *sets)
{
        const char *found = count ? bsearch(&name, items, count, size, name_order) : NULL;

        return found ? sets[(size_t)(found - (const char *)items) / size] : NULL;
}

static const struct policy_set *target_of(const struct policy_tables *t, const struct policy_resource *what)
{
        const struct policy_facts *f = t->facts;

        switch (what->kind) {
        case ALIAS_SERVICE:
                return target_find(what->name, f->services, f->services_count, sizeof(*f->services),
                                   t->services);
        case ALIAS_MODEL:
                return target_find(what->name, f->models, f->models_count, sizeof(*f->models), t->models);
        case ALIAS_PROVIDER:
                return target_find(what->name, f->providers, f->providers_count, sizeof(*f->providers),
                                   t->providers);
        default: return target_find(what->name, f->tools, f->tools_count, sizeof(*f->tools), t->tools);
        }
}

bool policy_unit_names(const struct policy_tables *t, const struct policy_unit *u,
                       const struct policy_resource *what)
{
        const struct policy_set *target = target_of(t, what);

        if (target)
                return policy_set_has(target, (uint32_t)(u - t->units->items));
        for (size_t i = 0; i < u->rule->dst.count; i++) {
                const struct policy_alias *a = &u->rule->dst.items[i];

                if (a->kind == what->kind && str_match(a->name, what->name))
                        return true;
                if (what->kind == ALIAS_MODEL && a->kind == ALIAS_PROVIDER && what->provider.len &&
                    str_match(a->name, what->provider))
                        return true;
        }
        return false;
}

static const struct policy_set *asker_set(const struct policy_tables *t, const struct policy_principal *who)
{
        return who->class ? who->class->asker : t->stranger;
}

bool policy_unit_takes_asker(const struct policy_tables *t, uint32_t n, const struct policy_principal *who,
                             const struct policy_asker *asker)
{
        return policy_set_has(asker_set(t, who), n) ||
               (asker->address.family && policy_ranges_contain(&t->units->items[n].src, asker->address));
}

const char *policy_unit_condition_fails(const struct policy_tables *t, const struct policy_unit *u,
                                        const struct policy_principal *who, const struct policy_asker *asker)
{
        const struct policy_file *f = t->units->file;
        const struct policy_attrs *attrs = who->attrs ? who->attrs : &no_attrs;

        if (u->posture != POLICY_BIT_NONE) {
                const struct policy_posture_list *list = &t->units->postures[u->posture];
                size_t i = 0;

                while (i < list->count && !policy_posture_holds(&f->postures[list->postures[i]], attrs))
                        i++;
                if (i == list->count)
                        return "posture";
        }
        return u->rule->when ? policy_when_fails(u->rule->when, asker) : NULL;
}

void policy_gate_open(struct policy_gate *g, const struct policy_tables *t, struct policy_principal who,
                      const struct policy_asker *asker, struct policy_resource what)
{
        *g = (struct policy_gate){
                .t = t, .who = who, .asker = asker, .what = what, .unit = POLICY_BIT_NONE
        };
        g->target = target_of(t, &what);
        if (g->target)
                g->meet = policy_sets_meet(asker_set(t, &who), g->target);
}

/* The next unit for that target that takes the asker, conditions aside. */
static uint32_t unit_next(struct policy_gate *g)
{
        const struct policy_units *u = g->t->units;
        const struct policy_set *asker = asker_set(g->t, &g->who);
        uint32_t n;

        if (g->target && (n = policy_meet_next(&g->meet)) != POLICY_BIT_NONE)
                return n;
        while (!g->target && g->unknown_at < u->upward_count) {
                n = u->upward[g->unknown_at++];
                if (policy_set_has(asker, n) && policy_unit_names(g->t, &u->items[n], &g->what))
                        return n;
        }
        /* Units that take an address instead of an identity. */
        while (g->asker->address.family && g->ranged_at < u->upward_ranged_count) {
                n = u->upward_ranged[g->ranged_at++];
                if (!policy_set_has(asker, n) && policy_ranges_contain(&u->items[n].src, g->asker->address) &&
                    policy_unit_names(g->t, &u->items[n], &g->what))
                        return n;
        }
        return POLICY_BIT_NONE;
}

bool policy_gate_next(struct policy_gate *g, struct policy_way *out)
{
        for (;;) {
                if (g->unit != POLICY_BIT_NONE) {
                        const struct policy_rule *rule = g->t->units->items[g->unit].rule;

                        while (g->limits_at < rule->limits_count) {
                                const struct policy_limits *l = rule->limits[g->limits_at++];

                                if (policy_limits_fail(l, g->asker))
                                        continue;
                                *out = (struct policy_way){ g->unit, l };
                                return true;
                        }
                }
                if ((g->unit = unit_next(g)) == POLICY_BIT_NONE)
                        return false;
                g->limits_at = 0;
                const struct policy_unit *u = &g->t->units->items[g->unit];
                if (policy_unit_condition_fails(g->t, u, &g->who, g->asker)) {
                        g->unit = POLICY_BIT_NONE;
                        continue;
                }
                if (!u->rule->limits_count) {
                        *out = (struct policy_way){ g->unit, NULL };
                        g->unit = POLICY_BIT_NONE;
                        return true;
                }
        }
}
