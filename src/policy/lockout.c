#include "policy/lockout.h"

#include "policy/gate.h"

static bool has_admin_services(const struct policy_facts *f)
{
        for (size_t i = 0; i < f->services_count; i++)
                if (f->services[i].is_admin)
                        return true;
        return false;
}

static bool posture_can_hold(const struct policy_tables *t, const struct policy_unit *u,
                             const struct policy_user *user)
{
        const struct policy_file *f = t->units->file;

        if (u->posture == POLICY_BIT_NONE)
                return true;
        const struct policy_posture_list *list = &t->units->postures[u->posture];
        for (size_t i = 0; i < t->facts->nodes_count; i++)
                for (size_t j = 0; t->nodes[i].user &&
                                   policy_id_compare(t->nodes[i].user->id, user->id) == 0 && j < list->count;
                     j++)
                        if (policy_posture_holds(&f->postures[list->postures[j]], &t->nodes[i].node->attrs))
                                return true;
        return false;
}

/* Whether the user could use that service at some time, from some place. */
static bool can_use(const struct policy_tables *t, const struct policy_user_entry *e,
                    const struct policy_service *s)
{
        struct policy_resource what = { .kind = ALIAS_SERVICE, .name = s->name };

        for (uint32_t i = 0; i < t->units->upward_count; i++) {
                uint32_t n = t->units->upward[i];
                const struct policy_unit *u = &t->units->items[n];
                const struct policy_when *w = u->rule->when;

                if (!policy_set_has(e->class->asker, n) || !policy_unit_names(t, u, &what))
                        continue;
                if (w && w->before && t->facts->now >= w->before)
                        continue;
                if (posture_can_hold(t, u, e->user))
                        return true;
        }
        return false;
}

static bool can_edit(const struct policy_tables *t, const struct policy_user *user)
{
        const struct policy_user *own = policy_facts_find_user(t->facts, user->id);
        const struct policy_user_entry *e = own ? policy_tables_find_user(t, own) : NULL;

        if (!e || !policy_role_may_edit(e->user->role))
                return false;
        if (!has_admin_services(t->facts))
                return true;
        for (size_t i = 0; i < t->facts->services_count; i++)
                if (t->facts->services[i].is_admin && can_use(t, e, &t->facts->services[i]))
                        return true;
        return false;
}

struct policy_lockout policy_lockout_check(const struct policy_tables *now, const struct policy_tables *next,
                                           const struct policy_user *caller)
{
        struct policy_lockout l = { .caller_can = true, .caller_could = true };

        for (size_t i = 0; i < next->facts->users_count; i++) {
                const struct policy_user *u = next->facts->users[i];

                if (!policy_role_may_edit(u->role))
                        continue;
                l.administrators_count++;
                if (!can_edit(next, u))
                        continue;
                l.able_count++;
                l.able = l.able ? l.able : u;
        }
        l.somebody_can = l.able_count > 0;
        if (caller)
                l.caller_can = can_edit(next, caller);
        if (caller && now)
                l.caller_could = can_edit(now, caller);
        return l;
}
