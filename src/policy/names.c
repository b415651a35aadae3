#include "policy/names.h"

enum { HINTS_MAX = 256, FAULTS_MAX = 100 };

/* The names of one kind as the facts list them: records begin with their name. */
struct name_list {
        const char *what;
        const void *items;
        size_t count, size;
};

static struct str name_at(const struct name_list *l, size_t i)
{
        return *(const struct str *)(const void *)((const char *)l->items + i * l->size);
}

static struct name_list list_of(const struct policy_facts *facts, enum policy_alias_kind kind)
{
        switch (kind) {
        case ALIAS_SERVICE:
                return (struct name_list){ "service", facts->services, facts->services_count,
                                           sizeof(*facts->services) };
        case ALIAS_MODEL:
                return (struct name_list){ "model", facts->models, facts->models_count,
                                           sizeof(*facts->models) };
        case ALIAS_PROVIDER:
                return (struct name_list){ "provider", facts->providers, facts->providers_count,
                                           sizeof(*facts->providers) };
        case ALIAS_TOOL:
                return (struct name_list){ "tool", facts->tools, facts->tools_count, sizeof(*facts->tools) };
        default: return (struct name_list){ "name", NULL, 0, 0 };
        }
}

static bool is_there(const struct name_list *l, struct str pattern)
{
        for (size_t i = 0; i < l->count; i++)
                if (str_match(pattern, name_at(l, i)))
                        return true;
        return false;
}

static void unknown_report(const struct name_list *l, const struct policy_alias *a, struct report *report)
{
        struct str names[HINTS_MAX];
        size_t count = MIN(l->count, (size_t)HINTS_MAX);

        for (size_t i = 0; i < count; i++)
                names[i] = name_at(l, i);
        struct str near = report_nearest(a->name, names, count);
        report_error(report, a->line, a->column, "%s not found: \"%.*s\"%s%.*s%s", l->what,
                     (int)MIN(a->text.len, (size_t)128), a->text.ptr, near.len ? " (did you mean \"" : "",
                     STR_FMT(near), near.len ? "\"?)" : "");
}

void policy_names_check(const struct policy_file *f, const struct policy_facts *facts, struct report *report)
{
        size_t faults = 0;

        for (size_t i = 0; i < f->rules_count; i++) {
                for (size_t j = 0; j < f->rules[i].dst.count && faults < FAULTS_MAX; j++) {
                        const struct policy_alias *a = &f->rules[i].dst.items[j];
                        struct name_list l = list_of(facts, a->kind);

                        if (!policy_alias_is_upward(a) || !l.count || is_there(&l, a->name))
                                continue;
                        faults++;
                        if (str_find_char(a->name, '*') == STR_NONE &&
                            str_find_char(a->name, '?') == STR_NONE)
                                unknown_report(&l, a, report);
                        else
                                report_warning(report, a->line, a->column, "\"%.*s\" fits no %s there is",
                                               (int)MIN(a->text.len, (size_t)128), a->text.ptr, l.what);
                }
        }
}
