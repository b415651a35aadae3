/* Facts about what lies above the network: services, models, providers, tools. */
#include <stdlib.h>
#include <string.h>

#include "policy/facts_read_priv.h"

static void service_name(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_service *s = into;

        policy_fact_text(r, v, "name", &s->name);
        if (str_has_prefix(s->name, STR("svc:")))
                s->name = str_from(s->name, 4);
}

static void service_node(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_fact_id(r, v, "node", &((struct policy_service *)into)->node);
}

static void service_addresses(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_service *s = into;

        policy_fact_addresses(r, v, &s->addresses, &s->addresses_count);
}

static void service_admin(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_read_flag(r, v, "admin", &((struct policy_service *)into)->is_admin);
}

static const struct policy_member service_members[] = {
        { STR_INIT("name"), service_name },
        { STR_INIT("node"), service_node },
        { STR_INIT("addresses"), service_addresses },
        { STR_INIT("admin"), service_admin },
};

static void model_name(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_fact_text(r, v, "name", &((struct policy_model *)into)->name);
}

static void model_provider(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_fact_text(r, v, "provider", &((struct policy_model *)into)->provider);
}

static const struct policy_member model_members[] = {
        { STR_INIT("name"), model_name },
        { STR_INIT("provider"), model_provider },
};

/* All records of these kinds begin with their name. */
static int name_order(const void *a, const void *b)
{
        return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* A list of texts, or of objects with a name; sorted by name, which may stand once. */
static void *named_read(struct policy_reader *r, const struct json_value *v, const char *what, size_t size,
                        size_t align, const struct policy_member *members, size_t members_count,
                        size_t *count)
{
        char *items;

        *count = 0;
        if (!policy_read_is(r, v, JSON_ARRAY, what) || !(items = policy_fact_alloc(r, v->count, size, align)))
                return NULL;
        for (size_t i = 0; i < v->count && !r->no_memory; i++) {
                void *item = items + *count * size;

                if (json_is(&v->items[i], JSON_STRING))
                        *(struct str *)item = policy_fact_kept(r, json_str(&v->items[i]));
                else
                        policy_read_object(r, &v->items[i], what, members, members_count, item);
                if (((struct str *)item)->len)
                        (*count)++;
                else
                        policy_fault(r, &v->items[i], "%s[%zu] has no name", what, i);
        }
        qsort(items, *count, size, name_order);
        for (size_t i = 1; i < *count; i++)
                if (name_order(items + (i - 1) * size, items + i * size) == 0)
                        policy_fault(r, v, "%s: \"%.*s\" stands twice", what,
                                     STR_FMT(*(struct str *)(void *)(items + i * size)));
        return items;
}

void policy_read_fact_services(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_facts_draft *d = policy_draft_of(r);

        d->has_services = true;
        d->services = named_read(r, v, "services", sizeof(*d->services), _Alignof(struct policy_service),
                                 service_members, ARRAY_SIZE(service_members), &d->services_count);
}

void policy_read_fact_models(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_facts_draft *d = policy_draft_of(r);

        d->has_models = true;
        d->models = named_read(r, v, "models", sizeof(*d->models), _Alignof(struct policy_model),
                               model_members, ARRAY_SIZE(model_members), &d->models_count);
}

void policy_read_fact_providers(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_facts_draft *d = policy_draft_of(r);

        d->has_providers = true;
        d->providers = named_read(r, v, "providers", sizeof(struct str), _Alignof(struct str), model_members,
                                  1, &d->providers_count);
}

void policy_read_fact_tools(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_facts_draft *d = policy_draft_of(r);

        d->has_tools = true;
        d->tools = named_read(r, v, "tools", sizeof(struct str), _Alignof(struct str), model_members, 1,
                              &d->tools_count);
}
