#include "policy/approve.h"

#include <stdlib.h>
#include <string.h>

static bool is_listed(const struct policy_tables *t, const struct policy_node_entry *node,
                      const struct policy_aliases *list)
{
        for (size_t i = 0; i < list->count; i++)
                if (policy_entry_matches(t, node, &list->items[i]))
                        return true;
        return false;
}

bool policy_approves_route(const struct policy_tables *t, const struct policy_node_entry *node,
                           struct ip_prefix route)
{
        const struct policy_file *f = t->units->file;

        if (policy_prefix_is_exit(&route))
                return is_listed(t, node, &f->exit_node);
        for (size_t i = 0; i < f->routes_count; i++)
                if (!policy_prefix_is_exit(&f->routes[i].prefix) &&
                    ip_prefix_covers(&f->routes[i].prefix, &route) &&
                    is_listed(t, node, &f->routes[i].approvers))
                        return true;
        return false;
}

bool policy_approves_service(const struct policy_tables *t, const struct policy_node_entry *node,
                             struct str service)
{
        const struct policy_file *f = t->units->file;

        for (size_t i = 0; i < f->services_count; i++) {
                struct str name = f->services[i].service;
                bool is_meant = str_has_prefix(name, STR("svc:")) && str_eq(str_from(name, 4), service);

                for (size_t j = 0; j < node->node->tags_count && !is_meant; j++)
                        is_meant = str_eq(node->node->tags[j], name);
                if (is_meant && is_listed(t, node, &f->services[i].approvers))
                        return true;
        }
        return false;
}

/* Owners of owners, each tag once; the check saw to it that they form no ring. */
bool policy_user_owns_tag(const struct policy_tables *t, const struct policy_user_entry *user, struct str tag)
{
        const struct policy_file *f = t->units->file;
        const struct policy_tag *first = policy_file_find_tag(f, tag);
        bool owns = false;

        if (policy_role_may_edit(user->user->role))
                return true;
        if (!first)
                return false;
        uint32_t *queue = calloc(f->tags_count, sizeof(*queue));
        uint8_t *seen = calloc(f->tags_count, 1);
        size_t at = 0, count = 0;
        if (queue && seen) {
                queue[count++] = (uint32_t)(first - f->tags);
                seen[queue[0]] = 1;
        }
        for (; at < count && !owns; at++) {
                const struct policy_aliases *owners = &f->tags[queue[at]].owners;

                for (size_t i = 0; i < owners->count && !owns; i++) {
                        const struct policy_alias *a = &owners->items[i];
                        uint32_t subject = policy_subject_of(f, a);

                        if (a->kind == ALIAS_TAG && a->ref != POLICY_REF_NONE && !seen[a->ref]) {
                                seen[a->ref] = 1;
                                queue[count++] = a->ref;
                        }
                        owns = subject != POLICY_SUBJECT_NONE &&
                               policy_subjects_contain(&user->class->subjects, subject);
                }
        }
        free(queue);
        free(seen);
        return owns;
}
